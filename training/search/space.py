"""Owns which settings are searched, and how they become points of the unit cube and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from training.als import AlsConfig
from training.interactions import InteractionsConfig

Point = NDArray[np.float64]

#: How far settings move when a point is varied, as share of their range: at least and at most.
STEPS = (0.02, 0.25)
#: Chance that it moves at all.
MOVED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """One choice of settings."""

    interactions: InteractionsConfig
    als: AlsConfig


@dataclass(frozen=True, slots=True)
class Range:
    """One setting's range; evenly likely are its values, or their logarithms.

    Attributes:
        name: of the key.
        low: the smallest value tried.
        high: the largest.
        logarithmic: whether logarithms are evenly likely.
        digits: significant ones that a value is rounded to, so that a config reads well.
    """

    name: str
    low: float
    high: float
    logarithmic: bool
    digits: int = 2

    def at(self, place: float) -> float:
        """Returns the value at a place from 0 to 1."""
        if self.logarithmic:
            value = self.low * (self.high / self.low) ** place
        else:
            value = self.low + (self.high - self.low) * place
        return float(f"{value:.{self.digits}g}")

    def place(self, value: float) -> float:
        """Returns where a value stands, at an end where it is outside."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


ALS_RANGES = (
    Range("regularization", 0.03, 1.5, logarithmic=True),
    Range("frequency_scaling", 0.0, 1.0, logarithmic=False),
    Range("alpha", 0.05, 40.0, logarithmic=True),
    Range("bm25_k1", 1.0, 1000.0, logarithmic=True),
    Range("bm25_b", 0.0, 0.5, logarithmic=False),
)
#: Searched where pairs have a time and a quantity.
TIMED_RANGES = (
    Range("half_life_days", 15.0, 720.0, logarithmic=True),
    Range("quantity_power", 0.0, 1.0, logarithmic=False),
)
MIN_FACTORS = 32
FACTORS_STEP = 16


class Space:
    """The cube of all settings that are searched; what is not searched stays as it was given.

    Args:
        given: the configured settings.
        max_factors: longest vectors tried.
        timed: whether pairs have a time and a quantity.

    Attributes:
        given: the same.
        size: settings searched, so dimensions.
    """

    def __init__(self, given: Settings, *, max_factors: int, timed: bool) -> None:
        self.given = given
        self._factors = Range(
            "factors", min(MIN_FACTORS, max_factors), max_factors, logarithmic=True, digits=6
        )
        self._timed = TIMED_RANGES if timed else ()
        self.size = 2 + len(ALS_RANGES) + len(self._timed)

    def given_point(self) -> Point:
        """Returns the point nearest to the configured settings."""
        als, interactions = self.given.als, self.given.interactions
        return np.array(
            [
                self._factors.place(als.factors) if self._factors.high > self._factors.low else 0.0,
                0.75 if als.weighting == "bm25" else 0.25,
                *(each.place(getattr(als, each.name)) for each in ALS_RANGES),
                *(each.place(getattr(interactions, each.name)) for each in self._timed),
            ]
        )

    def settings(self, point: Point) -> Settings:
        """Returns the settings at a point, `(size,)` from 0 to 1."""
        places = point.tolist()
        factors = self._factors.at(places[0])
        if factors > FACTORS_STEP:  # whole vector registers
            factors = min(round(factors / FACTORS_STEP) * FACTORS_STEP, self._factors.high)
        values = {each.name: each.at(place) for each, place in zip(ALS_RANGES, places[2:], strict=False)}
        timed = places[2 + len(ALS_RANGES) :]
        return Settings(
            msgspec.structs.replace(
                self.given.interactions,
                **{each.name: each.at(place) for each, place in zip(self._timed, timed, strict=True)},
            ),
            msgspec.structs.replace(
                self.given.als,
                factors=int(factors),
                weighting="bm25" if places[1] >= 0.5 else "none",
                **values,
            ),
        )

    def drawn(self, rng: np.random.Generator) -> Point:
        """Returns a point from anywhere."""
        return rng.random(self.size)

    def varied(self, point: Point, rng: np.random.Generator) -> Point:
        """Returns a point near another."""
        far = np.exp(rng.uniform(*np.log(STEPS)))
        moved = rng.random(self.size) < MOVED_SHARE
        moved[rng.choice([0, *range(2, self.size)])] = True
        step = np.where(moved, rng.normal(0.0, far, self.size), 0.0)
        # The weighting is one of two: a step is a change, and rarer the nearer the point is to be.
        changed = rng.random() < far
        step[1] = (0.5 if point[1] < 0.5 else -0.5) if changed else 0.0
        return np.clip(point + step, 0.0, 1.0)
