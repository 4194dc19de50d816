"""Owns the quantiles: errors measured at earlier origins, in units of each forecast's own scale.

At an origin only errors of horizons that had ended by then are used (split conformal prediction, Lei et
al. 2018, with scaled residuals), so the coverage that a back-test measures is one that was possible.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recdata.intervals import BAND_EDGES, band_of, banded_bounds, item_scale, series_bounds, widening

__all__ = [
    "BAND_EDGES",
    "FIRST_Z",
    "Errors",
    "add_item_errors",
    "band_of",
    "band_points",
    "item_bounds",
    "item_scale",
    "series_bounds",
    "total_scale",
    "widening",
]

Floats = npt.NDArray[np.float64]

#: The 10% and 90% points where no error has been measured yet: the normal's, and half as much again.
FIRST_Z = (-1.92, 1.92)
#: Fewer errors than this give one symmetric bound by rank instead of two quantiles.
MIN_ERRORS = 40
QUANTILES = (0.1, 0.9)
COVERAGE = 0.8


@dataclass(slots=True)
class Errors:
    """Scaled errors (actual - mean) / scale by group, and the 10% and 90% points they give."""

    _by_group: dict[object, list[Floats]] = field(default_factory=dict)

    def add(self, group: object, z: Floats) -> None:
        """Remembers scaled errors of a group, float64 `(n,)`."""
        self._by_group.setdefault(group, []).append(z)

    def points(self, group: object) -> tuple[float, float] | None:
        """Returns the scaled 10% and 90% points of a group, None where it has no errors."""
        parts = self._by_group.get(group)
        if not parts:
            return None
        z = np.concatenate(parts)
        if len(z) >= MIN_ERRORS:
            low, high = np.quantile(z, QUANTILES)
            return float(low), float(high)
        rank = min(len(z), int(np.ceil(COVERAGE * (len(z) + 1))))
        bound = float(np.sort(np.abs(z))[rank - 1])
        return -bound, bound


def total_scale(mean: Floats, sigma: Floats, days: int) -> Floats:
    """Returns the scale of a total's error: daily errors as if independent, at least a Poisson's."""
    scale: Floats = np.sqrt(np.maximum(days * sigma**2, np.maximum(mean, 1.0)))
    return scale


def add_item_errors(errors: Errors, mean: Floats, actual: Floats) -> None:
    """Remembers the scaled errors of items, each in the band of its forecast."""
    bands = band_of(mean)
    z = (actual - mean) / item_scale(mean)
    for band in np.unique(bands):
        errors.add(int(band), z[bands == band])


def band_points(errors: Errors) -> Floats:
    """Returns the scaled 10% and 90% points of each band of item forecasts, float64 `(bands, 2)`."""
    return np.array([errors.points(band) or FIRST_Z for band in range(len(BAND_EDGES) + 1)])


def item_bounds(errors: Errors, mean: Floats) -> tuple[Floats, Floats]:
    """Returns q10 and q90 of item totals; a forecast of exactly 0 has both at 0.

    The numbers sold are whole and mostly 0, so the interval of a small forecast holds more than 80%.
    """
    return banded_bounds(mean, band_points(errors))
