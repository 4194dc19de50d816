"""Owns the stage `forecast`: plan, fit in parallel, hand down to items, add quantiles, write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial

import msgspec
import numpy as np
import polars as pl

from recdata.artefacts import read_artefact, scan_artefact, write_artefact
from recdata.runs import Stage, StageContext
from training.forecast.accuracy import measure_accuracy
from training.forecast.assemble import assemble
from training.forecast.config import ForecastConfig
from training.forecast.fits import (
    SeriesForecast,
    forecast_series,
    method_of,
    needs_fit,
    recent_forecast,
    warm_up,
)
from training.forecast.history import load_history
from training.forecast.plan import Series, plan_origins, plan_series
from training.forecast.pool import Failure, run_tasks

INPUTS = ("items.parquet", "daily_sales.parquet", "promoted_days.parquet")
OUTPUTS = ("forecast_daily.parquet", "forecast_totals.parquet")
VERSION = 1
#: Stan stops itself first; a process that goes on is killed after this many seconds more.
GRACE_SECONDS = 10.0


def forecast_stage(config: ForecastConfig) -> Stage:
    """Returns the stage that forecasts demand at `as_of` and at the past origins."""

    def work(context: StageContext) -> Mapping[str, object]:
        history = load_history(
            items=context.source("items.parquet"),
            daily_sales=context.source("daily_sales.parquet"),
            promoted_days=context.source("promoted_days.parquet"),
            as_of=context.run.as_of,
            config=config,
        )
        origins = plan_origins(history, config)
        planned = plan_series(history, origins, config)
        fits = [number for number, series in enumerate(planned) if needs_fit(series.task)]
        methods = frozenset(method_of(planned[number].task) for number in fits)
        with context.bar("series fitted", total=len(fits)) as advance:
            answers = run_tasks(
                forecast_series,
                [planned[number].task for number in fits],
                warm_up=partial(warm_up, methods),
                processes=config.processes,
                seconds=config.fit_seconds + GRACE_SECONDS,
                folder=context.scratch,
                advance=advance,
            )
        by_number = dict(zip(fits, answers, strict=True))
        forecasts = [_or_recent(series, by_number.get(number)) for number, series in enumerate(planned)]
        failed = Counter(answer.kind for answer in answers if isinstance(answer, Failure))
        fitted = list(zip(planned, forecasts, strict=True))
        daily, totals = assemble(history, origins, fitted, config)
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
            "fits": len(fits),
            "failed_fits": dict(sorted(failed.items())),
            "origins": len(set(totals["origin"])),
            "daily_rows": daily.height,
            "total_rows": totals.height,
            "methods": _methods(totals),
            "accuracy": _overall(accuracy),
        }

    # How many processes fit changes nothing but the time.
    decisive = msgspec.structs.replace(config, processes=0)
    return Stage("forecast", VERSION, INPUTS, OUTPUTS, work, decisive)


def _or_recent(series: Series, answer: SeriesForecast | Failure | None) -> SeriesForecast:
    return answer if isinstance(answer, SeriesForecast) else recent_forecast(series.task)


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
