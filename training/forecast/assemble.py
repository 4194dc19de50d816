"""Owns the way from fitted series to the two artefacts: origins oldest first, quantiles, rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from recdata.training_artefacts import FORECAST_DAILY, FORECAST_TOTALS
from training.forecast.calibration import Calibration, scale_of_total
from training.forecast.candidates import Fits
from training.forecast.config import ForecastConfig
from training.forecast.daily import daily_rows
from training.forecast.history import History
from training.forecast.intervals import item_bounds, series_bounds
from training.forecast.outcome import Choices, Outcome, forecast_origin
from training.forecast.standing import Level, Standing


def assemble(
    history: History,
    level: Level,
    standings: Sequence[Standing],
    fits: Mapping[int, Fits],
    config: ForecastConfig,
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]:
    """Returns forecast_daily, forecast_totals, and the methods that lead in each segment.

    Warm-up origins give errors to learn from and no rows.
    """
    reported = {standing.origin for standing in standings[-1 - config.back_test_origins :]}
    totals: list[pl.DataFrame] = []
    daily = pl.DataFrame(schema=FORECAST_DAILY)
    leading: dict[str, str] = {}
    for outcome, calibration, choices in walk(history, level, standings, fits, config):
        if outcome.origin in reported:
            totals.append(_total_rows(calibration, history, level, outcome, config))
        if outcome.origin == history.n_days:
            daily = daily_rows(calibration, history, level, outcome, config)
            leading = choices.figures()
    return daily, pl.concat(totals), leading


def walk(
    history: History,
    level: Level,
    standings: Sequence[Standing],
    fits: Mapping[int, Fits],
    config: ForecastConfig,
) -> Iterator[tuple[Outcome, Calibration, Choices]]:
    """Yields each origin's forecasts, oldest first, with what had been learned when they were made.

    Methods and quantiles of an origin know only horizons that had ended by then.
    """
    calibration, choices = Calibration(), Choices.fresh()
    waiting: list[Outcome] = []
    for standing in standings:
        while waiting and waiting[0].origin + config.horizon_days <= standing.origin:
            past = waiting.pop(0)
            choices.learn(history, level, past)
            calibration.learn(history, level, past, config)
        here = fits.get(standing.origin, {})
        outcome = forecast_origin(history, level, standing, here, choices, config)
        yield outcome, calibration, choices
        if standing.origin < history.n_days:
            waiting.append(outcome)


def _total_rows(
    calibration: Calibration, history: History, level: Level, outcome: Outcome, config: ForecastConfig
) -> pl.DataFrame:
    final = outcome.origin == history.n_days
    rows = []
    for row, (name, key) in enumerate(level.names):
        days = outcome.series.days[row, : config.horizon_days]
        mean = float(days.sum())
        # Which channels and regions are large is known only now.
        if not final and (
            name in ("channel", "region") or not (level.units[row, : outcome.origin] > 0).any()
        ):
            continue
        points = calibration.points(calibration.totals, name)
        scale = np.array([scale_of_total(days, outcome.sigma[row])])
        low, high = series_bounds(np.array([mean]), scale, points)
        low, high = (low, high) if mean > 0 else (np.zeros(1), np.zeros(1))
        rows.append((name, key, mean, low[0], high[0], outcome.series.method[row]))
    names = ["level", "key", "mean", "q10", "q90", "method"]
    types = {name: FORECAST_TOTALS[name] for name in names}
    frame = pl.DataFrame(rows, schema=types, orient="row")
    # At as_of every item of the catalogue has a row, at a past origin those that were there then.
    known = np.arange(len(outcome.known)) if final else np.flatnonzero(outcome.known)
    mean = outcome.items.days[known, : config.horizon_days].sum(axis=1)
    low, high = item_bounds(calibration.items, mean)
    items = pl.DataFrame(
        {
            "level": pl.repeat("item", len(known), eager=True),
            "key": pl.Series(history.item_ids, dtype=pl.String).gather(known),
            "mean": mean,
            "q10": low,
            "q90": high,
            "method": pl.Series(outcome.items.method[known].tolist(), dtype=pl.String),
        },
        schema=types,
    )
    return (
        pl.concat([frame, items])
        .with_columns(
            pl.lit(history.day(outcome.origin)).alias("origin"),
            pl.lit(config.horizon_days).cast(FORECAST_TOTALS["horizon_days"]).alias("horizon_days"),
        )
        .select(list(FORECAST_TOTALS))
    )
