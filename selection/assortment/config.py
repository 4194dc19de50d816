"""Owns `[selection.assortment]`: what limits the assortment, and what it is to be worth."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from recdata.config import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig, Share

Band = Literal["premium", "high", "mid", "value"]


class AssortmentConfig(RoomConfig, frozen=True):
    """`[selection.assortment]`: which items to carry; categories are paths such as "A > B", at any depth."""

    # What is made most of: revenue or margin of the horizon. Items without a unit cost are reckoned with
    # unknown_cost_share.
    objective: Literal["revenue", "margin"] = "revenue"
    # Cost of a unit as a share of its price, where no unit cost is known; 0 to 1.
    unknown_cost_share: Share = 0.7
    # Money that carrying an item costs over the horizon, whatever it sells: place, handling; 0 or more.
    listing_cost: NonNegativeFloat = 0.0
    # Only this channel's share of an item's value counts; "" is all channels.
    channel: str = ""
    # Only this region's share of an item's value counts; "" is all regions.
    region: str = ""
    # Money to buy in what the chosen items are forecast to sell; 0 or more, no limit where left out.
    budget: NonNegativeFloat | None = None
    # Items in the whole assortment at most; 0 or more, no limit where left out.
    total_slots: NonNegativeInt | None = None
    # Items of a category at most: { "A > B" = 12 }; 0 or more.
    slots: dict[str, NonNegativeInt] = field(default_factory=dict)
    # A category without slots of its own has as many as items of it sold in the recent window; else no limit.
    todays_slots: bool = True
    # Items of a category at least: { "A > B" = 3 }; 0 or more.
    least: dict[str, NonNegativeInt] = field(default_factory=dict)
    # Share of the assortment that must be of a price band: { premium = 0.1 }; 0 to 1.
    band_least: dict[Band, Share] = field(default_factory=dict)
    # Share of the assortment that may be of a price band: { value = 0.5 }; 0 to 1.
    band_most: dict[Band, Share] = field(default_factory=dict)
    # Share of the assortment that must be in its launch; 0 to 1.
    new_least: Share = 0.0
    # Item ids that must be in it.
    always: tuple[str, ...] = ()
    # Item ids that must not be in it.
    never: tuple[str, ...] = ()
    # An item loses this share of its value, times the similarity, to the strongest substitute that is in as
    # well; 0 to 1, 0 for no cannibalisation.
    cannibalisation: Share = 0.3
    # Substitutes are at least this similar (cosine of their vectors); 0 to 1.
    min_similarity: Share = 0.5
    # So many pairs of substitutes are reckoned with, those with most to lose; 1 or more.
    max_pairs: PositiveInt = 20_000
    # The solver stops when its choice is proven to be within this share of the best; 0 to 1.
    max_gap: Share = 0.001
    # or after so many nodes of its tree in a part, and the gap is told; 1 or more. Nodes are the same on
    # every machine, and so is the choice.
    max_nodes: PositiveInt = 200
    # The clock stops it only after so many seconds, and then another run may choose otherwise; above 0.
    time_limit_s: PositiveFloat = 600.0

    def __post_init__(self) -> None:
        """Refuses an item that must be in and out, and band shares that contradict themselves."""
        both = sorted(set(self.always) & set(self.never))
        if both:
            raise ValueError(f"items {both} stand in always and in never; take them out of one")
        if sum(self.band_least.values()) > 1 + 1e-9:
            raise ValueError(f"band_least {self.band_least} adds up to more than 1")
        for band, least in self.band_least.items():
            if least > self.band_most.get(band, 1.0):
                raise ValueError(f"band_least of {band}, {least}, is above its band_most")
