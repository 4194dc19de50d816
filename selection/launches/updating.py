"""Owns what a launch's own first days change: a gamma-Poisson whose prior is the look-alikes' level.

An item's level is theta times the expected one, theta ~ Gamma(k, k) with mean 1. Having had `bought`
buyers where `expected` were expected, the mean of theta is (k + bought) / (k + expected) (Gelman et al.,
Bayesian Data Analysis, 2.6). The strength k is the one that would have foretold earlier launches best.
Buyers, not units: one order of ten pieces says less than ten orders.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selection.launches.cohort import Floats
from selection.launches.level import poisson_deviance

STRENGTHS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5, 2.5, 5.0, 10.0)
FIRST_DAY_WEIGHTS = (0.0, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of some items at an age, and what was expected; arrays are (n_items,).

    Attributes:
        first: buyers on the day of the launch.
        first_expected: usual buyers on that day.
        bought: buyers on the days after it, each day counted.
        expected: the same as expected before the first sale.
        ahead: units expected of the horizon before the first sale.
    """

    first: Floats
    first_expected: Floats
    bought: Floats
    expected: Floats
    ahead: Floats


@dataclass(frozen=True, slots=True)
class Prior:
    """How much an item's own sales count.

    Attributes:
        strength: k, in buyers; the more, the longer the look-alikes are trusted.
        first_day_weight: what a buyer of the day of the launch counts. Where the first sale stands in for the
            launch, that day has one by definition, which says nothing.
    """

    strength: float
    first_day_weight: float

    def posterior(self, life: Life) -> Floats:
        """Returns the units of the horizon after what has been seen, (n_items,)."""
        weight = self.first_day_weight
        seen = self.strength + life.bought + weight * life.first
        return life.ahead * seen / (self.strength + life.expected + weight * life.first_expected)


def fit_prior(lives: Sequence[tuple[Life, Floats]]) -> Prior:
    """Returns the strength and the first day's weight with the least Poisson deviance.

    Args:
        lives: for each age, earlier launches as they looked at it, and what they sold in the horizon then.
    """
    best = (np.inf, Prior(1.0, 0.0))
    for strength, weight in itertools.product(STRENGTHS, FIRST_DAY_WEIGHTS):
        prior = Prior(strength, weight)
        error = sum(poisson_deviance(sold, prior.posterior(life)) for life, sold in lives)
        if error < best[0]:
            best = (error, prior)
    return best[1]
