"""Owns working through a large score matrix in blocks: bounded memory, many threads, one answer."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

NO_ITEM = -1  # pads a list that is shorter than the others
BLOCK_CELLS = 1 << 23  # scores that one thread holds at once: 32 MB of float32
GROUP_COLUMNS = 32  # columns that share one maximum in the search for the best

PartT = TypeVar("PartT")


def block_rows(columns: int) -> int:
    """Returns how many rows of `columns` scores one block holds; at least one."""
    return max(1, BLOCK_CELLS // max(columns, 1))


def in_threads(work: Callable[[int], PartT], starts: Iterable[int], *, threads: int) -> Iterator[PartT]:
    """Yields `work(start)` for every start, in their order, with at most `threads + 1` results in memory.

    BLAS is held to one thread meanwhile, so blocks do not fight for cores and equal blocks give equal bits.

    Args:
        work: computes one block; numpy lets other threads run while it does.
        starts: what identifies the blocks.
        threads: 0 means every core.
    """
    workers = threads or os.cpu_count() or 1
    waiting: deque[Future[PartT]] = deque()
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        for start in starts:
            waiting.append(pool.submit(work, start))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def top_k(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Returns the places and values of each row's k best, best first, ties by place upwards.

    The k-th largest maximum of strided groups of columns bounds the k-th largest score from below, so only
    the few scores at or above it are sorted: several times faster than a partition of every row.

    Args:
        scores: `(rows, columns)` float32 without NaN.
        k: wanted; fewer come back where there are fewer columns.

    Returns:
        places int64 and values float32, both `(rows, min(k, columns))`.
    """
    n_rows, n_columns = scores.shape
    width = min(k, n_columns)
    n_groups = n_columns // GROUP_COLUMNS
    if n_groups <= width:
        places = np.argsort(-scores, axis=1, kind="stable")[:, :width]
        return places, np.take_along_axis(scores, places, axis=1)
    grouped = scores[:, : n_groups * GROUP_COLUMNS].reshape(n_rows, GROUP_COLUMNS, n_groups)
    bound = np.partition(grouped.max(axis=1), -width, axis=1)[:, -width]
    rows, places = np.divmod(np.flatnonzero(scores >= bound[:, None]), n_columns)
    values = scores[rows, places]
    order = np.lexsort((places, -values, rows))
    first = np.searchsorted(rows, np.arange(n_rows))
    best = order[first[:, None] + np.arange(width)]
    return places[best], values[best]
