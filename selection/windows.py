"""Owns the sums that features are made of: one frame an aspect, from tables cut at an origin."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from recdata.sums import group_sums
from selection.config import FeaturesConfig

YEAR_DAYS = 364  # a year ago on the same weekday


def _since(origin: date, days: int) -> pl.Expr:
    return pl.col("day") >= origin - timedelta(days=days)


def lookback_days(config: FeaturesConfig) -> int:
    """Returns how many days of sales the windows need: the longest of them, and the season a year ago."""
    return max(config.long_days, config.recent_days + config.base_days, YEAR_DAYS)


def last_sales(daily_sales: pl.LazyFrame, origin: date) -> pl.DataFrame:
    """Returns item_row and `days_since_sale` of every item ever sold, however long ago."""
    since = (pl.lit(origin) - pl.col("day").max()).dt.total_days().alias("days_since_sale")
    return daily_sales.filter(pl.col("quantity") > 0).group_by("item_row").agg(since).collect()


def sales_windows(sales: pl.DataFrame, origin: date, config: FeaturesConfig, horizon: int) -> pl.DataFrame:
    """Returns units, revenue and orders of each window and the price, one row an item with sales."""
    recent, base = _since(origin, config.recent_days), _since(origin, config.base_days)
    # The trend's older side: the base window's length before the recent window.
    older = _since(origin, config.recent_days + config.base_days) & ~recent
    year_ago = origin - timedelta(days=YEAR_DAYS)
    season = pl.col("day").is_between(year_ago, year_ago + timedelta(days=horizon), closed="left")
    sold = pl.col("quantity") > 0
    columns = {"units": "quantity", "revenue": "revenue", "orders": "orders"}
    windows = {
        "recent": recent,
        "base": base,
        "older": older,
        "half": _since(origin, config.recent_days // 2),
        "long": _since(origin, config.long_days),
    }
    # What was sent back at a higher price than it was sold for can leave units with money below zero.
    paid = sold & (pl.col("revenue") >= 0)
    lately = paid & _since(origin, 90)
    parts = {
        f"{name}_{label}": pl.when(window).then(column).otherwise(0)
        for name, column in columns.items()
        for label, window in windows.items()
    }
    parts |= {"season_orders": pl.when(season).then("orders").otherwise(0), "yearly_orders": pl.col("orders")}
    sums = group_sums(sales.select("item_row", **parts), ["item_row"], list(parts))
    price = pl.col("revenue") / pl.col("quantity")
    prices = sales.group_by("item_row").agg(
        sold_price=pl.coalesce(price.filter(lately).median(), price.filter(paid).median())
    )
    return sums.join(prices, on="item_row", maintain_order="left")


def distinct_buyers(purchases: pl.LazyFrame, origin: date, config: FeaturesConfig) -> pl.DataFrame:
    """Returns item_row and `buyers`, distinct in the base window."""
    lately = purchases.filter(_since(origin, config.base_days) & (pl.col("quantity") > 0))
    return lately.group_by("item_row").agg(pl.col("user_row").n_unique().alias("buyers")).collect()


def _order_key() -> list[pl.Expr]:
    """An order without an id is what one shopper bought on one day."""
    id_ = pl.col("order_id").fill_null("")
    return [
        pl.when(id_ == "").then("user_row").otherwise(-1).alias("order_user"),
        pl.when(id_ == "").then("day").otherwise(None).alias("order_day"),
        id_.alias("order_key"),
    ]


def order_values(purchases: pl.LazyFrame, origin: date, config: FeaturesConfig) -> pl.DataFrame:
    """Returns the mean value of the orders that contain an item, shrunk to the mean order of the shop.

    Beside it what was counted: `value_orders` of them, and `value_mean`, their plain mean.
    """
    key = ["order_key", "order_user", "order_day"]
    lines = (
        purchases.filter(_since(origin, config.base_days) & (pl.col("quantity") > 0))
        .select("item_row", "revenue", *_order_key())
        .collect()
    )
    orders = group_sums(lines, key, ["revenue"]).rename({"revenue": "value_sum"})
    usual = orders.get_column("value_sum").to_numpy()
    prior = config.order_value_prior_orders
    pairs = lines.select(*key, "item_row").unique(maintain_order=True)
    valued = pairs.join(orders, on=key, nulls_equal=True, maintain_order="left")
    per_item = group_sums(
        valued.with_columns(value_orders=pl.lit(1.0)), ["item_row"], ["value_orders", "value_sum"]
    )
    shop = float(usual.mean()) if usual.size else 0.0
    return per_item.select(
        "item_row",
        ((pl.col("value_sum") + prior * shop) / (pl.col("value_orders") + prior)).alias("order_value"),
        pl.lit(shop).alias("order_value_usual"),
        "value_orders",
        (pl.col("value_sum") / pl.col("value_orders")).alias("value_mean"),
    )


def repurchases(purchases: pl.LazyFrame, origin: date, config: FeaturesConfig) -> pl.DataFrame:
    """Returns `watched`, buyers whose window after the first purchase is over, and `came_back` of them."""
    window = timedelta(days=config.repurchase_days)
    bought = (
        purchases.filter(_since(origin, config.long_days) & (pl.col("quantity") > 0))
        .select("item_row", "user_row", "day")
        .unique()
    )
    # Sorted, a pair's first row is its first purchase and the next row, if of the same pair, its second.
    key = ["item_row", "user_row"]
    pairs = bought.sort(*key, "day").with_columns(
        *(pl.col(name).shift(-1).alias(f"next_{name}") for name in (*key, "day")),
        is_first=pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in key).fill_null(
            value=True
        ),
    )
    same = pl.all_horizontal(pl.col(name) == pl.col(f"next_{name}") for name in key)
    return (
        pairs.filter(pl.col("is_first") & (pl.col("day") + window < origin))
        .group_by("item_row")
        .agg(
            pl.len().alias("watched"),
            (same & (pl.col("next_day") <= pl.col("day") + window))
            .fill_null(value=False)
            .sum()
            .alias("came_back"),
        )
        .collect()
    )


def promotion_shares(
    sales: pl.DataFrame, promoted: pl.LazyFrame, origin: date, config: FeaturesConfig
) -> pl.DataFrame:
    """Returns item_row and `promotion_share`, of the units sold in the base window."""
    days = promoted.filter(_since(origin, config.base_days)).select("item_row", "day").unique().collect()
    lately = sales.filter(_since(origin, config.base_days) & (pl.col("quantity") > 0))
    on_promotion = lately.join(days, on=["item_row", "day"], how="semi", maintain_order="left")
    total = group_sums(lately, ["item_row"], ["quantity"]).rename({"quantity": "all"})
    part = group_sums(on_promotion, ["item_row"], ["quantity"]).rename({"quantity": "part"})
    return total.join(part, on="item_row", how="left").select(
        "item_row", (pl.col("part").fill_null(0.0) / pl.col("all")).alias("promotion_share")
    )


def item_forecasts(totals: pl.DataFrame) -> pl.DataFrame:
    """Returns item_id, mean, q10, q90 (not below 0) and forecast_method of forecasts made at one origin."""
    return (
        totals.filter(pl.col("level") == "item")
        .unique("key", keep="first", maintain_order=True)
        .select(
            pl.col("key").alias("item_id"),
            pl.col("mean", "q10", "q90").fill_nan(None).clip(lower_bound=0.0),
            pl.col("method").alias("forecast_method"),
        )
    )
