"""Owns the quality of early buyers: shoppers whose earlier first purchases of new items went on to sell.

After Anderson, Lin, Simester and Tucker, "Harbingers of Failure" (Journal of Marketing Research, 2015). A
launch's outcome is the place of what it sold in the `JUDGED_DAYS` after its first `EARLY_DAYS` among all
launches, 0..1. A shopper's quality is the mean outcome of the launches bought early whose outcome was known
then, shrunk to the usual one; an item's is the mean of its first buyers'.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from selection.launches.cohort import EARLY_DAYS, Cohort, Floats, Ints

#: Days after the early ones in which a launch is judged.
JUDGED_DAYS = 28
BINS = 5
#: Units' worth of weight of "no difference" in a bin's factor.
PRIOR_UNITS = 30.0


@dataclass(frozen=True, slots=True)
class BuyerHistory:
    """What shoppers' earlier first purchases came to, sorted by shopper and day.

    Attributes:
        key: int64, shopper times `span` plus the day from which the outcome was known.
        span: more than any day number.
        outcomes: sum of a shopper's outcomes up to and with this one.
        number: how many they are.
        usual: mean outcome over all first purchases.
    """

    key: Ints
    span: int
    outcomes: Floats
    number: Floats
    usual: float

    def scores(self, cohort: Cohort, rows: Ints, ages: Ints, prior_purchases: float) -> Floats:
        """Returns the quality of some items' buyers in their first days, as known at an age, (n_rows,).

        0..1, 0.5 where they are as usual; nan where no buyer has an earlier first purchase with an outcome.
        """
        age_of = np.full(cohort.items.height, -1, np.int64)
        age_of[rows] = ages
        item = cohort.pairs["item"].to_numpy()
        inside = cohort.pairs["age"].to_numpy() < age_of[item]
        item = item[inside]
        user = cohort.pairs["user_row"].to_numpy()[inside].astype(np.int64)
        at = cohort.launched[item] + age_of[item]
        # An outcome known from day d on is known on the morning of d.
        last = np.searchsorted(self.key, user * self.span + np.minimum(at, self.span - 1), side="right") - 1
        found = (last >= 0) & (self.key[last] // self.span == user) if len(self.key) else last >= 0
        sums = np.where(found, self.outcomes[last], 0.0) if len(self.key) else np.zeros(len(item))
        number = np.where(found, self.number[last], 0.0) if len(self.key) else np.zeros(len(item))
        quality = (sums + prior_purchases * self.usual) / (number + prior_purchases)
        size = cohort.items.height
        buyers = np.bincount(item, minlength=size)[rows]
        known = np.bincount(item, weights=number, minlength=size)[rows] > 0
        mean = np.bincount(item, weights=quality, minlength=size)[rows] / np.maximum(buyers, 1)
        return np.where(known, mean / (mean + self.usual), np.nan)


def buyer_history(cohort: Cohort, settled: Ints, *, origin: int) -> BuyerHistory:
    """Returns what was known at an origin of the launches that shoppers bought early.

    Args:
        cohort: items.
        settled: positions of what counts as a launch.
        origin: day number; outcomes known later are left out.
    """
    known_on = cohort.launched + EARLY_DAYS + JUDGED_DAYS
    judged = settled[known_on[settled] <= origin]
    span = max(origin, 0) + 1
    if not len(judged):
        return BuyerHistory(np.zeros(0, np.int64), span, np.zeros(0), np.zeros(0), 0.5)
    outcome = np.full(cohort.items.height, np.nan)
    sold = cohort.sums(judged, EARLY_DAYS, EARLY_DAYS + JUDGED_DAYS)
    outcome[judged] = (rankdata(sold) - 0.5) / len(judged)
    item = cohort.pairs["item"].to_numpy()
    counts = ~np.isnan(outcome[item])
    item = item[counts]
    user = cohort.pairs["user_row"].to_numpy()[counts].astype(np.int64)
    key = user * span + known_on[item]
    order = np.lexsort((item, key))
    user, values = user[order], outcome[item][order]
    running = np.cumsum(values)
    starts = np.r_[0, np.flatnonzero(np.diff(user)) + 1] if len(user) else np.zeros(0, np.int64)
    which = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(user)]))
    before = (running - values)[starts][which] if len(user) else running
    return BuyerHistory(
        key=key[order],
        span=span,
        outcomes=running - before,
        number=np.arange(len(user)) - starts[which] + 1.0 if len(user) else np.zeros(0),
        usual=float(values.mean()) if len(values) else 0.5,
    )


@dataclass(frozen=True, slots=True)
class BuyerFactor:
    """What a score multiplies the forecast by: straight lines between the bins' means; 1 for nan."""

    score: Floats
    factor: Floats

    def of(self, scores: Floats) -> Floats:
        """Returns the factor of each item, (n_items,)."""
        if not len(self.score):
            return np.ones(len(scores))
        known = np.interp(np.nan_to_num(scores, nan=0.5), self.score, self.factor)
        return np.where(np.isnan(scores), 1.0, known)


NO_FACTOR = BuyerFactor(np.zeros(0), np.zeros(0))


def fit_factor(scores: Floats, mean: Floats, sold: Floats) -> BuyerFactor:
    """Returns sold over foretold by bins of equally many launches, shrunk to 1; `NO_FACTOR` without any."""
    known = np.flatnonzero(~np.isnan(scores))
    known = known[np.argsort(scores[known], kind="stable")]
    if len(known) < BINS:
        return NO_FACTOR
    total = mean[known].sum()
    level = sold[known].sum() / total if total > 0 else 1.0
    points, factors = [], []
    for part in np.array_split(known, BINS):
        foretold = level * mean[part].sum()
        points.append(float(scores[part].mean()))
        factors.append(float((sold[part].sum() + PRIOR_UNITS) / (foretold + PRIOR_UNITS)))
    rising = np.r_[True, np.diff(points) > 0]
    return BuyerFactor(np.array(points)[rising], np.array(factors)[rising])
