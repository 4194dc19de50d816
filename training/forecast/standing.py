"""Owns what is known at one origin: sales without the effect of events, and the factors to put it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from training.forecast.config import ForecastConfig
from training.forecast.effects import Phases, event_factors, phases_of
from training.forecast.events import recurring_events
from training.forecast.history import History

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WEEK = 7
#: Half-life of the weekday profile, in days, and how many units its category's profile weighs in it.
PROFILE_HALF_LIFE = 112.0
PROFILE_PRIOR_UNITS = 10.0


@dataclass(frozen=True, slots=True)
class Level:
    """The series above the items, in a fixed order: the shop, categories, channels, regions.

    Attributes:
        names: level and key, as in the artefacts.
        units: a day, float64 `(n_series, n_days)`.
        category: position of the category whose events and promotions count, the last for the whole shop.
    """

    names: Sequence[tuple[str, str]]
    units: Floats
    category: Ints


@dataclass(frozen=True, slots=True)
class Standing:
    """What a forecaster knows at an origin.

    Attributes:
        origin: day number; nothing from it on is in here but plans and the calendar.
        horizon: days to forecast.
        series: cleaned units a day of `Level`'s series, float64 `(n_series, origin)`.
        factors: of events by category (last: shop) and day, float64 `(n_categories + 1, origin + horizon)`;
            None where no event has an effect.
        off: whether a day, the one after the last too, is one of a recurring event, bool
            `(origin + horizon + 1,)`.
    """

    origin: int
    horizon: int
    series: Floats
    factors: Floats | None
    off: npt.NDArray[np.bool_]

    @property
    def weeks(self) -> int:
        """Returns in how many weeks the horizon lies, the last one perhaps in part."""
        return -(-self.horizon // WEEK)

    def ahead(self, category: Ints) -> Floats:
        """Returns the factors of the horizon's days by row, float64 `(n, horizon)`."""
        if self.factors is None:
            return np.ones((len(category), self.horizon))
        return np.asarray(self.factors[category, self.origin :], dtype=np.float64)


def levels_of(history: History) -> Level:
    """Returns the series above the items."""
    shop = len(history.categories)
    names = [("total", ""), *(("category", path) for path in history.categories)]
    names += [("channel", key) for key in history.channels] + [("region", key) for key in history.regions]
    groups = [*history.channels.values(), *history.regions.values()]
    total = np.asarray(history.units.sum(axis=0), dtype=np.float64).reshape(1, -1)
    units = np.concatenate([total, history.category_units(), *(group[None] for group in groups)])
    category = np.array([shop, *range(shop), *([shop] * len(groups))], dtype=np.int64)
    return Level(names, units, category)


def calendar_phases(history: History, horizon: int, config: ForecastConfig) -> Phases:
    """Returns the events' phases of all days from the first to the one after the last that is forecast."""
    n_days = history.n_days + horizon + 1
    events = recurring_events(config.country, history.first, history.day(n_days))
    return phases_of(events, history.first, n_days)


def standing_at(history: History, level: Level, phases: Phases, *, origin: int, horizon: int) -> Standing:
    """Returns what is known at an origin."""
    shop = len(history.categories)
    cut = Phases(phases.names, phases.code[: origin + horizon], phases.occurrence[: origin + horizon])
    factors = event_factors(level.units[1 : 1 + shop], cut, origin)
    series = level.units[:, :origin]
    if factors is not None:
        series = series / factors[level.category, :origin]
    return Standing(origin, horizon, series, factors, phases.during()[: origin + horizon + 1])


def cleaned_items(history: History, standing: Standing) -> sparse.csc_matrix:
    """Returns the items' units before the origin without the effect of events, CSC `(n_items, origin)`."""
    units = history.units[:, : standing.origin]
    if standing.factors is None:
        return units
    units = units.copy()
    day = np.repeat(np.arange(standing.origin), np.diff(units.indptr))
    units.data = units.data / standing.factors[history.item_category[units.indices], day]
    return units


def weekday_profiles(units: Floats | sparse.csc_matrix, parent: Ints, parents: Floats | None) -> Floats:
    """Returns how a week's sales fall on its days, float64 `(n, 7)` by day number modulo 7, with mean 1.

    Args:
        units: a day up to the origin, `(n, origin)`.
        parent: row of `parents` by series.
        parents: profiles that series of few units lean on, float64 `(n_parents, 7)`; None for even days.
    """
    n, origin = units.shape
    if origin < WEEK:
        return np.ones((n, WEEK))
    weights = 0.5 ** (np.arange(origin - 1, -1, -1) / PROFILE_HALF_LIFE)
    by_day = np.zeros((origin, WEEK))
    by_day[np.arange(origin), np.arange(origin) % WEEK] = weights
    sold = np.maximum(np.asarray(units @ by_day), 0.0)
    expected = sold.sum(axis=1, keepdims=True) / weights.sum() * by_day.sum(axis=0)
    pool = np.ones((n, WEEK)) if parents is None else parents[parent]
    profile = (sold + PROFILE_PRIOR_UNITS * pool) / (expected + PROFILE_PRIOR_UNITS)
    return np.asarray(profile / profile.mean(axis=1, keepdims=True), dtype=np.float64)


def spread(weeks: Floats, profiles: Floats, factors: Floats, origin: int) -> Floats:
    """Returns units by day of the horizon from units a day by week, float64 `(n, horizon)`."""
    days = np.arange(factors.shape[1])
    return np.asarray(
        weeks[:, days // WEEK] * profiles[:, (origin + days) % WEEK] * factors, dtype=np.float64
    )


def by_week(days: Floats) -> Floats:
    """Returns units a day by week of a horizon, float64 `(n, weeks)`; the last week may be a part."""
    starts = np.arange(0, days.shape[1], WEEK)
    lengths = np.minimum(starts + WEEK, days.shape[1]) - starts
    return np.asarray(np.add.reduceat(days, starts, axis=1) / lengths, dtype=np.float64)
