"""Owns the regression of days: one boosted model of many regular series, a day's sales over its smoothing.

A row is a series at a day in the past and one of the four weeks' days after it. The model learns how far
the day is from what the series' own smoothing foretells, from the same weekday's latest sales, the latest
windows, holidays near, and promotions then and now. The loss grows as the distance where that is large, so
that a party or a closed day teaches no more than it should; what that takes from the mean is given back by
one factor, so that sums stay right.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import lightgbm
import numpy as np
import numpy.typing as npt

from training.forecast.config import ForecastConfig
from training.forecast.learning import (
    LONGEST,
    MAX_AGE,
    MAX_LEADS,
    MIN_ROWS,
    SEED,
    WEEK,
    YEAR,
    Features,
    Floats,
    Group,
    Ints,
    boosted,
    last_year,
    windows,
)

Bools = npt.NDArray[np.bool_]

HORIZON = MAX_LEADS * WEEK
#: Weeks in which the same weekdays are looked at, and how many of the latest of them.
WEEKS = LONGEST // WEEK
SAME_WEEKDAYS = (1, 2, 4, 8, 16)
WINDOWS = (7, 14, 28, 56, LONGEST)
#: Days that are learned from: the latest so many weeks' first days.
STAMPS = 20
#: A series that sold nothing in so many days is not learned from, and needs so many since its first sale.
RECENT_DAYS, MIN_AGE = 56, 28
#: The trees: fewer and faster than those of weeks, since there are more rows. "fair" is the robust loss.
ASKED = {
    "objective": "fair",
    "fair_c": 1.0,
    "learning_rate": 0.09,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "lambda_l2": 0.3,
}
TREE_SHARE = 0.7
#: Share of the level that is added to a smoothed day under a ratio.
FLOOR = 0.02
#: Series that are forecast at once, which bounds the memory.
AT_ONCE = 2000
#: No day is forecast at more than so many times the series' level.
MAX_RATIO = 20.0
#: The factor that gives the mean back is measured on one of so many rows, and stays within bounds.
FACTOR_STEP, BOUNDS = 4, (0.8, 1.25)


@dataclass(frozen=True, slots=True)
class Days:
    """What a regression of days needs beside its group, whose units are an array here.

    Attributes:
        first: day of the first sale, int64 `(n,)`.
        off: whether a day is one of a recurring event, bool, the day after the horizon's last too.
        smooth: by day, the seven days from it on as the smoothing foretells them, float64 `(n, 7)`.
    """

    first: Ints
    off: Bools
    smooth: Mapping[int, Floats]


def stamps_of(origin: int) -> list[int]:
    """Returns the days that are learned from, latest first."""
    return [at for number in range(1, STAMPS + 1) if (at := origin - WEEK * number) >= MIN_AGE]


def forecast_days(
    group: Group, days: Days, origin: int, horizon: int, config: ForecastConfig
) -> Floats | None:
    """Returns units by series and day from the origin on, float64 `(n, horizon)`; None: too few rows.

    A series that is too young, or has sold nothing lately, gets NaN. A day beyond the fourth week is
    forecast like the same weekday of the fourth.
    """
    model, factor = _learned(group, days, origin, config) or (None, 1.0)
    if model is None:
        return None
    here = _state(group, days, origin)
    able = np.flatnonzero(here.able)
    found = np.full((len(here.able), horizon), np.nan)
    for begin in range(0, len(able), AT_ONCE):
        some = able[begin : begin + AT_ONCE]
        row, ahead = np.repeat(some, horizon), np.tile(np.arange(horizon), len(some))
        x = _features(group, days, here, row, ahead, config, with_year=_two_years(origin))
        raw = np.asarray(model.predict(x, raw_score=True, num_threads=1), dtype=np.float64)
        level = here.level[row]
        ratio = (here.base[row, ahead % WEEK] / level + raw) * factor
        found[some] = (level * np.clip(ratio, 0.0, MAX_RATIO)).reshape(-1, horizon)
    return found


def _learned(
    group: Group, days: Days, origin: int, config: ForecastConfig
) -> tuple[lightgbm.Booster, float] | None:
    states = [_state(group, days, at) for at in stamps_of(origin)]
    lengths = [min(HORIZON, origin - state.at) for state in states]
    total = sum(int(state.able.sum()) * length for state, length in zip(states, lengths, strict=True))
    if total < MIN_ROWS:
        return None
    keep = min(1.0, config.regression_day_rows / total)
    parts: list[tuple[Features, Floats, Floats, Floats]] = []
    for state, length in zip(states, lengths, strict=True):
        able = np.flatnonzero(state.able)
        drawn = np.random.default_rng([SEED, state.at]).random((len(able), length)) < keep
        row, ahead = np.nonzero(drawn)
        row = able[row]
        units = np.maximum(np.asarray(group.units)[row, state.at + ahead], 0.0)
        x = _features(group, days, state, row, ahead, config, with_year=_two_years(origin))
        level = state.level[row]
        parts.append((x, units / level, level, state.base[row, ahead % WEEK] / level))
    x = np.concatenate([part[0] for part in parts])
    target, weight, start = (np.concatenate([part[k] for part in parts]) for k in (1, 2, 3))
    weight = weight / weight.mean()
    trees = int(np.ceil(TREE_SHARE * config.regression_trees))
    model = boosted(x, target, start, asked=ASKED, trees=trees, weight=weight)
    some = slice(None, None, FACTOR_STEP)
    said = start[some] + np.asarray(model.predict(x[some], raw_score=True, num_threads=1))
    sold = float((target[some] * weight[some]).sum())
    factor = sold / max(float((np.maximum(said, 0.0) * weight[some]).sum()), 1e-9)
    return model, float(np.clip(factor, *BOUNDS))


@dataclass(frozen=True, slots=True)
class _State:
    """The series at a day: `base` and `weekday` `(n, 7, …)` by position after it, `series` `(n, k)`."""

    at: int
    able: Bools
    level: Floats
    base: Floats
    weekday: Floats
    series: Floats


def _state(group: Group, days: Days, at: int) -> _State:
    units = np.asarray(group.units)
    n = len(units)
    base = days.smooth[at]
    level = base.mean(axis=1)
    weeks = min(WEEKS, at // WEEK)
    block = np.full((n, WEEKS, WEEK), np.nan)
    block[:, WEEKS - weeks :] = np.maximum(units[:, at - weeks * WEEK : at], 0.0).reshape(n, weeks, WEEK)
    number = np.arange(at - LONGEST, at).reshape(WEEKS, WEEK)
    block[number[None] < days.first[:, None, None]] = np.nan
    flat = block.reshape(n, -1)
    able = np.isfinite(level) & (level > 1e-6) & (days.first + MIN_AGE <= at)
    able &= np.nansum(flat[:, -RECENT_DAYS:], axis=1) > 0
    over = np.where(able, level, 1.0)[:, None]
    floor = np.where(able[:, None], base, 1.0) + FLOOR * over
    opened = np.where(block > 0, block, np.nan)
    with warnings.catch_warnings():
        # A weekday that was never open has no mean: NaN is what the trees are told.
        warnings.simplefilter("ignore", RuntimeWarning)
        ratios = [np.nanmean(block[:, -k:], axis=1) for k in SAME_WEEKDAYS]
        ratios += [_median(block[:, -4:]), _median(block[:, -8:])]
        ratios += [np.nanmean(opened[:, -8:], axis=1), np.nanstd(block[:, -8:], axis=1)]
        shares = [np.nanmean(np.where(np.isnan(b), np.nan, b > 0), axis=1) for b in (block[:, -4:], block)]
        columns = [np.nanmean(flat[:, -k:], axis=1) / over[:, 0] for k in WINDOWS]
        latest = flat[:, -RECENT_DAYS:]
        columns += [np.nanmean(np.where(latest > 0, latest, np.nan), axis=1) / over[:, 0]]
        columns += [np.nanstd(latest, axis=1) / over[:, 0]]
        columns += [np.nanmean(np.where(np.isnan(flat), np.nan, flat > 0)[:, -28:], axis=1)]
    columns += [
        LONGEST - 1.0 - np.where(flat > 0, np.arange(LONGEST), -1).max(axis=1),
        np.log(over[:, 0]),
        np.minimum(at - days.first, MAX_AGE).astype(np.float64),
    ]
    weekday = np.stack([*(ratio / floor for ratio in ratios), *shares, base / over], axis=2)
    return _State(at, able, level, base, weekday, np.column_stack(columns))


def _median(block: Floats) -> Floats:
    """Returns the median over the second axis, NaN left out; NumPy's own is ten times slower."""
    ordered = np.sort(block, axis=1)
    known = np.isfinite(block).sum(axis=1)[:, None]
    middle = (np.maximum(known - 1, 0) // 2, known // 2)
    low, high = (np.take_along_axis(ordered, at, axis=1)[:, 0] for at in middle)
    return np.where(known[:, 0] > 0, (low + high) / 2, np.nan)


def _features(
    group: Group,
    days: Days,
    state: _State,
    row: Ints,
    ahead: Ints,
    config: ForecastConfig,
    *,
    with_year: bool,
) -> Features:
    """Returns the features of some days, each a series and how many days ahead, `(n_rows, n_features)`."""
    at, number = state.at, state.at + ahead
    # A day beyond those that are learned is looked at as the same weekday of the last week.
    seen = np.where(ahead < HORIZON, ahead, HORIZON - WEEK + ahead % WEEK)
    calendar = [seen, number % WEEK, *(days.off[np.maximum(number + step, 0)] for step in (-1, 0, 1))]
    columns = [state.weekday[row, ahead % WEEK], state.series[row], np.column_stack(calendar)]
    for kind, promoted in group.promoted.items():
        usual = windows(promoted, np.arange(len(state.able)), at, (28,))[0]
        until = min(group.plan_ends[kind], at + config.plan_lead_days, promoted.shape[1])
        told = np.asarray(promoted)[row, np.minimum(number, promoted.shape[1] - 1)]
        columns += [usual[row, None], np.where(number < until, told, usual[row])[:, None]]
    if with_year:
        weeks = np.unique(seen // WEEK)
        every = np.arange(len(state.able))
        own = np.stack([last_year(group.units, every, at, int(week)) for week in weeks], axis=1)
        parents = np.arange(len(group.parents))
        above = np.stack([last_year(group.parents, parents, at, int(week)) for week in weeks], axis=1)
        week = np.searchsorted(weeks, seen // WEEK)
        columns += [own[row, week, None], above[group.parent[row], week, None]]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _two_years(origin: int) -> bool:
    """Returns whether a year before every day that is learned from is known.

    A feature that only the latest days have would tell which day it is, and not what a year ago says.
    """
    return min(stamps_of(origin), default=0) >= YEAR + HORIZON
