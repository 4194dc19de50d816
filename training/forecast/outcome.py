"""Owns the forecast of one origin: candidates, the choice among them, days, and that the parts add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.forecast.candidates import (
    ITEMS,
    REGRESSION,
    TOP_DOWN,
    Fits,
    fitted,
    item_candidates,
    item_group,
    item_segments,
    series_candidates,
    series_group,
    series_segments,
)
from training.forecast.choice import Choice, mean_of
from training.forecast.config import ForecastConfig
from training.forecast.fits import NOTHING, PROPHET, RECENT
from training.forecast.history import History
from training.forecast.reconcile import caps, held, reconciled
from training.forecast.regular import DAYS, SMOOTHED, Regular, regular_of
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
        regular: what competed for the days of the regular ones, whose weeks are not judged.
    """

    candidates: dict[str, Floats]
    segments: Strings
    effect: Floats
    days: Floats
    method: Strings
    regular: Regular


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
    """What earlier origins say of the series and of the items, by their weeks and, where regular, days."""

    series: Choice
    items: Choice
    series_days: Choice
    item_days: Choice

    @classmethod
    def fresh(cls) -> Choices:
        """Returns choices that have seen nothing."""
        return cls(
            Choice((REGRESSION, RECENT)),
            Choice((REGRESSION, TOP_DOWN), counts=True),
            Choice((DAYS, REGRESSION, SMOOTHED)),
            Choice((DAYS, SMOOTHED), counts=True),
        )

    def learn(self, history: History, level: Level, outcome: Outcome) -> None:
        """Compares an ended origin's candidates with what was sold."""
        horizon = outcome.items.days.shape[1]
        after = slice(outcome.origin, outcome.origin + horizon)
        items = np.asarray(history.units[:, after].toarray(), dtype=np.float64)
        _judge(self.series, self.series_days, outcome.series, level.units[:, after], None)
        _judge(self.items, self.item_days, outcome.items, items, outcome.known)

    def figures(self) -> dict[str, str]:
        """Returns what leads in each segment."""
        return (
            self.series.figures()
            | self.items.figures()
            | self.series_days.figures()
            | self.item_days.figures()
        )


def _judge(
    choice: Choice, by_day: Choice, part: Part, units: Floats, known: npt.NDArray[np.bool_] | None
) -> None:
    asked = np.ones(len(units), dtype=np.bool_) if known is None else known.copy()
    asked[part.regular.rows] = False
    rows = np.flatnonzero(asked)
    actual = np.maximum(by_week(units[rows]), 0.0) / part.effect[rows]
    choice.learn(part.segments[rows], {name: found[rows] for name, found in part.candidates.items()}, actual)
    days = np.maximum(units[part.regular.rows], 0.0) / part.regular.factors
    by_day.learn(part.regular.segments, part.regular.candidates, days)


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
    profiles = weekday_profiles(standing.series, level.category, None)

    items, item_cap = _items(history, standing, fits, choices, prior, profiles, config)
    # What the items add up to is one more forecast of their category, and the categories' of the shop.
    sums = _sums(history, items.days, len(level.names))
    candidates[ITEMS] = by_week(sums)
    segments = series_segments(level, candidates)
    ahead = standing.ahead(level.category)
    regular = regular_of(
        series_group(history, level, standing, config),
        standing,
        segments,
        weeks=candidates,
        profiles=profiles,
        days={ITEMS: sums, **_fitted_days(level.names, fits, standing)},
        factors=ahead,
        config=config,
    )
    series = _chosen(candidates, segments, regular, profiles, standing, choices.series, choices.series_days)
    since = np.zeros(len(level.names), dtype=np.int64)
    days = held(series.days, caps(standing.series, since, config.cap_multiple)) * ahead

    parent = np.where(history.item_category < 0, n_categories, history.item_category)
    item_ahead = standing.ahead(parent)
    cap = item_cap * np.maximum(item_ahead.mean(axis=1), 1.0)
    item_days, days[categories], days[0] = reconciled(
        items.days * item_ahead, history.item_category, days[categories], days[0], cap
    )
    rest = slice(1 + n_categories, None)
    days[rest] = held(days[rest], caps(standing.series[rest], since[rest], config.cap_multiple))
    series.method[standing.series.sum(axis=1) <= 0] = NOTHING
    return Outcome(
        origin=standing.origin,
        series=replace(series, effect=by_week(ahead), days=days),
        sigma=_sigma(standing, level, profiles),
        items=replace(items, effect=by_week(item_ahead), days=item_days),
        known=history.launched < standing.origin,
    )


def _items(
    history: History,
    standing: Standing,
    fits: Fits,
    choices: Choices,
    prior: Floats,
    profiles: Floats,
    config: ForecastConfig,
) -> tuple[Part, Floats]:
    """Returns what the items got, without the effect of events, and the most that each may get a day."""
    shop = len(history.categories)
    units = cleaned_items(history, standing)
    own = {name: fit for name, fit in fits.items() if name[0] == "item"}
    found = item_candidates(history, standing, units, prior, own, config)
    segments = item_segments(history, standing, units, found)
    parent = np.where(history.item_category < 0, shop, history.item_category)
    by_weekday = weekday_profiles(units, parent, np.concatenate([profiles[1 : 1 + shop], profiles[:1]]))
    names = [("item", key) for key in history.item_ids] if own else []
    regular = regular_of(
        item_group(history, standing, units),
        standing,
        segments,
        weeks=found,
        profiles=by_weekday,
        days=_fitted_days(names, own, standing),
        factors=standing.ahead(parent),
        config=config,
    )
    part = _chosen(found, segments, regular, by_weekday, standing, choices.items, choices.item_days)
    part.method[(part.method == TOP_DOWN) & (history.item_category < 0)] = OWN_RATE
    part.method[np.asarray(units.sum(axis=1)).ravel() <= 0] = NOTHING
    cap = caps(units, history.launched, config.cap_multiple)
    return replace(part, days=held(part.days, cap)), cap


def _chosen(
    candidates: dict[str, Floats],
    segments: Strings,
    regular: Regular,
    profiles: Floats,
    standing: Standing,
    choice: Choice,
    by_day: Choice,
) -> Part:
    """Returns what was chosen, by day, without the effect of events."""
    weeks, method = choice.choose(segments, candidates)
    even = np.ones((len(weeks), standing.horizon))
    days = spread(weeks, profiles, even, standing.origin)
    if len(regular.rows):
        days[regular.rows], method[regular.rows] = by_day.choose(regular.segments, regular.candidates)
    return Part(candidates, segments, weeks, days, method, regular)


def _fitted_days(names: Sequence[tuple[str, str]], fits: Fits, standing: Standing) -> dict[str, Floats]:
    """Returns Prophet's days where it was asked for any of the series; it has weekdays of its own."""
    found = fitted(PROPHET, names, fits, standing.horizon)
    return {PROPHET: found} if np.isfinite(found).any() else {}


def _sums(history: History, item_days: Floats, n: int) -> Floats:
    """Returns the items' sums by category and shop; NaN for channels and regions, which have no items."""
    found = np.full((n, item_days.shape[1]), np.nan)
    found[0] = item_days.sum(axis=0)
    found[1 : 1 + len(history.categories)] = history.category_matrix() @ item_days
    return found


def _sigma(standing: Standing, level: Level, profiles: Floats) -> Floats:
    """Returns the root mean square distance of the latest days from their weekday's level."""
    recent = standing.series[:, -SIGMA_DAYS:]
    if not recent.shape[1]:
        return np.zeros(len(level.names))
    number = np.arange(standing.origin)[-SIGMA_DAYS:]
    usual = recent.mean(axis=1, keepdims=True) * profiles[:, number % 7]
    return np.asarray(np.sqrt(np.mean((recent - usual) ** 2, axis=1)), dtype=np.float64)
