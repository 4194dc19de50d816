"""Owns `[training.evaluate]`."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta

from recdata.config import NonNegativeInt, PositiveInt, RoomConfig


class EvaluateConfig(RoomConfig, frozen=True):
    """`[training.evaluate]`: how the recommendations are judged on days that no model has seen."""

    # First day of the test period; without one it is `test_days` before the run's day.
    test_start: date | None = None
    # Length of the test period in days; the default is four weeks, so that every weekday counts alike.
    test_days: PositiveInt = 28
    # Length of the judged lists.
    k: PositiveInt = 20
    # Shoppers judged; a seeded sample where more bought in the test period.
    max_users: PositiveInt = 20_000
    # Resamples of the bootstrap; 1000 gives intervals that are steady in their second digit.
    resamples: PositiveInt = 1000
    # Share of the resamples that an interval holds, above 0 and below 1.
    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    # Seed of the sample and of the bootstrap.
    seed: NonNegativeInt = 7
