"""Owns how far off left-out launches were, in bands of the prediction: its bias and the interval around it.

Split conformal prediction (Lei et al., 2018) with the ratio of sold to foretold as score, each band by
itself (Mondrian), since small predictions err by other ratios than great ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from selection.launches.cohort import Floats, Ints
from selection.launches.config import LaunchesConfig

#: Probabilities at which a band's ratios are kept.
GRID = np.linspace(0.0, 1.0, 101)
TINY = 1e-6
LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True, slots=True)
class ErrorBands:
    """What was sold for each unit foretold; between the bands' centres in straight lines.

    Attributes:
        centre: (n_bands,) logarithm of the mean prediction, rising.
        factor: (n_bands,) sold over foretold; predictions times it rise with the prediction.
        ratios: (n_bands, len(GRID)), quantiles of the ratio of single launches.
    """

    centre: Floats
    factor: Floats
    ratios: Floats

    def mean(self, foretold: Floats) -> Floats:
        """Returns the predictions without their bias, (n,)."""
        return foretold * np.interp(_log(foretold), self.centre, self.factor)

    def quantile(self, foretold: Floats, probability: Floats | float) -> Floats:
        """Returns what is sold at most with a probability, (n,)."""
        band = np.interp(_log(foretold), self.centre, np.arange(len(self.centre)))
        at = np.clip(np.broadcast_to(probability, foretold.shape), 0.0, 1.0) * (len(GRID) - 1)
        # Straight lines between the four nearest figures: two bands by two probabilities.
        row, column = np.floor(band).astype(int), np.floor(at).astype(int)
        below, beside = np.minimum(row + 1, len(self.centre) - 1), np.minimum(column + 1, len(GRID) - 1)
        down, right = band - row, at - column
        upper = self.ratios[row, column] * (1 - right) + self.ratios[row, beside] * right
        lower = self.ratios[below, column] * (1 - right) + self.ratios[below, beside] * right
        return np.asarray(foretold * (upper * (1 - down) + lower * down), dtype=np.float64)

    def interval(self, foretold: Floats) -> tuple[Floats, Floats]:
        """Returns the bounds of the 80% interval; the mean lies inside it, (n,) each."""
        mean = self.mean(foretold)
        low = np.minimum(self.quantile(foretold, LOW), mean)
        return low, np.maximum(self.quantile(foretold, HIGH), mean)


def fit_bands(foretold: Floats, sold: Floats, config: LaunchesConfig) -> ErrorBands:
    """Returns the errors of left-out launches by bands of equally many; one band where they are few.

    Args:
        foretold: (n,), each without the launch's own sales.
        sold: (n,), what it sold.
        config: how many bands and how large.
    """
    if not len(foretold):
        return ErrorBands(np.zeros(1), np.ones(1), np.repeat(GRID[None, :] * 2, 1, axis=0))
    order = np.argsort(foretold, kind="stable")
    centre, weight, observed, ratios = [], [], [], []
    for part in _split(order, config):
        mean = max(float(foretold[part].mean()), TINY)
        centre.append(np.log(mean))
        weight.append(float(len(part)))
        observed.append(float(sold[part].mean()))
        ratio = np.sort(sold[part] / np.maximum(foretold[part], TINY))
        # The conformal quantile of n left-out errors is the ceil((n + 1) p)-th smallest.
        places = np.clip(np.ceil((len(part) + 1) * GRID).astype(int) - 1, 0, len(part) - 1)
        ratios.append(ratio[places])
    rising = isotonic_regression(np.array(observed), weights=np.array(weight)).x
    kept = np.r_[True, np.diff(centre) > 0]
    means = np.exp(np.array(centre))
    return ErrorBands(np.array(centre)[kept], (rising / means)[kept], np.array(ratios)[kept])


def _split(order: Ints, config: LaunchesConfig) -> list[Ints]:
    """Returns equal bands, the topmost halved again and again: great predictions differ most."""
    count = int(np.clip(len(order) // config.band_min_launches, 1, config.bands))
    parts = np.array_split(order, count)
    while len(parts[-1]) >= 2 * config.band_min_launches:
        top = parts.pop()
        parts += [top[: len(top) // 2], top[len(top) // 2 :]]
    return parts


def _log(values: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(values, TINY)), dtype=np.float64)
