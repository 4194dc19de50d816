"""Owns the weekly panel that elasticities are estimated from: units, price and promotion by item and week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.sums import group_sums
from selection.history import Tables
from selection.prices.config import PricesConfig

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Panel:
    """Weeks of the items that sold often enough and at more than one price; arrays are (n_items, n_weeks).

    Attributes:
        item_row: (n_items,) int32, rising.
        on_sale: bool, from the item's first week with a sale to its last.
        units: sold in the week, 0 or more.
        log_price: natural logarithm of the week's price; see `weekly_panel` for weeks without a sale.
        promoted: share of the week's days on which the item stood in a promotion, 0..1.
        season: log of the other items' units in the item's top-level category, less its mean.
    """

    item_row: NDArray[np.int32]
    on_sale: NDArray[np.bool_]
    units: Floats
    log_price: Floats
    promoted: Floats
    season: Floats


def weekly_panel(tables: Tables, config: PricesConfig, *, until: date | None = None) -> Panel:
    """Returns the panel of the weeks before `until` (the tables' `as_of` where left out).

    A week's price is the median of what was paid a unit on its item-days, so that one odd basket does not
    move it. A week without a sale has no price of its own: it stands with the median price of the item's
    weeks that were as much promoted (or not) as it, which says nothing of why nothing was sold.
    """
    end = until or tables.as_of
    first = tables.daily_sales.select(pl.col("day").min()).collect().item()
    weeks = min(config.weeks, (end - first).days // 7) if first is not None else 0
    start = end - timedelta(days=7 * weeks)
    week = ((pl.col("day") - pl.lit(start)).dt.total_days() // 7).cast(pl.Int32).alias("week")
    inside = pl.col("day").is_between(start, end, closed="left")
    sold = (
        tables.daily_sales.filter(inside & (pl.col("quantity") > 0) & (pl.col("revenue") > 0))
        .select("item_row", week, "quantity", paid=pl.col("revenue") / pl.col("quantity"))
        .collect()
    )
    prices = sold.group_by("item_row", "week").agg(log_price=pl.col("paid").median().log())
    weekly = group_sums(sold, ["item_row", "week"], ["quantity"]).join(
        prices, on=["item_row", "week"], how="left", maintain_order="left"
    )
    weekly = weekly.join(_tops(tables.items), on="item_row", how="left", maintain_order="left")
    shop = group_sums(weekly, ["top", "week"], ["quantity"]).rename({"quantity": "top_units"})
    kept = _sellers(weekly, config)
    rows = kept.get_column("item_row").to_numpy()
    days = tables.promoted_days.filter(inside).select("item_row", "day").unique()
    shares = (
        days.join(kept.lazy().select("item_row"), on="item_row", how="semi")
        .group_by("item_row", week)
        .agg(share=pl.len() / 7)
        .collect()
    )
    shape = (len(rows), weeks)
    units, promoted = np.zeros(shape), np.zeros(shape)
    log_price = np.full(shape, np.nan)
    mine = weekly.join(kept, on="item_row", how="semi", maintain_order="left")
    units[_at(mine, rows)] = mine.get_column("quantity").to_numpy()
    log_price[_at(mine, rows)] = mine.get_column("log_price").to_numpy()
    promoted[_at(shares, rows)] = shares.get_column("share").to_numpy()
    number = np.arange(weeks)
    on_sale = (number >= kept.get_column("first").to_numpy()[:, None]) & (
        number <= kept.get_column("last").to_numpy()[:, None]
    )
    return Panel(
        item_row=rows,
        on_sale=on_sale,
        units=units,
        log_price=_filled(log_price, promoted),
        promoted=promoted,
        season=_season(kept, shop, units, on_sale),
    )


def _tops(items: pl.DataFrame) -> pl.DataFrame:
    top = pl.col("category").fill_null("").str.split(" > ").list.first().fill_null("")
    return items.select("item_row", top.alias("top"))


def _sellers(weekly: pl.DataFrame, config: PricesConfig) -> pl.DataFrame:
    """Returns item_row, top, first and last week of the items with weeks and prices enough."""
    span = pl.col("last") - pl.col("first") + 1
    return (
        weekly.group_by("item_row", "top")
        .agg(
            first=pl.col("week").min(),
            last=pl.col("week").max(),
            sold_weeks=pl.len(),
            price_sd=pl.col("log_price").sort().std(),
        )
        .filter(
            (pl.col("sold_weeks") >= config.min_weeks)
            & (pl.col("sold_weeks") >= config.min_coverage * span)
            & (pl.col("price_sd") >= config.min_price_sd)
        )
        .sort("item_row")
    )


def _at(frame: pl.DataFrame, rows: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    return np.searchsorted(rows, frame.get_column("item_row").to_numpy()), frame.get_column("week").to_numpy()


def _filled(log_price: Floats, promoted: Floats) -> Floats:
    filled = log_price.copy()
    for row, prices in enumerate(log_price):
        known = ~np.isnan(prices)
        usual = float(np.median(prices[known]))
        for state in (promoted[row] >= 0.5, promoted[row] < 0.5):
            alike = prices[known & state]
            filled[row, ~known & state] = np.median(alike) if len(alike) else usual
    return filled


def _season(kept: pl.DataFrame, shop: pl.DataFrame, units: Floats, on_sale: NDArray[np.bool_]) -> Floats:
    tops = kept.get_column("top").unique().sort()
    place = {name: number for number, name in enumerate(tops)}
    totals = np.zeros((len(tops), units.shape[1]))
    for name, week, total in shop.iter_rows():
        if name in place:
            totals[place[name], week] = total
    mine = np.array([place[name] for name in kept.get_column("top")], np.intp)
    others = np.log(np.maximum(totals[mine] - units, 0.0) + 1.0)
    mean = (others * on_sale).sum(axis=1) / np.maximum(on_sale.sum(axis=1), 1)
    centred: Floats = others - mean[:, None]
    return centred
