"""Owns what an assortment is chosen from: living items, what they are worth, and which are substitutes."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.errors import RunError
from recdata.places import PlaceShares
from selection.assortment.config import AssortmentConfig
from selection.assortment.limits import is_inside
from selection.config import FeaturesConfig

#: What an assortment is chosen from, one row a candidate, sorted by item_row. value and cost are those of the
#: horizon, in the currency of the tables.
CANDIDATES = {
    "item_row": pl.Int32,
    "item_id": pl.String,
    "category": pl.String,
    "slot_category": pl.String,
    "price_band": pl.String,
    "value": pl.Float64,
    "cost": pl.Float64,
    "is_new": pl.Boolean,
    "sells_now": pl.Boolean,  # something in the recent window
    "loses": pl.Boolean,  # its unit cost is above what it sells for
}


def candidates(
    selection: pl.DataFrame,
    items: pl.DataFrame,
    places: PlaceShares | None,
    *,
    config: AssortmentConfig,
    features: FeaturesConfig,
) -> pl.DataFrame:
    """Returns `CANDIDATES`: what is not dead, and what must be in or out whatever it sells.

    Value is the expected value (the forecast money where there is none), in the channel and region asked
    for; as margin it is less what the forecast units cost. Cost is what they cost to buy in.

    Args:
        selection: the night's selection.
        items: the catalogue.
        places: how demand falls on channels and regions; needed where one is asked for.
        config: what is asked for.
        features: how deep the categories with slots are.

    Raises:
        RunError: an item that must be in or out is not among those that can be sold, nor any of a category
            with limits; nothing sells in the channel or region.
    """
    _known(selection, config)
    path = pl.col("category").str.split(" > ").list.head(features.category_depth).list.join(" > ")
    revenue = pl.coalesce("expected_value", "revenue_at_stake").clip(lower_bound=0.0).fill_nan(0.0)
    frame = (
        selection.filter((pl.col("stage") != "dead") | pl.col("item_id").is_in(config.always))
        .join(items.select("item_row", "unit_cost", listed=pl.col("price")), on="item_row", how="left")
        .sort("item_row")
        .with_columns(revenue=revenue, slot_category=path)
    )
    if config.channel or config.region:
        share = _place_shares(places, config)[frame.get_column("item_row").to_numpy()]
        frame = frame.with_columns(revenue=pl.col("revenue") * pl.Series(share))
    paid = (
        pl.when(pl.col("demand") > 0).then(pl.col("revenue_at_stake") / pl.col("demand")).otherwise("listed")
    )
    rate = (
        pl.when(paid > 0)
        .then(pl.col("unit_cost") / paid)
        .otherwise(None)
        .fill_nan(None)
        .fill_null(config.unknown_cost_share)
    )
    brings = pl.col("revenue") * (1 - rate) if config.objective == "margin" else pl.col("revenue")
    return frame.with_columns(
        value=brings - config.listing_cost,
        cost=pl.col("revenue") * rate,
        is_new=pl.col("stage") == "launch",
        sells_now=pl.col("recent_sales") > 0,
        loses=rate > 1,
    ).select(pl.col(name).cast(dtype) for name, dtype in CANDIDATES.items())


def substitutes(
    frame: pl.DataFrame,
    similar: tuple[NDArray[np.int32], NDArray[np.float32]],
    together: NDArray[np.int32],
    config: AssortmentConfig,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Returns pairs of substitutes, (m, 2) positions in the frame, and what is lost where both are in, (m,).

    Substitutes are bought by the same shoppers (each other's similar items), stand in the same category to
    its last level, and do not stand out as bought in one basket, which would make them complements. The
    lesser one of a pair, which comes first, loses `cannibalisation` x similarity of its value. The pairs with
    most to lose are kept.

    Args:
        frame: `CANDIDATES`.
        similar: (n_items, k) rows of similar items, -1 where there is none, and their cosines.
        together: (n_items, l) rows of items bought together more often than by chance, -1 padded.
        config: how similar, how many, how much is lost.
    """
    rows = frame.get_column("item_row").to_numpy()
    if config.cannibalisation <= 0 or len(rows) < 2 or similar[0].shape[1] == 0:
        return np.zeros((0, 2), np.intp), np.zeros(0)
    place = np.full(similar[0].shape[0], -1, np.int64)
    place[rows] = np.arange(len(rows))
    category = frame.get_column("category").rank("dense").cast(pl.Int64).to_numpy()
    value = frame.get_column("value").to_numpy()
    near, cosine = similar[0][rows], similar[1][rows].astype(np.float64)
    other = np.where(near >= 0, place[near], -1)
    mine = np.broadcast_to(np.arange(len(rows))[:, None], near.shape)
    kept = (other >= 0) & (cosine >= config.min_similarity) & (category[mine] == category[other])
    kept &= (value[mine] > 0) & (value[other] > 0)
    one, two, cosine = mine[kept], other[kept], cosine[kept].clip(0.0, 1.0)
    low, high = np.minimum(one, two), np.maximum(one, two)
    key, first = np.unique(low * len(rows) + high, return_index=True)
    basket_one = np.repeat(np.arange(len(rows)), together.shape[1])
    basket_two = place[together[rows].ravel()] if together.shape[1] else np.zeros(0, np.int64)
    seen = (together[rows].ravel() >= 0) & (basket_two >= 0)
    low, high = np.minimum(basket_one, basket_two)[seen], np.maximum(basket_one, basket_two)[seen]
    first = first[~np.isin(key, low * len(rows) + high)]
    one, two, cosine = one[first], two[first], cosine[first]
    loss = config.cannibalisation * cosine * np.minimum(value[one], value[two])
    most = np.sort(np.argsort(-loss, kind="stable")[: config.max_pairs])
    one, two, loss = one[most], two[most], loss[most]
    # The lesser one first; of two equals, the later one.
    first_less = (value[one] < value[two]) | ((value[one] == value[two]) & (one > two))
    pairs = np.stack([np.where(first_less, one, two), np.where(first_less, two, one)], axis=1)
    return pairs.astype(np.intp), loss


def _known(selection: pl.DataFrame, config: AssortmentConfig) -> None:
    for name in ("always", "never"):
        asked = getattr(config, name)
        missing = sorted(set(asked) - set(selection.get_column("item_id")))
        if missing:
            raise RunError(
                f"selection.assortment.{name}: {', '.join(map(repr, missing))} cannot be sold: no such item, "
                "or it is discontinued; mend the id or take it out"
            )
    for key in ("slots", "least"):
        for path in sorted(getattr(config, key)):
            if selection.filter(is_inside(path)).is_empty():
                raise RunError(
                    f"selection.assortment.{key}: no item on sale is in category {path!r}; "
                    "a category is its whole path, as 'A > B'"
                )


def _place_shares(places: PlaceShares | None, config: AssortmentConfig) -> NDArray[np.float64]:
    """Returns how much of each item's demand falls on the channel and region, `(n_items,)`."""
    asked = {"channel": config.channel, "region": config.region}
    told = " and ".join(f"{name} {value!r}" for name, value in asked.items() if value)
    within = None if places is None else places.within(config.channel, config.region)
    if places is None or within is None or not within.any():
        raise RunError(f"selection.assortment: nothing was sold in {told}; mend the name")
    if not places.shop[within].any():
        raise RunError(f"selection.assortment: {told} has closed; ask for a place that sells")
    return places.shares(within)
