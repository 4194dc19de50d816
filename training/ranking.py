"""Owns what a known shopper is served: learning how to rank his list, and the stage `ranking`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.artefacts import read_artefact, scan_artefact
from recdata.runs import Stage, StageContext
from training.als import AlsConfig, AlsModel, fit_als
from training.blend import DEFAULT_BLEND, FIND_LINE, GROWING, Blend, between_names, examples_of
from training.blocks import NO_ITEM
from training.chances import Examples, fit_chances, joined
from training.content import content_vectors, item_traits, new_items
from training.history import Rows, category_codes, pair_history
from training.interactions import InteractionsConfig, build_interactions
from training.lists import RankingConfig, rank_for_users
from training.promotions import Plan, names_of_line, plan_of
from training.rhythm import PAIR_FEATURES

__all__ = ["RankingConfig", "learn_blend", "rank_for_users", "ranking_stage", "sellable_mask"]


def learn_blend(
    purchases: pl.LazyFrame,
    behaviour: pl.LazyFrame,
    n_users: int,
    categories: Rows,
    *,
    as_of: date,
    interactions: InteractionsConfig,
    als: AlsConfig,
    config: RankingConfig,
    plan: Plan | None = None,
) -> Blend:
    """Returns the blend learned on the last periods before `as_of`, each by a model fitted before it.

    Nothing on or after `as_of` is looked at but the plan of promotions, as it is known on that day.  A period
    without data before it, or in it, teaches nothing; where none does, it is `DEFAULT_BLEND`.  Of more than
    `learning_users` shoppers a sample stands for all, so that learning costs the same in a shop of any size.
    """
    scale = 1.0
    if n_users > config.learning_users:
        chosen = np.random.default_rng(config.seed).choice(n_users, config.learning_users, replace=False)
        purchases, behaviour = (_of_users(lines, np.sort(chosen)) for lines in (purchases, behaviour))
        n_users, scale = config.learning_users, n_users / config.learning_users
    taught = []
    names: tuple[str, ...] = ()
    for period in range(config.validation_periods):
        end = as_of - timedelta(days=period * config.validation_days)
        start = end - timedelta(days=config.validation_days)
        later = purchases.filter((pl.col("day") >= start) & (pl.col("day") < end))
        history = pair_history(
            purchases,
            n_users,
            categories,
            as_of=start,
            scale=scale,
            trending=config.trending,
            plan=plan,
        )
        if not history.users.size or not later.select(pl.len()).collect().item():
            continue
        matrix = build_interactions(
            purchases, behaviour, n_users, len(categories), as_of=start, config=interactions
        )
        names = between_names(history)
        taught.append(
            examples_of(
                history,
                later,
                fit_als(matrix, als),
                length=config.candidates_per_user,
                max_users=config.validation_users,
                max_examples=config.max_examples // config.validation_periods,
                seed=config.seed,
                threads=config.threads,
            )
        )
    if not taught:
        return DEFAULT_BLEND
    repeat, find = (joined(examples) for examples in zip(*taught, strict=True))
    return fit_blend(repeat, find, names, config)


def fit_blend(repeat: Examples, find: Examples, names: Sequence[str], config: RankingConfig) -> Blend:
    """Returns the two models of the examples of each; `names` are those of `between`."""
    fit = partial(fit_chances, seed=config.seed, threads=config.threads)
    return Blend(
        fit(
            repeat,
            (*PAIR_FEATURES, *names),
            trees=config.trees,
            leaves=config.leaves,
            rate=config.learning_rate,
        ),
        fit(
            find,
            names,
            line=(*FIND_LINE, *names_of_line(names)),
            unseen=GROWING,
            trees=config.find_trees,
            leaves=config.find_leaves,
            rate=config.find_learning_rate,
        ),
    )


def _of_users(lines: pl.LazyFrame, users: NDArray[np.int64]) -> pl.LazyFrame:
    """Returns the lines of the given ascending user rows, whose positions become the user rows."""
    places = pl.LazyFrame({"user_row": users, "place": np.arange(users.size)}).cast(pl.Int32)
    chosen = lines.join(places, on="user_row", how="inner", maintain_order="left")
    return chosen.with_columns(user_row=pl.col("place")).drop("place").collect().lazy()


def ranking_stage(interactions: InteractionsConfig, als: AlsConfig, ranking: RankingConfig) -> Stage:
    """Returns the stage that ranks every known shopper's list as of the run's day."""

    def work(ctx: StageContext) -> dict[str, object]:
        purchases = scan_artefact(ctx.source("purchases.parquet"), "purchases")
        behaviour = scan_artefact(ctx.source("behaviour.parquet"), "behaviour")
        items = read_artefact(ctx.source("items.parquet"), "items")
        model = AlsModel(
            np.load(ctx.source("user_factors.npy")), np.load(ctx.source("item_factors.npy")), losses=()
        )
        n_users, categories = len(model.user_factors), category_codes(items)
        plan = plan_of(
            scan_artefact(ctx.source("promoted_days.parquet"), "promoted_days"),
            len(items),
            as_of=ctx.run.as_of,
            lead_days=ranking.lead_days,
        )
        with ctx.bar("learning the blend", total=1) as advance:
            blend = learn_blend(
                purchases,
                behaviour,
                n_users,
                categories,
                as_of=ctx.run.as_of,
                interactions=interactions,
                als=als,
                config=ranking,
                plan=plan,
            )
            advance(1)
        history = pair_history(
            purchases, n_users, categories, as_of=ctx.run.as_of, trending=ranking.trending, plan=plan
        )
        new = new_items(items, as_of=ctx.run.as_of, days=ranking.new_item_days)
        new &= ~model.item_factors.any(axis=1)
        if new.any():
            buyers = np.bincount(history.items, minlength=len(items))
            model.item_factors[new] = content_vectors(item_traits(items), model.item_factors, buyers)[new]
        shape = (n_users, ranking.candidates_per_user)
        rows, scores, sources = (
            np.lib.format.open_memmap(ctx.target(f"ranked_{name}.npy"), "w+", dtype, shape)
            for name, dtype in (("rows", np.int32), ("scores", np.float32), ("sources", np.uint8))
        )
        with_list = 0
        with ctx.bar("ranking", total=n_users) as advance:
            for block in rank_for_users(history, model, blend, sellable_mask(items), ranking, new=new):
                part = slice(block.start, block.start + len(block.rows))
                rows[part], scores[part], sources[part] = block.rows, block.scores, block.sources
                with_list += int(np.count_nonzero(block.rows[:, 0] != NO_ITEM))
                advance(len(block.rows))
        for array in (rows, scores, sources):
            array.flush()
        return {
            "users_with_list": with_list,
            "new_items": int(np.count_nonzero(new)),
            "planned_days": {} if plan is None else plan.planned_days,
            "repeat_features": {} if blend.repeat is None else blend.repeat.forest.gains,
            "find_features": {} if blend.find is None else blend.find.forest.gains,
        }

    return Stage(
        name="ranking",
        version=5,
        inputs=(
            "users.parquet",
            "items.parquet",
            "purchases.parquet",
            "behaviour.parquet",
            "promoted_days.parquet",
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
