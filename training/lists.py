"""Owns the list of a known shopper: repeat purchases and finds by their chance, spread over categories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from recdata.config import NonNegativeInt, PositiveInt, RoomConfig
from recdata.snapshot.records import Source
from training.als import AlsModel
from training.blend import Blend, between
from training.blocks import NO_ITEM, in_threads
from training.discovery import Discovery, Found
from training.history import Floats, History, Rows
from training.trending import Wanted

# rows int32, chances float64 and sources uint8, all of one shape; a negative chance is no candidate
Candidates = tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.uint8]]


class RankingConfig(RoomConfig, frozen=True):
    """`[training.ranking]`: the list that is ranked beforehand for every known shopper."""

    # Items in a shopper's list; the server filters it on request, so it is longer than any answer.
    candidates_per_user: PositiveInt = 200
    # Share of the list that items bought before may take at most, 0 to 0.5; the rest was never bought.
    max_repeat_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.5
    # Length in days of each of the last periods of the training data that the ranker is learned on.
    validation_days: PositiveInt = 28
    # How many such periods, one before the other; each costs a fit of the collaborative model.
    validation_periods: PositiveInt = 2
    # Shoppers whose purchases the models of those periods are fitted to; a seeded sample where there are
    # more, so that learning costs the same in a larger shop.
    learning_users: PositiveInt = 100_000
    # Of these, shoppers whose candidates are the examples; a seeded sample where there are more.
    validation_users: PositiveInt = 20_000
    # Examples that each of its two models learns from, about: all that were bought, a sample of the others.
    max_examples: PositiveInt = 400_000
    # Trees of the model of items bought before, 50 to 300 is usual.
    trees: PositiveInt = 120
    # Leaves of each, 8 to 64 is usual.
    leaves: PositiveInt = 24
    # How much each counts, above 0 to 1: the fewer trees, the more.
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 0.06
    # Trees of the model of finds, 20 to 200 is usual.
    find_trees: PositiveInt = 40
    # Leaves of each, 4 to 64 is usual.
    find_leaves: PositiveInt = 16
    # How much each counts, above 0 to 1.
    find_learning_rate: Annotated[float, Meta(gt=0, le=1)] = 0.12
    # How much a list spreads over categories, 0 (not at all) to below 1: the second item of a category counts
    # its chance times 1 - diversity, the third that squared, and so on.  It costs hits: docs/ranking.md.
    diversity: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    # Days after its launch in which an item that too few have bought for a vector of its own has places among
    # the candidates by what its traits speak for.
    new_item_days: NonNegativeInt = 56
    # Candidates that each shopper gets of what is trending in his segment, that is among shoppers whose
    # favourite category is the same; 0 leaves the source out, 60 was measured: docs/ranking.md.
    trending_per_user: NonNegativeInt = 0
    # Whether the models also see how an item sells in the segment: buyers, growth and lift.
    trending_features: bool = False
    # Coming days whose promotions are planned when the lists are made, as the table of promotions has them;
    # 0 leaves promotions out.  No more than `validation_days` are used, nor days after the end of the table.
    plan_lead_days: NonNegativeInt = 28
    # Seed of the samples.
    seed: NonNegativeInt = 7
    # Threads; 0 means every core.  The lists do not depend on it.
    threads: NonNegativeInt = 0

    @property
    def trending(self) -> Wanted:
        """Returns what of the segments is wanted."""
        return Wanted(self.trending_per_user, self.trending_features)

    @property
    def lead_days(self) -> int:
        """Returns of how many coming days promotions count: those within which a chance is of a purchase."""
        return min(self.plan_lead_days, self.validation_days)


@dataclass(frozen=True, slots=True)
class RankedBlock:
    """The lists of the users from row `start` on.

    Attributes:
        start: first user row.
        rows: `(n, candidates_per_user)` int32, best first, padded with -1.
        scores: the same shape, float32: the chance of a purchase within the validation period's length,
            times what `diversity` takes off; 0 as padding.
        sources: the same shape, uint8 `Source` codes.
    """

    start: int
    rows: NDArray[np.int32]
    scores: NDArray[np.float32]
    sources: NDArray[np.uint8]


def rank_for_users(
    history: History,
    model: AlsModel,
    blend: Blend,
    sellable: NDArray[np.bool_],
    config: RankingConfig,
    *,
    new: NDArray[np.bool_] | None = None,
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
        new: `(n_items,)` bool, items whose vectors come from their traits; none if None.
    """
    ranker = _Ranker(history, model, blend, sellable, config, new)
    starts = range(0, model.user_factors.shape[0], ranker.discovery.size)
    return in_threads(ranker.block, starts, threads=config.threads)


def spread(chances: Floats, rows: NDArray[np.int32], codes: Rows, *, diversity: float) -> Floats:
    """Returns what each candidate counts in a list that spreads over categories; the shape of `chances`.

    The j-th best of its category, from 0, counts its chance times (1 - diversity) ** j.  To sort by that is
    the same as to take, place by place, the item that counts most beside those above it.

    Args:
        chances: `(n, w)`, negative where there is no candidate.
        rows: `(n, w)` int32 item rows.
        codes: `(n_items,)` each item's category.
        diversity: 0 to below 1.
    """
    of_row = np.repeat(np.arange(len(rows)), rows.shape[1])
    category = codes[rows].ravel()
    order = np.lexsort((rows.ravel(), -chances.ravel(), category, of_row))
    group = of_row[order] * np.int64(codes.size) + category[order]
    first = np.flatnonzero(np.diff(group, prepend=-1))
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size) - np.repeat(first, np.diff(np.append(first, order.size)))
    return np.where(chances >= 0, chances * (1.0 - diversity) ** rank.reshape(rows.shape), chances)


class _Ranker:
    """Holds what every block needs; `block` computes one and changes nothing."""

    def __init__(
        self,
        history: History,
        model: AlsModel,
        blend: Blend,
        sellable: NDArray[np.bool_],
        config: RankingConfig,
        new: NDArray[np.bool_] | None,
    ) -> None:
        self.history, self.model, self.blend, self.sellable = history, model, blend, sellable
        self.length = config.candidates_per_user
        self.max_repeat = int(config.candidates_per_user * config.max_repeat_share)
        self.discovery = Discovery(history, model, sellable, length=self.length, new=new)
        self.diversity, self.codes = config.diversity, history.affinities[0].codes
        self.listed_users = self.discovery.modelled_users | (np.diff(history.indptr) > 0)

    def block(self, start: int) -> RankedBlock:
        """Returns the lists of `discovery.size` users from `start` on."""
        stop = min(start + self.discovery.size, self.history.n_users)
        found = self.discovery.candidates(start, stop)
        repeat, finds = self._repeat(start, stop, found), self._finds(start, found)
        rows = np.hstack([repeat[0], finds[0]])
        chances = np.hstack([repeat[1], finds[1]])
        sources = np.hstack([repeat[2], finds[2]])
        chances[~self.listed_users[start:stop]] = -1.0
        if self.diversity:
            chances = spread(chances, rows, self.codes, diversity=self.diversity)
        order = np.lexsort((rows, -chances), axis=1)[:, : self.length]
        rows, chances = np.take_along_axis(rows, order, axis=1), np.take_along_axis(chances, order, axis=1)
        sources = np.take_along_axis(sources, order, axis=1)
        real = chances >= 0
        short = ((0, 0), (0, self.length - order.shape[1]))
        return RankedBlock(
            start,
            np.pad(np.where(real, rows, NO_ITEM), short, constant_values=NO_ITEM),
            np.pad(np.where(real, chances, 0.0), short).astype(np.float32),
            np.pad(np.where(real, sources, Source.UNSPECIFIED), short).astype(np.uint8),
        )

    def _finds(self, start: int, found: Found) -> Candidates:
        place, column = np.nonzero(found.rows != NO_ITEM)
        users, items = (place + start).astype(np.int32), found.rows[place, column]
        features = between(self.history, self.model, users, items, near=found.near, start=start)
        chances = np.full(found.rows.shape, -1.0)
        chances[place, column] = self.blend.find_chances(features, users)
        return found.rows, chances, found.sources

    def _repeat(self, start: int, stop: int, found: Found) -> Candidates:
        pairs = self.history.pairs_of(start, stop)
        users, items = self.history.users[pairs], self.history.items[pairs]
        others = between(self.history, self.model, users, items, near=found.near, start=start)
        features = np.column_stack([self.history.pair_features[pairs], others])
        chances = self.blend.repeat_chances(features)
        chances[~self.sellable[items]] = -1.0
        order = np.lexsort((items, -chances, users))
        users, items, chances = users[order], items[order], chances[order]
        rank = np.arange(pairs.start, pairs.stop) - self.history.indptr[users]
        kept = rank < self.max_repeat
        rows = np.full((stop - start, self.max_repeat), NO_ITEM, np.int32)
        best = np.full((stop - start, self.max_repeat), -1.0)
        rows[users[kept] - start, rank[kept]] = items[kept]
        best[users[kept] - start, rank[kept]] = chances[kept]
        return rows, best, np.full(rows.shape, Source.REPEAT, np.uint8)
