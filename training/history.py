"""Owns what is known before a day of shoppers, items, and every pair of them that was bought."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.sums import group_sums
from training.affinity import AFFINITY_FEATURES, Affinity, affinity
from training.counts import ITEM_FEATURES, RECENT_DAYS, USER_FEATURES, item_features_of, user_features_of
from training.interactions import PAIR, check_rows
from training.neighbours import Neighbours, fit_neighbours
from training.rhythm import PAIR_FEATURES, median_by, rhythm_of

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Rows = NDArray[np.int32]

LEVELS = ("category", "parent")


@dataclass(frozen=True, slots=True)
class History:
    """Every pair of shopper and item bought before `as_of`, one entry a pair, and what is known of both.

    Attributes:
        users: `(n_pairs,)` int32, ascending.
        items: `(n_pairs,)` int32, ascending within a user.
        indptr: `(n_users + 1,)` int64: where each user's pairs start.
        pair_features: `(n_pairs, len(PAIR_FEATURES))` float32, NaN where there is nothing to say.
        item_features: `(n_items, len(ITEM_FEATURES))` float32.
        user_features: `(n_users, len(USER_FEATURES))` float32.
        days_bought: `(n_pairs,)` int32, days on which the pair was bought.
        days_since: `(n_pairs,)` int32, days from the last of them to `as_of`; 1 is the day before.
        recent_buyers: `(n_items,)` int64, distinct buyers in the last 28 days.
        new_buyers: `(n_items,)` int64, those of them who had never bought the item before.
        affinities: what a shopper is to a category, one for each level of the tree.
        neighbours: items that the same shoppers buy.
    """

    users: Rows
    items: Rows
    indptr: NDArray[np.int64]
    pair_features: Floats32
    item_features: Floats32
    user_features: Floats32
    days_bought: Rows
    days_since: Rows
    recent_buyers: NDArray[np.int64]
    new_buyers: NDArray[np.int64]
    affinities: tuple[Affinity, ...]
    neighbours: Neighbours

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

    def features_between(self, users: NDArray[np.integer], items: NDArray[np.integer]) -> Floats32:
        """Returns `between_names()` of any pairs, `(n_pairs, n)`: of item, shopper, and both."""
        prices = self.item_features[:, ITEM_FEATURES.index("price")]
        columns = [column for level in self.affinities for column in level.between(users, items, prices)]
        return np.column_stack([self.item_features[items], self.user_features[users], *columns])

    def between_names(self) -> tuple[str, ...]:
        """Returns the names of the columns of `features_between`."""
        names = (f"{level}_{name}" for level in LEVELS[: len(self.affinities)] for name in AFFINITY_FEATURES)
        return (*ITEM_FEATURES, *USER_FEATURES, *names)

    def neighbour_scores(self, start: int, stop: int) -> Floats32:
        """Returns what the users from `start` to before `stop` are near to, `(stop - start, p)` float32."""
        pairs = self.pairs_of(start, stop)
        frequency = self.pair_features[pairs, PAIR_FEATURES.index("frequency_112")]
        strength = np.sqrt(np.log1p(frequency))
        return self.neighbours.scores(self.users[pairs] - start, self.items[pairs], strength, stop - start)

    def of_users(self, users: NDArray[np.int64]) -> History:
        """Returns the history of the given ascending user rows, whose positions become the user rows."""
        chosen = is_member(self.users.astype(np.int64), users)
        places = np.searchsorted(users, self.users[chosen]).astype(np.int32)
        return replace(
            self,
            users=places,
            items=self.items[chosen],
            indptr=np.searchsorted(places, np.arange(users.size + 1)).astype(np.int64),
            pair_features=self.pair_features[chosen],
            user_features=self.user_features[users],
            days_bought=self.days_bought[chosen],
            days_since=self.days_since[chosen],
            affinities=tuple(level.of_users(users) for level in self.affinities),
        )


def category_codes(items: pl.DataFrame) -> Rows:
    """Returns codes for the category of each row of the `items` artefact and for the one above it.

    `(n_items, 2)` int32; a category of the top is its own parent.
    """
    path = pl.col("category").fill_null("")
    parent = path.str.replace(r" > [^>]*$", "")
    ranks = (level.rank("dense").cast(pl.Int32) - 1 for level in (path, parent))
    return items.select(category=next(ranks), parent=next(ranks)).to_numpy().astype(np.int32)


def pair_history(purchases: pl.LazyFrame, n_users: int, categories: Rows, *, as_of: date) -> History:
    """Returns every pair bought, net of returns, before `as_of`, and what is known of shoppers and items.

    Args:
        purchases: the `purchases` artefact.
        n_users: how many shoppers there are.
        categories: `(n_items, levels)` int32 below n_items, from `category_codes`; also `(n_items,)`, one
            level.
        as_of: first day that is not looked at.

    Raises:
        RunError: a row is not one of the known users or items.
    """
    n_items, levels = len(categories), categories.reshape(len(categories), -1)
    days = _bought_days(purchases, as_of)
    check_rows(days["user_row"].to_numpy(), n_users, "user_row")
    check_rows(days["item_row"].to_numpy(), n_items, "item_row")
    rhythm = rhythm_of(days, n_users)
    recent_buyers = np.bincount(rhythm.items[rhythm.since <= RECENT_DAYS], minlength=n_items)
    new_buyers = np.bincount(rhythm.items[rhythm.known <= RECENT_DAYS], minlength=n_items)
    item_gaps = median_by(rhythm.items, rhythm.median_gap, n_items)
    item_features = item_features_of(days, rhythm, recent_buyers, new_buyers, item_gaps)
    return History(
        users=rhythm.users,
        items=rhythm.items,
        indptr=np.searchsorted(rhythm.users, np.arange(n_users + 1)).astype(np.int64),
        pair_features=rhythm.features(item_gaps),
        item_features=item_features,
        user_features=user_features_of(days, rhythm, n_users),
        days_bought=rhythm.days.astype(np.int32),
        days_since=rhythm.since.astype(np.int32),
        recent_buyers=recent_buyers,
        new_buyers=new_buyers,
        affinities=tuple(affinity(rhythm, np.ascontiguousarray(codes), new_buyers) for codes in levels.T),
        neighbours=fit_neighbours(rhythm.users, rhythm.items, n_users, recent_buyers),
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
    """Returns (user_row, item_row, age, quantity, revenue), one row a pair and day, the latest day last."""
    columns = (*PAIR, "day", "quantity", "revenue")
    known = purchases.filter(pl.col("day") < as_of).select(columns).collect()
    kept = group_sums(known, PAIR, ["quantity"]).filter(pl.col("quantity") > 0)
    bought = known.filter(pl.col("quantity") > 0).join(kept, on=PAIR, how="semi", maintain_order="left")
    days = group_sums(bought, (*PAIR, "day"), ["quantity", "revenue"])
    return days.with_columns(age=(pl.lit(as_of) - pl.col("day")).dt.total_days())
