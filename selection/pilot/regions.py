"""Owns what is known of each region: its size, its mix of categories, and the picks' sales by week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.sums import group_sums

Floats = NDArray[np.float64]
HISTORY_WEEKS = 52


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions that sold something; arrays in the order of `names`, which rises.

    Attributes:
        names: (n,) the regions.
        size: (n,) float64 mean revenue of a week, all items.
        mix: (n, c) float64 share of that revenue by top-level category; rows add up to 1.
        sales: (n, w) float64 revenue (or orders) of the picks by week, the oldest first; returns netted.
    """

    names: tuple[str, ...]
    size: Floats
    mix: Floats
    sales: Floats

    @property
    def weeks(self) -> int:
        """Returns the number of weeks of history."""
        return int(self.sales.shape[1])


def regions_of(
    daily_sales: pl.LazyFrame,
    items: pl.DataFrame,
    picks: NDArray[np.int32],
    as_of: date,
    *,
    measure: Literal["revenue", "orders"] = "revenue",
) -> Regions:
    """Returns what the last year says of each named region, in whole weeks that end at `as_of`.

    Args:
        daily_sales: DAILY_SALES.
        items: ITEMS.
        picks: item rows of the picks.
        as_of: the first day that is not in the data.
        measure: what `Regions.sales` holds; orders are counted by item, so one with two picks counts twice.
    """
    first = daily_sales.select(pl.col("day").min()).collect().item()
    weeks = min(HISTORY_WEEKS, (as_of - first).days // 7) if first is not None else 0
    start = as_of - timedelta(days=7 * weeks)
    inside = pl.col("day").is_between(start, as_of, closed="left") & (pl.col("region") != "")
    week = ((pl.col("day") - pl.lit(start)).dt.total_days() // 7).cast(pl.Int32).alias("week")
    top = pl.col("category").fill_null("").str.split(" > ").list.first().fill_null("").alias("top")
    sales = (
        daily_sales.filter(inside)
        .select("item_row", "region", week, "revenue", "orders")
        .join(items.lazy().select("item_row", top), on="item_row", how="left", maintain_order="left")
        .collect()
    )
    by_top = group_sums(sales, ["region", "top"], ["revenue"])
    names, tops = (by_top.get_column(name).unique().sort().to_list() for name in ("region", "top"))
    spent = np.zeros((len(names), len(tops)))
    at = {name: number for number, name in enumerate(names)}
    column = {name: number for number, name in enumerate(tops)}
    for region, name, revenue in by_top.iter_rows():
        spent[at[region], column[name]] = max(revenue, 0.0)
    picked = sales.filter(pl.col("item_row").is_in(picks.tolist()))
    matrix = np.zeros((len(names), weeks))
    for region, number, amount in group_sums(picked, ["region", "week"], [measure]).iter_rows():
        matrix[at[region], number] = amount
    total = spent.sum(axis=1, keepdims=True)
    kept = total[:, 0] > 0
    return Regions(
        names=tuple(name for name, keep in zip(names, kept, strict=True) if keep),
        size=total[kept, 0] / max(weeks, 1),
        mix=spent[kept] / total[kept],
        sales=matrix[kept],
    )


def unlikeness(regions: Regions) -> Floats:
    """Returns how different two regions are, (n, n) float64, 0 for the same.

    The root of the squared difference of log size plus the squared Hellinger distance of their mixes, twice:
    0.1 is a tenth of difference in size, or a few percent of revenue in other categories.
    """
    size = np.log(regions.size)
    roots = np.sqrt(regions.mix)
    apart = np.square(size[:, None] - size[None, :]) + np.maximum(2 - 2 * roots @ roots.T, 0.0)
    different: Floats = np.sqrt(apart)
    return different
