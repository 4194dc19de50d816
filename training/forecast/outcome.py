"""Owns the forecast of one origin: candidates, the choice among them, days, and that the parts add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.forecast.candidates import (
    ITEMS,
    REGRESSION,
    TOP_DOWN,
    Fits,
    item_candidates,
    item_segments,
    series_candidates,
    series_segments,
)
from training.forecast.choice import Choice, mean_of
from training.forecast.config import ForecastConfig
from training.forecast.fits import NOTHING, RECENT
from training.forecast.history import History
from training.forecast.reconcile import caps, held, reconciled
from training.forecast.standing import (
    Level,
    Standing,
    by_week,
    cleaned_items,
    spread,
    weekday_profiles,
)

Floats = npt.NDArray[np.float64]
Strings = npt.NDArray[np.object_]

OWN_RATE = "own-rate"
#: Latest days in which a series' own daily error is measured.
SIGMA_DAYS = 112


@dataclass(frozen=True, slots=True)
class Part:
    """What competed for some series and what they got.

    Attributes:
        candidates: by method, units a day by week without the effect of events, float64 `(n, weeks)`.
        segments: by series, `(n,)` strings.
        effect: mean factor of events by week, float64 `(n, weeks)`.
        days: the forecast, units by day, float64 `(n, horizon)`.
        method: `(n,)` strings.
    """

    candidates: dict[str, Floats]
    segments: Strings
    effect: Floats
    days: Floats
    method: Strings


@dataclass(frozen=True, slots=True)
class Outcome:
    """The forecasts of one origin.

    Attributes:
        origin: day number.
        series: of `Level`'s series.
        sigma: their daily error in the recent history, float64 `(n_series,)`.
        items: by item row.
        known: whether the item had been launched or sold before the origin, bool `(n_items,)`.
    """

    origin: int
    series: Part
    sigma: Floats
    items: Part
    known: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Choices:
    """What earlier origins say of the series and of the items."""

    series: Choice
    items: Choice

    @classmethod
    def fresh(cls) -> Choices:
        """Returns choices that have seen nothing."""
        return cls(Choice((REGRESSION, RECENT)), Choice((REGRESSION, TOP_DOWN), counts=True))

    def learn(self, history: History, level: Level, outcome: Outcome) -> None:
        """Compares an ended origin's candidates with what was sold."""
        horizon = outcome.items.days.shape[1]
        after = slice(outcome.origin, outcome.origin + horizon)
        for choice, part, units in (
            (self.series, outcome.series, level.units[:, after]),
            (self.items, outcome.items, np.asarray(history.units[:, after].toarray(), dtype=np.float64)),
        ):
            actual = np.maximum(by_week(units), 0.0) / part.effect
            rows = np.flatnonzero(outcome.known) if choice is self.items else np.arange(len(actual))
            known = {name: found[rows] for name, found in part.candidates.items()}
            choice.learn(part.segments[rows], known, actual[rows])


def forecast_origin(
    history: History,
    level: Level,
    standing: Standing,
    fits: Fits,
    choices: Choices,
    config: ForecastConfig,
) -> Outcome:
    """Returns the forecasts of an origin; choices may know only origins that had ended by then."""
    n_categories = len(history.categories)
    categories = slice(1, 1 + n_categories)
    candidates = series_candidates(history, level, standing, fits, config)
    rows = np.arange(1, 1 + n_categories)
    prior = mean_of([name for name in (REGRESSION, RECENT) if name in candidates], candidates, rows)

    units = cleaned_items(history, standing)
    item_fits = {name: fit for name, fit in fits.items() if name[0] == "item"}
    item_found = item_candidates(history, standing, units, prior, item_fits, config)
    item_segment = item_segments(history, standing, units, item_found)
    item_weeks, item_method = choices.items.choose(item_segment, item_found)
    item_cap = caps(units, history.launched, config.cap_multiple)
    item_weeks = np.minimum(item_weeks, item_cap[:, None])

    # What the items add up to is one more forecast of their category, and the categories' of the shop.
    candidates[ITEMS] = _sums(history, item_weeks, candidates[RECENT])
    segments = series_segments(level, candidates)
    weeks, method = choices.series.choose(segments, candidates)
    weeks = np.minimum(
        weeks, caps(standing.series, np.zeros(len(weeks), dtype=np.int64), config.cap_multiple)[:, None]
    )

    profiles = weekday_profiles(standing.series, level.category, None)
    ahead = standing.ahead(level.category)
    days = spread(weeks, profiles, ahead, standing.origin)
    parents = np.concatenate([profiles[categories], profiles[:1]])
    parent = np.where(history.item_category < 0, n_categories, history.item_category)
    item_ahead = standing.ahead(parent)
    item_days = spread(item_weeks, weekday_profiles(units, parent, parents), item_ahead, standing.origin)
    cap = item_cap * np.maximum(item_ahead.mean(axis=1), 1.0)
    item_days, days[categories], days[0] = reconciled(
        item_days, history.item_category, days[categories], days[0], cap
    )
    rest = slice(1 + n_categories, None)
    days[rest] = held(
        days[rest],
        caps(
            standing.series[rest], np.zeros(len(days) - 1 - n_categories, dtype=np.int64), config.cap_multiple
        ),
    )
    method[standing.series.sum(axis=1) <= 0] = NOTHING
    item_method[(item_method == TOP_DOWN) & (history.item_category < 0)] = OWN_RATE
    item_method[np.asarray(units.sum(axis=1)).ravel() <= 0] = NOTHING
    return Outcome(
        origin=standing.origin,
        series=Part(candidates, segments, by_week(ahead), days, method),
        sigma=_sigma(standing, level, profiles),
        items=Part(item_found, item_segment, by_week(item_ahead), item_days, item_method),
        known=history.launched < standing.origin,
    )


def _sums(history: History, item_weeks: Floats, recent: Floats) -> Floats:
    """Returns the items' sums by category and shop; NaN for channels and regions, which have no items."""
    found = np.full(recent.shape, np.nan)
    found[0] = item_weeks.sum(axis=0)
    found[1 : 1 + len(history.categories)] = history.category_matrix() @ item_weeks
    return found


def _sigma(standing: Standing, level: Level, profiles: Floats) -> Floats:
    """Returns the root mean square distance of the latest days from their weekday's level."""
    recent = standing.series[:, -SIGMA_DAYS:]
    if not recent.shape[1]:
        return np.zeros(len(level.names))
    number = np.arange(standing.origin)[-SIGMA_DAYS:]
    usual = recent.mean(axis=1, keepdims=True) * profiles[:, number % 7]
    return np.asarray(np.sqrt(np.mean((recent - usual) ** 2, axis=1)), dtype=np.float64)
