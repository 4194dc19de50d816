from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from prophet import Prophet

from training.forecast.config import ForecastConfig
from training.forecast.fits import (
    INTERMITTENT,
    NOTHING,
    PROPHET,
    RECENT,
    SHORT,
    SeriesTask,
    choose_method,
    forecast_series,
    recent_forecast,
)
from training.forecast.prophet_fit import fit_prophet

START = date(2024, 1, 1)  # a Monday
CONFIG = ForecastConfig()


def weekly(days: int) -> np.ndarray:
    """Ten a day, twenty on the days of the weekend."""
    return np.where(np.arange(days) % 7 >= 5, 20.0, 10.0)


def task(values: np.ndarray, horizon: int = 14, **more: object) -> SeriesTask:
    return SeriesTask(START, np.asarray(values, dtype=np.float64), horizon, CONFIG, **more)


def test_prophet_goes_on_with_a_weekly_pattern() -> None:
    forecast = forecast_series(task(weekly(140)))
    assert forecast.method == PROPHET
    np.testing.assert_allclose(forecast.mean, weekly(154)[140:], rtol=0.05)


def test_our_way_through_prophet_gives_what_its_own_predict_gives() -> None:
    rng = np.random.default_rng(7)
    promoted = (np.arange(214) % 10 < 3).astype(np.float64)
    values = weekly(200) + 8 * promoted[:200] + rng.normal(0, 2, 200)
    trend, rest = fit_prophet(task(values, regressors={"mailer": promoted}), 200)

    frame = pd.DataFrame({"ds": pd.date_range(START, periods=214), "mailer": promoted})
    plain = Prophet(
        uncertainty_samples=0,
        daily_seasonality=False,
        changepoint_prior_scale=CONFIG.changepoint_prior_scale,
        changepoint_range=CONFIG.changepoint_range,
    )
    plain.add_regressor("mailer")
    plain.fit(frame.iloc[:200].assign(y=values), algorithm="LBFGS")
    np.testing.assert_allclose(trend + rest, plain.predict(frame)["yhat"], rtol=1e-6)


def test_a_planned_promotion_raises_the_days_that_it_covers() -> None:
    promoted = (np.arange(140) % 14 < 4).astype(np.float64)
    planned = np.concatenate([promoted[:126], np.zeros(7), np.ones(7)])
    values = 10 + 10 * promoted[:126]
    mean = forecast_series(task(values, regressors={"flash": planned})).mean
    assert mean[7:].min() > 1.5 * mean[:7].max()


def test_a_falling_series_is_never_forecast_below_zero() -> None:
    forecast = forecast_series(task(np.maximum(200 - 2.0 * np.arange(100), 1), 60))
    assert forecast.method == PROPHET
    assert forecast.mean.min() >= 0


@pytest.mark.parametrize(
    ("values", "method"),
    [
        (np.zeros(100), NOTHING),
        (np.full(4, 3.0), RECENT),
        (np.full(40, 3.0), SHORT),
        (np.full(60, 3.0), PROPHET),
        (np.tile([1.0, 0.0, 0.0], 40), INTERMITTENT),
        (np.tile([5.0, 4.0, 0.0], 40), INTERMITTENT),
        (np.tile([5.0, 4.0, 3.0, 0.0], 40), INTERMITTENT),
        (np.tile([5.0, 4.0, 3.0, 2.0, 0.0], 40), PROPHET),
    ],
)
def test_the_history_decides_the_method(values: np.ndarray, method: str) -> None:
    assert choose_method(values, CONFIG) == method


def test_four_days_of_sales_are_averaged_not_extrapolated() -> None:
    forecast = forecast_series(task(np.array([0.0, 0.0, 8.0, 6.0, 4.0, 2.0])))
    assert forecast.mean.tolist() == [5.0] * 14
    assert forecast.method == RECENT


def test_nothing_sold_is_nothing_forecast() -> None:
    forecast = forecast_series(task(np.zeros(50)))
    assert forecast.mean.tolist() == [0.0] * 14


@pytest.mark.parametrize("values", [np.tile([0.0, 0.0, 6.0], 40), np.tile([4.0, 5.0, 6.0], 12)])
def test_intermittent_and_short_series_stay_near_their_average(values: np.ndarray) -> None:
    forecast = forecast_series(task(values))
    np.testing.assert_allclose(forecast.mean.mean(), values.mean(), rtol=0.25)


def test_days_of_net_returns_neither_break_a_fit_nor_make_it_negative() -> None:
    values = np.tile([3.0, 0.0, -2.0, 0.0], 30)
    assert forecast_series(task(values)).mean.min() >= 0
    assert recent_forecast(task(np.array([1.0, -9.0]))).mean.tolist() == [0.0] * 14
