"""Owns what is known of every item on the morning of a day: the columns that chances are learned from.

Only days before the origin are asked for.  Sales are told three ways: as they are, beside the category's mean
item, and by place in the category, since a hit is a hit in its category.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selection.outcomes.config import OutcomesConfig
from selection.outcomes.facts import LATER, NEVER, UNIT, Facts, Floats, Ints
from selection.outcomes.labels import Flags, alive_at, group_mean

Floats32 = NDArray[np.float32]

#: Days of the windows of units.
WINDOWS = (7, 14, 28, 56, 84, 182)
#: Windows of 28 days that ended so many days ago: was it a hit before?
EARLIER = (28, 56, 84)
YEAR_DAYS = 364


@dataclass(frozen=True, slots=True)
class Panel:
    """What is known of the items of an origin.

    Attributes:
        origin: day number.
        rows: `(n,)` int64 item rows that existed then, rising.
        columns: name -> `(n,)` float32; NaN where it cannot be known.
    """

    origin: int
    rows: Ints
    columns: dict[str, Floats32]

    def matrix(self) -> Floats32:
        """Returns `(n, k)` float32, the columns in their order."""
        return np.column_stack(list(self.columns.values()))


def panel_at(facts: Facts, origin: int, config: OutcomesConfig) -> Panel:
    """Returns the panel of every item that was sold or launched before an origin, a day number."""
    rows = np.flatnonzero(facts.born < origin)
    columns: dict[str, Floats | Ints] = {}
    alive = alive_at(facts, origin, config)
    group = facts.group
    units = {days: _net(facts, "units", origin - days, origin) for days in WINDOWS}
    units[0] = _net(facts, "units", 0, origin)
    revenue = {days: _net(facts, "revenue", origin - days, origin) for days in (28, 84)}
    revenue[0] = _net(facts, "revenue", 0, origin)
    age = np.where(facts.born == LATER, 0, origin - facts.born)
    watched = np.clip(age, 1, max(origin, 1)).astype(np.float64)
    last = facts.last_sale(origin)

    columns["age"] = age
    columns["born_with_shop"] = facts.born.astype(np.float64).clip(0, 56)
    columns["history"] = np.full(facts.n_items, float(origin))
    columns["since_sale"] = np.where(last == NEVER, np.nan, origin - last)
    for days in WINDOWS:
        columns[f"units_{days}"] = units[days]
    columns["units_all"] = units[0]
    columns["rate_all"] = units[0] / np.maximum(watched, 28.0) * 28.0
    columns["days_sold_28"] = facts.sales.sums("days_sold", origin - 28, origin)
    columns["days_sold_84"] = facts.sales.sums("days_sold", origin - 84, origin)
    columns["days_sold_rate"] = facts.sales.sums("days_sold", 0, origin) / watched
    columns["orders_28"] = facts.sales.sums("orders", origin - 28, origin)
    columns["orders_84"] = facts.sales.sums("orders", origin - 84, origin)
    columns["orders_all"] = facts.sales.sums("orders", 0, origin)
    columns["units_per_order"] = _ratio(units[0], columns["orders_all"])
    columns["revenue_28"], columns["revenue_84"], columns["revenue_all"] = (
        revenue[28],
        revenue[84],
        revenue[0],
    )
    columns["revenue_rate"] = revenue[0] / np.maximum(watched, 28.0) * 28.0
    _of_buyers(columns, facts, origin)
    _of_promotions(columns, facts, origin, units)
    _beside_category(columns, facts, origin, config, alive, units, revenue)
    if origin >= YEAR_DAYS:
        columns["units_year_ago"] = _net(facts, "units", origin - 364, origin - 364 + config.horizon_days)
    else:
        columns["units_year_ago"] = np.full(facts.n_items, np.nan)
    brand = group_mean(units[84], alive, facts.brand)
    columns["brand_relative"] = _ratio(brand, group_mean(units[84], alive, group))
    return Panel(origin, rows, {name: _of(values, rows) for name, values in columns.items()})


def _of_buyers(columns: dict[str, Floats | Ints], facts: Facts, origin: int) -> None:
    columns["buyers_28"] = facts.distinct_buyers(origin - 28, origin)
    columns["buyers_84"] = facts.distinct_buyers(origin - 84, origin)
    columns["buyers_all"] = facts.firsts.sums("buyers", 0, origin).astype(np.float64)
    columns["buyers_new_28"] = facts.firsts.sums("buyers", origin - 28, origin)
    repeaters = facts.firsts.sums("repeaters", 0, origin)
    columns["repeaters"] = repeaters
    columns["repeat_share"] = _ratio(repeaters, columns["buyers_all"])


def _of_promotions(
    columns: dict[str, Floats | Ints], facts: Facts, origin: int, units: dict[int, Floats]
) -> None:
    columns["promoted_days_7"] = facts.promoted.sums("days", origin - 7, origin)
    columns["promoted_days_28"] = facts.promoted.sums("days", origin - 28, origin)
    columns["promoted_days_84"] = facts.promoted.sums("days", origin - 84, origin)
    for days in (28, 84):
        promoted = _net(facts, "promoted_units", origin - days, origin)
        columns[f"promoted_share_{days}"] = _ratio(promoted, units[days])
        columns[f"plain_units_{days}"] = np.maximum(units[days] - promoted, 0.0)


def _beside_category(
    columns: dict[str, Floats | Ints],
    facts: Facts,
    origin: int,
    config: OutcomesConfig,
    alive: Flags,
    units: dict[int, Floats],
    revenue: dict[int, Floats],
) -> None:
    """Adds the item's sales over those of its category's mean item, and its place among the category."""
    group = facts.group
    mean = {days: group_mean(units[days], alive, group) for days in (7, 28, 84, 182, 0)}
    for days in (7, 28, 84, 182):
        columns[f"relative_{days}"] = _ratio(units[days], mean[days])
    rate = np.asarray(columns["rate_all"], np.float64)
    columns["relative_all"] = _ratio(rate, group_mean(rate, alive, group))
    columns["buyers_relative"] = _ratio(
        columns["buyers_84"], group_mean(np.asarray(columns["buyers_84"], np.float64), alive, group)
    )
    for ago in EARLIER:
        before = _net(facts, "units", origin - ago - 28, origin - ago)
        columns[f"relative_28_ago_{ago}"] = _ratio(before, group_mean(before, alive, group))
    columns["best_before"] = np.fmax.reduce(
        [np.asarray(columns[f"relative_28_ago_{ago}"]) for ago in EARLIER]
    )
    columns["category_mean_28"] = mean[28]
    columns["category_trend"] = _ratio(3 * mean[28], mean[84])
    n = int(group.max(initial=-1)) + 1
    columns["category_items"] = np.bincount(group[alive], minlength=n)[group]
    columns["rank_units_28"] = rank_in_group(units[28], alive, group)
    columns["rank_units_84"] = rank_in_group(units[84], alive, group)
    k = config.category_top_k
    for name, values in (
        ("revenue_28", revenue[28]),
        ("revenue_84", revenue[84]),
        ("revenue_rate", np.asarray(columns["revenue_rate"], np.float64)),
    ):
        columns[f"rank_{name}"] = rank_in_group(values, alive, group)
        columns[f"bar_{name}"] = _ratio(values, nth_of_group(values, alive, group, k))
    price = _ratio(revenue[0], units[0])
    columns["price"] = price
    category_price = group_mean(revenue[0], alive, group) / np.maximum(mean[0], 1e-9)
    columns["price_relative"] = _ratio(price, category_price)


def rank_in_group(values: Floats, among: Flags, group: Ints) -> Floats:
    """Returns `(n_items,)` places in the category from 0, most first; equals share the best one; else NaN."""
    place = np.full(values.size, np.nan)
    rows = np.flatnonzero(among)
    order = rows[np.lexsort((-values[rows], group[rows]))]
    if not order.size:
        return place
    at = np.arange(order.size)
    first_of_group = np.r_[True, group[order][1:] != group[order][:-1]]
    begin = np.maximum.accumulate(np.where(first_of_group, at, 0))
    other = first_of_group | np.r_[True, values[order][1:] != values[order][:-1]]
    place[order] = np.maximum.accumulate(np.where(other, at, 0)) - begin
    return place


def nth_of_group(values: Floats, among: Flags, group: Ints, k: int) -> Floats:
    """Returns `(n_items,)` the k-th greatest value of the item's category; 0 where it has fewer."""
    rows = np.flatnonzero(among)
    order = rows[np.lexsort((-values[rows], group[rows]))]
    found = np.zeros(int(group.max(initial=-1)) + 1)
    if order.size:
        first_of_group = np.r_[True, group[order][1:] != group[order][:-1]]
        at = np.arange(order.size)
        nth = at - np.maximum.accumulate(np.where(first_of_group, at, 0)) == k - 1
        found[group[order][nth]] = values[order][nth]
    return found[group]


def _net(facts: Facts, name: str, start: int, stop: int) -> Floats:
    return np.maximum(facts.sales.sums(name, start, stop), 0) / UNIT


def _ratio(part: Floats | Ints, whole: Floats | Ints) -> Floats:
    """Returns part / whole; NaN where the whole is not above 0."""
    whole = np.asarray(whole, np.float64)
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)


def _of(values: Floats | Ints, rows: Ints) -> Floats32:
    return np.asarray(values, np.float64)[rows].astype(np.float32)
