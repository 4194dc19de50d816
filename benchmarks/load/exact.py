"""Owns the exact answer: the items with the highest product of factors, by no shortcut that could err.

Items are gone through from the longest vector down. No product can be longer than both vectors' lengths
multiplied, so a shopper is done once that bound of the items still to come is not above the worst item kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32s = NDArray[np.float32]
Int32s = NDArray[np.int32]

BLOCK_USERS = 512
FIRST_ITEMS = 4096
BLOCK_ITEMS = 16_384


def top_items(users: Float32s, items: Float32s, count: int) -> tuple[Int32s, Float32s]:
    """Returns each user's best item rows, best first, ties by row, and their products.

    Args:
        users: `(n_users, f)`.
        items: `(n_items, f)`.
        count: how many items; fewer where there are fewer.

    Returns:
        `(n_users, count)` int32 and float32.
    """
    count = min(count, items.shape[0])
    lengths = np.linalg.norm(items, axis=1)
    order = np.argsort(-lengths, kind="stable").astype(np.int32)
    sorted_items, lengths = items[order], lengths[order]
    rows = np.empty((users.shape[0], count), np.int32)
    scores = np.empty((users.shape[0], count), np.float32)
    for start in range(0, users.shape[0], BLOCK_USERS):
        part = slice(start, min(start + BLOCK_USERS, users.shape[0]))
        rows[part], scores[part] = _block(users[part], sorted_items, lengths, order, count)
    return rows, scores


def _block(
    users: Float32s, items: Float32s, lengths: Float32s, order: Int32s, count: int
) -> tuple[Int32s, Float32s]:
    first = max(count, min(FIRST_ITEMS, items.shape[0]))
    products = users @ items[:first].T
    places = np.argpartition(-products, count - 1, axis=1)[:, :count]
    scores = np.take_along_axis(products, places, axis=1)
    rows = order[places]
    worst = scores.min(axis=1)
    user_lengths = np.linalg.norm(users, axis=1)
    for start in range(first, items.shape[0], BLOCK_ITEMS):
        # A little slack: lengths are rounded too.
        open_users = np.flatnonzero(user_lengths * lengths[start] * 1.0001 > worst)
        if not open_users.size:
            break
        products = users[open_users] @ items[start : start + BLOCK_ITEMS].T
        hit_users, hit_items = np.nonzero(products > worst[open_users, None])
        if not hit_users.size:
            continue
        counts = np.bincount(hit_users, minlength=open_users.size)
        touched = np.flatnonzero(counts)
        wide = counts.max()
        new_scores = np.full((open_users.size, wide), -np.inf, np.float32)
        new_rows = np.zeros((open_users.size, wide), np.int32)
        places = np.arange(hit_users.size) - (counts.cumsum() - counts)[hit_users]
        new_scores[hit_users, places] = products[hit_users, hit_items]
        new_rows[hit_users, places] = order[start + hit_items]
        changed = open_users[touched]
        all_scores = np.hstack([scores[changed], new_scores[touched]])
        all_rows = np.hstack([rows[changed], new_rows[touched]])
        kept = np.argpartition(-all_scores, count - 1, axis=1)[:, :count]
        scores[changed] = np.take_along_axis(all_scores, kept, axis=1)
        rows[changed] = np.take_along_axis(all_rows, kept, axis=1)
        worst[changed] = scores[changed].min(axis=1)
    best = np.lexsort((rows, -scores), axis=1)
    return np.take_along_axis(rows, best, axis=1), np.take_along_axis(scores, best, axis=1)


def best_eligible(user: Float32s, items: Float32s, eligible: NDArray[np.bool_], count: int) -> Int32s:
    """Returns the rows of the eligible items with the highest products, best first, by brute force."""
    rows = np.flatnonzero(eligible)
    products = items[rows] @ user
    if rows.size > count:
        kept = np.argpartition(-products, count - 1)[:count]
        rows, products = rows[kept], products[kept]
    best: Int32s = rows[np.lexsort((rows, -products))].astype(np.int32)
    return best
