"""Owns which point is tried next: the one of which most is to be expected, by a Gaussian process.

Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), algorithm 2.1 with the Matérn kernel
of equation 4.17, and the expected improvement of Jones, Schonlau and Welch, "Efficient Global Optimization of
Expensive Black-Box Functions" (1998), equation 15.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import ndtr
from scipy.stats import norm

from training.search.space import Point, Space

Floats = NDArray[np.float64]

PARENTS = 3  # best points that candidates are near
CANDIDATES = 500  # near each of them, and as many anywhere
#: Distances, as share of a setting's range, over which scores are alike (the last one: it does not matter),
#: and shares of the scores' variance that are noise.
LENGTHS = (0.2, 0.4, 0.8, 1.6, 6.4)
NOISES = (1e-4, 1e-3, 1e-2, 1e-1)
ROUNDS = 2


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
    lengths, noise = _fitted(known, values)
    lower = _lower(known / lengths, noise)
    kernel = _matern(_distances(known / lengths, candidates / lengths))
    explained = solve_triangular(lower, kernel, lower=True)
    variance = np.maximum(1.0 - (explained**2).sum(axis=0), 1e-12)
    return cho_solve((lower, True), values) @ kernel, np.sqrt(variance)


def _fitted(known: Floats, values: Floats) -> tuple[Floats, float]:
    """Returns each setting's length and the noise that explain the values best, one after the other."""
    lengths, noise = np.full(known.shape[1], LENGTHS[1]), NOISES[1]
    best = _likelihood(known / lengths, values, noise)
    for _ in range(ROUNDS):
        for setting in range(lengths.size):
            for length in LENGTHS:
                tried = lengths.copy()
                tried[setting] = length
                likelihood = _likelihood(known / tried, values, noise)
                if likelihood > best:
                    best, lengths = likelihood, tried
        for level in NOISES:
            likelihood = _likelihood(known / lengths, values, level)
            if likelihood > best:
                best, noise = likelihood, level
    return lengths, noise


def _likelihood(scaled: Floats, values: Floats, noise: float) -> float:
    """Returns the logarithm of the values' likelihood, up to a constant."""
    lower = _lower(scaled, noise)
    return -0.5 * float(values @ cho_solve((lower, True), values)) - float(np.log(np.diag(lower)).sum())


def _lower(scaled: Floats, noise: float) -> Floats:
    lower: Floats = cholesky(_matern(_distances(scaled, scaled)) + noise * np.eye(len(scaled)), lower=True)
    return lower


def _matern(distance: Floats) -> Floats:
    scaled = np.sqrt(5.0) * distance
    kernel: Floats = (1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled)
    return kernel


def _distances(left: Floats, right: Floats) -> Floats:
    distance: Floats = np.sqrt(((left[:, None, :] - right[None, :, :]) ** 2).sum(axis=2))
    return distance
