"""Owns how an interval follows from a mean and from measured errors: scales, bands of size, bounds.

The nightly job measures the errors and the server applies them, with the same functions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Upper edges of the bands of item forecasts, in units; each band has its own quantiles.
BAND_EDGES = np.array([0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])


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


def banded_bounds(mean: Floats, points: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Returns q10 and q90 of forecasts, each `(n,)`; a forecast of exactly 0 has both at 0.

    Args:
        mean: units, float64 `(n,)`.
        points: the scaled 10% and 90% points of each band, `(bands, 2)`.
    """
    low, high = np.zeros_like(mean), np.zeros_like(mean)
    bands, scale = band_of(mean), item_scale(mean)
    for band in np.unique(bands):
        at = (bands == band) & (mean > 0)
        pair = float(points[band, 0]), float(points[band, 1])
        low[at], high[at] = series_bounds(mean[at], scale[at], pair)
    return low, high


def widening(days: int, horizon: int) -> Floats:
    """Returns the factor on a daily interval's half-widths, float64 `(days,)`, 1 within the horizon.

    Errors are measured within the horizon only. Beyond it half of a day's variance is taken to be noise
    that stays, half to be a level that walks away in proportion to the days: an assumption, not measured.
    """
    lead = np.arange(1, days + 1) / horizon
    factor: Floats = np.sqrt(0.5 + 0.5 * np.maximum(lead, 1.0))
    return factor
