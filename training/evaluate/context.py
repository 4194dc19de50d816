"""Owns whether knowing what lies in the basket helps: the rest of test baskets, with a context and without.

Lists are joined by reciprocal rank fusion: an item's score is the sum over the lists of
weight / (60 + rank), and the items of the context share the weight of their kind of list; Cormack, Clarke
and Buettcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods" (2009).
It is no stage of the nightly job: `measure_context` is called where the question is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.als import AlsConfig, fit_als
from training.baskets import BasketsConfig, bought_together
from training.blocks import NO_ITEM
from training.evaluate.rivals import Rivals
from training.evaluate.split import Split
from training.history import Rows, pair_history
from training.interactions import InteractionsConfig, build_interactions
from training.ranking import RankingConfig, learn_blend
from training.similar import SimilarConfig, similar_items

Lists = NDArray[np.int32]
FUSION_OFFSET = 60
MIN_BASKET = 3
#: Weights of the list without context, of the similar items, and of those bought together.
Weights = tuple[float, float, float]
FUSIONS: dict[str, Weights] = {
    "no context": (1.0, 0.0, 0.0),
    "similar alone": (0.0, 1.0, 0.0),
    "together alone": (0.0, 0.0, 1.0),
    "+ similar": (1.0, 1.0, 0.0),
    "+ together": (1.0, 0.0, 1.0),
    "+ similar + together": (1.0, 1.0, 1.0),
    "+ together / 2": (1.0, 0.0, 0.5),
    "+ together / 4": (1.0, 0.0, 0.25),
    "+ together / 10": (1.0, 0.0, 0.1),
    "+ similar / 4 + together / 4": (1.0, 0.25, 0.25),
    "+ similar / 10 + together / 4": (1.0, 0.1, 0.25),
}


@dataclass(frozen=True, slots=True)
class Baskets:
    """Test baskets: shopper and different items of each, in a random order of the items."""

    users: NDArray[np.int64]
    items: list[NDArray[np.int32]]


def draw_baskets(purchases: pl.LazyFrame, split: Split, *, count: int, rng: np.random.Generator) -> Baskets:
    """Returns up to `count` orders of the test period with at least `MIN_BASKET` different items."""
    orders = (
        purchases.filter((pl.col("day") >= split.start) & (pl.col("day") < split.end), pl.col("quantity") > 0)
        .group_by("user_row", "order_id")
        .agg(pl.col("item_row").unique().sort())
        .filter(pl.col("item_row").list.len() >= MIN_BASKET)
        .sort("user_row", "order_id")
        .collect()
    )
    chosen = np.sort(rng.permutation(orders.height)[:count])
    drawn = orders[chosen]
    items = [rng.permutation(np.array(row, np.int32)) for row in drawn["item_row"].to_list()]
    return Baskets(drawn["user_row"].to_numpy().astype(np.int64), items)


def fused(
    lists: Sequence[tuple[NDArray[np.int32], float]], left_out: NDArray[np.int32], k: int
) -> NDArray[np.int32]:
    """Returns the first k items of lists joined by reciprocal rank, ties by item row.

    Args:
        lists: item rows, best first, padded with -1, and the list's weight.
        left_out: items that are not wanted, such as the context itself.
        k: wanted; fewer where the lists hold fewer.
    """
    rows = np.concatenate([each for each, _ in lists])
    shares = np.concatenate([weight / (FUSION_OFFSET + 1 + np.arange(each.size)) for each, weight in lists])
    kept = (rows != NO_ITEM) & ~np.isin(rows, left_out)
    items, places = np.unique(rows[kept], return_inverse=True)
    scores = np.bincount(places, weights=shares[kept], minlength=items.size)
    return items[np.lexsort((items, -scores))[:k]]


def judge_context(
    baskets: Baskets, lists: Mapping[int, Rows], beside: Mapping[str, Lists], *, context: int, k: int
) -> dict[str, tuple[float, float]]:
    """Returns hit rate and NDCG of each fusion for what the baskets hold beside their first items.

    Args:
        baskets: the first `context` items of each are the context, the rest is relevant.
        lists: user row -> the list without context.
        beside: "similar" and "together" -> `(n_items, c)`, the lists of the items.
        context: how many items are known, fewer than `MIN_BASKET`.
        k: length of the judged lists.
    """
    discounts = 1.0 / np.log2(np.arange(k) + 2.0)
    sums = {name: np.zeros(2) for name in FUSIONS}
    for user, items in zip(baskets.users.tolist(), baskets.items, strict=True):
        known, wanted = items[:context], items[context:]
        ideal = discounts[: wanted.size].sum()
        for name, (own, *others) in FUSIONS.items():
            joined = [(lists[user], own)] if own else []
            for source, weight in zip(("similar", "together"), others, strict=True):
                if weight:
                    joined += [(each, weight / context) for each in beside[source][known]]
            hits = np.isin(fused(joined, known, k), wanted)
            sums[name] += (hits.any(), hits @ discounts[: hits.size] / ideal)
    return {name: (float(hit), float(ndcg)) for name, (hit, ndcg) in _means(sums, len(baskets.items))}


def measure_context(
    purchases: pl.LazyFrame,
    behaviour: pl.LazyFrame,
    n_users: int,
    categories: Rows,
    *,
    split: Split,
    interactions: InteractionsConfig,
    als: AlsConfig,
    ranking: RankingConfig,
    baskets: BasketsConfig,
    count: int,
    k: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Returns (who, context, model, hit_rate, ndcg) of up to `count` test baskets.

    `who` is "shopper" where the list without context is the one that is served, and "visitor" where it is the
    bestsellers, for the same baskets.  Everything is learned before the split.
    """
    n_items = len(categories)
    drawn = draw_baskets(purchases, split, count=count, rng=rng)
    users = np.unique(drawn.users)
    before = purchases.filter(pl.col("day") < split.start)
    matrix = build_interactions(
        purchases, behaviour, n_users, n_items, as_of=split.start, config=interactions
    )
    model = fit_als(matrix, als)
    blend = learn_blend(
        purchases,
        behaviour,
        n_users,
        categories,
        as_of=split.start,
        interactions=interactions,
        als=als,
        config=ranking,
    )
    history = pair_history(purchases, n_users, categories, as_of=split.start, trending=ranking.trending)
    rivals = Rivals.of(users, history, model, blend)
    best = rivals.bestsellers(ranking.candidates_per_user, np.empty(0, np.int64))
    without = {
        who: dict(zip(users.tolist(), lists, strict=True))
        for who, lists in (("shopper", rivals.ranked(ranking)[0]), ("visitor", best))
    }
    beside = {
        "similar": similar_items(model.item_factors, SimilarConfig())[0],
        "together": bought_together(before, np.ones(n_items, bool), baskets).rows,
    }
    rows = [
        (who, context, name, hit, ndcg)
        for who, lists in without.items()
        for context in range(1, MIN_BASKET)
        for name, (hit, ndcg) in judge_context(drawn, lists, beside, context=context, k=k).items()
    ]
    names = ("who", "context", "model", "hit_rate", "ndcg")
    schema = dict(zip(names, (pl.String, pl.Int64, pl.String, pl.Float64, pl.Float64), strict=True))
    return pl.DataFrame(rows, schema=schema, orient="row")


def _means(sums: Mapping[str, NDArray[np.float64]], count: int) -> list[tuple[str, list[float]]]:
    return [(name, (total / max(count, 1)).tolist()) for name, total in sums.items()]
