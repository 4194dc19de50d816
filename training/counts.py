"""Owns what is counted of every item and every shopper before a day: buyers, finds, visits, prices."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.affinity import NEVER_DAYS, NEW_DAYS
from training.interactions import PAIR
from training.rhythm import Rhythm

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Counts = NDArray[np.int64]

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


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """What is counted of every item; the counts of two groups of shoppers add up.

    Attributes:
        buyers_7: `(n_items,)` int64, distinct buyers of the last 7 days.
        recent: of the last 28.
        earlier: of the 28 before.
        new: those of the last 28 who had never bought the item before.
        buyers: of all time.
        repeated: buyers on two days or more.
        unsold: days since anybody bought it, `NEVER_DAYS` where nobody did.
        quantity: `(n_items,)` float64, units.
        revenue: paid for them.
    """

    buyers_7: Counts
    recent: Counts
    earlier: Counts
    new: Counts
    buyers: Counts
    repeated: Counts
    unsold: Counts
    quantity: Floats
    revenue: Floats

    @classmethod
    def of(cls, days: pl.DataFrame, rhythm: Rhythm, earlier: pl.DataFrame, n_items: int) -> ItemCounts:
        """Returns the counts of some shoppers.

        Args:
            days: one row a pair and day, as `rhythm_of` takes it.
            rhythm: of all their pairs.
            earlier: `earlier_pairs` of the days.
            n_items: how many items there are.
        """
        rows = days["item_row"].to_numpy()

        def counted(kept: NDArray[np.bool_]) -> Counts:
            return np.bincount(rhythm.items[kept], minlength=n_items)

        def added(name: str) -> Floats:
            return np.bincount(rows, weights=days[name].to_numpy(), minlength=n_items).astype(np.float64)

        unsold = np.full(n_items, int(NEVER_DAYS))
        np.minimum.at(unsold, rhythm.items, rhythm.since)
        return cls(
            buyers_7=counted(rhythm.since <= WEEK_DAYS),
            recent=counted(rhythm.since <= RECENT_DAYS),
            earlier=np.bincount(earlier["item_row"].to_numpy(), minlength=n_items),
            new=counted(rhythm.known <= RECENT_DAYS),
            buyers=np.bincount(rhythm.items, minlength=n_items),
            repeated=counted(rhythm.days > 1),
            unsold=unsold,
            quantity=added("quantity"),
            revenue=added("revenue"),
        )

    def __add__(self, other: ItemCounts) -> ItemCounts:
        """Returns the counts of the shoppers of both."""
        return ItemCounts(
            *(
                np.minimum(self.unsold, other.unsold)
                if field.name == "unsold"
                else getattr(self, field.name) + getattr(other, field.name)
                for field in fields(self)
            )
        )

    def features(self, gaps: Floats, *, scale: float) -> Floats32:
        """Returns `ITEM_FEATURES`, `(n_items, n)` float32.

        Distinct buyers of 7 and 28 days, those who bought the item for the first time in the last 28, all
        buyers; growth, the log of the buyers of the last 28 days over those of the 28 before, three added to
        both; repeat share, buyers on two days or more, drawn towards 1 in 10 by ten imaginary buyers; days
        since anybody bought it; mean price paid; the median over its buyers of their median gap between
        purchases.

        Args:
            gaps: `(n_items,)` days, NaN where nobody bought the item again.
            scale: how many shoppers each of those counted stands for.
        """
        columns = (
            self.buyers_7 * scale,
            self.recent * scale,
            self.new * scale,
            self.buyers * scale,
            np.log((self.recent + 3.0) / (self.earlier + 3.0)),
            (self.repeated + 1.0) / (self.buyers + 10.0),
            self.unsold,
            np.divide(self.revenue, self.quantity, out=np.zeros(gaps.size), where=self.quantity > 0),
            gaps,
        )
        return np.column_stack(columns).astype(np.float32)


def earlier_pairs(days: pl.DataFrame) -> pl.DataFrame:
    """Returns each pair bought in the window before the last `RECENT_DAYS`, once, in any order."""
    inside = (pl.col("age") > RECENT_DAYS) & (pl.col("age") <= 2 * RECENT_DAYS)
    return days.filter(inside).select(PAIR).unique()


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
