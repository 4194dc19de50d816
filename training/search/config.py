"""Owns `[training.search]`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from recdata.config import NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig, Share


class SearchConfig(RoomConfig, frozen=True):
    """`[training.search]`: how `recsvc tune` looks for better settings of the collaborative model."""

    # Settings tried at most, the configured ones first; 40 or more are needed to beat good ones.
    trials: PositiveInt = 60
    # No trial is begun after so many seconds; a search that ends so depends on the machine's speed.
    seconds: PositiveFloat = 3600.0
    # Validation periods, each as long as the test period and right before it or the next one; a trial's score
    # is their mean.
    periods: PositiveInt = 2
    # Sweeps after which a trial is judged, ascending; it may win with any of them.
    sweeps: tuple[PositiveInt, ...] = (4, 8, 16)
    # Share of the trials that go on to the next number of sweeps, the best of those judged after the same.
    keep_share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    # Share of trials that are drawn from all settings; the others are where the scores of all of them let
    # most be expected.
    explore_share: Share = 0.25
    # Weight of items never bought before in the score; that of all items is what is left to 1.
    never_bought_share: Share = 0.5
    # Weight of recall, how much of what was bought stands in the list, in the score; that of NDCG, which also
    # asks how high it stands, is what is left to 1.
    recall_share: Share = 0.5
    # Longest vectors tried; they cost training time, memory and serving time in proportion.
    max_factors: PositiveInt = 256
    # Where pairs have no time: share of each one's pairs that is held out to judge.
    held_out_share: Annotated[float, Meta(gt=0, lt=1)] = 0.1
    # Seed of what is drawn.
    seed: NonNegativeInt = 7

    def __post_init__(self) -> None:
        """Refuses sweeps that do not ascend."""
        if not self.sweeps or list(self.sweeps) != sorted(set(self.sweeps)):
            raise ValueError(f"sweeps {list(self.sweeps)} must be one or more ascending numbers")
