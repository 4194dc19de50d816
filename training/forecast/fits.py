"""Owns the fit of one series: which method it gets, Prophet, the intermittent methods, the fallback.

Everything here runs in a worker process; a task carries its own history and settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt

from training.forecast.config import ForecastConfig

Floats = npt.NDArray[np.float64]

PROPHET = "prophet"
INTERMITTENT = "tsb"
SHORT = "theta"
RECENT = "recent-average"
NOTHING = "no-history"
#: Theta needs this many days; a younger series gets the average of what it has.
THETA_DAYS = 28
#: Strength of the smoothing of demand size and of sale probability in the intermittent method.
TSB_ALPHA = 0.1
WEEK = 7


@dataclass(frozen=True, slots=True)
class SeriesTask:
    """One series at one origin.

    Attributes:
        start: the first day of `values`.
        values: net units a day without the effect of events, up to the day before the origin, float64
            `(days,)`.
        horizon: days to forecast.
        regressors: what is known of every day of history and horizon, each float64 `(days + horizon,)`.
        config: which method, and its settings.
    """

    start: date
    values: Floats
    horizon: int
    config: ForecastConfig
    regressors: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeriesForecast:
    """Units a day, float64 `(horizon,)`, never below 0."""

    mean: Floats
    method: str


def choose_method(values: Floats, config: ForecastConfig) -> str:
    """Returns the method for a history whose first day is its first sale."""
    sold = values > 0
    if not sold.any():
        return NOTHING
    if len(values) < THETA_DAYS:
        return RECENT
    interval = len(values) / sold.sum()
    if interval > config.max_sale_interval_days or 1 - sold.mean() > config.max_zero_share:
        return INTERMITTENT
    return PROPHET if len(values) >= config.min_prophet_days else SHORT


def since_first_sale(values: Floats) -> Floats:
    """Returns a history from its first day with sales on; empty where nothing was ever sold."""
    sales = np.flatnonzero(values > 0)
    return values[sales[0] if len(sales) else len(values) :]


def method_of(task: SeriesTask) -> str:
    """Returns the method that a task's series gets unless its fit fails."""
    return choose_method(since_first_sale(task.values), task.config)


def needs_fit(task: SeriesTask) -> bool:
    """Returns whether a series is for a library; the other methods take no time worth a process."""
    return method_of(task) not in (RECENT, NOTHING)


def forecast_series(task: SeriesTask) -> SeriesForecast:
    """Returns the forecast of one series by the method that suits its history.

    Raises:
        RuntimeError: the fit did not end well; `recent_forecast` is the way out.
    """
    values = since_first_sale(task.values)
    age = len(values)
    method = choose_method(values, task.config)
    if method == PROPHET:
        return _prophet(task, age)
    if method == INTERMITTENT:
        return _finish(_intermittent(values, task.horizon), method)
    if method == SHORT:
        return _finish(_theta(values, task.horizon), method)
    return recent_forecast(task)


def recent_forecast(task: SeriesTask) -> SeriesForecast:
    """Returns the average of the latest days since the first sale, for every day of the horizon."""
    values = since_first_sale(task.values)[-task.config.recent_days :]
    if not len(values):
        return SeriesForecast(np.zeros(task.horizon), NOTHING)
    return _finish(np.full(task.horizon, values.mean()), RECENT)


def warm_up(methods: frozenset[str]) -> None:
    """Imports what the fits of these methods need, which takes seconds, once a process."""
    if PROPHET in methods:
        import training.forecast.prophet_fit  # noqa: F401
    if methods & {INTERMITTENT, SHORT}:
        import statsforecast.models  # noqa: F401


def _finish(mean: Floats, method: str) -> SeriesForecast:
    if not np.isfinite(mean).all():
        raise RuntimeError(f"{method} forecast is not finite")
    return SeriesForecast(np.maximum(mean, 0.0), method)


def _intermittent(values: Floats, horizon: int) -> Floats:
    from statsforecast.models import TSB

    # Demand cannot be negative; a day with more returns than sales is a day without demand.
    fit = TSB(alpha_d=TSB_ALPHA, alpha_p=TSB_ALPHA).forecast(np.maximum(values, 0.0), h=horizon)
    return np.asarray(fit["mean"], dtype=np.float64)


def _theta(values: Floats, horizon: int) -> Floats:
    from statsforecast.models import OptimizedTheta

    fit = OptimizedTheta(season_length=WEEK).forecast(values, h=horizon)
    return np.asarray(fit["mean"], dtype=np.float64)


def _prophet(task: SeriesTask, age: int) -> SeriesForecast:
    from training.forecast.prophet_fit import fit_prophet

    values = task.values[len(task.values) - age :]
    trend, rest = fit_prophet(task, age)
    mean = np.maximum(_damped(trend, age, task.config.trend_damping) + rest[age:], 0.0)
    return _finish(_levelled(mean, values, task.config), PROPHET)


def _damped(trend: Floats, age: int, damping: float) -> Floats:
    """Returns the trend from the last known day on, its slope multiplied by `damping` day after day."""
    steps: Floats = np.diff(trend[age - 1 :]) * damping ** np.arange(1, len(trend) - age + 1)
    level: Floats = trend[age - 1] + np.cumsum(steps)
    return level


def _levelled(mean: Floats, values: Floats, config: ForecastConfig) -> Floats:
    """Returns the forecast scaled so that its level is a weighted mean of its own and the recent one."""
    window = min(config.recent_days, len(mean))
    own, recent = mean[:window].mean(), max(values[-config.recent_days :].mean(), 0.0)
    if own <= 0:
        return np.full(len(mean), config.recent_weight * recent)
    factor = 1 - config.recent_weight + config.recent_weight * recent / own
    return np.asarray(mean * factor, dtype=np.float64)
