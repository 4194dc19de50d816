"""Owns fusing several orders of items into one, which is compiled: a page after a shopper's last steps.

By reciprocal rank fusion (Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and
individual rank learning methods", 2009): an item's score is the sum over the orders of weight / (60 + rank).
It needs no common scale between a chance of purchase, a product of vectors and a lift.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from recdata.machine_code import compiled
from recdata.snapshot.records import Float32s, Int32s
from recsvc.v1.common_pb2 import SourceType

RANK_OFFSET = 60.0
SIMILAR = int(SourceType.SOURCE_TYPE_SIMILAR)
TOGETHER = int(SourceType.SOURCE_TYPE_BOUGHT_TOGETHER)
COLLABORATIVE = int(SourceType.SOURCE_TYPE_COLLABORATIVE)


def gather(nightly: Int32s, n_led: int, seeds: Int32s, similar_rows: Int32s, together_rows: Int32s) -> Int32s:
    """Returns the orders that `fuse` reads, one after the other. To be compiled.

    Args:
        nightly: rows of the nightly list, best first.
        n_led: how many of the seeds are earlier steps; the others are the page at hand.
        seeds: rows that lead to others, the weakest claim first.
        similar_rows: `(n_items, k)`, padded with −1.
        together_rows: `(n_items, j)`, padded with −1.

    Returns:
        The nightly list, what is similar to each seed, what is bought together with each of the page at hand.

    Raises:
        IndexError: a seed is the row of no item.
    """
    for seed in seeds:
        if seed < 0 or seed >= similar_rows.shape[0]:
            raise IndexError("a seed is the row of no item")
    k, j, n_seeds = similar_rows.shape[1], together_rows.shape[1], seeds.size
    rows = np.empty(nightly.size + n_seeds * k + (n_seeds - n_led) * j, np.int32)
    at = nightly.size
    rows[:at] = nightly
    for seed in seeds:
        rows[at : at + k] = similar_rows[seed]
        at += k
    for seed in seeds[n_led:]:
        rows[at : at + j] = together_rows[seed]
        at += j
    return rows


def fuse(
    rows: Int32s,
    keep: NDArray[np.bool_],
    marks: NDArray[np.uint8],
    most_nightly: int,
    n_led: int,
    seeds: Int32s,
    width: int,
    context_weight: float,
    visitor_weight: float,
    factors: Float32s,
    vector: Float32s,
) -> tuple[Int32s, Float32s, NDArray[np.uint8], Int32s]:
    """Returns what the nightly list and the last steps make together, best first. To be compiled.

    Ties go by row.

    Args:
        rows: as `gather` returns them; a negative row stands for none.
        keep: which of them may be in the outcome.
        marks: sources of the nightly list's items.
        most_nightly: how many of its kept items take part.
        n_led: as for `gather`.
        seeds: as for `gather`.
        width: how many rows are similar to a seed.
        context_weight: of all orders that the page at hand leads to, beside 1 for the nightly list.
        visitor_weight: the same where no item of a nightly list is kept.
        factors: `(n_items, f)`.
        vector: `(f,)`, whose products with all candidates' factors are one more order, of weight 1; where it
            is empty, what earlier steps lead to are orders of their own instead.

    Returns:
        Rows, scores, sources, and the seeds that led to the items, −1 for none: `(n,)` int32, float32, uint8,
        int32.
    """
    n_nightly, n_seeds = marks.size, seeds.size
    taken = np.zeros(rows.size, np.bool_)
    count = 0
    for at in range(n_nightly):
        if keep[at] and count < most_nightly:
            taken[at] = True
            count += 1
    for at in range(n_nightly, rows.size):
        taken[at] = keep[at] and rows[at] >= 0
    known = np.unique(rows[taken])
    n = known.size
    scores, source = np.zeros(n, np.float32), np.zeros(n, np.uint8)
    because, at_hand = np.full(n, -1, np.int32), np.zeros(n, np.bool_)
    n_about = n_seeds - n_led
    about_weight = (context_weight if count else visitor_weight) / max(1, n_about)
    at = n_nightly
    for order in range(n_seeds + n_about):
        seed = seeds[order] if order < n_seeds else seeds[order - n_about]
        end = at + width if order < n_seeds else at + (rows.size - n_nightly - n_seeds * width) // n_about
        weight = about_weight if order >= n_led else 0.0 if vector.size else 1.0
        rank = 0
        while at < end:
            if taken[at]:
                rank += 1
                place = np.searchsorted(known, rows[at])
                scores[place] += weight / (RANK_OFFSET + rank)
                source[place] = SIMILAR if order < n_seeds else TOGETHER
                because[place], at_hand[place] = seed, order >= n_led
            at += 1
    rank = 0
    for at in range(n_nightly):
        if taken[at]:
            rank += 1
            place = np.searchsorted(known, rows[at])
            scores[place] += 1 / (RANK_OFFSET + rank)
            if source[place] != TOGETHER:
                source[place] = marks[at]
    if vector.size:
        products = np.empty(n, np.float32)
        for place in range(n):
            of_item = factors[known[place]]
            product = np.float32(0)
            for k in range(vector.size):
                product += of_item[k] * vector[k]
            products[place] = -product
            # What the vector orders is chosen by taste, unless the page at hand leads to it.
            if source[place] == SIMILAR and not at_hand[place]:
                source[place] = COLLABORATIVE
        for place, best in enumerate(np.argsort(products, kind="mergesort")):
            scores[best] += 1 / (RANK_OFFSET + place + 1)
    best_first = np.argsort(-scores, kind="mergesort")[: np.count_nonzero(scores)]
    return known[best_first], scores[best_first], source[best_first], because[best_first]


@cache
def gatherer() -> Callable[..., Int32s]:
    """Returns `gather` as machine code."""
    return compiled(
        gather, "int32[:]", "int64", "int32[:]", "int32[:,:]", "int32[:,:]", lets_others_run=False
    )


@cache
def fuser() -> Callable[..., tuple[Int32s, Float32s, NDArray[np.uint8], Int32s]]:
    """Returns `fuse` as machine code."""
    lists = "int32[:]", "boolean[:]", "uint8[:]", "int64", "int64", "int32[:]", "int64"
    numbers = "float64", "float64", "float32[:,:]", "float32[:]"
    return compiled(fuse, *lists, *numbers, lets_others_run=False)
