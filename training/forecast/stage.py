"""Owns the stage `forecast`: plan, fit in parallel, choose, reconcile, add quantiles, write."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import msgspec
import numpy as np
import polars as pl

from recdata.artefacts import read_artefact, scan_artefact, write_artefact
from recdata.runs import Stage, StageContext
from recdata.tables import scan_table
from training.forecast.accuracy import measure_accuracy
from training.forecast.assemble import assemble
from training.forecast.config import ForecastConfig
from training.forecast.fleet import fit_fleet
from training.forecast.history import load_history

INPUTS = ("items.parquet", "daily_sales.parquet", "promoted_days.parquet", "tables:market")
OUTPUTS = ("forecast_daily.parquet", "forecast_totals.parquet")
VERSION = 3


def forecast_stage(config: ForecastConfig) -> Stage:
    """Returns the stage that forecasts demand at `as_of` and at the past origins."""

    def work(context: StageContext) -> Mapping[str, object]:
        history = load_history(
            items=context.source("items.parquet"),
            daily_sales=context.source("daily_sales.parquet"),
            promoted_days=context.source("promoted_days.parquet"),
            market=scan_table(context.run.home, "market") if config.market else None,
            as_of=context.run.as_of,
            config=config,
        )
        with ExitStack() as bars:
            fleet = fit_fleet(
                history,
                config,
                folder=context.scratch,
                begin=lambda fits: bars.enter_context(context.bar("series fitted", total=fits)),
            )
        daily, totals, leading = assemble(history, fleet.level, fleet.standings, fleet.fits, config)
        write_artefact(daily, context.target("forecast_daily.parquet"), "forecast_daily")
        write_artefact(totals, context.target("forecast_totals.parquet"), "forecast_totals")
        accuracy = measure_accuracy(
            totals,
            scan_artefact(context.source("daily_sales.parquet"), "daily_sales"),
            read_artefact(context.source("items.parquet"), "items"),
            as_of=context.run.as_of,
            category_depth=config.category_depth,
        )
        return {
            "fits": fleet.asked,
            "failed_fits": fleet.failed,
            "origins": len(set(totals["origin"])),
            "daily_rows": daily.height,
            "total_rows": totals.height,
            "methods": _methods(totals),
            "leading": leading,
            "broken_cells": history.broken_cells,
            "accuracy": _overall(accuracy),
        }

    # How many processes fit changes nothing but the time.
    decisive = msgspec.structs.replace(config, processes=0)
    return Stage("forecast", VERSION, INPUTS, OUTPUTS, work, decisive)


def _methods(totals: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Returns how many series of each level got which method at the last origin."""
    last = totals.filter(pl.col("origin") == totals["origin"].max())
    counts = last.group_by("level", "method").len().sort("level", "method")
    found: dict[str, dict[str, int]] = {}
    for level, method, count in counts.iter_rows():
        found.setdefault(level, {})[method] = count
    return found


def _overall(accuracy: pl.DataFrame) -> list[dict[str, object]]:
    """Returns the rows over all origins, figures to 4 places, NaN and null as None."""
    overall = accuracy.filter(pl.col("origin").is_null()).drop("origin")
    floats = pl.col("wape", "bias", "coverage").round(4)
    rows = overall.with_columns(floats).to_dicts()
    return [
        {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}
        for row in rows
    ]
