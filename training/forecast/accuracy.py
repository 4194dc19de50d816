"""Owns how good the forecasts were: error and coverage of past origins, beside plain rules."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from recdata.tables import CATEGORY_SEPARATOR

#: Columns of the answer: one row a level, origin (null: all of them) and rule.
ACCURACY = {
    "level": pl.String,
    "origin": pl.Date,
    "rule": pl.String,
    "series": pl.Int64,
    "wape": pl.Float64,
    "bias": pl.Float64,
    "coverage": pl.Float64,
}
FORECAST = "forecast"
#: Plain rules by name: the sum of the latest so many days, scaled to the horizon.
PLAIN_RULES = {"last 28 days": 28, "seasonal naive (last week)": 7}


def measure_accuracy(
    totals: pl.DataFrame, daily_sales: pl.LazyFrame, items: pl.DataFrame, *, as_of: date, category_depth: int
) -> pl.DataFrame:
    """Returns `ACCURACY` of every past origin whose horizon has ended by `as_of`.

    wape = sum |forecast - actual| / sum actual, bias = sum (forecast - actual) / sum actual, both over
    the series of a level at an origin; coverage = share of series whose actual lies in [q10, q90], both
    ends included, without series that were forecast to sell nothing. Actuals are net units.
    """
    path = pl.col("category").fill_null("").str.split(CATEGORY_SEPARATOR).list.head(category_depth)
    keys = items.lazy().select(
        "item_row", pl.col("item_id").alias("item"), path.list.join(CATEGORY_SEPARATOR).alias("category")
    )
    sales = daily_sales.group_by("item_row", "day").agg(pl.col("quantity").sum()).join(keys, on="item_row")
    by_level = {
        level: sales.group_by(key.alias("key"), "day").agg(pl.col("quantity").sum()).collect()
        for level, key in (("total", pl.lit("")), ("category", pl.col("category")), ("item", pl.col("item")))
    }
    rows = []
    past = totals.filter(pl.col("origin") < as_of)
    for (origin, horizon, level), part in past.group_by(
        "origin", "horizon_days", "level", maintain_order=True
    ):
        if origin + timedelta(days=horizon) <= as_of and level in by_level:
            joined = _beside(part, by_level[level], origin, horizon)
            rows.append(joined.with_columns(pl.lit(level).alias("level"), pl.lit(origin).alias("origin")))
    if not rows:
        return pl.DataFrame(schema=ACCURACY)
    long = pl.concat(rows)
    each = _figures(long, ["level", "origin", "rule"])
    overall = _figures(long, ["level", "rule"]).with_columns(pl.lit(None, dtype=pl.Date).alias("origin"))
    return (
        pl.concat([each.select(list(ACCURACY)), overall.select(list(ACCURACY))])
        .cast({"series": pl.Int64})
        .sort("level", "origin", "rule", nulls_last=True)
    )


def _beside(part: pl.DataFrame, sales: pl.DataFrame, origin: date, horizon: int) -> pl.DataFrame:
    """Returns forecast and plain rules in long form beside what was sold."""

    def units(first: date, days: int, name: str) -> pl.DataFrame:
        span = pl.col("day").is_between(first, first + timedelta(days=days - 1))
        return sales.filter(span).group_by("key").agg(pl.col("quantity").sum().alias(name))

    frame = part.select("key", "mean", "q10", "q90").join(
        units(origin, horizon, "actual"), on="key", how="left"
    )
    for rule, days in PLAIN_RULES.items():
        before = units(origin - timedelta(days=days), days, rule).with_columns(pl.col(rule) * horizon / days)
        frame = frame.join(before, on="key", how="left")
    return (
        frame.rename({"mean": FORECAST})
        .fill_null(0.0)
        .unpivot([FORECAST, *PLAIN_RULES], index=["key", "actual", "q10", "q90"], variable_name="rule")
    )


def _figures(long: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    error = pl.col("value") - pl.col("actual")
    inside = pl.col("actual").is_between(pl.col("q10"), pl.col("q90"))
    asked = (pl.col("rule") == FORECAST) & (pl.col("value") > 0)
    return long.group_by(by, maintain_order=True).agg(
        pl.len().alias("series"),
        (error.abs().sum() / pl.col("actual").sum()).alias("wape"),
        (error.sum() / pl.col("actual").sum()).alias("bias"),
        inside.filter(asked).mean().alias("coverage"),
    )
