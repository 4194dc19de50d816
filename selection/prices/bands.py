"""Owns where a price stands in its category: the band, and the share of items that cost no more."""

from __future__ import annotations

import polars as pl

from selection.config import FeaturesConfig


def price_band(config: FeaturesConfig) -> pl.Expr:
    """Returns premium, high, mid or value from the columns `price` and `group`; "" without a price.

    Bands are cut by the share of the category's priced items that are strictly cheaper, so that equal
    prices are of one band.
    """
    price = pl.col("price")
    count = price.count().over("group")
    cheaper = (price.rank("min").over("group") - 1) / (count - 1).clip(lower_bound=1)
    return (
        pl.when(price.is_null())
        .then(pl.lit(""))
        .when(count < config.band_min_items)
        .then(pl.lit("mid"))
        .when(cheaper >= config.band_premium_quantile)
        .then(pl.lit("premium"))
        .when(cheaper >= config.band_high_quantile)
        .then(pl.lit("high"))
        .when(cheaper >= config.band_value_quantile)
        .then(pl.lit("mid"))
        .otherwise(pl.lit("value"))
    )


def price_place() -> pl.Expr:
    """Returns the share of the category's priced items that cost no more, above 0 to 1; null unpriced."""
    price = pl.col("price")
    return price.rank("max").over("group") / price.count().over("group")
