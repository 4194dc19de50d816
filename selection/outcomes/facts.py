"""Owns sums of any window of days at little cost: sales and buyers, indexed once, asked for at many days.

Rows are sorted by item and day and added up once as whole numbers (ten-thousandths), which is exact: the sum
of a window is a difference of two running sums, is the same in any order, and what came after the window
cannot change its last digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from selection.history import Tables

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Quantities and money are kept in this part of a unit.
UNIT = 10_000
#: Day number of what has never happened: before and after all days.
NEVER, LATER = -(10**6), 10**6


@dataclass(frozen=True, slots=True)
class DayIndex:
    """Rows of (item, day) with running sums, and the places of days that were asked for.

    Attributes:
        keys: `(n_rows,)` int64, item_row * span + day, rising.
        span: more days than there are.
        n_items: how many items there are.
        running: name -> `(n_rows + 1,)` int64 running sum in 1 / `UNIT` (counts: in ones).
        places: day -> `(n_items,)` int64, an item's first row at or after the day; filled as days are asked.
    """

    keys: Ints
    span: int
    n_items: int
    running: Mapping[str, Ints]
    places: dict[int, Ints] = field(default_factory=dict)

    def place(self, day: int) -> Ints:
        """Returns `(n_items,)` int64, each item's first row at or after a day number."""
        day = min(max(day, 0), self.span - 1)
        if day not in self.places:
            wanted = np.arange(self.n_items, dtype=np.int64) * self.span + day
            self.places[day] = np.searchsorted(self.keys, wanted)
        return self.places[day]

    def sums(self, name: str, start: int, stop: int) -> Ints:
        """Returns `(n_items,)` int64, the sum over the days from `start` until before `stop`."""
        running = self.running[name]
        found: Ints = running[self.place(stop)] - running[self.place(max(start, 0))]
        return found


@dataclass(frozen=True, slots=True)
class Facts:
    """What the panel is made from, as arrays; day 0 is the first day with sales.

    Attributes:
        first: the day that is number 0.
        n_days: number of the run's own day, the first that is not in the data.
        sales: units and revenue (in 1 / `UNIT`), promoted units, orders; days_sold counts an item's days.
        firsts: of (item, shopper) pairs: buyers (first day bought) and repeaters (second).
        promoted: days an item stood in a promotion.
        bought_day: `(n_pairs_days,)` int64, rising: a day on which a shopper bought an item.
        bought_item: the item's row.
        bought_next: the next day of the same shopper and item, `LATER` where there is none.
        born: `(n_items,)` int64 day number of the launch or the first sale, `LATER` without either.
        group: `(n_items,)` int64 code of the category inside which items are compared.
        brand: `(n_items,)` int64 code of category and brand.
    """

    first: date
    n_days: int
    sales: DayIndex
    firsts: DayIndex
    promoted: DayIndex
    bought_day: Ints
    bought_item: Ints
    bought_next: Ints
    born: Ints
    group: Ints
    brand: Ints

    @property
    def n_items(self) -> int:
        """Returns how many items there are."""
        return int(self.born.size)

    def day(self, number: int) -> date:
        """Returns the date of a day number."""
        return self.first + timedelta(days=number)

    def number(self, day: date) -> int:
        """Returns the number of a date."""
        return (day - self.first).days

    def distinct_buyers(self, start: int, stop: int) -> Floats:
        """Returns `(n_items,)` distinct shoppers of the days from `start` until before `stop`."""
        low, high = np.searchsorted(self.bought_day, [start, stop])
        # A shopper's last day before `stop` counts him once.
        last = self.bought_next[low:high] >= stop
        return np.bincount(self.bought_item[low:high][last], minlength=self.n_items).astype(np.float64)

    def last_sale(self, day: int) -> Ints:
        """Returns `(n_items,)` int64, the number of the last day with sales before a day; else `NEVER`."""
        place = self.sales.place(day)
        started = place > self.sales.place(0)
        found = self.sales.keys[np.maximum(place - 1, 0)] % self.sales.span if self.sales.keys.size else place
        return np.where(started, found, NEVER)


def facts_of(tables: Tables, *, category_depth: int) -> Facts | None:
    """Returns the facts of a run's tables; None where nothing was ever sold.

    Args:
        tables: what the run knows; rows from `as_of` on are left out.
        category_depth: path depth at which items are compared.
    """
    before = pl.col("day") < tables.as_of
    sales = (
        tables.daily_sales.filter(before)
        .select("item_row", "day", "quantity", "revenue", "orders")
        .sort("item_row", "day")
        .collect()
    )
    first = sales.get_column("day").min()
    if not isinstance(first, date):
        return None
    n_items = tables.items.height
    n_days = (tables.as_of - first).days
    span = n_days + 1

    def numbers(frame: pl.DataFrame) -> tuple[Ints, Ints]:
        item = frame.get_column("item_row").to_numpy().astype(np.int64)
        day = frame.select((pl.col("day") - pl.lit(first)).dt.total_days()).to_series()
        return item, day.to_numpy().astype(np.int64)

    stood = (
        tables.promoted_days.filter(before & (pl.col("day") >= first))
        .select("item_row", "day")
        .unique()
        .sort("item_row", "day")
        .collect()
    )
    stood_item, stood_day = numbers(stood)
    promoted_keys = stood_item * span + stood_day
    item, day = numbers(sales)
    keys = item * span + day
    units = _whole(sales.get_column("quantity"))
    at = np.searchsorted(promoted_keys, keys)
    on_promotion = np.append(promoted_keys, -1)[at] == keys
    fresh = np.r_[True, keys[1:] != keys[:-1]]
    index = DayIndex(
        keys,
        span,
        n_items,
        {
            "units": _running(units),
            "revenue": _running(_whole(sales.get_column("revenue"))),
            "promoted_units": _running(np.where(on_promotion, units, 0)),
            "orders": _running(sales.get_column("orders").to_numpy().astype(np.int64)),
            "days_sold": _running(fresh.astype(np.int64)),
        },
    )
    pairs = (
        tables.purchases.filter(before & (pl.col("quantity") > 0) & (pl.col("day") >= first))
        .select("item_row", "user_row", "day")
        .unique()
        .sort("item_row", "user_row", "day")
        .collect()
    )
    item, day = numbers(pairs)
    user = pairs.get_column("user_row").to_numpy().astype(np.int64)
    same = (item[1:] == item[:-1]) & (user[1:] == user[:-1])
    following = np.r_[np.where(same, day[1:], LATER), np.full(min(1, day.size), LATER)]
    again = np.r_[np.zeros(min(1, day.size), bool), same]
    second = again & ~np.r_[np.zeros(min(1, day.size), bool), again[:-1]]
    by_day = np.argsort(item * span + day, kind="stable")
    firsts = DayIndex(
        (item * span + day)[by_day],
        span,
        n_items,
        {
            "buyers": _running((~again)[by_day].astype(np.int64)),
            "repeaters": _running(second[by_day].astype(np.int64)),
        },
    )
    order = np.argsort(day, kind="stable")
    return Facts(
        first=first,
        n_days=n_days,
        sales=index,
        firsts=firsts,
        promoted=DayIndex(promoted_keys, span, n_items, {"days": np.arange(promoted_keys.size + 1)}),
        bought_day=day[order],
        bought_item=item[order],
        bought_next=following[order],
        born=_born(tables, index, first),
        group=_codes(tables.items, category_depth, []),
        brand=_codes(tables.items, category_depth, ["brand"]),
    )


def _born(tables: Tables, sales: DayIndex, first: date) -> Ints:
    launched = tables.items.select((pl.col("launched_on") - pl.lit(first)).dt.total_days()).to_series()
    given = launched.fill_null(LATER).to_numpy().astype(np.int64)
    place = sales.place(0)
    has = np.r_[place[1:], sales.keys.size] > place
    sold = np.where(has, sales.keys[np.minimum(place, sales.keys.size - 1)] % sales.span, LATER)
    born: Ints = np.minimum(given, sold)
    return born


def _codes(items: pl.DataFrame, depth: int, others: list[str]) -> Ints:
    group = pl.col("category").fill_null("").str.split(" > ").list.head(depth).list.join(" > ")
    key = pl.concat_str([group, *(pl.col(name).fill_null("") for name in others)], separator="\x1f")
    codes: Ints = items.select(key.rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()
    return codes


def _whole(column: pl.Series) -> Ints:
    whole: Ints = np.rint(column.to_numpy() * UNIT).astype(np.int64)
    return whole


def _running(values: Ints) -> Ints:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(values, dtype=np.int64)])
