"""Owns the daily forecasts of the run's own origin and their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from recdata.training_artefacts import FORECAST_DAILY
from training.forecast.calibration import Calibration, scale_of_days
from training.forecast.config import ForecastConfig
from training.forecast.history import History
from training.forecast.intervals import item_bounds, series_bounds, widening
from training.forecast.outcome import Outcome
from training.forecast.standing import Level

Floats = npt.NDArray[np.float64]


def daily_rows(
    calibration: Calibration, history: History, level: Level, outcome: Outcome, config: ForecastConfig
) -> pl.DataFrame:
    """Returns forecast_daily: every series above the items, then every item that sold within `active_days`.

    Rows are in the order total, categories, channels, regions, items, each series' days in order.
    """
    widen = widening(outcome.items.days.shape[1], config.horizon_days)
    frames = []
    for row, (name, key) in enumerate(level.names):
        mean = outcome.series.days[row]
        points = calibration.points(calibration.days, name)
        bounds = series_bounds(mean, scale_of_days(outcome.sigma[row]) * widen, points)
        if mean.sum() <= 0:
            bounds = (mean, mean)
        frames.append(_frame(history, name, [key], [outcome.series.method[row]], mean[None], *bounds))
    frames.append(_item_frame(calibration, history, outcome, widen, config))
    return pl.concat(frames)


def active_items(history: History, config: ForecastConfig) -> npt.NDArray[np.int64]:
    """Returns the rows of the items that sold in the latest `active_days`, ascending."""
    recent = history.units[:, max(0, history.n_days - config.active_days) :].tocsc(copy=True)
    recent.data = np.maximum(recent.data, 0.0)
    return np.flatnonzero(np.asarray(recent.sum(axis=1)).ravel() > 0)


def _item_frame(
    calibration: Calibration, history: History, outcome: Outcome, widen: Floats, config: ForecastConfig
) -> pl.DataFrame:
    rows = active_items(history, config)
    mean = outcome.items.days[rows]
    keys = [history.item_ids[row] for row in rows]
    low, high = item_bounds(calibration.item_days, mean.ravel())
    q10 = np.maximum(mean - (mean - low.reshape(mean.shape)) * widen, 0.0)
    q90 = mean + (high.reshape(mean.shape) - mean) * widen
    return _frame(history, "item", keys, outcome.items.method[rows].tolist(), mean, q10, q90)


def _frame(
    history: History,
    level: str,
    keys: Sequence[str],
    methods: Sequence[str],
    mean: Floats,
    q10: Floats,
    q90: Floats,
) -> pl.DataFrame:
    """Returns the rows of some series, arrays `(n_series, days)`."""
    days = mean.shape[1]
    calendar = pl.Series([history.day(history.n_days + lead) for lead in range(days)], dtype=pl.Date)
    number = np.repeat(np.arange(len(keys)), days)
    return pl.DataFrame(
        {
            "level": pl.repeat(level, len(number), eager=True),
            "key": pl.Series(keys, dtype=pl.String).gather(number),
            "day": calendar.gather(np.tile(np.arange(days), len(keys))),
            "mean": mean.ravel().astype(np.float32),
            "q10": q10.ravel().astype(np.float32),
            "q90": q90.ravel().astype(np.float32),
            "method": pl.Series(methods, dtype=pl.String).gather(number),
        },
        schema=FORECAST_DAILY,
    )
