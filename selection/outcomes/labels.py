"""Owns what became of items after a day: hit, top of the category, worth keeping, its revenue.

Every answer looks at the days from the origin on and nothing else; who is compared was decided before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selection.outcomes.config import OutcomesConfig
from selection.outcomes.facts import UNIT, Facts, Floats, Ints

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Labels:
    """What became of every item after an origin; arrays are `(n_items,)`, of any item, known then or not.

    Attributes:
        hit: bool, units of the horizon at least `hit_ratio` times the category's mean item.
        top: bool, among the best `category_top_k` of its category by revenue of the horizon.
        keep: bool, revenue of `keep_days` at least `keep_share` of the category's mean item.
        revenue: float64, of the horizon; not below 0.
    """

    hit: Flags
    top: Flags
    keep: Flags
    revenue: Floats


def alive_at(facts: Facts, origin: int, config: OutcomesConfig) -> Flags:
    """Returns bool `(n_items,)`: sold within `alive_days` before the origin; these make a category's mean."""
    last = facts.last_sale(origin)
    return last >= max(origin - config.alive_days, 0)


def group_mean(values: Floats, among: Flags, group: Ints) -> Floats:
    """Returns `(n_items,)` the mean of the item's category over the items of `among`; 0 where it has none."""
    n = int(group.max(initial=-1)) + 1
    count = np.bincount(group[among], minlength=n)
    total = np.bincount(group[among], values[among], minlength=n)
    mean: Floats = (total / np.maximum(count, 1))[group]
    return mean


def units_between(facts: Facts, start: int, stop: int) -> Floats:
    """Returns `(n_items,)` net units of the days from `start` until before `stop`, not below 0."""
    return np.maximum(facts.sales.sums("units", start, stop), 0) / UNIT


def revenue_between(facts: Facts, start: int, stop: int) -> Floats:
    """Returns `(n_items,)` net revenue of the days from `start` until before `stop`, not below 0."""
    return np.maximum(facts.sales.sums("revenue", start, stop), 0) / UNIT


def is_hit(facts: Facts, start: int, stop: int, *, alive: Flags, ratio: float) -> Flags:
    """Returns bool `(n_items,)`: units of the window at least `ratio` times the category's mean item."""
    units = units_between(facts, start, stop)
    return (units > 0) & (units >= ratio * group_mean(units, alive, facts.group))


def top_of_group(values: Floats, among: Flags, group: Ints, k: int) -> Flags:
    """Returns bool `(n_items,)`: the best k of each category with a value above 0; ties by row up."""
    rows = np.flatnonzero(among & (values > 0))
    order = rows[np.lexsort((rows, -values[rows], group[rows]))]
    starts = np.r_[True, group[order][1:] != group[order][:-1]] if order.size else np.zeros(0, bool)
    begin = np.maximum.accumulate(np.where(starts, np.arange(order.size), 0))
    chosen = np.zeros(values.size, bool)
    chosen[order[np.arange(order.size) - begin < k]] = True
    return chosen


def labels_at(facts: Facts, origin: int, config: OutcomesConfig) -> Labels:
    """Returns what became of every item after an origin, a day number."""
    alive = alive_at(facts, origin, config)
    known = facts.born < origin
    revenue = revenue_between(facts, origin, origin + config.horizon_days)
    later = revenue_between(facts, origin, origin + config.keep_days)
    return Labels(
        hit=is_hit(facts, origin, origin + config.horizon_days, alive=alive, ratio=config.hit_ratio),
        top=top_of_group(revenue, known, facts.group, config.category_top_k),
        keep=(later > 0) & (later >= config.keep_share * group_mean(later, alive, facts.group)),
        revenue=revenue,
    )
