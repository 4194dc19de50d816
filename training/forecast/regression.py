"""Owns the batched regression: one boosted model of many series, weekly sales over what was usual.

A row is a series at a day in the past and one of the weeks after it. The model learns by what factor the
week's sales differ from the series' own decayed rate, from its latest windows, its promotions then and now,
its category's and the shop's movement and, where two years are known, the same week a year before. What one
series cannot show, such as the effect of being in the mailer, is learned from all of them.
"""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from training.forecast.config import ForecastConfig
from training.forecast.learning import (
    LONGEST,
    MAX_AGE,
    MAX_LEADS,
    MIN_DAYS,
    MIN_ROWS,
    SEED,
    SMOOTHING,
    WEEK,
    Floats,
    Group,
    Ints,
    Matrix,
    boosted,
    last_year,
    movement,
    usual_rate,
    windows,
)

WINDOWS = (7, 14, 28, 56, LONGEST)
SOLD_WINDOWS = (28, LONGEST)
PROMOTION_WINDOWS = (7, 28, LONGEST)
#: A forecast leaves the usual rate by no more than this factor, as a natural logarithm.
MAX_LOG_FACTOR = 2.0


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


def _learned(group: Group, origin: int, leads: int, config: ForecastConfig) -> lightgbm.Booster | None:
    stamps = [origin - leads * WEEK - group.step * number for number in range(group.stamps)]
    stamps = [at for at in stamps if at >= MIN_DAYS]
    if group.units.shape[0] * len(stamps) * leads < MIN_ROWS:
        return None
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
    asked = {
        # Sales of a week are zero or positive and vary with their level, and zeros are many.
        "objective": "tweedie",
        "tweedie_variance_power": 1.2,
        "num_leaves": 24,
        "min_data_in_leaf": group.leaf_rows,
    }
    return boosted(x, target, np.log(usual), asked=asked, trees=config.regression_trees)


def _features(
    group: Group, rows: Ints, base: Floats, at: int, week: int, lead: int, config: ForecastConfig
) -> npt.NDArray[np.float32]:
    """Returns the features of some series' week after day `at`, float32 `(n_rows, n_features)`."""
    own = base[rows]
    columns = [np.log(own)]
    columns += [(rate + SMOOTHING) / (own + SMOOTHING) for rate in windows(group.units, rows, at, WINDOWS)]
    columns += list(windows(_days_sold(group.units, at), rows, at, SOLD_WINDOWS))
    columns.append(np.minimum(at - group.launched[rows], MAX_AGE).astype(np.float64))
    columns.append(np.full(len(rows), float(lead)))
    for kind, promoted in group.promoted.items():
        usual = windows(promoted, rows, at, PROMOTION_WINDOWS)
        columns += list(usual)
        columns.append(
            _planned(
                promoted, rows, at, week, min(group.plan_ends[kind], at + config.plan_lead_days), usual[1]
            )
        )
    columns += movement(group, rows, at)
    parents = np.arange(len(group.parents))
    columns.append(last_year(group.parents, parents, at, week)[group.parent[rows]])
    columns.append(last_year(group.units, rows, at, week))
    if group.market is not None:
        columns += list(_market(group.market[rows], at))
    return np.column_stack(columns).astype(np.float32)


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


def _market(index: Floats, at: int) -> tuple[Floats, Floats]:
    """Returns how the market moved lately: its last week and last four over its last sixteen."""

    def mean(days: int) -> Floats:
        part = index[:, max(0, at - days) : at]
        count = np.isfinite(part).sum(axis=1)
        return np.where(count > 0, np.nansum(part, axis=1) / np.maximum(count, 1), np.nan)

    usual = mean(WINDOWS[-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean(WEEK) / usual, mean(4 * WEEK) / usual
