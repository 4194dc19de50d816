"""Owns which point is tried next: the one of which most is to be expected, by a Gaussian process.

Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), algorithm 2.1 with the Matérn kernel
of equation 4.17, and the expected improvement of Jones, Schonlau and Welch, "Efficient Global Optimization of
Expensive Black-Box Functions" (1998), equation 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import ndtr
from scipy.stats import norm

from training.search.space import Point, Space

Floats = NDArray[np.float64]

PARENTS = 3  # best points that candidates are near
CANDIDATES = 500  # near each of them, and as many anywhere
#: Distances, as share of the cube's edge, over which scores are alike, and shares of their variance that are
#: noise; the pair that explains the scores best is taken.
LENGTHS = (0.2, 0.4, 0.8, 1.6)
NOISES = (1e-4, 1e-3, 1e-2, 1e-1)


def propose(
    space: Space, points: Sequence[Point], scores: Sequence[float], rng: np.random.Generator
) -> Point:
    """Returns the candidate with the largest expected improvement on the best score.

    Args:
        space: makes candidates.
        points: tried already, two or more.
        scores: how they did.
        rng: draws the candidates.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    near = [space.varied(points[parent], rng) for parent in order[:PARENTS] for _ in range(CANDIDATES)]
    candidates = np.array([*near, *(space.drawn(rng) for _ in range(CANDIDATES))])
    known, values = np.array(points), np.asarray(scores, float)
    # How poor the poor ones are says nothing about where the best is.
    values = np.maximum(values, np.median(values))
    spread = values.std()
    if spread == 0:
        return near[0]
    values = (values - values.mean()) / spread
    expected, deviation = _predicted(known, values, candidates)
    above = (expected - values.max()) / deviation
    gain = deviation * (above * ndtr(above) + norm.pdf(above))
    best: Point = candidates[int(np.argmax(gain))]
    return best


def _predicted(known: Floats, values: Floats, candidates: Floats) -> tuple[Floats, Floats]:
    """Returns the mean and standard deviation at each candidate, `(n_candidates,)` both."""
    between, across = _distances(known, known), _distances(known, candidates)
    best: tuple[float, Floats, Floats] | None = None
    for length, noise in product(LENGTHS, NOISES):
        lower = cholesky(_matern(between / length) + noise * np.eye(len(known)), lower=True)
        weights = cho_solve((lower, True), values)
        likelihood = -0.5 * float(values @ weights) - float(np.log(np.diag(lower)).sum())
        if best is None or likelihood > best[0]:
            kernel = _matern(across / length)
            explained = solve_triangular(lower, kernel, lower=True)
            variance = np.maximum(1.0 - (explained**2).sum(axis=0), 1e-12)
            best = likelihood, weights @ kernel, np.sqrt(variance)
    assert best is not None  # noqa: S101 - the lists above are not empty
    return best[1], best[2]


def _matern(distance: Floats) -> Floats:
    scaled = np.sqrt(5.0) * distance
    kernel: Floats = (1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled)
    return kernel


def _distances(left: Floats, right: Floats) -> Floats:
    distance: Floats = np.sqrt(((left[:, None, :] - right[None, :, :]) ** 2).sum(axis=2))
    return distance
