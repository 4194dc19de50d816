"""Owns the answer to a what-if: read from a run's folder, and nothing written to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from recdata.artefacts import read_artefact, scan_artefact
from recdata.errors import RunError
from recdata.runs import RunFolder
from recdata.sums import group_sums
from selection.config import FeaturesConfig
from selection.whatif.effects import Effects, effects_of, strata_of
from selection.whatif.plan import Asked, check_asked, differences


@dataclass(frozen=True, slots=True)
class Answer:
    """What the promotions would change.

    Attributes:
        frame: `DIFFERENCES`.
        kinds: the kinds that were asked for -> items' days that taught their effect.
        until: the first day that is not forecast.
    """

    frame: pl.DataFrame
    kinds: dict[str, int]
    until: date


def answer(run: RunFolder, asked: Sequence[Asked], config: FeaturesConfig) -> Answer:
    """Returns what the promotions would change in a run's forecasts by day.

    Raises:
        RunError: the run has no forecasts by day, or the shop has had no promotion to learn from.
        TableError: a promotion cannot be answered for.
    """
    items = read_artefact(run.resolve("items.parquet"), "items").sort("item_row")
    promoted = scan_artefact(run.resolve("promoted_days.parquet"), "promoted_days").collect()
    sales = (
        scan_artefact(run.resolve("daily_sales.parquet"), "daily_sales")
        .filter(pl.col("day") < run.as_of)
        .select("item_row", "day", "quantity", "revenue", "orders")
        .collect()
    )
    daily = _forecast(run, items)
    end = daily.get_column("day").max()
    if not isinstance(end, date):
        raise RunError(f"{run.path}: no forecast by day of any item; run the night with more sales")
    until = end + timedelta(days=1)
    past = promoted.filter(pl.col("day") < run.as_of)
    counts = past.group_by("kind").len().sort("len", "kind", descending=[True, False])
    kinds = counts.get_column("kind").to_list()
    if not kinds:
        raise RunError(f"{run.path}: the shop has had no promotion, so what one brings is not known")
    wanted = [each if each.kind else replace(each, kind=kinds[0]) for each in asked]
    with_days = daily.get_column("item_row").unique()
    known = dict(
        items.filter(pl.col("item_row").is_in(with_days.implode())).select("item_id", "item_row").iter_rows()
    )
    check_asked(wanted, known=known, kinds=kinds, as_of=run.as_of, until=until)
    size = float(sales.get_column("quantity").sum()) / max(float(sales.get_column("orders").sum()), 1.0)
    group = _groups(items, config.category_depth)
    effects: dict[str, Effects] = {}
    taught: dict[str, int] = {}
    for kind in sorted({each.kind for each in wanted}):
        strata = strata_of(sales.select("item_row", "day", "quantity"), past, items, kind, run.as_of)
        found = effects_of(strata, group, size=max(size, 1.0))
        if found is None:
            raise RunError(
                f"{run.path}: promotions {kind!r} have no plain days beside them to be held against"
            )
        effects[kind], taught[kind] = found, int(strata.get_column("days_on").sum())
    ends = dict(promoted.group_by("kind").agg(pl.col("day").max()).iter_rows())
    frame = differences(
        wanted,
        daily=daily,
        planned=promoted.filter(pl.col("day") >= run.as_of),
        usual=_usual(past, run.as_of, config.recent_days),
        plan_ends={kind: max(last, run.as_of - timedelta(days=1)) for kind, last in ends.items()},
        effects=effects,
        known=known,
        prices=_prices(sales, items, run.as_of, config),
    )
    return Answer(frame, taught, until)


def _forecast(run: RunFolder, items: pl.DataFrame) -> pl.DataFrame:
    """Returns item_row, day and mean of the items' forecasts by day from the run's day on."""
    return (
        scan_artefact(run.resolve("forecast_daily.parquet"), "forecast_daily")
        .filter((pl.col("level") == "item") & (pl.col("day") >= run.as_of))
        .select(pl.col("key").alias("item_id"), "day", pl.col("mean").cast(pl.Float64))
        .collect()
        .join(items.select("item_id", "item_row"), on="item_id", maintain_order="left")
        .select("item_row", "day", "mean")
    )


def _groups(items: pl.DataFrame, depth: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    path = pl.col("category").fill_null("").str.split(" > ").list.head(depth).list.join(" > ")
    return items.select(path.rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()


def _usual(past: pl.DataFrame, as_of: date, days: int) -> dict[tuple[int, str], float]:
    lately = past.filter(pl.col("day") >= as_of - timedelta(days=days))
    counts = lately.unique(["item_row", "day", "kind"]).group_by("item_row", "kind").len()
    return {(row, kind): n / days for row, kind, n in counts.iter_rows()}


def _prices(
    sales: pl.DataFrame, items: pl.DataFrame, as_of: date, config: FeaturesConfig
) -> dict[int, float]:
    """Returns item_row -> mean price paid in the base window, else the catalogue's, else 0."""
    lately = sales.filter(pl.col("day") >= as_of - timedelta(days=config.base_days))
    sums = group_sums(lately, ["item_row"], ["quantity", "revenue"])
    paid = pl.when((pl.col("quantity") > 0) & (pl.col("revenue") > 0)).then(
        pl.col("revenue") / pl.col("quantity")
    )
    told = items.select("item_row", "price").join(
        sums.select("item_row", paid=paid), on="item_row", how="left", maintain_order="left"
    )
    return dict(told.select("item_row", pl.coalesce("paid", "price").fill_null(0.0)).iter_rows())
