"""Owns what is counted of every item and every shopper before a day: buyers, finds, visits, prices."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.affinity import NEVER_DAYS, NEW_DAYS
from training.interactions import PAIR
from training.rhythm import Rhythm

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

RECENT_DAYS = 28  # recent popularity and activity look back this far
WEEK_DAYS = 7
ITEM_FEATURES = (
    "buyers_7",
    "buyers_28",
    "new_buyers_28",
    "buyers",
    "growth",
    "repeat_share",
    "days_unsold",
    "price",
    "median_gap_of_item",
)
USER_FEATURES = ("visits_28", "items_28", "finds_28", "items", "share_of_finds", "price_of_user")


def item_features_of(
    days: pl.DataFrame,
    rhythm: Rhythm,
    recent_buyers: NDArray[np.int64],
    new_buyers: NDArray[np.int64],
    gaps: Floats,
) -> Floats32:
    """Returns `ITEM_FEATURES`, `(n_items, n)` float32.

    Distinct buyers of 7 and 28 days, those who bought the item for the first time in the last 28, all buyers;
    growth, the log of the buyers of the last 28 days over those of the 28 before, three added to both; repeat
    share, buyers on two days or more, drawn towards 1 in 10 by ten imaginary buyers; days since anybody
    bought it; mean price paid; the median over its buyers of their median gap between purchases.

    Args:
        days: one row a pair and day, as `rhythm_of` takes it.
        rhythm: of all pairs.
        recent_buyers: `(n_items,)` of the last 28 days.
        new_buyers: `(n_items,)` who bought the item for the first time in them.
        gaps: `(n_items,)` days, NaN where nobody bought the item again.
    """
    n_items, age = recent_buyers.size, days["age"].to_numpy()
    rows = days["item_row"].to_numpy()
    before = (age > RECENT_DAYS) & (age <= 2 * RECENT_DAYS)
    earlier = days.filter(pl.Series(before)).select(PAIR).unique()
    earlier_buyers = np.bincount(earlier["item_row"].to_numpy(), minlength=n_items)
    buyers = np.bincount(rhythm.items, minlength=n_items)
    repeated = np.bincount(rhythm.items[rhythm.days > 1], minlength=n_items)
    unsold = np.full(n_items, NEVER_DAYS)
    np.minimum.at(unsold, rhythm.items, rhythm.since)
    quantity = np.bincount(rows, weights=days["quantity"].to_numpy(), minlength=n_items)
    revenue = np.bincount(rows, weights=days["revenue"].to_numpy(), minlength=n_items)
    features = (
        np.bincount(rhythm.items[rhythm.since <= WEEK_DAYS], minlength=n_items),
        recent_buyers,
        new_buyers,
        buyers,
        np.log((recent_buyers + 3.0) / (earlier_buyers + 3.0)),
        (repeated + 1.0) / (buyers + 10.0),
        unsold,
        np.divide(revenue, quantity, out=np.zeros(n_items), where=quantity > 0),
        gaps,
    )
    return np.column_stack(features).astype(np.float32)


def user_features_of(days: pl.DataFrame, rhythm: Rhythm, n_users: int) -> Floats32:
    """Returns `USER_FEATURES`, `(n_users, n)` float32.

    Visits, distinct items and first-time items of the last 28 days; distinct items of all time; share of
    first-time items among those of the last 84; mean price paid.
    """
    visits = days.filter(pl.col("age") <= RECENT_DAYS).select("user_row", "age").unique()

    def counted(kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(rhythm.users[kept], minlength=n_users)

    quantity = np.bincount(rhythm.users, weights=rhythm.quantity, minlength=n_users)
    revenue = np.bincount(rhythm.users, weights=rhythm.revenue, minlength=n_users)
    features = (
        np.bincount(visits["user_row"].to_numpy(), minlength=n_users),
        counted(rhythm.since <= RECENT_DAYS),
        counted(rhythm.known <= RECENT_DAYS),
        np.bincount(rhythm.users, minlength=n_users),
        counted(rhythm.known <= NEW_DAYS) / (counted(rhythm.since <= NEW_DAYS) + 1.0),
        np.divide(revenue, quantity, out=np.zeros(n_users), where=quantity > 0),
    )
    return np.column_stack(features).astype(np.float32)
