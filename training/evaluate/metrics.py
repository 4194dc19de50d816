"""Owns the measures of a list against what was bought after it, and their intervals.

For a shopper with relevant items R and a list L of at most k items, padded with -1:

- precision: |L and R| / k, also where the list is shorter.
- recall: |L and R| / |R|.
- ndcg: sum over hits of 1 / log2(rank + 1), over the same sum of a list that starts with min(k, |R|) hits;
  Jarvelin and Kekalainen, "Cumulated gain-based evaluation of IR techniques" (2002), with binary gains.
- hit_rate: 1 where L and R share an item.
- value_captured: revenue of the shopper's relevant items that stand in the list, over that of all of them.
- user_coverage: 1 where the model itself has an item for the shopper; a list that is only filled up with
  what everybody is shown does not count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.blocks import NO_ITEM
from training.evaluate.split import Relevance
from training.history import is_member

Floats = NDArray[np.float64]
METRICS = ("precision", "recall", "ndcg", "hit_rate", "value_captured", "user_coverage")
RESAMPLE_CELLS = 1 << 22  # drawn shoppers held at once


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
    n_users, k = lists.shape
    keys = np.arange(n_users, dtype=np.int64)[:, None] * relevant.n_items + lists
    hits = is_member(keys.ravel(), relevant.keys).reshape(keys.shape) & (lists != NO_ITEM)
    sizes = np.bincount(relevant.places, minlength=n_users).astype(np.float64)
    revenue = np.bincount(relevant.places, weights=relevant.revenue, minlength=n_users)
    earned = np.zeros(keys.shape)
    earned[hits] = relevant.revenue[np.searchsorted(relevant.keys, keys[hits])]
    discounts = 1.0 / np.log2(np.arange(k) + 2.0)
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(sizes, k).astype(np.int64)]
    judged = np.where(sizes > 0, 1.0, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "precision": hits.sum(axis=1) / k * judged,
            "recall": hits.sum(axis=1) / sizes,
            "ndcg": hits @ discounts / ideal,
            "hit_rate": hits.any(axis=1) * judged,
            "value_captured": np.where(revenue > 0, earned.sum(axis=1) / revenue, np.nan),
            "user_coverage": ((lists != NO_ITEM).any(axis=1) if covered is None else covered) * judged,
        }


def catalogue_coverage(lists: NDArray[np.int32], catalogue: NDArray[np.int64]) -> float:
    """Returns the share of the distinct item rows in `catalogue` that stand in at least one list."""
    if not catalogue.size:
        return 0.0
    return float(np.isin(catalogue, lists).mean())


def bootstrap_means(values: Floats, *, resamples: int, rng: np.random.Generator) -> Floats:
    """Returns each column's mean in every resample of the shoppers, `(resamples, columns)`.

    All columns see the same draws, so differences and quotients of two columns are paired.  A resample
    without a shopper who counts for a column has NaN there.

    Args:
        values: `(n_users, columns)`; NaN means that the shopper does not count for the column.
        resamples: how often the shoppers are drawn, with replacement, as many as there are.
        rng: what draws them.
    """
    n_users = values.shape[0]
    counted = np.isfinite(values).astype(np.float64)
    filled = np.nan_to_num(values)
    means = np.empty((resamples, values.shape[1]))
    size = max(1, RESAMPLE_CELLS // n_users)
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        drawn = rng.integers(0, n_users, (count, n_users)) + np.arange(count)[:, None] * n_users
        times = (
            np.bincount(drawn.ravel(), minlength=count * n_users).reshape(count, n_users).astype(np.float64)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            means[start : start + count] = (times @ filled) / (times @ counted)
    return means


def interval(samples: Floats, *, confidence: float) -> tuple[Floats, Floats]:
    """Returns the percentile interval of every column over its finite resamples; NaN where none is."""
    edges = np.full((2, samples.shape[1]), np.nan)
    some = np.isfinite(samples).any(axis=0)
    quantiles = ((1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0)
    finite = np.where(np.isfinite(samples), samples, np.nan)
    edges[:, some] = np.nanquantile(finite[:, some], quantiles, axis=0)
    return edges[0], edges[1]
