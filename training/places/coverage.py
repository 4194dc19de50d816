"""Owns how well the intervals of past origins held, by view and by size of the forecast."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from recdata.intervals import count_bounds
from recdata.places import HORIZON, VIEWS, Covered
from training.places.errors import sold_by_day
from training.places.sales import PlaceSales
from training.places.walk import LocalOutcome

#: Edges of the sizes that are told apart, in units of the horizon.
EDGES = (0.0, 0.25, 1.0, 4.0, 16.0, np.inf)


class Coverage:
    """Counts of what fell below q10 and above q90, over origins whose horizon has ended."""

    def __init__(self) -> None:
        self._counts = np.zeros((len(VIEWS), len(EDGES) - 1, 3), dtype=np.int64)

    def add(self, sales: PlaceSales, outcome: LocalOutcome, horizon: int) -> None:
        """Compares the intervals of an origin with what was sold."""
        for number, (view, pairs) in enumerate(zip(outcome.views, outcome.pairs, strict=True)):
            sold = sold_by_day(sales, view, pairs, outcome.origin, horizon, together=True)[:, 0]
            low, high = count_bounds(pairs.mean, outcome.ratios[number, HORIZON])
            for band, (least, most) in enumerate(pairwise(EDGES)):
                at = (pairs.mean > least) & (pairs.mean <= most)
                told = at.sum(), (sold[at] < low[at]).sum(), (sold[at] > high[at]).sum()
                self._counts[number, band] += np.array(told, dtype=np.int64)

    def figures(self) -> dict[str, list[Covered]]:
        """Returns the shares by view, sizes without any forecast left out."""
        return {
            name: [
                Covered(
                    above_units=least,
                    forecasts=int(count),
                    below=round(float(below / count), 4),
                    above=round(float(above / count), 4),
                )
                for least, (count, below, above) in zip(EDGES[:-1], counts, strict=True)
                if count
            ]
            for name, counts in zip(VIEWS, self._counts, strict=True)
        }
