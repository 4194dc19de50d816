"""Owns what is known of every pair of shopper and item bought before a day: how often, how lately."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.sums import group_sums
from training.interactions import PAIR, check_rows

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]

RECENT_DAYS = 28  # recent popularity and activity look back this far
HALF_LIVES_DAYS = (14.0, 56.0, 224.0)
PAIR_FEATURES = (
    *(f"log_frequency_{half_life:.0f}" for half_life in HALF_LIVES_DAYS),
    "log_days_bought",
    "log_days_since",
    "log_lateness",
)
ITEM_FEATURES = ("log_recent_buyers", "log_buyers", "log_repeat_share")
USER_FEATURES = ("log_activity",)
AFFINITY_FEATURES = ("log_affinity",)


@dataclass(frozen=True, slots=True)
class History:
    """Every pair of shopper and item bought before `as_of`, one entry a pair, and what is known of both.

    Attributes:
        users: `(n_pairs,)` int32, ascending.
        items: `(n_pairs,)` int32, ascending within a user.
        indptr: `(n_users + 1,)` int64: where each user's pairs start.
        pair_features: `(n_pairs, len(PAIR_FEATURES))` float32.
        item_features: `(n_items, len(ITEM_FEATURES))` float32.
        user_features: `(n_users, len(USER_FEATURES))` float32.
        days_bought: `(n_pairs,)` int32, days on which the pair was bought.
        days_since: `(n_pairs,)` int32, days from the last of them to `as_of`; 1 is the day before.
        recent_buyers: `(n_items,)` int64, distinct buyers in the last 28 days.
        categories: `(n_items,)` int32, a code for each item's category.
        category_keys: ascending keys of the pairs of shopper and category.
        category_days: for each of them, on how many days the shopper bought, summed over the category's
            items.
    """

    users: Rows
    items: Rows
    indptr: NDArray[np.int64]
    pair_features: NDArray[np.float32]
    item_features: NDArray[np.float32]
    user_features: NDArray[np.float32]
    days_bought: Rows
    days_since: Rows
    recent_buyers: NDArray[np.int64]
    categories: Rows
    category_keys: NDArray[np.int64]
    category_days: NDArray[np.int64]

    @property
    def n_users(self) -> int:
        """Returns how many shoppers there are, with history or without."""
        return len(self.user_features)

    @property
    def n_items(self) -> int:
        """Returns how many items there are, sold or not."""
        return len(self.item_features)

    @property
    def keys(self) -> NDArray[np.int64]:
        """Returns the ascending keys of the pairs."""
        return pair_keys(self.users, self.items, self.n_items)

    def pairs_of(self, start: int, stop: int) -> slice:
        """Returns where the pairs of the users from `start` to before `stop` stand."""
        return slice(int(self.indptr[start]), int(self.indptr[stop]))

    def features_between(self, users: NDArray[np.integer], items: NDArray[np.integer]) -> NDArray[np.float32]:
        """Returns the features of any pairs: the item's, the shopper's, the affinity to the category.

        Affinity is the log of 1 + the days on which the shopper bought the category's items.
        """
        keys = pair_keys(users, self.categories[items], self.n_items)
        days = np.zeros(keys.shape, np.float32)
        found = is_member(keys, self.category_keys)
        days[found] = self.category_days[np.searchsorted(self.category_keys, keys[found])]
        return np.hstack([self.item_features[items], self.user_features[users], np.log1p(days)[:, None]])

    def of_users(self, users: NDArray[np.int64]) -> History:
        """Returns the history of the given ascending user rows, whose positions become the user rows."""
        chosen = is_member(self.users.astype(np.int64), users)
        places = np.searchsorted(users, self.users[chosen]).astype(np.int32)
        category_users = self.category_keys // self.n_items
        kept = is_member(category_users, users)
        moved = np.searchsorted(users, category_users[kept]) - category_users[kept]
        return History(
            users=places,
            items=self.items[chosen],
            indptr=np.searchsorted(places, np.arange(users.size + 1)).astype(np.int64),
            pair_features=self.pair_features[chosen],
            item_features=self.item_features,
            user_features=self.user_features[users],
            days_bought=self.days_bought[chosen],
            days_since=self.days_since[chosen],
            recent_buyers=self.recent_buyers,
            categories=self.categories,
            category_keys=self.category_keys[kept] + moved * self.n_items,
            category_days=self.category_days[kept],
        )


def category_codes(items: pl.DataFrame) -> Rows:
    """Returns a code for the category of each row of the `items` artefact, `(n_items,)` int32."""
    return (items["category"].fill_null("").rank("dense").cast(pl.Int32) - 1).to_numpy()


def pair_history(purchases: pl.LazyFrame, n_users: int, categories: Rows, *, as_of: date) -> History:
    """Returns every pair bought, net of returns, before `as_of`.

    Frequency counts days, not lines, each halved per half-life.  Lateness is the days since the last
    purchase over the mean gap between purchases; its log is 0 for a single purchase.  The repeat share of
    an item is how many of its buyers bought it on two days or more, drawn towards 1 in 10 by ten imaginary
    buyers.  Activity is the shopper's days with a purchase among the last 28.

    Args:
        purchases: the `purchases` artefact.
        n_users: how many shoppers there are.
        categories: `(n_items,)` int32 below n_items, from `category_codes`.
        as_of: first day that is not looked at.

    Raises:
        RunError: a row is not one of the known users or items.
    """
    n_items = categories.size
    days = _bought_days(purchases, as_of)
    frequencies = PAIR_FEATURES[: len(HALF_LIVES_DAYS)]
    halved = (
        (pl.col("age") * (-np.log(2.0) / life)).exp().alias(name)
        for name, life in zip(frequencies, HALF_LIVES_DAYS, strict=True)
    )
    frequency = group_sums(days.with_columns(*halved), PAIR, frequencies)
    pairs = (
        days.lazy()
        .group_by(PAIR)
        .agg(days=pl.len(), since=pl.col("age").min(), span=pl.col("age").max() - pl.col("age").min())
        .with_columns(gap=pl.col("span") / (pl.col("days") - 1).clip(lower_bound=1))
        .with_columns(
            log_days_bought=pl.col("days").log1p(),
            log_days_since=pl.col("since").log1p(),
            log_lateness=pl.when(pl.col("days") > 1)
            .then(((pl.col("since") + 1.0) / (pl.col("gap") + 1.0)).log())
            .otherwise(0.0),
        )
        .sort(PAIR)
        .collect(engine="streaming")
        .with_columns(frequency.select(pl.col(frequencies).log1p()))
    )
    recent = days.filter(pl.col("age") <= RECENT_DAYS)
    users, items = pairs["user_row"].to_numpy(), pairs["item_row"].to_numpy()
    check_rows(users, n_users, "user_row")
    check_rows(items, n_items, "item_row")
    buyers = np.bincount(items, minlength=n_items)
    repeated = np.bincount(items[pairs["days"].to_numpy() > 1], minlength=n_items)
    recent_buyers = _counts(recent.select("user_row", "item_row").unique(), "item_row", n_items)
    activity = _counts(recent.select("user_row", "day").unique(), "user_row", n_users)
    item_features = (np.log1p(recent_buyers), np.log1p(buyers), np.log((repeated + 1.0) / (buyers + 10.0)))
    keys = pair_keys(users, categories[items], n_items)
    category_keys, places = np.unique(keys, return_inverse=True)
    category_days = np.bincount(places, weights=pairs["days"].to_numpy(), minlength=category_keys.size)
    return History(
        users=users,
        items=items,
        indptr=np.searchsorted(users, np.arange(n_users + 1)).astype(np.int64),
        pair_features=pairs.select(PAIR_FEATURES).cast(pl.Float32).to_numpy(),
        item_features=np.column_stack(item_features).astype(np.float32),
        user_features=np.log1p(activity)[:, None].astype(np.float32),
        days_bought=pairs["days"].cast(pl.Int32).to_numpy(),
        days_since=pairs["since"].cast(pl.Int32).to_numpy(),
        recent_buyers=recent_buyers,
        categories=categories,
        category_keys=category_keys,
        category_days=category_days.astype(np.int64),
    )


def pair_keys(users: NDArray[np.integer], items: NDArray[np.integer], n_items: int) -> NDArray[np.int64]:
    """Returns one int64 a pair that sorts by user, then item."""
    return users.astype(np.int64) * n_items + items


def is_member(keys: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns whether each key stands in the ascending keys `among`."""
    if not among.size:
        return np.zeros(keys.shape, bool)
    found: NDArray[np.bool_] = among[np.minimum(np.searchsorted(among, keys), among.size - 1)] == keys
    return found


def _bought_days(purchases: pl.LazyFrame, as_of: date) -> pl.DataFrame:
    known = purchases.filter(pl.col("day") < as_of).select(*PAIR, "day", "quantity").collect()
    kept = group_sums(known, PAIR, ["quantity"]).filter(pl.col("quantity") > 0)
    return (
        known.lazy()
        .filter(pl.col("quantity") > 0)
        .select(*PAIR, "day")
        .unique()
        .join(kept.lazy(), on=PAIR, how="semi")
        .sort(*PAIR, "day")
        .with_columns(age=(pl.lit(as_of) - pl.col("day")).dt.total_days())
        .collect(engine="streaming")
    )


def _counts(frame: pl.DataFrame, column: str, size: int) -> NDArray[np.int64]:
    return np.bincount(frame[column].to_numpy(), minlength=size)
