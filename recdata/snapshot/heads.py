"""Owns reading the head of a shopper's ranked list, in machine code: most calls need nothing else of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from recdata.machine_code import compiled

#: Rows, scores and sources, of one length, best first.
Head = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.uint8]]


def first_allowed(
    record: NDArray[np.uint8],
    rows_at: int,
    n_ranked: int,
    sources_at: int,
    allowed: NDArray[np.bool_],
    fresh_only: bool,
    rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    sources: NDArray[np.uint8],
) -> int:
    """Writes the first ranked items that are allowed. To be compiled.

    Args:
        record: a shopper's, as written; its numbers may lie anywhere.
        rows_at: the byte at which the ranked rows begin; their scores follow.
        n_ranked: how many there are.
        sources_at: the byte at which their sources begin; whether each was never bought follows.
        allowed: `(n_items,)`.
        fresh_only: whether to leave out what was bought.
        rows: `(limit,)`, takes their rows.
        scores: `(limit,)`, takes their scores.
        sources: `(limit,)`, takes their sources.

    Returns:
        How many were written.

    Raises:
        IndexError: a row is that of no item.
    """
    as_bytes = scores.view(np.uint8)
    count = 0
    for place in range(n_ranked):
        if count == rows.size:
            break
        if fresh_only and not record[sources_at + n_ranked + place]:
            continue
        at = rows_at + 4 * place
        row = (
            np.int32(record[at])
            | np.int32(record[at + 1]) << 8
            | np.int32(record[at + 2]) << 16
            | np.int32(record[at + 3]) << 24
        )
        if row < 0 or row >= allowed.size:
            raise IndexError("a ranked row is that of no item")
        if allowed[row]:
            rows[count], sources[count] = row, record[sources_at + place]
            for k in range(4):
                as_bytes[4 * count + k] = record[at + 4 * n_ranked + k]
            count += 1
    return count


@cache
def heads_compiled() -> Callable[..., int]:
    """Returns `first_allowed` as machine code."""
    given = "uint8[:]", "int64", "int64", "int64", "boolean[:]", "boolean"
    taken = "out int32[:]", "out float32[:]", "out uint8[:]"
    return compiled(first_allowed, *given, *taken, lets_others_run=False)
