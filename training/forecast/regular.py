"""Owns the forecasts of single days that compete for series that sell on most days, or many units on few.

Such a series shows by itself which weekdays it sells on, so its days are forecast at once instead of its
weeks. The methods of weeks compete too, spread over the days by the series' weekday profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from training.forecast.config import ForecastConfig
from training.forecast.day_regression import Days, forecast_days, stamps_of
from training.forecast.learning import WEEK, Floats, Group, Ints, Matrix
from training.forecast.smoothing import START_DAYS, smoothed
from training.forecast.standing import Standing, spread

Strings = npt.NDArray[np.object_]

SMOOTHED, DAYS = "smoothing", "regression of days"
#: What their segments are called beside the others'.
BY_DAY = ", by day"
#: A series is regular by its latest so many days: with sales on so large a share of them, or so many units a
#: day, which no series sells by chance on every third day only: it is closed on the others.
LATEST_DAYS, SOLD_SHARE, UNITS_A_DAY = 112, 0.5, 2.0
#: Fewer series than this have nothing to share.
MIN_SERIES = 20


@dataclass(frozen=True, slots=True)
class Regular:
    """The regular ones among some series, and what competes for their days.

    Attributes:
        rows: of the series, int64 `(n,)`.
        segments: which are judged together, `(n,)` strings.
        candidates: by method, units by day without the effect of events, float64 `(n, horizon)`.
        factors: of events by day, float64 `(n, horizon)`.
    """

    rows: Ints
    segments: Strings
    candidates: dict[str, Floats]
    factors: Floats


def regular_rows(units: Matrix) -> Ints:
    """Returns which series are regular, of units a day up to the origin, `(n, origin)`, ascending."""
    latest = sparse.csr_matrix(units[:, max(0, units.shape[1] - LATEST_DAYS) :])
    days = latest.shape[1]
    if days < START_DAYS:
        return np.zeros(0, dtype=np.int64)
    latest.data = np.maximum(latest.data, 0.0)
    latest.eliminate_zeros()
    first = np.full(latest.shape[0], days)
    row = np.repeat(np.arange(latest.shape[0]), np.diff(latest.indptr))
    np.minimum.at(first, row, latest.indices)
    since = np.maximum(days - first, 1)
    share = np.diff(latest.indptr) / since
    rate = np.asarray(latest.sum(axis=1)).ravel() / since
    return np.flatnonzero(((share >= SOLD_SHARE) | (rate >= UNITS_A_DAY)) & (since >= START_DAYS))


def regular_of(
    group: Group,
    standing: Standing,
    segments: Strings,
    *,
    weeks: Mapping[str, Floats],
    profiles: Floats,
    days: Mapping[str, Floats],
    factors: Floats,
    config: ForecastConfig,
) -> Regular:
    """Returns the regular ones of a group's series and each method's forecast of their days.

    Args:
        group: all series, cleaned of events.
        standing: what is known at the origin.
        segments: of all series, `(n,)` strings.
        weeks: by method, units a day by week, float64 `(n, weeks)`; spread over the days here.
        profiles: by weekday, float64 `(n, 7)`.
        days: by method, units by day, float64 `(n, horizon)`, in the place of its weeks; NaN for none.
        factors: of events by day, float64 `(n, horizon)`.
        config: trees and rows.
    """
    rows = regular_rows(group.units)
    even = np.ones((len(rows), standing.horizon))
    spreadable = {name: found for name, found in weeks.items() if name not in days}
    candidates = {
        name: spread(found[rows], profiles[rows], even, standing.origin) for name, found in spreadable.items()
    }
    candidates |= {name: found[rows] for name, found in days.items()}
    if len(rows):
        candidates |= _learned(_part(group, rows, standing.origin + standing.horizon), standing, config)
    named = np.array([f"{segment}{BY_DAY}" for segment in segments[rows]], dtype=object)
    return Regular(rows, named, candidates, factors[rows])


def _part(group: Group, rows: Ints, until: int) -> Group:
    """Returns some series of a group as arrays, with their promotions up to a day."""

    def dense(table: Matrix) -> Floats:
        part = table[rows][:, :until]
        return np.asarray(part.toarray() if sparse.issparse(part) else part, dtype=np.float64)

    return replace(
        group,
        units=np.maximum(dense(group.units), 0.0),
        launched=group.launched[rows],
        parent=group.parent[rows],
        promoted={kind: dense(table) for kind, table in group.promoted.items()},
        market=None,
    )


def _learned(group: Group, standing: Standing, config: ForecastConfig) -> dict[str, Floats]:
    origin, horizon = standing.origin, standing.horizon
    units = np.asarray(group.units)
    first = (units > 0).argmax(axis=1).astype(np.int64)
    smooth = smoothed(units, first, standing.off, {*stamps_of(origin), origin})
    found = {SMOOTHED: smooth[origin][:, np.arange(horizon) % WEEK]}
    if config.regression_trees and len(units) >= MIN_SERIES:
        days = forecast_days(group, Days(first, standing.off, smooth), origin, horizon, config)
        if days is not None:
            # A series that has stopped is left to its smoothing.
            found[DAYS] = np.where(np.isfinite(days), days, found[SMOOTHED])
    return found
