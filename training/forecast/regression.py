"""Owns the batched regression: one boosted model of many series, weekly sales over what was usual.

A row is a series at a day in the past and one of the weeks after it. The model learns by what factor the
week's sales differ from the series' own decayed rate, from its latest windows, its promotions then and now,
its category's and the shop's movement and, where two years are known, the same week a year before. What one
series cannot show, such as the effect of being in the mailer, is learned from all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
from scipy import sparse

from training.forecast.config import ForecastConfig

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Matrix = Floats | sparse.csc_matrix

WEEK = 7
YEAR = 364
WINDOWS = (7, 14, 28, 56, 112)
SOLD_WINDOWS = (28, 112)
PROMOTION_WINDOWS = (7, 28, 112)
PARENT_WINDOWS = (7, 28)
#: Units a day added on both sides of a ratio, so that a rare sale makes no huge one.
SMOOTHING = 0.02
#: A week is learned as one of the first so many after its day; a later one is forecast like the last.
MAX_LEADS = 4
#: Days of history that a row stands on, at least, and rows below which nothing is learned.
MIN_DAYS, MIN_ROWS = 28, 400
#: A forecast leaves the usual rate by no more than this factor, as a natural logarithm.
MAX_LOG_FACTOR = 2.0
MAX_AGE = 400
SEED = 20180101


@dataclass(frozen=True, slots=True)
class Group:
    """Series that are learned from together.

    Attributes:
        units: a day by series without the effect of events, float64 `(n, n_days)`, sparse or not.
        launched: day of launch or first sale, int64 `(n,)`.
        parent: row in `parents` by series, int64 `(n,)`, the last row for none.
        parents: units a day of the categories (or of the shop), float64 `(n_parents, n_days)`.
        promoted: share of the series that is promoted by day and kind, `(n, n_days + plan)` each.
        plan_ends: by kind, the day after the last planned one.
        market: index of the series' market by day, float64 `(n, n_days)`, NaN where unknown; None for none.
        leaf_rows: rows that a leaf of the model has at least.
        step: days between the days that are learned from, `stamps` of them at most.
    """

    units: Matrix
    launched: Ints
    parent: Ints
    parents: Floats
    promoted: Mapping[str, Matrix]
    plan_ends: Mapping[str, int]
    market: Floats | None
    leaf_rows: int
    step: int
    stamps: int


def forecast_group(group: Group, origin: int, weeks: int, config: ForecastConfig) -> Floats | None:
    """Returns units a day by series and week after the origin, float64 `(n, weeks)`; None: too few rows.

    Nothing from `origin` on is read but the promotions that were planned by then. A series that never sold
    before the origin gets 0.
    """
    model = _learned(group, origin, min(weeks, MAX_LEADS), config)
    if model is None:
        return None
    base = usual_rate(group.units, group.launched, origin, config)
    sells = np.flatnonzero(base > 0)
    found = np.zeros((len(base), weeks))
    last_lead = -1
    for week in range(weeks):
        lead = min(week, min(weeks, MAX_LEADS) - 1)
        planned = week * WEEK < config.plan_lead_days
        if lead != last_lead or planned:
            x = _features(group, sells, base, origin, week, lead, config)
            raw = np.asarray(model.predict(x, raw_score=True, num_threads=1), dtype=np.float64)
            last_lead = lead if not planned else -1
        found[sells, week] = base[sells] * np.exp(np.clip(raw, -MAX_LOG_FACTOR, MAX_LOG_FACTOR))
    return found


def usual_rate(units: Matrix, launched: Ints, origin: int, config: ForecastConfig) -> Floats:
    """Returns units a day by series, float64 `(n,)`, older sales counting less.

    With w(d) = 0.5 ** (days before the origin / half-life), the rate is the sum of w(d) units(d) over the
    sum of w(d) since launch. A first sale launches an item in most data, so a young item's rate since
    launch is too high by that very sale: the exposure is at least that of `launch_floor_days`.
    Net returns count as no sales; a series that was not launched before the origin has rate 0.
    """
    n = units.shape[0]
    if origin <= 0:
        return np.zeros(n)
    weights = 0.5 ** (np.arange(origin - 1, -1, -1) / config.share_half_life_days)
    sold = np.asarray(units[:, :origin] @ weights).ravel()
    exposure = np.cumsum(weights[::-1])
    age = np.clip(np.maximum(origin - launched, config.launch_floor_days), 1, origin)
    rate = np.maximum(sold, 0.0) / exposure[age - 1]
    return np.where(launched < origin, rate, 0.0)


def _learned(group: Group, origin: int, leads: int, config: ForecastConfig) -> lightgbm.Booster | None:
    stamps = [origin - leads * WEEK - group.step * number for number in range(group.stamps)]
    stamps = [at for at in stamps if at >= MIN_DAYS]
    rows = max(1, config.regression_rows // max(1, len(stamps) * leads))
    parts: list[tuple[Floats, Floats, Any]] = []
    for at in stamps:
        base = usual_rate(group.units, group.launched, at, config)
        recent = np.asarray(group.units[:, max(0, at - WINDOWS[-1]) : at].sum(axis=1)).ravel() > 0
        able = np.flatnonzero((base > 0) & recent & (group.launched < at))
        if len(able) > rows:
            able = np.sort(np.random.default_rng([SEED, at]).choice(able, rows, replace=False))
        for lead in range(leads):
            ahead = at + lead * WEEK
            sold = np.asarray(group.units[:, ahead : ahead + WEEK].sum(axis=1), dtype=np.float64).ravel()
            x = _features(group, able, base, at, lead, lead, config)
            parts.append((base[able] * WEEK, np.maximum(sold[able], 0.0), x))
    if sum(len(sold) for _, sold, _ in parts) < MIN_ROWS:
        return None
    usual = np.concatenate([part[0] for part in parts])
    target = np.concatenate([part[1] for part in parts])
    if not target.any():
        return None
    x = np.concatenate([part[2] for part in parts])
    data = lightgbm.Dataset(x, target, init_score=np.log(usual), params={"verbose": -1, "max_bin": 63})
    parameters = {
        # Sales of a week are zero or positive and vary with their level, and zeros are many.
        "objective": "tweedie",
        "tweedie_variance_power": 1.2,
        "learning_rate": 0.06,
        "num_leaves": 24,
        "min_data_in_leaf": group.leaf_rows,
        "lambda_l2": 5.0,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "seed": SEED % 1000,
        # Threads that wait for each other cost more than they save on rows this few.
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "max_bin": 63,
        "verbose": -1,
    }
    return lightgbm.train(parameters, data, num_boost_round=config.regression_trees)


def _features(
    group: Group, rows: Ints, base: Floats, at: int, week: int, lead: int, config: ForecastConfig
) -> npt.NDArray[np.float32]:
    """Returns the features of some series' week after day `at`, float32 `(n_rows, n_features)`."""
    own = base[rows]
    columns = [np.log(own)]
    columns += [(rate + SMOOTHING) / (own + SMOOTHING) for rate in _windows(group.units, rows, at, WINDOWS)]
    columns += list(_windows(_days_sold(group.units, at), rows, at, SOLD_WINDOWS))
    columns.append(np.minimum(at - group.launched[rows], MAX_AGE).astype(np.float64))
    columns.append(np.full(len(rows), float(lead)))
    for kind, promoted in group.promoted.items():
        usual = _windows(promoted, rows, at, PROMOTION_WINDOWS)
        columns += list(usual)
        columns.append(
            _planned(
                promoted, rows, at, week, min(group.plan_ends[kind], at + config.plan_lead_days), usual[1]
            )
        )
    parents = np.arange(len(group.parents))
    level, *short = _windows(group.parents, parents, at, (112, *PARENT_WINDOWS))
    columns += [((rate + SMOOTHING) / (level + SMOOTHING))[group.parent[rows]] for rate in short]
    shop = group.parents.sum(axis=0, keepdims=True)
    level, *short = _windows(shop, np.array([0]), at, (112, *PARENT_WINDOWS))
    columns += [np.full(len(rows), ((rate + SMOOTHING) / (level + SMOOTHING))[0]) for rate in short]
    columns.append(_last_year(group.parents, parents, at, week)[group.parent[rows]])
    columns.append(_last_year(group.units, rows, at, week))
    if group.market is not None:
        columns += list(_market(group.market[rows], at))
    return np.column_stack(columns).astype(np.float32)


def _windows(values: Matrix, rows: Ints, at: int, days: tuple[int, ...]) -> list[Floats]:
    """Returns the mean of the latest days before `at` for each length, `(n_rows,)` each."""
    longest = min(max(days), at)
    weights = np.zeros((longest, len(days)))
    for number, length in enumerate(days):
        weights[max(0, longest - length) :, number] = 1.0 / min(length, at)
    found = np.maximum(np.asarray(values[:, at - longest : at] @ weights)[rows], 0.0)
    return [found[:, number] for number in range(len(days))]


def _days_sold(units: Matrix, at: int) -> Matrix:
    """Returns 1 for a day with sales, with columns up to `at`, empty before the longest window."""
    part = units[:, :at]
    if isinstance(part, np.ndarray):
        return np.asarray(part > 0, dtype=np.float64)
    sold = part.copy()
    sold.data = (sold.data > 0).astype(np.float64)
    return sold


def _planned(promoted: Matrix, rows: Ints, at: int, week: int, known: int, usual: Floats) -> Floats:
    """Returns the share of the week's days that is promoted; a day that is not planned yet is as usual."""
    first = at + week * WEEK
    days = max(0, min(known - first, WEEK))
    if not days:
        return usual
    told = np.asarray(promoted[:, first : first + days].sum(axis=1), dtype=np.float64).ravel()[rows]
    return np.asarray((told + usual * (WEEK - days)) / WEEK, dtype=np.float64)


def _last_year(values: Matrix, rows: Ints, at: int, week: int) -> Floats:
    """Returns the same week a year ago over the four weeks before that day a year ago; NaN if unknown."""
    then = at - YEAR
    if then - MAX_LEADS * WEEK < 0:
        return np.full(len(rows), np.nan)
    before = np.asarray(values[:, then - MAX_LEADS * WEEK : then].sum(axis=1)).ravel()[rows] / MAX_LEADS
    first = then + week * WEEK
    after = np.asarray(values[:, first : first + WEEK].sum(axis=1)).ravel()[rows]
    smoothing = SMOOTHING * WEEK
    ratio = (np.maximum(after, 0.0) + smoothing) / (np.maximum(before, 0.0) + smoothing)
    return np.asarray(np.clip(ratio, 0.0, 20.0), dtype=np.float64)


def _market(index: Floats, at: int) -> tuple[Floats, Floats]:
    """Returns how the market moved lately: its last week and last four over its last sixteen."""

    def mean(days: int) -> Floats:
        part = index[:, max(0, at - days) : at]
        count = np.isfinite(part).sum(axis=1)
        return np.where(count > 0, np.nansum(part, axis=1) / np.maximum(count, 1), np.nan)

    usual = mean(WINDOWS[-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean(WEEK) / usual, mean(4 * WEEK) / usual
