"""Owns how sure a mean is: resamples of the shoppers, intervals, and pairs of columns compared.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13 (percentile intervals); every
column sees the same draws, so two models are compared shopper by shopper.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RESAMPLE_CELLS = 1 << 22  # drawn shoppers held at once


@dataclass(frozen=True, slots=True)
class Comparison:
    """One column of means against another, with the bounds of their intervals.

    Attributes:
        difference: first mean less the second, over the shoppers who count for both.
        low: lower bound of the difference.
        high: upper bound of the difference.
        ratio: first mean over the second; NaN where the second is 0.
        ratio_low: lower bound of the ratio.
        ratio_high: upper bound of the ratio.
        p_value: two-sided, of no difference; never 0.
        n_users: shoppers who count for both.
    """

    difference: float
    low: float
    high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    p_value: float
    n_users: int


def bootstrap_means(values: Floats, *, resamples: int, rng: np.random.Generator) -> Floats:
    """Returns each column's mean in every resample of the shoppers, `(resamples, columns)`.

    All columns see the same draws, so differences and quotients of two columns are paired.  A resample
    without a shopper who counts for a column has NaN there.

    Args:
        values: `(n_users, columns)`; NaN means that the shopper does not count for the column.
        resamples: how often the shoppers are drawn, with replacement, as many as there are.
        rng: what draws them.
    """
    n_users = values.shape[0]
    # Few patterns of who counts are shared by many columns.
    patterns, pattern = np.unique(np.isfinite(values), axis=1, return_inverse=True)
    counted, filled = patterns.astype(np.float64), np.nan_to_num(values)
    means = np.empty((resamples, values.shape[1]))
    size = max(1, RESAMPLE_CELLS // n_users)
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        drawn = rng.integers(0, n_users, (count, n_users)) + np.arange(count)[:, None] * n_users
        times = (
            np.bincount(drawn.ravel(), minlength=count * n_users).reshape(count, n_users).astype(np.float64)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            means[start : start + count] = (times @ filled) / (times @ counted)[:, pattern]
    return means


def interval(samples: Floats, *, confidence: float) -> tuple[Floats, Floats]:
    """Returns the percentile interval of every column over its finite resamples; NaN where none is."""
    edges = np.full((2, samples.shape[1]), np.nan)
    some = np.isfinite(samples).any(axis=0)
    quantiles = ((1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0)
    finite = np.where(np.isfinite(samples), samples, np.nan)
    edges[:, some] = np.nanquantile(finite[:, some], quantiles, axis=0)
    return edges[0], edges[1]


def compare(
    first: Floats, second: Floats, *, resamples: int, confidence: float, rng: np.random.Generator
) -> list[Comparison]:
    """Returns column by column how `first` compares with `second`, for the shoppers who count for both.

    The p-value is twice the smaller share of resamples in which the difference is at most, or at least, 0,
    counted with one resample more; Davison and Hinkley, "Bootstrap Methods and their Application" (1997),
    section 4.2.5.  Columns without such a shopper have NaN throughout and a p-value of 1.

    Args:
        first: `(n_users, columns)`; NaN means that the shopper does not count.
        second: of the same shape, the same shoppers in the same order.
        resamples: how often the shoppers are drawn.
        confidence: share of the resamples that an interval holds.
        rng: what draws them.
    """
    columns = first.shape[1]
    both = np.isfinite(first) & np.isfinite(second)
    paired = np.hstack([np.where(both, first, np.nan), np.where(both, second, np.nan)])
    if not len(paired):
        return [Comparison(nan, nan, nan, nan, nan, nan, 1.0, 0)] * columns
    samples = bootstrap_means(paired, resamples=resamples, rng=rng)
    counted = both.sum(axis=0)
    means = np.nansum(paired, axis=0) / np.maximum(np.tile(counted, 2), 1)
    differences = samples[:, :columns] - samples[:, columns:]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio_samples = samples[:, :columns] / samples[:, columns:]
        ratios = means[:columns] / means[columns:]
    low, high = interval(differences, confidence=confidence)
    ratio_low, ratio_high = interval(ratio_samples, confidence=confidence)
    tails = np.minimum((differences <= 0).sum(axis=0), (differences >= 0).sum(axis=0))
    p_values = np.where(counted > 0, np.minimum(2.0 * (tails + 1) / (resamples + 1), 1.0), 1.0)
    ratios[~np.isfinite(ratios)] = np.nan
    shown = np.where(counted > 0, means[:columns] - means[columns:], np.nan)
    found = (shown, low, high, ratios, ratio_low, ratio_high, p_values, counted)
    return [Comparison(*row) for row in zip(*(each.tolist() for each in found), strict=True)]
