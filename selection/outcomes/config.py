"""Owns `[selection.outcomes]`: what a hit is, what is worth keeping, and how both are learned."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from recdata.config import NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig, Share

Rate = Annotated[float, Meta(gt=0, le=1)]


class OutcomesConfig(RoomConfig, frozen=True):
    """`[selection.outcomes]`: chances of a hit, of the top, of being worth keeping, learned from the past."""

    # Days of the horizon of hit, top and value; 1 or more.
    horizon_days: PositiveInt = 28
    # A hit sells at least this many times the units of its category's mean item; above 0.
    hit_ratio: PositiveFloat = 4.0
    # The top of a category is this many items, by revenue; 1 or more.
    category_top_k: PositiveInt = 3
    # Days over which an item must sell something worth keeping; 1 or more.
    keep_days: PositiveInt = 84
    # Worth keeping: revenue of at least this share of the category's mean item; 0 to 1.
    keep_share: Share = 0.25
    # Items without a sale for so many days are out of their category's mean; 1 or more.
    alive_days: PositiveInt = 365
    # An item is new for so many days after its first sale; 1 or more.
    new_days: PositiveInt = 28
    # Chance of a hit from which on the alarm rings; 0 to 1.
    alarm_probability: Share = 0.30
    # Days between two days that are learned from; 1 or more.
    step_days: PositiveInt = 7
    # Days back from an origin that are learned from; 1 or more.
    learn_days: PositiveInt = 364
    # Items learned from on each of these days, a sample where there are more; 1 or more.
    sample_items: PositiveInt = 3000
    # A chance is learned from so many items that got there, else a plain rate stands in; 1 or more.
    min_positives: PositiveInt = 50
    # Trees of a model; 1 or more.
    trees: PositiveInt = 60
    # Leaves of a tree at most; 2 or more.
    leaves: Annotated[int, Meta(ge=2)] = 15
    # Share of the items that sell that a drop list of the back-test is long; 0 to 1.
    drop_share: Rate = 0.10
    # How much a tree counts; above 0 to 1.
    learning_rate: Rate = 0.08
    # Models fitted side by side, 0 means one a core; the models do not depend on it.
    threads: NonNegativeInt = 0
    # Seed of the samples.
    seed: NonNegativeInt = 20180101
