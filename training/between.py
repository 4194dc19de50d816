"""Owns the inner loops that line up what is known of pairs of shopper and item, which numba compiles.

Every loop writes its columns of a table that is laid out row by row: columns made one by one and put side by
side afterwards cost three times as much.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]


def fill_known(
    users: Numbers, items: Numbers, user_features: Numbers, item_features: Numbers, out: Numbers
) -> None:
    """Writes the features of each pair's item, then those of its shopper, into the first columns.

    Args:
        users: `(n_pairs,)` user rows.
        items: `(n_pairs,)` item rows.
        user_features: `(n_users, u)`.
        item_features: `(n_items, i)`.
        out: `(n_pairs, i + u or more)`.
    """
    n_of_item, n_of_user = item_features.shape[1], user_features.shape[1]
    for pair in range(users.size):
        of_item, of_user, row = item_features[items[pair]], user_features[users[pair]], out[pair]
        for column in range(n_of_item):
            row[column] = of_item[column]
        for column in range(n_of_user):
            row[n_of_item + column] = of_user[column]


def fill_affinity(
    users: Numbers,
    items: Numbers,
    codes: Numbers,
    keys: Numbers,
    kept: Numbers,
    prices: Numbers,
    share_of_new: Numbers,
    never: float,
    first_column: int,
    out: Numbers,
) -> None:
    """Writes how close each pair's shopper is to the category of its item, as `affinity.Affinity` has it.

    The categories of a shopper are looked up once for all of his pairs that stand one after the other.

    Args:
        users: `(n_pairs,)` user rows.
        items: `(n_pairs,)` item rows.
        codes: `(n_items,)` each item's category.
        keys: ascending keys of shopper and category.
        kept: `(n_keys, k)` what is kept of them: days since the last purchase second, mean price last.
        prices: `(n_items,)` what an item costs.
        share_of_new: `(n_items,)`.
        never: days since the last purchase where there is none.
        first_column: where the `k + 1` columns begin.
        out: `(n_pairs, m)`.
    """
    n_codes, last = codes.size, kept.shape[1] - 1
    places = np.full(n_codes, -1, np.int64)
    start = stop = np.int64(0)
    user = np.int64(-1)
    for pair in range(users.size):
        if users[pair] != user:
            user = np.int64(users[pair])
            first = user * n_codes
            start = stop = np.int64(np.searchsorted(keys, first))
            while stop < keys.size and keys[stop] < first + n_codes:
                places[keys[stop] - first] = stop
                stop += 1
        item, row = items[pair], out[pair]
        # What another shopper left behind points outside of this one's keys.
        place = places[codes[item]]
        if start <= place < stop:
            for column in range(last):
                row[first_column + column] = kept[place, column]
            row[first_column + last] = prices[item] / max(kept[place, last], np.float32(0.01))
        else:
            for column in range(last):
                row[first_column + column] = 0.0
            row[first_column + 1] = never
            row[first_column + last] = np.nan
        row[first_column + last + 1] = share_of_new[item]


def fill_models(
    users: Numbers,
    items: Numbers,
    user_vectors: Numbers,
    item_vectors: Numbers,
    place: Numbers,
    near: Numbers,
    start: int,
    out: Numbers,
) -> None:
    """Writes the scores by the vectors and by the item-item model into the last two columns.

    Args:
        users: `(n_pairs,)` user rows.
        items: `(n_pairs,)` item rows.
        user_vectors: `(n_users, f)`.
        item_vectors: `(n_items, f)`.
        place: `(n_items,)` each item's column of `near`, below 0 where it has none: its score is NaN.
        near: scores by the item-item model, one row for each user from `start` on.
        start: the first user row of `near`.
        out: `(n_pairs, m)`.
    """
    last = out.shape[1] - 1
    for pair in range(users.size):
        user, item = users[pair], items[pair]
        one, other = user_vectors[user], item_vectors[item]
        total = np.float32(0.0)
        for factor in range(one.size):
            total += one[factor] * other[factor]
        out[pair, last - 1] = total
        out[pair, last] = near[user - start, place[item]] if place[item] >= 0 else np.nan
