"""Owns the score's weights: those that people set, and what past origins teach about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from selection.config import LearningConfig, WeightLimits, WeightsConfig
from selection.score import COMPONENTS, Floats, log_scaled

#: An item that sold nothing has this part of the best item's weight in the fit: zeros are many and alike.
FLOOR = 0.02
#: Steps of the bisection onto the limits; 2^-60 of the widest range is nothing.
BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one past origin teaches; arrays of (n_items,) over the items that were selling at it.

    Attributes:
        parts: component name -> 0..1.
        group: int64 code of the item's category.
        realised: revenue in the horizon.
    """

    parts: Mapping[str, Floats]
    group: NDArray[np.int64]
    realised: Floats


def weights_for(
    lessons: Sequence[Lesson], configured: WeightsConfig, limits: WeightLimits, config: LearningConfig
) -> WeightsConfig:
    """Returns the weights to score with, summing to 1: configured, or learned from origins that are over.

    What is learned is mixed with what is configured, which counts as many origins as `prior_origins`, and is
    then kept within the limits. Without lessons, or where learning is off, the configured weights hold.

    Args:
        lessons: of origins whose horizon had ended when the score is made, in any order.
        configured: what people set.
        limits: share of the sum that each component must have at least and may have at most.
        config: whether and how strongly to learn.
    """
    own = np.array([configured.normalised()[name] for name in COMPONENTS])
    weights = own
    told = telling(lessons, config)
    if told:
        count = len(told)
        weights = (count * learned(told) + config.prior_origins * own) / (count + config.prior_origins)
        low, high = np.array([getattr(limits, name) for name in COMPONENTS]).T
        weights = within(weights, low, high)
    return WeightsConfig(**dict(zip(COMPONENTS, weights.tolist(), strict=True)))


def telling(lessons: Sequence[Lesson], config: LearningConfig) -> list[Lesson]:
    """Returns the lessons that are learned from: those with sales; none where too few, or learning is off."""
    told = [lesson for lesson in lessons if len(lesson.realised) and np.any(lesson.realised > 0)]
    return told if config.enabled and len(told) >= config.min_origins else []


def learned(lessons: Sequence[Lesson]) -> Floats:
    """Returns `(n_components,)` shares that best explain, inside categories, what was sold afterwards.

    Least squares without negative weights. What was sold is on the score's own logarithmic scale, and an
    item counts by how much it sold: who is at the top matters more than who is last. A component that is
    the same for every item of its category explains nothing and gets 0.
    """
    rows, targets = [], []
    for lesson in lessons:
        sold = log_scaled(lesson.realised)
        weight = np.sqrt(sold + FLOOR)
        parts = np.stack([lesson.parts[name] for name in COMPONENTS], axis=1)
        _, group = np.unique(lesson.group, return_inverse=True)
        rows.append((parts - _means(parts, group)) * weight[:, None])
        targets.append((sold - _means(sold[:, None], group)[:, 0]) * weight)
    # A pull to zero that decides only for components that say nothing.
    n = len(COMPONENTS)
    matrix = np.concatenate([*rows, np.eye(n) * 1e-4])
    target = np.concatenate([*targets, np.zeros(n)])
    found: Floats = lsq_linear(matrix, target, bounds=(0.0, np.inf), method="bvls").x
    found = found.clip(min=0.0)
    total = float(np.sum(found))
    return found / total if total > 0 else np.full(n, 1 / n)


def within(weights: Floats, low: Floats, high: Floats) -> Floats:
    """Returns the shares nearest to `weights` that sum to 1 and keep to the limits, each `(n,)`.

    The limits must allow it: their lows sum to 1 at most, their highs to 1 at least.
    """
    shares = np.clip(weights, low, high)
    if abs(float(np.sum(shares)) - 1.0) < 1e-12:
        return shares
    bottom, top = -1.0, 1.0  # what is added to every weight before it is clipped
    for _ in range(BISECTIONS):
        middle = (bottom + top) / 2
        if float(np.sum(np.clip(weights + middle, low, high))) < 1.0:
            bottom = middle
        else:
            top = middle
    return np.clip(weights + top, low, high)


def encode(weights: WeightsConfig, origins: int) -> bytes:
    """Returns weights.json: the shares to four places, and how many origins taught them."""
    shares = {name: round(share, 4) for name, share in weights.normalised().items()}
    return msgspec.json.format(msgspec.json.encode({"origins": origins, "weights": shares}))


def decode(data: bytes) -> WeightsConfig:
    """Returns the weights of a weights.json.

    Raises:
        msgspec.DecodeError: it is not one.
    """
    return msgspec.json.decode(data, type=_Stored).weights


class _Stored(msgspec.Struct):
    origins: int
    weights: WeightsConfig


def _means(values: Floats, group: NDArray[np.intp]) -> Floats:
    """Returns each row's mean over its group, float64 of the same shape."""
    sizes = np.bincount(group)
    sums = np.stack([np.bincount(group, column) for column in values.T], axis=1)
    means: Floats = (sums / sizes[:, None])[group]
    return means
