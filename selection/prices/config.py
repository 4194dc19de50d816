"""Owns `[selection.prices]`: when an elasticity counts as known, and how deep a discount may go."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from recdata.config import NonNegativeFloat, PositiveFloat, PositiveInt, RoomConfig, Share

PartBelowOne = Annotated[float, Meta(ge=0, lt=1)]
#: Each step is tried for every item.
Step = Annotated[float, Meta(ge=0.001, lt=1)]


class PricesConfig(RoomConfig, frozen=True):
    """`[selection.prices]`: price elasticity and the discounts that rest on it."""

    # Weeks of history that elasticities are estimated from, the latest ones; 10 or more is useful.
    weeks: PositiveInt = 104
    # An item needs sales in at least this many of those weeks; 8 or more is useful.
    min_weeks: PositiveInt = 20
    # and in at least this share of the weeks between its first and last sale; 0 to 1.
    min_coverage: Share = 0.7
    # and weekly prices whose logarithms have at least this standard deviation (0.03 is about 3%); 0 or more.
    min_price_sd: NonNegativeFloat = 0.03
    # Its elasticity is identified where the item's own estimate has at most this standard error; above 0.
    max_error: PositiveFloat = 0.5
    # A category's elasticity is known from at least this many items; 2 or more.
    category_min_items: PositiveInt = 5
    # No discount deeper than this share of the price; 0 to below 1.
    max_discount: PartBelowOne = 0.5
    # nor than this where the item's unit cost is not known; 0 to below 1.
    max_discount_unknown_cost: PartBelowOne = 0.3
    # Margin that must be left after the discount, as a share of the discounted price; 0 to below 1.
    min_margin: PartBelowOne = 0.0
    # Discounts are multiples of this share of the price; 0.001 to below 1.
    discount_step: Step = 0.05
