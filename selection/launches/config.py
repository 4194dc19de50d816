"""Owns the config of the stage `launches`."""

from __future__ import annotations

from recdata.config import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig, Share


class LaunchesConfig(RoomConfig, frozen=True):
    """`[selection.launches]`: which items are young, what makes items alike, and how much each counts."""

    # An item is young up to this many days after its launch; 1 or more.
    young_days: PositiveInt = 56
    # Without a launch day the first sale stands in for it, but not in the data's first so many days (at
    # most a third of the history): whatever sells then was there before; 0 or more.
    settle_days: NonNegativeInt = 84
    # With fewer finished launches than this nothing is said about young items; 2 or more in practice.
    min_launches: PositiveInt = 20
    # Weight of the category path in the similarity of two items; 0 or more.
    category_weight: NonNegativeFloat = 1.0
    # Weight of the same brand; 0 or more.
    brand_weight: NonNegativeFloat = 0.5
    # Weight of the titles' pairs and triples of characters; 0 or more.
    title_weight: NonNegativeFloat = 1.0
    # Weight of the attributes; 0 or more.
    attributes_weight: NonNegativeFloat = 1.0
    # Weight of the price; 0 or more.
    price_weight: NonNegativeFloat = 1.0
    # Prices whose logarithms differ by this are 1/e alike (0.5: one is 1.65 times the other); above 0.
    price_width: PositiveFloat = 0.5
    # Most look-alikes that an item's level is taken from; 1 or more.
    look_alikes: PositiveInt = 60
    # Look-alikes that are named; 0 or more.
    shown_look_alikes: NonNegativeInt = 5
    # A look-alike counts as its similarity to this power; 0 (all count the same) or more.
    similarity_power: NonNegativeFloat = 4.0
    # Look-alikes are sought in the deepest category with at least this many launches; 1 or more.
    min_pool: PositiveInt = 40
    # and among at most this many, the latest ones; 1 or more.
    max_pool: PositiveInt = 4000
    # Items' worth of weight that a category's parent has in its mean; above 0.
    category_prior_items: PositiveFloat = 10.0
    # Launches above this quantile of sales count as much as one at it when levels are averaged; 0 to 1.
    cap_quantile: Share = 0.995
    # Items' worth of weight that the shop's launch curve has in that of a top category; above 0.
    curve_prior_items: PositiveFloat = 300.0
    # Prediction bands with errors of their own; 1 or more.
    bands: PositiveInt = 10
    # and at least this many left-out launches in each; 2 or more in practice.
    band_min_launches: PositiveInt = 100
    # Purchases' worth of weight that the usual buyer has in a buyer's quality; above 0.
    buyer_prior_purchases: PositiveFloat = 20.0
    # Early buyers enter the forecast only if they lower the error on later launches by this share; 0 to 1.
    buyer_min_gain: Share = 0.002
