"""Owns how well the intervals of past origins held, by level, view and size of the forecast."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from recdata.intervals import count_bounds
from recdata.places import HORIZON, LEVELS, VIEWS, Covered
from training.places.errors import rows_of, sold_by_day
from training.places.sales import PlaceSales
from training.places.walk import LocalOutcome

#: Edges of the sizes that are told apart, in units of the horizon.
EDGES = (0.0, 0.25, 1.0, 4.0, 16.0, 64.0, np.inf)


class Coverage:
    """Counts of what fell below q10 and above q90, over origins whose horizon has ended."""

    def __init__(self) -> None:
        shape = (len(LEVELS), len(VIEWS), len(EDGES) - 1, 3)
        self._counts = np.zeros(shape, dtype=np.int64)

    def add(self, sales: PlaceSales, outcome: LocalOutcome, horizon: int) -> None:
        """Compares the intervals of an origin with what was sold."""
        for level, told in enumerate(outcome.pairs):
            rows = rows_of(sales, level)
            for number, (view, pairs) in enumerate(zip(outcome.views, told, strict=True)):
                sold = sold_by_day(sales, view, pairs, outcome.origin, horizon, rows=rows, together=True)[
                    :, 0
                ]
                low, high = count_bounds(pairs.mean, outcome.ratios[level, number, HORIZON])
                for band, (least, most) in enumerate(pairwise(EDGES)):
                    at = (pairs.mean > least) & (pairs.mean <= most)
                    counts = at.sum(), (sold[at] < low[at]).sum(), (sold[at] > high[at]).sum()
                    self._counts[level, number, band] += np.array(counts, dtype=np.int64)

    def figures(self) -> dict[str, list[Covered]]:
        """Returns the shares by level and view, sizes without any forecast left out."""
        return {
            f"{level} x {view}": [
                Covered(
                    above_units=least,
                    forecasts=int(count),
                    below=round(float(below / count), 4),
                    above=round(float(above / count), 4),
                )
                for least, (count, below, above) in zip(EDGES[:-1], counts, strict=True)
                if count
            ]
            for level, of_level in zip(LEVELS, self._counts, strict=True)
            for view, counts in zip(VIEWS, of_level, strict=True)
        }
