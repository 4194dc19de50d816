"""Owns the config of the stage `places`."""

from __future__ import annotations

from recdata.config import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig


class PlacesConfig(RoomConfig, frozen=True):
    """`[training.places]`: how an item's forecast falls on the channels and regions that it sells in."""

    # A sale counts half in the shares of items and categories after this many days; above 0.
    share_half_life_days: PositiveFloat = 112.0
    # and in the place's share of the whole shop, which must follow its growth; above 0.
    place_half_life_days: PositiveFloat = 28.0
    # An item's sales in a place are remembered for so many days; 1 or more.
    pair_days: PositiveInt = 365
    # A place is closed when it sold nothing on so many times as many of the shop's days as its longest pause
    # of the year before; above 0.
    closed_pauses: PositiveFloat = 2.0
    # but not before so many of the shop's days without a sale; 1 or more.
    closed_days: PositiveInt = 14
    # Earlier origins that teach how far an item's own sales, its category's and the shop's are trusted; 0 or
    # more, 0 for what is set by hand.
    learn_origins: NonNegativeInt = 4
    # Rows of local_forecasts are written for pairs of item and place forecast to sell at least so many units
    # in the horizon; 0 or more.
    least_units: NonNegativeFloat = 0.05
