"""Owns `[training.gate]`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from recdata.config import NonNegativeFloat, NonNegativeInt, PositiveInt, RoomConfig, Share


class GateConfig(RoomConfig, frozen=True):
    """`[training.gate]`: what a new snapshot may lose against the live one; with more it stays out."""

    # Share of a quality measure that a changed recipe may lose against the live one's, both judged on this
    # night's held-out days; refused is a larger loss whose bootstrap interval lies below 0 altogether.
    max_quality_drop: Share = 0.02
    # Share that quality, as a multiple of a plain baseline's, may lose from one night to the next by the same
    # recipe; refused is a loss whose whole interval is larger.
    max_ratio_drop: Share = 0.1
    # NDCG of what is served, as a multiple of the bestsellers', that the interval must reach; 0 asks nothing.
    min_ratio_to_bestsellers: NonNegativeFloat = 1.0
    # Shoppers with any event whose lists are looked at; a seeded sample where there are more.
    sample_users: PositiveInt = 5000
    # Seed of that sample.
    seed: NonNegativeInt = 7
    # Length of the head of a list that is looked at: what a page shows.
    list_length: PositiveInt = 20
    # Share of these shoppers, at most, whose list holds nothing that can be sold.
    max_empty_share: Share = 0.05
    # How far that share may rise over the live snapshot's.
    max_empty_rise: Share = 0.01
    # Share of these shoppers, at most, whose list is shorter than `list_length`, or than the catalogue. The
    # server fills such lists up, and in a small shop they are common, so 1 asks nothing.
    max_short_share: Share = 1.0
    # How far that share may rise over the live snapshot's.
    max_short_rise: Share = 0.05
    # Share of these shoppers, at least, whose list holds an item that was chosen for them.
    min_user_coverage: Share = 0.9
    # How far that share may fall below the live snapshot's.
    max_user_coverage_drop: Share = 0.02
    # Share of the sellable items, at least, that stand in the head of somebody's list.
    min_catalogue_coverage: Share = 0.001
    # Share of the live snapshot's catalogue coverage that may be lost.
    max_catalogue_coverage_drop: Share = 0.5
    # Share of the head of a list, at least, that the same shopper's live list holds too; mean of shoppers.
    min_overlap: Share = 0.2
    # Share of these shoppers, at most, whose vector is zero or not finite in spite of their events.
    max_zero_user_share: Share = 0.01
    # How far the share of items with a zero vector may rise over the live snapshot's.
    max_zero_item_rise: Share = 0.1
    # Share of the live snapshot's items that may be gone.
    max_item_drop: Share = 0.2
    # Share of the live snapshot's shoppers that may be gone.
    max_user_drop: Share = 0.1
    # Share of the orders known to the live snapshot that may be gone.
    max_order_drop: Share = 0.1
    # Share of the live snapshot's sellable items that may be gone; some must always be left.
    max_sellable_drop: Share = 0.3
    # Share of the live snapshot's forecasts that may be gone; some must always be left.
    max_forecast_drop: Share = 0.3
    # Share of the live snapshot's file size that may be gone.
    max_file_drop: Share = 0.5
    # How many times as large as the live snapshot's the file may be, at least 1.
    max_file_growth: Annotated[float, Meta(ge=1)] = 3.0
    # Days that the data may end before the live snapshot's.
    max_days_back: NonNegativeInt = 0
