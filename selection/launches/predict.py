"""Owns the forecast of young items: the model's word for each at its age, and for those that wait to sell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from selection.launches.bands import HIGH, LOW, ErrorBands
from selection.launches.cohort import Floats, Ints
from selection.launches.lookalikes import LookAlikes
from selection.launches.model import AGES, LaunchModel


@dataclass(frozen=True, slots=True)
class Prediction:
    """What some items are foretold to sell in the horizon, (n,) each.

    Attributes:
        mean: units.
        low: the 80% interval's lower bound.
        high: the 80% interval's upper bound.
        median: units that are sold or passed as often as not.
        scores: quality of the early buyers, nan where unknown.
        found: their look-alikes.
    """

    mean: Floats
    low: Floats
    high: Floats
    median: Floats
    scores: Floats
    found: LookAlikes


def predict(model: LaunchModel, rows: Ints, ages: Ints) -> Prediction:
    """Returns the forecast of some items' next horizon, each at its own age.

    Age 0 is the morning of the launch: nothing has been sold. Only days of life before the age are looked at.

    Args:
        model: fitted at an origin.
        rows: positions in the cohort.
        ages: days of life so far, (n,).
    """
    found = model.look_alikes(rows)
    levels = model.levels(rows, found)
    scores = np.where(ages > 0, model.scores(rows, ages), np.nan)
    parts = np.zeros((4, len(rows)))
    new = np.flatnonzero(ages == 0)
    foretold = levels.first + levels.rest
    parts[:, new] = _spread(foretold[new], model.before)
    old = np.flatnonzero(ages > 0)
    if len(old):
        life = model.life(rows[old], type(levels)(levels.first[old], levels.rest[old]), ages[old])
        mean = model.prior.posterior(life) * model.factor.of(scores[old])
        # An age is judged by the errors at the greatest of `AGES` that is not above it.
        kind = np.searchsorted(AGES, ages[old], side="right") - 1
        for number, bands in enumerate(model.errors):
            at = np.flatnonzero(kind == number)
            parts[:, old[at]] = _spread(mean[at], bands)
    return Prediction(parts[0], parts[1], parts[2], parts[3], scores, found)


def start_share(model: LaunchModel, waiting: Ints) -> float:
    """Returns the share of those that waited a horizon ago that have begun to sell since, 0..1.

    Args:
        model: fitted at an origin.
        waiting: who waits at the origin.
    """
    cohort, origin = model.known.cohort, model.origin
    since = origin - model.horizon
    begun = (cohort.sold >= since) & (cohort.sold < origin)
    aged = cohort.launched <= since - model.config.young_days
    if origin >= cohort.today:
        # Without a launch day an item has been known for no one knows how long, like those that still wait.
        aged |= ~cohort.dated & cohort.sellable
    started = int((begun & aged).sum())
    return started / (started + len(waiting)) if started else 0.0


def predict_waiting(model: LaunchModel, rows: Ints, share: float) -> Prediction:
    """Returns the forecast of items that have never sold and were not launched lately.

    They sell as a launch does if they begin, which a share of them does, on any day of the horizon alike.
    """
    found = model.look_alikes(rows)
    levels = model.levels(rows, found)
    days = np.arange(model.horizon, 0, -1)
    left = np.mean([model.curve.by(rows, np.full(len(rows), day)) for day in days], axis=0)
    foretold = levels.first + levels.rest * left
    mean = share * model.before.mean(foretold)
    # P(begins) P(sells more | begins) = 0.1; nothing where fewer than that begin.
    place = 1.0 - (1.0 - HIGH) / max(share, 1.0 - HIGH)
    high = model.before.quantile(foretold, place) if share > 1.0 - HIGH else np.zeros(len(rows))
    place_low = 1.0 - (1.0 - LOW) / max(share, 1.0 - LOW)
    low = model.before.quantile(foretold, place_low) if share > 1.0 - LOW else np.zeros(len(rows))
    low = np.minimum(low, mean)
    nothing = np.zeros(len(rows))
    unknown = np.full(len(rows), np.nan)
    return Prediction(mean, low, np.maximum(high, mean), nothing, unknown, found)


def _spread(foretold: Floats, bands: ErrorBands) -> Floats:
    return np.array([bands.mean(foretold), *bands.interval(foretold), bands.quantile(foretold, 0.5)])
