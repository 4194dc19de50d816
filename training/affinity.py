"""Owns how close each shopper is to each category: how often, how lately and at what price he buys there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recdata.machine_code import compiled
from training.between import fill_affinity
from training.rhythm import Rhythm

Floats32 = NDArray[np.float32]

NEW_DAYS = 84  # an item first bought within so many days counts as a find of the shopper
NEVER_DAYS = 999.0  # days since the last purchase where there is none
#: What is kept of each pair of shopper and category; the price comes last.
KEPT = ("days", "last", "frequency", "items", "finds", "price")
#: What is said of a pair of shopper and item: KEPT with the item's price over the usual one, and the item's
#: share of its category's new buyers.
AFFINITY_FEATURES = (*KEPT[:-1], "price_ratio", "share_of_new")


@dataclass(frozen=True, slots=True)
class Affinity:
    """One level of the category tree.

    Attributes:
        codes: `(n_items,)` int32, each item's category at this level, below n_items.
        keys: `(n_keys,)` int64, ascending: `user_row * n_items + code`.
        kept: `(n_keys, len(KEPT))` float32; days bought over all items, days since the last, frequency with a
            half-life of 28 days, distinct items, items first bought within `NEW_DAYS`, mean price paid.
        share_of_new: `(n_items,)` float32, share of the category's new buyers that were the item's.
    """

    codes: NDArray[np.int32]
    keys: NDArray[np.int64]
    kept: Floats32
    share_of_new: Floats32

    def fill(
        self,
        users: NDArray[np.integer],
        items: NDArray[np.integer],
        prices: Floats32,
        out: Floats32,
        *,
        first_column: int,
    ) -> None:
        """Writes `AFFINITY_FEATURES` of each pair into a table; a shopper's pairs best stand side by side.

        Args:
            users: `(n_pairs,)` user rows.
            items: `(n_pairs,)` item rows.
            prices: `(n_items,)` what an item costs, 0 where unknown.
            out: `(n_pairs, m)`.
            first_column: where the features begin in it.
        """
        # Only among the keys of these shoppers, which are few and near each other.
        ends = np.array([users.min(initial=0), users.max(initial=0) + 1], np.int64) * self.codes.size
        first, last = np.searchsorted(self.keys, ends) if users.size else (0, 0)
        compiled(fill_affinity)(
            *(users, items, self.codes, self.keys[first:last], self.kept[first:last]),
            *(prices, self.share_of_new, NEVER_DAYS, first_column, out),
        )

    def of_users(self, users: NDArray[np.int64]) -> Affinity:
        """Returns the same for the given ascending user rows, whose positions become the user rows."""
        owners, codes = np.divmod(self.keys, self.codes.size)
        places = np.searchsorted(users, owners)
        kept = places < users.size
        kept[kept] = users[places[kept]] == owners[kept]
        keys = places[kept] * np.int64(self.codes.size) + codes[kept]
        return Affinity(self.codes, keys, self.kept[kept], self.share_of_new)


def affinity(pairs: Rhythm, codes: NDArray[np.int32]) -> tuple[NDArray[np.int64], Floats32]:
    """Returns keys and what is kept of every pair of shopper and category, as in `Affinity`.

    Args:
        pairs: everything bought by some shoppers.
        codes: `(n_items,)` each item's category.
    """
    of_pairs = pairs.users.astype(np.int64) * codes.size + codes[pairs.items]
    order = np.argsort(of_pairs, kind="stable")
    ordered = of_pairs[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))

    def total(values: NDArray[np.generic]) -> NDArray[np.float64]:
        return np.add.reduceat(values[order], first, dtype=np.float64) if first.size else np.zeros(0)

    quantity = total(pairs.quantity)
    kept = (
        total(pairs.days),
        np.minimum.reduceat(pairs.since[order], first) if first.size else first,
        total(pairs.frequencies["frequency_28"]),
        np.diff(np.append(first, ordered.size)),
        total(pairs.known <= NEW_DAYS),
        np.divide(total(pairs.revenue), quantity, out=np.full(first.size, np.nan), where=quantity > 0),
    )
    return ordered[first], np.column_stack(kept).astype(np.float32)


def share_of_new(codes: NDArray[np.int32], new_buyers: NDArray[np.int64]) -> Floats32:
    """Returns each item's share of its category's new buyers, `(n_items,)` float32.

    Args:
        codes: `(n_items,)` each item's category.
        new_buyers: `(n_items,)` buyers who bought the item for the first time of late.
    """
    n_items = codes.size
    of_category = np.bincount(codes, weights=new_buyers, minlength=n_items)[codes] if n_items else new_buyers
    return np.asarray(new_buyers / np.maximum(of_category, 1.0), np.float32)
