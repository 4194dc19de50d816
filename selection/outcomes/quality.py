"""Owns whether what was foretold came true: calibration of chances, and expected against realised value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selection.outcomes.facts import Floats
from selection.outcomes.labels import Flags

BINS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class Reliability:
    """One line of a reliability table: chances from `low` until before `high`, what they said, what came."""

    low: float
    high: float
    items: int
    said: float
    came: float


def reliability(chance: Floats, label: Flags) -> list[Reliability]:
    """Returns the reliability table; bands without an item are left out."""
    band = np.clip(np.searchsorted(BINS, chance, side="right") - 1, 0, len(BINS) - 2)
    return [
        Reliability(
            BINS[at],
            BINS[at + 1],
            int((band == at).sum()),
            float(chance[band == at].mean()),
            float(label[band == at].mean()),
        )
        for at in range(len(BINS) - 1)
        if (band == at).any()
    ]


def calibration_error(table: Sequence[Reliability], *, above: float = 0.0) -> float:
    """Returns the expected calibration error: mean distance of said and came, weighted by items.

    Args:
        table: bands.
        above: leave out bands that begin below this; most items' chances are near 0 and right for free.
    """
    bands = [line for line in table if line.low >= above]
    items = sum(line.items for line in bands)
    return sum(line.items * abs(line.said - line.came) for line in bands) / items if items else 0.0


@dataclass(frozen=True, slots=True)
class PickedValue:
    """Expected and realised revenue of the picks of all origins, and how often the 80% interval held."""

    expected: float
    uncorrected: float
    realised: float
    coverage: float
    ratio_low: float
    ratio_high: float

    @property
    def ratio(self) -> float:
        """Returns expected over realised; 0 where nothing was realised."""
        return self.expected / self.realised if self.realised > 0 else 0.0


def picked_value(
    by_origin: Sequence[tuple[Floats, Floats, Floats, Floats, Floats]], *, samples: int = 10_000
) -> PickedValue:
    """Returns how expected and realised value of picks agree.

    Args:
        by_origin: of the picks of each origin: uncorrected, expected, low, high, realised.
        samples: bootstrap samples over origins, of the ratio's 95% interval.
    """
    raw, expected, realised = (
        np.array([float(origin[at].sum()) for origin in by_origin]) for at in (0, 1, 4)
    )
    inside = np.concatenate([(came >= low) & (came <= high) for _, _, low, high, came in by_origin])
    draws = np.random.default_rng(len(by_origin)).integers(0, len(by_origin), (samples, len(by_origin)))
    ratios = expected[draws].sum(axis=1) / np.maximum(realised[draws].sum(axis=1), 1e-9)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return PickedValue(
        float(expected.sum()),
        float(raw.sum()),
        float(realised.sum()),
        float(inside.mean()),
        float(low),
        float(high),
    )
