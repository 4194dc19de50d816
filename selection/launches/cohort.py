"""Owns who is a launch: items with their first day, and what they sold by day of life."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.sums import group_sums
from selection.history import Tables

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: The launch day of an item that has neither sold nor a launch day: later than every origin.
NEVER = np.iinfo(np.int64).max // 4
#: The first buyers of a launch are those of its first so many days.
EARLY_DAYS = 28


@dataclass(frozen=True, slots=True)
class Cohort:
    """Items that may be launches, by item_row; arrays are (n_items,) unless said otherwise.

    Day 0 is the first day of the data, day `today` is `as_of`. What happened on a day stays out of any
    look from an earlier origin: a window of an item's life counts only once it is over by then.

    Attributes:
        items: item_row, item_id, title, category, brand, attributes.
        first: date of day 0.
        today: day number of `as_of`.
        launched: day number of the launch, `NEVER` where there is none.
        dated: whether the catalogue gives the launch day; otherwise the first sale stands in for it.
        sold: day number of the first sale, `NEVER` where there is none.
        paid: price paid on the day of the first sale, nan where it is unknown.
        listed: the catalogue's price at `as_of`, nan where there is none.
        sellable: whether the item may be sold at `as_of`.
        units: (n_items, life_days + 1), net units of the days of life before the column's number.
        buyers: (n_items, life_days + 1), buyers of each day, added up likewise.
        pairs: item (position here), user_row and age, the day of life of a shopper's first purchase, below
            `EARLY_DAYS`; sorted.
    """

    items: pl.DataFrame
    first: date
    today: int
    launched: Ints
    dated: Bools
    sold: Ints
    paid: Floats
    listed: Floats
    sellable: Bools
    units: Floats
    buyers: Floats
    pairs: pl.DataFrame

    def day_number(self, day: date) -> int:
        """Returns the number of a date."""
        return (day - self.first).days

    def day_of(self, number: int) -> date:
        """Returns the date of a day number."""
        return self.first + timedelta(days=number)

    def sums(self, rows: Ints, start: Ints | int, end: Ints | int) -> Floats:
        """Returns the units of days of life start..end-1 of some items, not below 0."""
        sold: Floats = np.maximum(self.units[rows, end] - self.units[rows, start], 0.0)
        return sold

    def settled(self, origin: int, settle_days: int) -> Bools:
        """Returns which items were launched in the data as seen from an origin, not merely first seen."""
        settle = min(settle_days, max(origin, 0) // 3)
        inside = (self.launched >= 0) & (self.launched < NEVER)
        return inside & (self.dated | (self.launched >= settle))

    def price(self, origin: int) -> Floats:
        """Returns an item's price as known at an origin: first paid, else (today) listed; nan if neither."""
        paid = np.where(self.sold < max(origin, 1), self.paid, np.nan)
        return np.where(np.isnan(paid), self.listed, paid) if origin >= self.today else paid


def read_cohort(tables: Tables, *, life_days: int) -> Cohort:
    """Returns every item that has a launch in the data or may still have one.

    Args:
        tables: what the run knows at its own day.
        life_days: length of the sums over days of life.
    """
    sales = tables.daily_sales.filter(pl.col("day") < tables.as_of)
    earliest = sales.select(pl.col("day").min()).collect().item()
    first = earliest if isinstance(earliest, date) else tables.as_of
    sold = sales.filter(pl.col("quantity") > 0).group_by("item_row").agg(sold=pl.col("day").min()).collect()
    # On the data's first day everything that sells is there already.
    frame = (
        tables.items.join(sold, on="item_row", how="left")
        .filter(
            pl.col("launched_on").is_null()
            | pl.col("launched_on").is_between(first, tables.as_of)
            # Launched before the data and sold late or never: at an origin before that it still waits.
            | (pl.col("sold").is_null() | (pl.col("sold") > first)) & (pl.col("launched_on") <= tables.as_of)
        )
        .sort("item_row")
    )
    launched = _numbers(frame["launched_on"], first)
    first_sold = _numbers(frame["sold"], first)
    lines = sales.join(frame.lazy().select("item_row"), on="item_row", how="semi").collect()
    names = ["quantity", "revenue", "buyers"]
    daily = group_sums(lines, ["item_row", "day"], names)
    place = pl.DataFrame({"item_row": frame["item_row"], "at": np.arange(frame.height)})
    daily = daily.join(place, on="item_row", maintain_order="left")
    at = daily["at"].to_numpy()
    day = _numbers(daily["day"], first)
    life = day - launched[at]
    lived = (life >= 0) & (life < life_days)
    shape = (frame.height, life_days + 1)
    sums = []
    for name in ("quantity", "buyers"):
        matrix = np.zeros(shape)
        matrix[at[lived], life[lived] + 1] = daily[name].to_numpy()[lived]
        sums.append(np.cumsum(matrix, axis=1))
    units, revenue = daily["quantity"].to_numpy(), daily["revenue"].to_numpy()
    priced = (day == first_sold[at]) & (units > 0) & (revenue > 0)
    paid = np.full(frame.height, np.nan)
    paid[at[priced]] = revenue[priced] / units[priced]
    listed = frame["price"].fill_null(float("nan")).to_numpy()
    status = frame["status"].fill_null("active") != "discontinued"
    return Cohort(
        items=frame.select("item_row", "item_id", "title", "category", "brand", "attributes"),
        first=first,
        today=(tables.as_of - first).days,
        launched=launched,
        dated=(launched < NEVER) & (launched < first_sold),
        sold=first_sold,
        paid=paid,
        listed=np.where(listed > 0, listed, np.nan),
        sellable=status.to_numpy(),
        units=sums[0],
        buyers=sums[1],
        pairs=_first_purchases(tables, place, launched, first),
    )


def _first_purchases(tables: Tables, place: pl.DataFrame, launched: Ints, first: date) -> pl.DataFrame:
    starts = place.with_columns(launched=pl.Series(launched)).filter(pl.col("launched") < NEVER)
    age = (pl.col("day") - pl.lit(first)).dt.total_days() - pl.col("launched")
    return (
        tables.purchases.filter((pl.col("quantity") > 0) & (pl.col("day") < tables.as_of))
        .select("day", "user_row", "item_row")
        .join(starts.lazy(), on="item_row")
        .select(item="at", user_row="user_row", age=age)
        .filter(pl.col("age").is_between(0, EARLY_DAYS - 1))
        .group_by("item", "user_row")
        .agg(pl.col("age").min())
        .sort("item", "user_row")
        .collect()
    )


def _numbers(days: pl.Series, first: date) -> Ints:
    numbers = (days - pl.Series([first])).dt.total_days() if len(days) else pl.Series([], dtype=pl.Int64)
    return numbers.cast(pl.Int64).fill_null(NEVER).to_numpy()
