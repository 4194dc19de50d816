"""Owns what past origins teach about errors: totals and days by level, items and their days by size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.forecast.config import ForecastConfig
from training.forecast.fits import Floats, SeriesForecast
from training.forecast.history import History
from training.forecast.intervals import FIRST_Z, Errors, add_item_errors, total_scale
from training.forecast.plan import Series
from training.forecast.topdown import ItemForecasts

Fitted = Sequence[tuple[Series, SeriesForecast]]

#: Single days teach from items that are forecast to sell at least so many units a day.
MIN_DAILY_MEAN = 0.1
#: A series without any error of its own in the history still has this daily scale, in units.
MIN_SIGMA = 1e-3


class Calibration:
    """Errors of the past origins that have been learned from so far."""

    def __init__(self) -> None:
        self.totals = Errors()
        self.days = Errors()
        self.items = Errors()
        self.item_days = Errors()

    def points(self, errors: Errors, level: str) -> tuple[float, float]:
        """Returns a level's scaled 10% and 90% points.

        The total has few errors, and channels and regions are never forecast at past origins: they get
        the wider of what the total and the categories gave.
        """
        asked = ("category",) if level == "category" else ("total", "category")
        found = [points for name in asked if (points := errors.points(name)) is not None] or [FIRST_Z]
        return min(low for low, _ in found), max(high for _, high in found)

    def learn(
        self, history: History, origin: int, here: Fitted, items: ItemForecasts, config: ForecastConfig
    ) -> None:
        """Compares what an origin's forecasts said with what was sold in its horizon."""
        horizon = config.horizon_days
        units = history.units[:, origin : origin + horizon]
        sold_by_item = np.asarray(units.sum(axis=1), dtype=np.float64).ravel()
        known = items.known & (items.mean > 0)
        add_item_errors(self.items, items.mean[known], sold_by_item[known])
        often = np.flatnonzero(items.known & (items.mean >= MIN_DAILY_MEAN * horizon))
        by_day = item_days(history, here, items, often, horizon)
        add_item_errors(self.item_days, by_day.ravel(), units[often].toarray().ravel())
        by_category = history.category_matrix() @ units.toarray()
        shop = np.asarray(units.sum(axis=0)).ravel()
        position = {path: number for number, path in enumerate(history.categories)}
        for series, forecast in here:
            sold = shop if series.level == "total" else by_category[position[series.key]]
            mean = forecast.mean[:horizon]
            if mean.sum() > 0:
                z = (sold.sum() - mean.sum()) / scale_of_total(forecast, config)
                self.totals.add(series.level, np.array([z]))
                self.days.add(series.level, (sold - mean) / scale_of_days(forecast))


def item_days(
    history: History, here: Fitted, items: ItemForecasts, rows: npt.NDArray[np.int64], days: int
) -> Floats:
    """Returns the daily means of some items, float64 `(n_rows, days)`: a share of the category's, or flat."""
    shape = np.zeros((len(history.categories) + 1, days))
    position = {path: number for number, path in enumerate(history.categories)}
    for series, forecast in here:
        if series.level == "category":
            shape[position[series.key]] = forecast.mean[:days]
    # The row behind the last category, which is also that of -1, stands for items without a category.
    shape[-1] = 1.0
    part = np.where(history.item_category >= 0, items.share, items.rate)[rows]
    return np.asarray(shape[history.item_category[rows]] * part[:, None], dtype=np.float64)


def scale_of_total(forecast: SeriesForecast, config: ForecastConfig) -> float:
    """Returns the scale of the error of a forecast's total over the horizon, in units."""
    mean = float(forecast.mean[: config.horizon_days].sum())
    return float(total_scale(np.array([mean]), np.array([forecast.sigma]), config.horizon_days)[0])


def scale_of_days(forecast: SeriesForecast) -> float:
    """Returns the scale of the error of a forecast's single day, in units."""
    return max(forecast.sigma, MIN_SIGMA)
