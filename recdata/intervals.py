"""Owns how an interval follows from a mean and a measured spread, for counts and beyond the horizon.

The nightly job measures the spreads and the server applies them, with the same functions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Upper edges of the bands of size that spreads are measured in, in units.
SIZE_EDGES = 2.0 ** np.arange(-4, 13)
#: The middle of each band, in units.
SIZES = np.concatenate([[SIZE_EDGES[0] / 2], SIZE_EDGES / np.sqrt(2.0)])[1:]
#: The normal's 10% point, with the sign changed.
Z10 = 1.2815515655446004
#: Above this mean a gamma's quantile is as good as a count's.
MANY = 40.0
#: The least spread: a Poisson's, but for rounding.
LEAST_RATIO = 1.01


def band_of_size(mean: Floats) -> npt.NDArray[np.int64]:
    """Returns the band of each mean, int64, 0 for the smallest; those past the last edge are in the last."""
    return np.searchsorted(SIZE_EDGES[:-1], mean).astype(np.int64)


def count_bounds(
    mean: Floats, ratios: npt.NDArray[np.floating], widen: Floats | float = 1.0
) -> tuple[Floats, Floats]:
    """Returns q10 and q90 of counts, each `(n,)`, never on the wrong side of the mean.

    A count is taken to be negative binomial. So q10 is 0 wherever more than one case in ten sells nothing.

    Args:
        mean: expected units, 0 or more, float64 `(n,)`.
        ratios: variance divided by the mean, by band of `SIZE_EDGES`; between the bands' middles it is
            interpolated on logarithms.
        widen: factor on the standard deviation, a number or `(n,)`.
    """
    at = np.log(np.maximum(mean, 1e-12))
    ratio = np.exp(np.interp(at, np.log(SIZES), np.log(np.asarray(ratios, dtype=np.float64))))
    ratio = np.maximum(ratio * np.asarray(widen) ** 2, LEAST_RATIO)
    low, high = _quantiles(mean, ratio)
    return np.minimum(low, mean), np.maximum(high, mean)


def _quantiles(mean: Floats, ratio: Floats) -> tuple[Floats, Floats]:
    low, high = np.zeros_like(mean), np.zeros_like(mean)
    many = mean > MANY
    # Wilson and Hilferty 1931: the cube root of a gamma is nearly normal.
    shape = np.maximum(mean[many] / ratio[many], 1e-9)
    for found, z in ((low, -Z10), (high, Z10)):
        root = 1 - 1 / (9 * shape) + z / (3 * np.sqrt(shape))
        found[many] = mean[many] * np.maximum(root, 0.0) ** 3
    left = np.flatnonzero(~many & (mean > 0))
    size = mean[left] / (ratio[left] - 1)
    chance = np.exp(-size * np.log(ratio[left]))
    odds = 1 - 1 / ratio[left]
    below, count = chance.copy(), 0
    while len(left):
        # The first count that so much of the chance does not exceed.
        low[left[below < 0.1]] = count + 1
        going = below < 0.9
        high[left[going]] = count + 1
        left, size, odds = left[going], size[going], odds[going]
        chance = chance[going] * (count + size) / (count + 1) * odds
        below = below[going] + chance
        count += 1
    return low, high


def widening(days: int, horizon: int) -> Floats:
    """Returns the factor on a daily interval's half-widths, float64 `(days,)`, 1 within the horizon.

    Errors are measured within the horizon only. Beyond it half of a day's variance is taken to be noise
    that stays, half to be a level that walks away in proportion to the days: an assumption, not measured.
    """
    lead = np.arange(1, days + 1) / horizon
    factor: Floats = np.sqrt(0.5 + 0.5 * np.maximum(lead, 1.0))
    return factor
