"""Owns `[selection.pilot]`: how large a test may be and what it must be able to find."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from recdata.config import NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig, Share

Chance = Annotated[float, Meta(gt=0, lt=1)]


class PilotConfig(RoomConfig, frozen=True):
    """`[selection.pilot]`: a test of the night's picks in some regions against others."""

    # The best so many picks to launch or push are tried together; 1 or more.
    items: PositiveInt = 50
    # What is measured by week and region: the picks' revenue, or the orders that have one, which vary less.
    measure: Literal["revenue", "orders"] = "revenue"
    # The least rise of their sales that the test must find (0.1 = 10%); above 0.
    effect: PositiveFloat = 0.10
    # Chance that it is found where it is there; between 0 and 1.
    power: Chance = 0.80
    # Chance that a rise or fall is told where there is none; between 0 and 1.
    false_alarm: Chance = 0.05
    # Weeks that the test may last; 1 or more.
    max_weeks: PositiveInt = 12
    # Weeks before the test that each region is compared with itself by; 1 or more.
    weeks_before: PositiveInt = 8
    # Regions that may take part, half of them unchanged for comparison; 2 or more is useful.
    max_regions: PositiveInt = 100
    # A region takes part where the picks sold in at least this share of the weeks; 0 to 1.
    min_coverage: Share = 0.9
    # Regions named for the roll-out beside each test region; 0 or more.
    roll_out: NonNegativeInt = 3
    # Seed of the draw which region of a pair is tried in.
    seed: NonNegativeInt = 20180101
