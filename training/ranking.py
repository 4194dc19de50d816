"""Owns what is served to a known shopper: one list of repeat purchases and discoveries, the stage `ranking`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

import numpy as np
import polars as pl
from msgspec import Meta
from numpy.typing import NDArray

from recdata.artefacts import read_artefact, scan_artefact
from recdata.config import NonNegativeInt, PositiveInt, RoomConfig
from recdata.runs import Stage, StageContext
from recdata.snapshot.records import Source
from training.als import AlsConfig, AlsModel, fit_als
from training.blend import (
    DEFAULT_BLEND,
    DISCOVERY_FEATURES,
    REPEAT_FEATURES,
    Blend,
    History,
    fit_blend,
    pair_history,
    pair_scores,
)
from training.blocks import NO_ITEM, block_rows, in_threads, top_k
from training.interactions import InteractionsConfig, build_interactions

MAX_BLOCK_USERS = 512  # so that a block's lists, too, stay small


class RankingConfig(RoomConfig, frozen=True):
    """`[training.ranking]`: the list that is ranked beforehand for every known shopper."""

    # Items in a shopper's list; the server filters it on request, so it is longer than any answer.
    candidates_per_user: PositiveInt = 200
    # Share of the list that items bought before may take at most, 0 to 0.5; the rest was never bought.
    max_repeat_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.5
    # Length in days of the last part of the training data on which the blend is learned.
    validation_days: PositiveInt = 28
    # Shoppers whom the blend is learned from; a seeded sample where there are more.
    validation_users: PositiveInt = 20_000
    # Pairs never bought that are sampled per shopper to learn discovery from.
    negatives_per_user: PositiveInt = 100
    # Seed of the samples.
    seed: NonNegativeInt = 7
    # Threads; 0 means every core.  The lists do not depend on it.
    threads: NonNegativeInt = 0


@dataclass(frozen=True, slots=True)
class RankedBlock:
    """The lists of the users from row `start` on.

    Attributes:
        start: first user row.
        rows: `(n, candidates_per_user)` int32, best first, padded with -1.
        scores: the same shape, float32: the chance of a purchase within the validation period's length; 0 as padding.
        sources: the same shape, uint8 `Source` codes.
    """

    start: int
    rows: NDArray[np.int32]
    scores: NDArray[np.float32]
    sources: NDArray[np.uint8]


def learn_blend(
    purchases: pl.LazyFrame,
    behaviour: pl.LazyFrame,
    n_users: int,
    n_items: int,
    *,
    as_of: date,
    interactions: InteractionsConfig,
    als: AlsConfig,
    config: RankingConfig,
) -> Blend:
    """Returns the blend learned on the last `validation_days` before `as_of`, with a model fitted before them.

    Nothing on or after `as_of` is looked at.  Without data on both sides of the validation period's first day, or
    without a single repeat purchase, it is `DEFAULT_BLEND`.
    """
    start = as_of - timedelta(days=config.validation_days)
    history = pair_history(purchases, n_users, n_items, as_of=start)
    if not history.users.size:
        return DEFAULT_BLEND
    matrix = build_interactions(purchases, behaviour, n_users, n_items, as_of=start, config=interactions)
    model = fit_als(matrix, als)
    return fit_blend(
        history,
        purchases.filter((pl.col("day") >= start) & (pl.col("day") < as_of)),
        model.user_factors,
        model.item_factors,
        rng=np.random.default_rng(config.seed),
        negatives_per_user=config.negatives_per_user,
        max_users=config.validation_users,
    )


def rank_for_users(
    history: History,
    model: AlsModel,
    blend: Blend,
    sellable: NDArray[np.bool_],
    config: RankingConfig,
) -> Iterator[RankedBlock]:
    """Yields the lists of all users in blocks, best first, ties by item row upwards.

    A shopper with neither purchases nor factors has an empty list.  At most `max_repeat_share` of a list was
    bought before; everything else was not.

    Args:
        history: pairs bought before the list's day.
        model: fitted to the same days.
        blend: weights of the two kinds of candidates.
        sellable: `(n_items,)` bool; the others stand in no list.
        config: length and shares.
    """
    ranker = _Ranker(history, model, blend, sellable, config)
    starts = range(0, model.user_factors.shape[0], ranker.size)
    return in_threads(ranker.block, starts, threads=config.threads)


def ranking_stage(interactions: InteractionsConfig, als: AlsConfig, ranking: RankingConfig) -> Stage:
    """Returns the stage that ranks every known shopper's list as of the run's day."""

    def work(ctx: StageContext) -> dict[str, object]:
        purchases = scan_artefact(ctx.source("purchases.parquet"), "purchases")
        behaviour = scan_artefact(ctx.source("behaviour.parquet"), "behaviour")
        items = read_artefact(ctx.source("items.parquet"), "items")
        model = AlsModel(
            np.load(ctx.source("user_factors.npy")), np.load(ctx.source("item_factors.npy")), losses=()
        )
        n_users, n_items = model.user_factors.shape[0], model.item_factors.shape[0]
        with ctx.bar("learning the blend", total=1) as advance:
            blend = learn_blend(
                purchases,
                behaviour,
                n_users,
                n_items,
                as_of=ctx.run.as_of,
                interactions=interactions,
                als=als,
                config=ranking,
            )
            advance(1)
        history = pair_history(purchases, n_users, n_items, as_of=ctx.run.as_of)
        shape = (n_users, ranking.candidates_per_user)
        rows, scores, sources = (
            np.lib.format.open_memmap(ctx.target(f"ranked_{name}.npy"), "w+", dtype, shape)
            for name, dtype in (("rows", np.int32), ("scores", np.float32), ("sources", np.uint8))
        )
        with_list = 0
        with ctx.bar("ranking", total=n_users) as advance:
            for block in rank_for_users(history, model, blend, sellable_mask(items), ranking):
                part = slice(block.start, block.start + len(block.rows))
                rows[part], scores[part], sources[part] = block.rows, block.scores, block.sources
                with_list += int(np.count_nonzero(block.rows[:, 0] != NO_ITEM))
                advance(len(block.rows))
        for array in (rows, scores, sources):
            array.flush()
        return {
            "users_with_list": with_list,
            "repeat_weights": _named(REPEAT_FEATURES, blend.repeat),
            "discovery_weights": _named(DISCOVERY_FEATURES, blend.discovery),
        }

    return Stage(
        name="ranking",
        version=1,
        inputs=(
            "users.parquet",
            "items.parquet",
            "purchases.parquet",
            "behaviour.parquet",
            "user_factors.npy",
            "item_factors.npy",
        ),
        outputs=("ranked_rows.npy", "ranked_scores.npy", "ranked_sources.npy"),
        work=work,
        config={"interactions": interactions, "als": als, "ranking": ranking},
    )


def sellable_mask(items: pl.DataFrame) -> NDArray[np.bool_]:
    """Returns which of the `items` artefact's rows may be recommended: all but discontinued ones."""
    return (items["status"] != "discontinued").fill_null(value=True).to_numpy()


class _Ranker:
    """Holds what every block needs; `block` computes one and changes nothing."""

    def __init__(
        self,
        history: History,
        model: AlsModel,
        blend: Blend,
        sellable: NDArray[np.bool_],
        config: RankingConfig,
    ) -> None:
        self.history, self.model, self.blend, self.sellable = history, model, blend, sellable
        self.length = config.candidates_per_user
        self.max_repeat = int(config.candidates_per_user * config.max_repeat_share)
        modelled = model.item_factors.any(axis=1)
        self.pool = np.flatnonzero(sellable & (modelled | (history.popularity > 0)))
        self.pool_modelled = modelled[self.pool]
        constant, popularity, collaborative = blend.discovery
        self.bias = (constant + popularity * history.popularity[self.pool]).astype(np.float32)
        self.vectors = np.ascontiguousarray((collaborative * model.item_factors[self.pool]).T, np.float32)
        self.place = np.full(sellable.size, NO_ITEM)
        self.place[self.pool] = np.arange(self.pool.size)
        self.known = model.user_factors.any(axis=1)
        self.size = min(block_rows(self.pool.size), MAX_BLOCK_USERS)

    def block(self, start: int) -> RankedBlock:
        """Returns the lists of `size` users from `start` on."""
        stop = min(start + self.size, self.known.size)
        found_rows, found_scores, found_sources = self._discover(start, stop)
        own_rows, own_scores = self._repeat(start, stop)
        rows = np.concatenate([own_rows, found_rows], axis=1)
        scores = np.concatenate([own_scores, found_scores], axis=1)
        sources = np.concatenate([np.full(own_rows.shape, Source.REPEAT, np.uint8), found_sources], axis=1)
        has_history = self.known[start:stop] | (np.diff(self.history.indptr[start : stop + 1]) > 0)
        scores[~has_history] = -np.inf
        with np.errstate(over="ignore"):
            chances = (1.0 / (1.0 + np.exp(-scores))).astype(np.float32)
        order = np.lexsort((rows, -chances), axis=1)[:, : self.length]
        rows, chances, sources = (np.take_along_axis(part, order, axis=1) for part in (rows, chances, sources))
        real = np.isfinite(np.take_along_axis(scores, order, axis=1))
        block = RankedBlock(
            start,
            np.full((stop - start, self.length), NO_ITEM, np.int32),
            np.zeros((stop - start, self.length), np.float32),
            np.zeros((stop - start, self.length), np.uint8),
        )
        width = rows.shape[1]
        block.rows[:, :width] = np.where(real, rows, NO_ITEM)
        block.scores[:, :width] = np.where(real, chances, 0.0)
        block.sources[:, :width] = np.where(real, sources, Source.UNSPECIFIED)
        return block

    def _discover(
        self, start: int, stop: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.uint8]]:
        scores = self.model.user_factors[start:stop] @ self.vectors
        scores += self.bias
        pairs = slice(self.history.indptr[start], self.history.indptr[stop])
        places = self.place[self.history.items[pairs]]
        inside = places != NO_ITEM
        scores[(self.history.users[pairs] - start)[inside], places[inside]] = -np.inf
        best, values = top_k(scores, self.length)
        by_model = self.pool_modelled[best] & self.known[start:stop, None]
        sources = np.where(by_model, Source.COLLABORATIVE, Source.BESTSELLER).astype(np.uint8)
        return self.pool[best].astype(np.int32), values, sources

    def _repeat(self, start: int, stop: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        pairs = slice(self.history.indptr[start], self.history.indptr[stop])
        users, items = self.history.users[pairs] - start, self.history.items[pairs]
        collaborative = pair_scores(self.model.user_factors[start:stop], self.model.item_factors, users, items)
        weights = self.blend.repeat
        scores = weights[0] + self.history.features[pairs] @ weights[1:-1] + weights[-1] * collaborative
        scores[~self.sellable[items]] = -np.inf
        order = np.lexsort((items, -scores, users))
        users, items, scores = users[order], items[order], scores[order]
        rank = np.arange(users.size) - (self.history.indptr[start:stop] - self.history.indptr[start])[users]
        kept = rank < self.max_repeat
        rows = np.full((stop - start, self.max_repeat), NO_ITEM, np.int32)
        values = np.full((stop - start, self.max_repeat), -np.inf, np.float32)
        rows[users[kept], rank[kept]] = items[kept]
        values[users[kept], rank[kept]] = scores[kept]
        return rows, values


def _named(names: tuple[str, ...], weights: NDArray[np.float64]) -> dict[str, float]:
    return {name: round(float(weight), 4) for name, weight in zip(("constant", *names), weights, strict=True)}
