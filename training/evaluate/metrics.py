"""Owns the measures of a list against what was bought after it.

For a shopper with relevant items R and a list L of at most k items, padded with -1:

- precision: |L and R| / k, also where the list is shorter.
- recall: |L and R| / |R|.
- ndcg: sum over hits of 1 / log2(rank + 1), over the same sum of a list that starts with min(k, |R|) hits;
  Jarvelin and Kekalainen, "Cumulated gain-based evaluation of IR techniques" (2002), with binary gains.
- hit_rate: 1 where L and R share an item.
- value_captured: revenue of the shopper's relevant items that stand in the list, over that of all of them.
- revenue_captured: the same revenue in money, the currency of the tables.
- revenue_bought: the revenue of all of R, which no list can exceed.
- user_coverage: 1 where the model itself has an item for the shopper; a list that is only filled up with
  what everybody is shown does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.blocks import NO_ITEM
from training.evaluate.split import Relevance
from training.history import is_member

Floats = NDArray[np.float64]
METRICS = (
    "precision",
    "recall",
    "ndcg",
    "hit_rate",
    "value_captured",
    "revenue_captured",
    "revenue_bought",
    "user_coverage",
)
CURVE_METRICS = ("ndcg", "recall", "hit_rate", "value_captured")


@dataclass(frozen=True, slots=True)
class _Hits:
    """Where the relevant items stand: `(n_users, k)` hits and what they earned, `(n_users,)` totals."""

    found: NDArray[np.bool_]
    earned: Floats
    sizes: Floats
    revenue: Floats


def user_metrics(
    lists: NDArray[np.int32], relevant: Relevance, covered: NDArray[np.bool_] | None = None
) -> dict[str, Floats]:
    """Returns every measure of `METRICS` for every shopper, float64 `(n_users,)`.

    A shopper without relevant items has NaN throughout, one without revenue has NaN for value_captured.

    Args:
        lists: `(n_users, k)` int32 item rows, best first, padded with -1; no item twice.
        relevant: what the same shoppers bought.
        covered: `(n_users,)` whether the model has an item for the shopper; where the list holds one if None.
    """
    k = lists.shape[1]
    hits = _hits(lists, relevant)
    discounts = 1.0 / np.log2(np.arange(k) + 2.0)
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(hits.sizes, k).astype(np.int64)]
    judged = np.where(hits.sizes > 0, 1.0, np.nan)
    earned = hits.earned.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "precision": hits.found.sum(axis=1) / k * judged,
            "recall": hits.found.sum(axis=1) / hits.sizes,
            "ndcg": hits.found @ discounts / ideal,
            "hit_rate": hits.found.any(axis=1) * judged,
            "value_captured": np.where(hits.revenue > 0, earned / hits.revenue, np.nan),
            "revenue_captured": earned * judged,
            "revenue_bought": hits.revenue * judged,
            "user_coverage": ((lists != NO_ITEM).any(axis=1) if covered is None else covered) * judged,
        }


def metric_curves(lists: NDArray[np.int32], relevant: Relevance) -> dict[str, Floats]:
    """Returns the means of `CURVE_METRICS` of the lists cut at 1, 2, ... places, float64 `(k,)` each.

    The value at a place is the mean that `user_metrics` gives for lists cut there.
    """
    hits = _hits(lists, relevant)
    k = lists.shape[1]
    discounts = 1.0 / np.log2(np.arange(k) + 2.0)
    best = np.cumsum(discounts)
    places = np.minimum(hits.sizes[:, None], np.arange(1, k + 1)).astype(np.int64)
    counts = hits.sizes > 0
    earning = counts & (hits.revenue > 0)
    found = hits.found[counts]
    gained = np.cumsum(found * discounts, axis=1) / best[places[counts] - 1]
    values = {
        "ndcg": gained,
        "recall": np.cumsum(found, axis=1) / hits.sizes[counts, None],
        "hit_rate": np.logical_or.accumulate(found, axis=1),
        "value_captured": np.cumsum(hits.earned[earning], axis=1) / hits.revenue[earning, None],
    }
    return {name: part.mean(axis=0) if len(part) else np.full(k, np.nan) for name, part in values.items()}


def catalogue_coverage(lists: NDArray[np.int32], catalogue: NDArray[np.int64]) -> float:
    """Returns the share of the distinct item rows in `catalogue` that stand in at least one list."""
    if not catalogue.size:
        return 0.0
    return float(np.isin(catalogue, lists).mean())


def _hits(lists: NDArray[np.int32], relevant: Relevance) -> _Hits:
    n_users = len(lists)
    keys = np.arange(n_users, dtype=np.int64)[:, None] * relevant.n_items + lists
    found = is_member(keys.ravel(), relevant.keys).reshape(keys.shape) & (lists != NO_ITEM)
    earned = np.zeros(keys.shape)
    earned[found] = relevant.revenue[np.searchsorted(relevant.keys, keys[found])]
    sizes = np.bincount(relevant.places, minlength=n_users).astype(np.float64)
    revenue = np.bincount(relevant.places, weights=relevant.revenue, minlength=n_users).astype(np.float64)
    return _Hits(found, earned, sizes, revenue)
