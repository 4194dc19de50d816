"""Owns the way from fitted series to the two artefacts: items top-down, quantiles, rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from recdata.artefacts import FORECAST_DAILY, FORECAST_TOTALS
from training.forecast.calibration import Calibration, Fitted, scale_of_total
from training.forecast.config import ForecastConfig
from training.forecast.daily import daily_rows
from training.forecast.fits import Floats
from training.forecast.history import History
from training.forecast.intervals import item_bounds, series_bounds
from training.forecast.topdown import ItemForecasts, forecast_items


def assemble(
    history: History, origins: Sequence[int], fitted: Fitted, config: ForecastConfig
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Returns forecast_daily and forecast_totals; warm-up origins give errors to learn from, no rows.

    Origins are taken oldest first, and each one's quantiles know only errors of horizons that ended by then.
    """
    calibration = Calibration()
    reported = set(origins[-1 - config.back_test_origins :])
    waiting = list(origins)
    totals: list[pl.DataFrame] = []
    daily = pl.DataFrame(schema=FORECAST_DAILY)
    outcomes: dict[int, tuple[Fitted, ItemForecasts]] = {}
    for origin in origins:
        while waiting and waiting[0] + config.horizon_days <= origin:
            past = waiting.pop(0)
            calibration.learn(history, past, *outcomes.pop(past), config)
        here = [pair for pair in fitted if pair[0].origin == origin]
        items = forecast_items(history, origin, _category_totals(history, here, config), config)
        outcomes[origin] = (here, items)
        if origin in reported:
            totals.append(_total_rows(calibration, history, origin, here, items, config))
        if origin == history.n_days:
            daily = daily_rows(calibration, history, here, items, config)
    return daily, pl.concat(totals)


def _category_totals(history: History, here: Fitted, config: ForecastConfig) -> Floats:
    position = {path: number for number, path in enumerate(history.categories)}
    sums = np.zeros(len(history.categories))
    for series, forecast in here:
        if series.level == "category":
            sums[position[series.key]] = forecast.mean[: config.horizon_days].sum()
    return sums


def _total_rows(
    calibration: Calibration,
    history: History,
    origin: int,
    here: Fitted,
    items: ItemForecasts,
    config: ForecastConfig,
) -> pl.DataFrame:
    rows = []
    own: dict[str, tuple[float, str]] = {}
    for series, forecast in here:
        mean = float(forecast.mean[: config.horizon_days].sum())
        if series.level == "item":
            own[series.key] = (mean, forecast.method)
            continue
        points = calibration.points(calibration.totals, series.level)
        low, high = series_bounds(np.array([mean]), np.array([scale_of_total(forecast, config)]), points)
        low, high = (low, high) if mean > 0 else (np.zeros(1), np.zeros(1))
        rows.append((series.level, series.key, mean, low[0], high[0], forecast.method))
    frame = pl.DataFrame(rows, schema=["level", "key", "mean", "q10", "q90", "method"], orient="row")
    item_rows = _item_totals(calibration, history, origin, items, own)
    return (
        pl.concat([frame, item_rows], how="vertical_relaxed")
        .with_columns(
            pl.lit(history.day(origin)).alias("origin"),
            pl.lit(config.horizon_days).alias("horizon_days"),
        )
        .cast({name: dtype for name, dtype in FORECAST_TOTALS.items() if name != "origin"})
        .select(list(FORECAST_TOTALS))
    )


def _item_totals(
    calibration: Calibration,
    history: History,
    origin: int,
    items: ItemForecasts,
    own: dict[str, tuple[float, str]],
) -> pl.DataFrame:
    mean, method = items.mean.copy(), items.method.copy()
    row_of = {history.item_ids[row]: row for row in range(len(history.item_ids))} if own else {}
    for key, (value, name) in own.items():
        mean[row_of[key]], method[row_of[key]] = value, name
    # At as_of every item of the catalogue has a row, at a past origin those that were there then.
    rows = np.arange(len(mean)) if origin == history.n_days else np.flatnonzero(items.known)
    low, high = item_bounds(calibration.items, mean[rows])
    return pl.DataFrame(
        {
            "level": pl.repeat("item", len(rows), eager=True),
            "key": pl.Series(history.item_ids, dtype=pl.String).gather(rows),
            "mean": mean[rows],
            "q10": low,
            "q90": high,
            "method": pl.Series(method[rows].tolist(), dtype=pl.String),
        }
    )
