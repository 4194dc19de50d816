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
    # Test periods, each as long as and right before the next; everything is learned anew for each, from the
    # days before it, so each takes as long as the first.
    periods: PositiveInt = 1
    # Length of the judged lists.
    k: PositiveInt = 20
    # The curves over the length of the list go from 1 to here, and at least to k.
    curve_k: PositiveInt = 50
    # Shoppers judged; a seeded sample where more bought in the test period.
    max_users: PositiveInt = 20_000
    # Levels of the category path ("A > B > C") that diversity and calibration tell apart.
    category_depth: PositiveInt = 1
    # Attributes of the customers table whose values are segments; those it lacks are passed over.
    user_attributes: tuple[str, ...] = ("tier",)
    # Values of a channel, region or attribute that are segments; the rarer ones are one, "other".
    segment_values: PositiveInt = 6
    # Resamples of the bootstrap; 1000 gives intervals that are steady in their second digit.
    resamples: PositiveInt = 1000
    # Share of the resamples that an interval holds, above 0 and below 1.
    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    # Seed of the sample and of the bootstrap.
    seed: NonNegativeInt = 7
