"""Owns the expected revenue of an item: what was predicted, brought to what such predictions came to.

Who picks the greatest of many estimates picks the greatest errors too (Smith and Winkler, "The optimizer's
curse", 2006).  The cure is to ask what earlier predictions of the same size were followed by: their mean
corrects the estimate, their spread gives the interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selection.outcomes.facts import Floats

#: The best so many predictions of an origin make the first band; each further band is twice as many.
FIRST_BAND = 25
#: Revenue's worth of weight of "as predicted" in a band, in predictions of its mean.
PRIOR_PREDICTIONS = 10.0
#: How far the level of earlier horizons moves that of the next: as n of n + so many horizons.
PRIOR_HORIZONS = 2.0
#: Half-width of an 80% interval in standard deviations.
Z80 = 1.2816


@dataclass(frozen=True, slots=True)
class Scale:
    """What predictions came to, by their size; arrays are `(n_bands,)`, sizes rising. Empty: not known yet.

    Attributes:
        size: mean logarithm of the predictions of a band.
        factor: sum of what came over sum of what was predicted, shrunk to that of all bands; see `fit_scale`.
        low, high: the 10% and 90% quantiles of what came over what was predicted.
    """

    size: Floats
    factor: Floats
    low: Floats
    high: Floats


UNKNOWN = Scale(*(np.zeros(0) for _ in range(4)))


def fit_scale(predictions: Sequence[Floats], realised: Sequence[Floats], *, horizons: float) -> Scale:
    """Returns how predictions made before the fact compare with what came.

    The bands tell each other apart whatever the month was like; whether a whole month came to more or less
    than predicted says little of the next one, so the level follows with the number of months only.

    Args:
        predictions: of each earlier origin, `(n,)`.
        realised: what came, in the same order.
        horizons: how many horizons these origins cover, an overlap counted once.
    """
    bands: dict[int, list[tuple[Floats, Floats]]] = {}
    for expected, came in zip(predictions, realised, strict=True):
        order = np.lexsort((np.arange(expected.size), -expected))
        order = order[expected[order] > 0]
        start, width, number = 0, FIRST_BAND, 0
        while start < order.size:
            part = order[start : start + width]
            bands.setdefault(number, []).append((expected[part], came[part]))
            start, width, number = start + width, width * 2, number + 1
    if not bands:
        return UNKNOWN
    joined = [
        tuple(np.concatenate([pair[side] for pair in bands[n]]) for side in (0, 1)) for n in sorted(bands)
    ]
    total = max(sum(float(expected.sum()) for expected, _ in joined), 1e-9)
    overall = sum(float(came.sum()) for _, came in joined) / total
    level = max(overall, 1e-9) ** (horizons / (horizons + PRIOR_HORIZONS)) / max(overall, 1e-9)
    rows = []
    for expected, came in joined:
        prior = PRIOR_PREDICTIONS * float(expected.mean())
        ratio = came / expected
        rows.append(
            (
                float(np.log(expected).mean()),
                level * (float(came.sum()) + prior * overall) / (float(expected.sum()) + prior),
                level * float(np.quantile(ratio, 0.1)),
                level * float(np.quantile(ratio, 0.9)),
            )
        )
    size, factor, low, high = (np.array(column) for column in zip(*sorted(rows), strict=True))
    return Scale(size, factor, low, high)


def corrected_values(scale: Scale, predicted: Floats, price: Floats) -> tuple[Floats, Floats, Floats]:
    """Returns expected value and the bounds of its 80% interval, each `(n,)`.

    Args:
        scale: what earlier predictions came to; where not known, the prediction stands, with the spread of
            single sales at the price.
        predicted: `(n,)` revenue of the horizon.
        price: `(n,)` of a unit; 0 where not known.
    """
    if not scale.size.size:
        spread = Z80 * np.sqrt(predicted * np.maximum(price, 0.0))
        return predicted, np.maximum(predicted - spread, 0.0), predicted + spread
    size = np.log(np.maximum(predicted, 1e-9))

    def at(column: Floats) -> Floats:
        return np.interp(size, scale.size, column)

    value = predicted * at(scale.factor)
    return value, np.minimum(predicted * at(scale.low), value), np.maximum(predicted * at(scale.high), value)
