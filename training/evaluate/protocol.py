"""Owns the protocol: train before the split, judge after it, by target and segment, with paired intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.training_artefacts import EVALUATION, EVALUATION_PAIRS
from training.als import AlsConfig, AlsModel, fit_als
from training.blend import Blend
from training.content import content_vectors, item_traits, new_items
from training.evaluate.beyond import Ground, group_codes, unit_vectors
from training.evaluate.config import EvaluateConfig
from training.evaluate.everyone import everyone_rows
from training.evaluate.judging import Column, judge
from training.evaluate.metrics import Floats
from training.evaluate.orders import Goods, goods_before, order_values
from training.evaluate.rivals import NewItems, Rivals
from training.evaluate.segments import popularity_segments, user_segments
from training.evaluate.split import Split, bought_pairs, judged_users, relevance
from training.history import category_codes, pair_history
from training.interactions import InteractionsConfig, build_interactions
from training.promotions import plan_of
from training.ranking import RankingConfig, learn_blend


@dataclass(frozen=True, slots=True)
class Shop:
    """The tables that an evaluation reads; days from the split on are only judged with.

    Attributes:
        purchases: the artefact.
        behaviour: the artefact.
        users: the artefact.
        items: the artefact.
        customers: the input table; without rows where there is none.
        promoted_days: the artefact; its days from the split on are known as far as the ranker's config says.
    """

    purchases: pl.LazyFrame
    behaviour: pl.LazyFrame
    users: pl.DataFrame
    items: pl.DataFrame
    customers: pl.LazyFrame
    promoted_days: pl.LazyFrame


@dataclass(frozen=True, slots=True)
class Recipe:
    """The configuration that what is served is made by."""

    interactions: InteractionsConfig
    als: AlsConfig
    ranking: RankingConfig


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation found.

    Attributes:
        frame: the `evaluation` artefact; empty where there was nothing to judge.
        pairs: the `evaluation_pairs` artefact.
        shoppers: `(n_judged,)` int64, the judged shoppers' user rows, ascending.
        values: (model, target, segment, metric) -> each judged shopper's value, `(n_judged,)`; NaN for who
            does not count.  Two recipes judged on the same split are compared by these, shopper by shopper.
        n_items: items sold before the test period.
        blend: weights that the served lists were made with; None where nothing was trained.
        reason: why there is nothing to judge, else "".
    """

    frame: pl.DataFrame
    pairs: pl.DataFrame
    shoppers: NDArray[np.int64]
    values: dict[Column, Floats]
    n_items: int
    blend: Blend | None
    reason: str


def evaluate(shop: Shop, recipe: Recipe, *, split: Split, config: EvaluateConfig) -> Outcome:
    """Returns every measure of every model, by target and segment, on one test period.

    Models and blend are learned from days before `split.start` only; of later days the plan of promotions is
    known.  Judged are all shoppers who bought in
    the test period, also those without history; relevant is everything they bought, also items never sold
    before.
    """
    purchases, behaviour, n_users = shop.purchases, shop.behaviour, shop.users.height
    categories = category_codes(shop.items)
    n_items = len(categories)
    bought = bought_pairs(purchases, split)
    users = judged_users(bought, config)
    plan = plan_of(shop.promoted_days, n_items, as_of=split.start, lead_days=recipe.ranking.lead_days)
    history = pair_history(
        purchases, n_users, categories, as_of=split.start, trending=recipe.ranking.trending, plan=plan
    )
    catalogue = np.unique(history.items).astype(np.int64)
    if not users.size or not catalogue.size:
        side = f"before {split.start}" if users.size else f"from {split.start} to before {split.end}"
        frame, pairs = pl.DataFrame(schema=EVALUATION), pl.DataFrame(schema=EVALUATION_PAIRS)
        return Outcome(frame, pairs, users, {}, catalogue.size, None, f"no purchases {side}")
    blend = learn_blend(
        purchases,
        behaviour,
        n_users,
        categories,
        as_of=split.start,
        interactions=recipe.interactions,
        als=recipe.als,
        config=recipe.ranking,
        plan=plan,
    )
    matrix = build_interactions(
        purchases, behaviour, n_users, n_items, as_of=split.start, config=recipe.interactions
    )
    model = fit_als(matrix, recipe.als)
    buyers = np.bincount(history.items, minlength=n_items)
    goods = goods_before(purchases, n_items, split.start)
    new = known_of_new_items(shop.items, model, buyers, goods, split, recipe.ranking)
    everybody = Rivals(history, model, blend, new)
    rivals = everybody.of_users(users)
    by_item = popularity_segments(buyers)
    ground = Ground(
        history=rivals.history,
        buyers=buyers,
        n_shoppers=int(np.count_nonzero(np.diff(history.indptr))),
        head=by_item["popularity:head"],
        groups=group_codes(shop.items, config.category_depth),
        vectors=unit_vectors(model.item_factors),
    )
    relevant = relevance(bought, users, n_items)
    ranked = rivals.ranked(recipe.ranking)
    judged = judge(
        rivals.lists(max(config.k, config.curve_k), ranked[0]),
        {"all": relevant, "never_bought": relevant.without(rivals.history.keys)},
        order_values(
            ranked,
            rivals.bestsellers(config.k, np.empty(0, np.int64)),
            relevant,
            goods,
            catalogue=catalogue,
            k=config.k,
        ),
        ground,
        user_segments(purchases, shop.users, shop.customers, users, split=split, config=config),
        by_item,
        catalogue=catalogue,
        period=split.start,
        config=config,
    )
    everyone = everyone_rows(shop.users, shop.customers, shop.items, everybody, recipe.ranking, split, config)
    return Outcome(
        pl.concat([judged.frame, everyone]), judged.pairs, users, judged.values, catalogue.size, blend, ""
    )


def known_of_new_items(
    items: pl.DataFrame,
    model: AlsModel,
    buyers: NDArray[np.int64],
    goods: Goods,
    split: Split,
    ranking: RankingConfig,
) -> NewItems | None:
    """Returns what the stage `ranking` would have known of new items on the split's first day.

    Args:
        items: the `items` artefact; its price, which may be the test period's, is not used.
        model: learned before the split.
        buyers: `(n_items,)` distinct buyers before the split.
        goods: prices paid before the split.
        split: the test period.
        ranking: how long an item is new.

    Returns:
        None where no item is new.
    """
    which = new_items(items, as_of=split.start, days=ranking.new_item_days)
    which &= ~model.item_factors.any(axis=1)
    if not which.any():
        return None
    priced = items.with_columns(price=pl.Series(goods.price).fill_nan(None))
    vectors = model.item_factors.copy()
    vectors[which] = content_vectors(item_traits(priced), model.item_factors, buyers)[which]
    return NewItems(which, vectors)
