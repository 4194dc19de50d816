"""Owns what may be known at an origin: tables cut so that no feature can see its own future."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

import polars as pl

from recdata.artefacts import read_artefact, scan_artefact
from recdata.runs import RunFolder
from recdata.selection_artefacts import LAUNCHES, OUTCOMES, PRICES
from recdata.tables import RATINGS


def _no_ratings() -> pl.LazyFrame:
    return pl.LazyFrame(schema={column.name: column.dtype for column in RATINGS.columns})


@dataclass(frozen=True, slots=True)
class Tables:
    """The artefacts that a selection is made from (schemas: `recdata.artefacts.SCHEMAS`).

    Attributes:
        items: ITEMS, in memory.
        purchases: PURCHASES, lazy.
        daily_sales: DAILY_SALES, lazy.
        promoted_days: PROMOTED_DAYS, lazy.
        forecast_totals: FORECAST_TOTALS, in memory.
        as_of: the first day that is not in the data.
        launches: LAUNCHES, in memory.
        outcomes: OUTCOMES, in memory.
        prices: PRICES, in memory.
        ratings: the input table of ratings, lazy.
        zone: the time zone of business days.
    """

    items: pl.DataFrame
    purchases: pl.LazyFrame
    daily_sales: pl.LazyFrame
    promoted_days: pl.LazyFrame
    forecast_totals: pl.DataFrame
    as_of: date
    launches: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LAUNCHES))
    outcomes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=OUTCOMES))
    prices: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PRICES))
    ratings: pl.LazyFrame = field(default_factory=_no_ratings)
    zone: str = "UTC"


TABLE_FILES = (
    "items.parquet",
    "purchases.parquet",
    "daily_sales.parquet",
    "promoted_days.parquet",
    "forecast_totals.parquet",
)


#: And what this room itself makes before it decides, and an input table that a shop may not have.
DECISION_FILES = (*TABLE_FILES, "launches.parquet", "outcomes.parquet", "prices.parquet", "tables:ratings")


def tables_of(run: RunFolder, zone: str = "UTC") -> Tables:
    """Returns the tables of a run, without what this room makes of them.

    Raises:
        RunError: an artefact is missing or has another schema.
    """
    return Tables(
        items=read_artefact(run.resolve("items.parquet"), "items"),
        purchases=scan_artefact(run.resolve("purchases.parquet"), "purchases"),
        daily_sales=scan_artefact(run.resolve("daily_sales.parquet"), "daily_sales"),
        promoted_days=scan_artefact(run.resolve("promoted_days.parquet"), "promoted_days"),
        forecast_totals=read_artefact(run.resolve("forecast_totals.parquet"), "forecast_totals"),
        as_of=run.as_of,
        zone=zone,
    )


def decision_tables(run: RunFolder, zone: str) -> Tables:
    """Returns the tables of a run with what this room has made of them: launches, outcomes, prices; ratings.

    Raises:
        RunError: an artefact is missing or has another schema.
    """
    path = run.resolve("tables:ratings")
    return replace(
        tables_of(run, zone),
        launches=read_artefact(run.resolve("launches.parquet"), "launches"),
        outcomes=read_artefact(run.resolve("outcomes.parquet"), "outcomes"),
        prices=read_artefact(run.resolve("prices.parquet"), "prices"),
        ratings=pl.scan_parquet(path, glob=False) if path.is_file() else _no_ratings(),
    )


def known_at(tables: Tables, origin: date) -> Tables:
    """Returns the tables as they stood on the morning of `origin`.

    Sales, purchases and promoted days end the day before; forecasts are those made at the origin. At a
    past origin (before `as_of`) only items launched before it exist, and what the catalogue says today
    and may not have said then (price, cost, status, stock) is blank. At `as_of` itself the catalogue is
    today's, without discontinued items and items whose launch day is still to come.
    """
    day = pl.col("day") < origin
    items = tables.items
    if origin < tables.as_of:
        items = items.filter(pl.col("launched_on") < origin).with_columns(
            price=pl.lit(None, dtype=pl.Float64),
            unit_cost=pl.lit(None, dtype=pl.Float64),
            status=pl.lit("active"),
            stock=pl.lit(None, dtype=pl.Int64),
        )
    else:
        launched = pl.col("launched_on").is_null() | (pl.col("launched_on") <= origin)
        items = items.filter(launched & (pl.col("status").fill_null("active") != "discontinued"))
    return Tables(
        items=items,
        purchases=tables.purchases.filter(day),
        daily_sales=tables.daily_sales.filter(day),
        promoted_days=tables.promoted_days.filter(day),
        forecast_totals=tables.forecast_totals.filter(pl.col("origin") == origin),
        as_of=origin,
        launches=tables.launches.filter(pl.col("origin") == origin),
        outcomes=tables.outcomes.filter(pl.col("origin") == origin),
        prices=tables.prices if origin == tables.as_of else tables.prices.clear(),
        ratings=tables.ratings,
        zone=tables.zone,
    )


def horizon_days(totals: pl.DataFrame, origin: date) -> int:
    """Returns the length in days of the forecasts made at `origin`; 28 where there are none."""
    found = totals.filter(pl.col("origin") == origin).get_column("horizon_days").max()
    return int(found) if isinstance(found, int) else 28
