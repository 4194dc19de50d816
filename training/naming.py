"""Owns the inner loops of finding candidates, which numba compiles: the best of a pool."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]


def name_best(
    scores: Numbers,
    pool: Numbers,
    above: float,
    count: int,
    starts: Numbers,
    bought: Numbers,
    marks: Numbers,
    rows: Numbers,
    sources: Numbers,
    named: Numbers,
    source: int,
) -> None:
    """Adds to each shopper's candidates the best of a pool that he did not buy, but for those named already.

    Of equal scores the earlier in the pool counts more.

    Args:
        scores: `(n, p)`, or `(1, p)` where all shoppers share them.
        pool: `(p,)` item rows; -1 is never named.
        above: only what scores more is named.
        count: so many are the best.
        starts: `(n + 1,)`, where each shopper's items begin in `bought`.
        bought: item rows.
        marks: `(n_items,)` int64, work space: zeros at first, and left as it is between calls of one block.
        rows: `(n, w)` what was named; written from `named` on.
        sources: `(n, w)` beside it.
        named: `(n,)` how many were; changed.
        source: what the new ones are marked with.
    """
    value, place = np.empty(count, scores.dtype), np.empty(count, np.int64)
    missing = 0
    for at in range(pool.size):
        missing += pool[at] < 0
    for user in range(rows.shape[0]):
        known, taken = 2 * user + 1, 2 * user + 2
        for at in range(named[user]):
            marks[rows[user, at]] = taken
        for at in range(starts[user], starts[user + 1]):
            marks[bought[at]] = known
        line = scores[user if scores.shape[0] > 1 else 0]
        # Of so many parts of the pool each has a best: the last of them that could count bounds what does.
        wanted = count + missing + starts[user + 1] - starts[user]
        n_parts = wanted + wanted // 2
        enough = -np.inf
        if 0 < 2 * n_parts <= pool.size:
            best = line[:n_parts].copy()
            for first in range(n_parts, pool.size - n_parts + 1, n_parts):
                for part in range(n_parts):
                    best[part] = max(best[part], line[first + part])
            enough = np.partition(best, n_parts - wanted)[n_parts - wanted]
        size = 0
        for at in range(pool.size):
            score = line[at]
            # The first of the heap is the worst of the best; among equals that is the last in the pool.
            if score < enough or not score > above or (size == count and not score > value[0]):
                continue
            if pool[at] < 0 or marks[pool[at]] == known:
                continue
            if size < count:
                hole = size
                size += 1
                while hole > 0:
                    over = (hole - 1) >> 1
                    if value[over] < score:
                        break
                    value[hole], place[hole] = value[over], place[over]
                    hole = over
            else:
                hole = 0
                while True:
                    under = 2 * hole + 1
                    if under >= count:
                        break
                    other = under + 1
                    if other < count and (
                        value[other] < value[under]
                        or (value[other] == value[under] and place[other] > place[under])
                    ):
                        under = other
                    if value[under] >= score:
                        break
                    value[hole], place[hole] = value[under], place[under]
                    hole = under
            value[hole], place[hole] = score, at
        for at in range(size):
            item = pool[place[at]]
            if marks[item] != taken:
                marks[item] = taken
                rows[user, named[user]] = item
                sources[user, named[user]] = source
                named[user] += 1


def name_first(
    lists: Numbers,
    whose: Numbers,
    count: int,
    starts: Numbers,
    bought: Numbers,
    marks: Numbers,
    rows: Numbers,
    sources: Numbers,
    named: Numbers,
    source: int,
) -> None:
    """Adds to each shopper's candidates the first of a list that he did not buy, but for those named already.

    Args:
        lists: `(m, p)` item rows, best first; -1 is never named.
        whose: `(n,)` which of the lists is the shopper's.
        count: so many are the first.
        starts: as in `name_best`, like all that follow.
        bought: item rows.
        marks: work space.
        rows: what was named.
        sources: beside it.
        named: how many were.
        source: what the new ones are marked with.
    """
    for user in range(rows.shape[0]):
        known, taken = 2 * user + 1, 2 * user + 2
        for at in range(named[user]):
            marks[rows[user, at]] = taken
        for at in range(starts[user], starts[user + 1]):
            marks[bought[at]] = known
        line = lists[whose[user]]
        left = count
        for at in range(line.size):
            if left == 0:
                break
            item = line[at]
            if item < 0 or marks[item] == known:
                continue
            left -= 1
            if marks[item] != taken:
                marks[item] = taken
                rows[user, named[user]] = item
                sources[user, named[user]] = source
                named[user] += 1
