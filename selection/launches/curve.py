"""Owns the launch curve: which part of what a launch sells it has sold by a day of its life."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from selection.launches.cohort import Cohort, Floats, Ints

WEEK = 7


@dataclass(frozen=True, slots=True)
class LaunchCurve:
    """Units sold by a day of life, as a share of those of the first `horizon` days.

    The day of the launch itself is not in it: where the first sale stands in for the launch, it sells by
    definition.

    Attributes:
        shares: (n_groups, life_days + 1); column t is the share of days 1..t-1.
        group: (n_items,) whole cohort, row of `shares`.
    """

    shares: Floats
    group: Ints

    def by(self, rows: Ints, age: Ints | int) -> Floats:
        """Returns the share that some items are expected to have sold before the day of life `age`."""
        return np.asarray(self.shares[self.group[rows], age], dtype=np.float64)

    def of_84_days(self) -> Floats:
        """Returns the mean share of the life seen that is sold by the end of each week, for people."""
        mean = self.shares.mean(axis=0)
        ends = np.arange(WEEK + 1, len(mean), WEEK)
        return np.asarray(mean[ends] / max(float(mean[-1]), 1e-12), dtype=np.float64)


def fit_curve(
    cohort: Cohort, rows: Ints, *, origin: int, horizon: int, group: Ints, prior_items: float
) -> LaunchCurve:
    """Returns the curve of each group, shrunk to the shop's by gamma-Poisson.

    A week's rate is what was sold in it by the launches that had lived through it by the origin, over their
    number. A group's week counts `prior_items` items that sell at the shop's rate, times the group's own
    level. Weeks that nobody has lived through sell as the last one known; without any sale all days are
    equal.

    Args:
        cohort: items.
        rows: positions of the launches to learn from.
        origin: day number; later days are not looked at.
        horizon: the days that a share of 1 stands for.
        group: (n_items,) group numbers.
        prior_items: weight of the shop's curve.
    """
    life = cohort.units.shape[1] - 1
    weeks = max(1, (life - 1) // WEEK)
    n_groups = int(group.max(initial=0)) + 1
    sums, counts = np.zeros((n_groups, weeks)), np.zeros((n_groups, weeks))
    lived = origin - cohort.launched[rows]
    for week in range(weeks):
        start = 1 + week * WEEK
        there = rows[lived >= start + WEEK]
        sold = cohort.sums(there, start, start + WEEK)
        sums[:, week] = np.bincount(group[there], weights=sold, minlength=n_groups)
        counts[:, week] = np.bincount(group[there], minlength=n_groups)
    known = counts.sum(axis=0) > 0
    rates = np.divide(sums.sum(axis=0), counts.sum(axis=0), out=np.zeros(weeks), where=known)
    if not rates.any():
        rates[:], known = 1.0, np.ones(weeks, bool)
    rates = _carried(rates, known)
    expected = (counts * rates).sum(axis=1)
    level = np.divide(sums.sum(axis=1), expected, out=np.zeros(n_groups), where=expected > 0)
    level = np.where(level > 0, level, 1.0)
    prior = prior_items * rates[None, :] * level[:, None]
    by_group = (sums + prior) / (counts + prior_items) / level[:, None]
    day = np.minimum((np.arange(1, life) - 1) // WEEK, weeks - 1)
    shares = np.zeros((n_groups, life + 1))
    shares[:, 2:] = np.cumsum(by_group[:, day], axis=1)
    whole = shares[:, min(max(horizon, 2), life)]
    return LaunchCurve(shares / np.maximum(whole, 1e-12)[:, None], group)


def _carried(rates: Floats, known: np.ndarray) -> Floats:
    last = int(np.flatnonzero(known)[-1])
    filled = rates.copy()
    filled[last + 1 :] = rates[last]
    # A week without any sale in the whole shop would make days on which nothing can ever be expected.
    return np.maximum(filled, 1e-3 * float(filled.max()))
