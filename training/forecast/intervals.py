"""Owns the quantiles: errors measured at earlier origins, in units of each forecast's own scale.

At an origin only errors of horizons that had ended by then are used (split conformal prediction, Lei et
al. 2018, with scaled residuals), so the coverage that a back-test measures is one that was possible.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recdata.intervals import widening

__all__ = [
    "FIRST_Z",
    "Errors",
    "add_item_errors",
    "band_of",
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
#: Upper edges of the bands of item forecasts, in units; each band has its own quantiles.
BAND_EDGES = np.array([0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
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


def series_bounds(mean: Floats, scale: Floats, points: tuple[float, float]) -> tuple[Floats, Floats]:
    """Returns q10 and q90, never below 0 and never on the wrong side of the mean."""
    low = np.clip(mean + min(points[0], 0.0) * scale, 0.0, mean)
    return low, np.maximum(mean + max(points[1], 0.0) * scale, mean)


def band_of(mean: Floats) -> npt.NDArray[np.int64]:
    """Returns the band of each item forecast, int64, 0 for the smallest."""
    return np.searchsorted(BAND_EDGES, mean).astype(np.int64)


def item_scale(mean: Floats) -> Floats:
    """Returns the scale of an item's error, the Poisson standard deviation of its mean."""
    scale: Floats = np.sqrt(np.maximum(mean, BAND_EDGES[0] / 2))
    return scale


def add_item_errors(errors: Errors, mean: Floats, actual: Floats) -> None:
    """Remembers the scaled errors of items, each in the band of its forecast."""
    bands = band_of(mean)
    z = (actual - mean) / item_scale(mean)
    for band in np.unique(bands):
        errors.add(int(band), z[bands == band])


def item_bounds(errors: Errors, mean: Floats) -> tuple[Floats, Floats]:
    """Returns q10 and q90 of item totals; a forecast of exactly 0 has both at 0.

    The numbers sold are whole and mostly 0, so the interval of a small forecast holds more than 80%.
    """
    bands = band_of(mean)
    low, high = np.zeros_like(mean), np.zeros_like(mean)
    for band in np.unique(bands):
        at = bands == band
        points = errors.points(int(band)) or FIRST_Z
        low[at], high[at] = series_bounds(mean[at], item_scale(mean[at]), points)
    nothing = mean <= 0
    low[nothing], high[nothing] = 0.0, 0.0
    return low, high
