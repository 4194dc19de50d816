"""Owns what past origins teach about errors: totals and days by level, items and their days by size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.forecast.config import ForecastConfig
from training.forecast.history import History
from training.forecast.intervals import FIRST_Z, Errors, add_item_errors, total_scale
from training.forecast.outcome import Outcome
from training.forecast.standing import Level

Floats = npt.NDArray[np.float64]

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

        The total has few errors, and channels and regions are none that a back-test sees: they get the
        wider of what the total and the categories gave.
        """
        asked = ("category",) if level == "category" else ("total", "category")
        found = [points for name in asked if (points := errors.points(name)) is not None] or [FIRST_Z]
        return min(low for low, _ in found), max(high for _, high in found)

    def learn(self, history: History, level: Level, outcome: Outcome, config: ForecastConfig) -> None:
        """Compares what an origin's forecasts said with what was sold in its horizon."""
        horizon = config.horizon_days
        after = slice(outcome.origin, outcome.origin + horizon)
        units = history.units[:, after]
        sold_by_item = np.asarray(units.sum(axis=1), dtype=np.float64).ravel()
        days = outcome.items.days[:, :horizon]
        mean = days.sum(axis=1)
        known = outcome.known & (mean > 0)
        add_item_errors(self.items, mean[known], sold_by_item[known])
        often = np.flatnonzero(outcome.known & (mean >= MIN_DAILY_MEAN * horizon))
        add_item_errors(self.item_days, days[often].ravel(), units[often].toarray().ravel())
        for row, (name, _) in enumerate(level.names):
            expected = outcome.series.days[row, :horizon]
            if name in ("total", "category") and expected.sum() > 0:
                sold = level.units[row, after]
                z = (sold.sum() - expected.sum()) / scale_of_total(expected, outcome.sigma[row])
                self.totals.add(name, np.array([z]))
                self.days.add(name, (sold - expected) / scale_of_days(outcome.sigma[row]))


def scale_of_total(days: Floats, sigma: float) -> float:
    """Returns the scale of the error of the sum of some days, in units."""
    return float(total_scale(np.array([days.sum()]), np.array([sigma]), len(days))[0])


def scale_of_days(sigma: float) -> float:
    """Returns the scale of the error of a single day, in units."""
    return max(float(sigma), MIN_SIGMA)
