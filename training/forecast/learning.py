"""Owns what the regressions of weeks and of days have in common: series, windows, plans, boosted trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import lightgbm
import numpy as np
import numpy.typing as npt
from scipy import sparse

from training.forecast.config import ForecastConfig

Floats = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Matrix = Floats | sparse.csc_matrix

WEEK = 7
YEAR = 364
PARENT_WINDOWS = (7, 28)
LONGEST = 112
#: Units a day added on both sides of a ratio, so that a rare sale makes no huge one.
SMOOTHING = 0.02
#: A week is learned as one of the first so many after its day; a later one is forecast like the last.
MAX_LEADS = 4
#: Days of history that a row stands on, at least, and rows below which nothing is learned.
MIN_DAYS, MIN_ROWS = 28, 400
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


def boosted(
    x: Features,
    target: Floats,
    start: Floats,
    *,
    asked: Mapping[str, object],
    trees: int,
    weight: Floats | None = None,
) -> lightgbm.Booster:
    """Returns the trees that lead from `start` (raw scores) to the target, the same for the same rows.

    Args:
        x: `(n_rows, n_features)`.
        target: `(n_rows,)`.
        start: raw score of each row before the first tree, `(n_rows,)`.
        asked: the objective and the size of the trees.
        trees: how many.
        weight: of each row.
    """
    data = lightgbm.Dataset(x, target, weight=weight, init_score=start, params={"verbose": -1, "max_bin": 63})
    parameters = {
        "learning_rate": 0.06,
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
    return lightgbm.train(parameters | dict(asked), data, num_boost_round=trees)


def movement(group: Group, rows: Ints, at: int) -> list[Floats]:
    """Returns how the category and the shop of some series moved before a day: windows over the longest."""
    parents = np.arange(len(group.parents))
    level, *short = windows(group.parents, parents, at, (LONGEST, *PARENT_WINDOWS))
    columns = [((rate + SMOOTHING) / (level + SMOOTHING))[group.parent[rows]] for rate in short]
    shop = group.parents.sum(axis=0, keepdims=True)
    level, *short = windows(shop, np.array([0]), at, (LONGEST, *PARENT_WINDOWS))
    return columns + [np.full(len(rows), ((rate + SMOOTHING) / (level + SMOOTHING))[0]) for rate in short]


def windows(values: Matrix, rows: Ints, at: int, days: tuple[int, ...]) -> list[Floats]:
    """Returns the mean of the latest days before `at` for each length, `(n_rows,)` each."""
    longest = min(max(days), at)
    weights = np.zeros((longest, len(days)))
    for number, length in enumerate(days):
        weights[max(0, longest - length) :, number] = 1.0 / min(length, at)
    found = np.maximum(np.asarray(values[:, at - longest : at] @ weights)[rows], 0.0)
    return [found[:, number] for number in range(len(days))]


def last_year(values: Matrix, rows: Ints, at: int, week: int) -> Floats:
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
