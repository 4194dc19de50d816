"""Owns the shoppers' vectors that belong to the final items: every shopper's equation solved, not approached.

implicit ends its fit with the items, so its shoppers belong to the items of half a sweep before, and three
steps of conjugate gradient come near a solution only.  Solved here is what `recdata.foldin.FoldedIn` solves
when the server takes in an event of today, for all shoppers at once: Hu, Koren and Volinsky (2008),
equation 4.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.blocks import in_threads

Factors = NDArray[np.float32]

BLOCK_CELLS = 1 << 22  # factors that one thread gathers at once: 16 MB of float32, twice
BLOCK_USERS = 256  # and equations: 19 MB at 96 factors, in float64


def exact_user_factors(
    confidences: sparse.csr_array[np.float32, tuple[int, int]],
    item_factors: Factors,
    *,
    penalty: float,
    threads: int = 0,
) -> Factors:
    """Returns every shopper's vector, `(n_users, f)` float32; zeros without interactions.

    The vectors do not depend on the number of threads.

    Args:
        confidences: `(n_users, n_items)`, above 0 where a shopper met an item.
        item_factors: `(n_items, f)`.
        penalty: on the squared length of a vector, above 0 unless the items span all of their space.
        threads: 0 means every core.
    """
    n_factors = item_factors.shape[1]
    factors = np.zeros((confidences.shape[0], n_factors), np.float32)
    lengths = np.diff(confidences.indptr)
    base = (item_factors.T @ item_factors).astype(np.float64)
    base.flat[:: n_factors + 1] += penalty
    by_length = np.argsort(lengths, kind="stable")
    by_length = by_length[lengths[by_length] > 0]
    parts = list(_parts(lengths[by_length], n_factors))

    def solve(at: int) -> tuple[NDArray[np.int64], Factors]:
        users = by_length[parts[at]]
        columns = np.arange(int(lengths[users[-1]]))
        real = columns < lengths[users, None]
        places = np.where(real, confidences.indptr[users, None] + columns, confidences.indptr[users, None])
        confidence = np.where(real, confidences.data[places], np.float32(0.0))
        vectors = item_factors[confidences.indices[places]]  # (users, longest, f)
        above = np.where(real, confidence - np.float32(1.0), np.float32(0.0))
        weighted = (vectors * above[:, :, None]).transpose(0, 2, 1)
        wanted = (confidence[:, None, :] @ vectors).transpose(0, 2, 1)
        return users, np.linalg.solve(base + weighted @ vectors, wanted)[:, :, 0].astype(np.float32)

    for users, solved in in_threads(solve, range(len(parts)), threads=threads):
        factors[users] = solved
    return factors


def _parts(lengths: NDArray[np.integer], n_factors: int) -> Iterator[slice]:
    """Yields slices of ascending lengths whose padded arrays are small enough, at least one shopper each."""
    start = 0
    for stop, length in enumerate(lengths.tolist()):
        count = stop - start
        if count and (count == BLOCK_USERS or (count + 1) * length * n_factors > BLOCK_CELLS):
            yield slice(start, stop)
            start = stop
    if start < lengths.size:
        yield slice(start, lengths.size)
