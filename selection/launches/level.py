"""Owns the level of a launch before it sells: its look-alikes', shrunk to that of category and price band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selection.launches.cohort import Floats, Ints
from selection.launches.config import LaunchesConfig
from selection.launches.lookalikes import LookAlikes

#: Items' worth of weight of the category's mean beside the look-alikes; the best one is chosen from the data.
CATEGORY_ITEMS = (1.0, 3.0, 10.0, 30.0, 100.0, 1e9)
PRICE_BANDS = 4
TINY = 1e-9


def price_bands(log_price: Floats, group: Ints, launches: Ints) -> Ints:
    """Returns the band of an item's price in its group, 0..3, or 4 where the price is unknown, (n_items,).

    The distance to the group's median launch, cut at the quartiles of that distance over all launches.
    """
    median = np.full(int(group.max(initial=-1)) + 1, np.nan)
    priced = launches[~np.isnan(log_price[launches])]
    order = priced[np.lexsort((log_price[priced], group[priced]))]
    if len(order):
        starts = np.r_[0, np.flatnonzero(np.diff(group[order])) + 1]
        sizes = np.diff(np.r_[starts, len(order)])
        median[group[order[starts]]] = log_price[order[starts + sizes // 2]]
    distance = log_price - median[group]
    known = distance[priced]
    cuts = np.quantile(known, [0.25, 0.5, 0.75]) if len(known) else np.zeros(3)
    return np.where(np.isnan(distance), PRICE_BANDS, np.searchsorted(cuts, distance)).astype(np.int64)


def category_means(
    values: Floats, launches: Ints, asked: Ints, *, steps: Sequence[Ints], prior_items: float
) -> Floats:
    """Returns the mean of `values` in each asked item's category, float64 (n_asked,).

    From the whole shop step by step into smaller groups, each mean shrunk to the one before with the weight
    of `prior_items`. An asked launch is left out of its own means.

    Args:
        values: (n_launches,), what is averaged.
        launches: positions in the cohort, rising.
        asked: positions in the cohort.
        steps: group numbers of the whole cohort, coarsest first.
        prior_items: weight of the coarser mean.
    """
    place = np.searchsorted(launches, asked)
    place = np.minimum(place, max(len(launches) - 1, 0))
    own = launches[place] == asked if len(launches) else np.zeros(len(asked), bool)
    own_value = np.where(own, values[place], 0.0) if len(launches) else np.zeros(len(asked))
    mean = (values.sum() - own_value) / np.maximum(len(values) - own, 1)
    for group in steps:
        size = int(group.max(initial=-1)) + 1
        sums = np.bincount(group[launches], weights=values, minlength=size)[group[asked]]
        counts = np.bincount(group[launches], minlength=size)[group[asked]]
        mean = (sums - own_value + prior_items * mean) / (counts - own + prior_items)
    # What is left of a sum when its only term is taken away again may be a hair below 0.
    return np.maximum(np.asarray(mean, dtype=np.float64), 0.0)


def kernel_means(values: Floats, launches: Ints, found: LookAlikes, power: float) -> tuple[Floats, Floats]:
    """Returns the weighted mean of the look-alikes' values and their effective number, (n_asked,) each.

    Weights are similarity ** power; the effective number is (sum w)^2 / sum w^2 (Kish).
    """
    place = np.minimum(np.searchsorted(launches, found.rows), max(len(launches) - 1, 0))
    weights = np.where(found.rows >= 0, np.maximum(found.similarity, TINY) ** power, 0.0)
    total = weights.sum(axis=1)
    taken = values[place] if len(values) else np.zeros(place.shape)
    mean = (weights * taken).sum(axis=1) / np.maximum(total, TINY**power * TINY)
    number = total**2 / np.maximum((weights**2).sum(axis=1), np.finfo(float).tiny)
    return np.where(total > 0, mean, 0.0), np.where(total > 0, number, 0.0)


def mixed(near: Floats, number: Floats, category: Floats, category_items: float) -> Floats:
    """Returns the mean of look-alikes and category, the latter counted as so many items, (n,)."""
    return (number * near + category_items * category) / (number + category_items)


def best_category_items(near: Floats, number: Floats, category: Floats, sold: Floats) -> float:
    """Returns the weight of the category's mean with the least Poisson deviance on left-out launches."""
    errors = [
        (poisson_deviance(sold, mixed(near, number, category, items)), items) for items in CATEGORY_ITEMS
    ]
    return min(errors)[1]


def capped(values: Floats, config: LaunchesConfig) -> Floats:
    """Returns values cut at a quantile, so that one launch in a thousand does not make a category's mean."""
    if not len(values):
        return values
    return np.minimum(values, max(float(np.quantile(values, config.cap_quantile)), 1.0))


def poisson_deviance(sold: Floats, mean: Floats) -> float:
    """Returns 2 (y log(y / m) - (y - m)) on average, m scaled to the right total; 0 without any item.

    Unlike the absolute error, which is least for "sells nothing" where most sell nothing, it is least for
    the true mean.
    """
    if not len(sold):
        return 0.0
    safe = np.maximum(mean, TINY)
    safe = safe * (max(float(sold.sum()), TINY) / float(safe.sum()))
    logs = np.where(sold > 0, sold * np.log(np.maximum(sold, TINY) / safe), 0.0)
    return float(2 * (logs - (sold - safe)).mean())
