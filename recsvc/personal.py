"""Owns the order of a shopper's own items: the nightly list, fused with what the last steps lead to.

Several orders of items become one by reciprocal rank fusion (Cormack, Clarke and Büttcher, "Reciprocal Rank
Fusion outperforms Condorcet and individual rank learning methods", 2009): an item's score is the sum over
the orders of weight / (60 + rank). It needs no common scale between a chance of purchase, a product of
vectors and a lift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recdata.snapshot.records import Float32s, Int32s
from recsvc.call import Call
from recsvc.filtering import contains
from recsvc.retrieval import Eligible, similar, together
from recsvc.shopper import MAX_SEEDS, Shopper, Taste
from recsvc.v1.common_pb2 import SourceType

RANK_OFFSET = 60.0
SIMILAR = SourceType.SOURCE_TYPE_SIMILAR
TOGETHER = SourceType.SOURCE_TYPE_BOUGHT_TOGETHER
#: What all lists of one kind (similar, bought together) that the page at hand leads to weigh together, beside
#: 1 for the nightly list. Chosen on a validation period before the test period (docs/evaluation.md): as heavy
#: as the nightly list they cost a known shopper a third of NDCG; for a visitor they are all there is.
CONTEXT_WEIGHT = 0.25
VISITOR_CONTEXT_WEIGHT = 1.0
#: How far, in places, an item may move by rotation.
ROTATION_PLACES = 8.0
#: How many pages of the nightly list are fused with other orders; the rest could hardly come up to the page.
NIGHTLY_PAGES = 5
#: Seconds that folding in takes at most on a busy machine; a caller with less left gets the nightly list.
FOLD_IN_SECONDS = 2e-3


@dataclass(slots=True)
class Pool:
    """Items in an order of their own, best first.

    Attributes:
        rows: `(n,)` int32, each once.
        scores: `(n,)` float32, descending.
        sources: `(n,)` uint8 `SourceType` numbers.
        because: the row that led to an item, by row, where one did.
        taste: the vector that took part, where one did.
        by_count: the order is a count, which no boost and no wish of the shop changes.
    """

    rows: Int32s
    scores: Float32s
    sources: np.ndarray
    because: dict[int, int] = field(default_factory=dict)
    taste: Taste | None = None
    by_count: bool = False

    def add(self, rows: Int32s, sources: Sequence[int]) -> None:
        """Appends items that are worth less than all before, by reciprocal rank; none may be in it.

        What is appended first after n items scores (60 + n) / (60 + n + 1) times the last of them; an empty
        pool goes on from 1.
        """
        count = self.rows.size
        last = float(self.scores[-1]) if count else 1.0
        ranks = np.arange(count + 1, count + 1 + rows.size)
        tail = (last * (RANK_OFFSET + count) / (RANK_OFFSET + ranks)).astype(np.float32)
        self.rows = np.concatenate([self.rows, rows.astype(np.int32)])
        self.scores = np.concatenate([self.scores, tail])
        self.sources = np.concatenate([self.sources, np.array(sources, np.uint8)])

    def split(self, rows: Int32s) -> Pool:
        """Keeps what is not among these ascending rows, and returns what is, both in their order."""
        among = contains(rows, self.rows)
        part = replace(self)
        part.take(among.nonzero()[0])
        self.take((~among).nonzero()[0])
        return part

    def take(self, places: np.ndarray) -> None:
        """Keeps the items at these places, in their order."""
        self.rows, self.scores, self.sources = self.rows[places], self.scores[places], self.sources[places]


def nightly_pool(shopper: Shopper, eligible: Eligible) -> Pool:
    """Returns the eligible items of the list that the nightly job ranked; empty for whom it has none."""
    record = shopper.record
    if record is None:
        return Pool(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.uint8))
    places = eligible.among(record.ranked_rows).nonzero()[0]
    return Pool(record.ranked_rows[places], record.ranked_scores[places], record.ranked_sources[places])


def moved_pool(call: Call, shopper: Shopper, eligible: Eligible, *, limit: int) -> Pool:
    """Returns the eligible items after the shopper's last steps: nightly list, vector of now, and context.

    Args:
        call: what to answer from.
        shopper: who asks.
        eligible: who may be in the list.
        limit: the page's length; so many times as much of the nightly list takes part.
    """
    nightly, snapshot = nightly_pool(shopper, eligible), call.generation.snapshot
    nightly.take(np.arange(min(nightly.rows.size, NIGHTLY_PAGES * limit)))
    context, seeds = shopper.context_rows[::-1][:MAX_SEEDS], shopper.seeds()
    # Weakest claim first: the page at hand says more than an earlier step, and orders more than taste.
    led = [_Led(similar(snapshot, seed)[0], SIMILAR, seed) for seed in reversed(seeds)]
    about = [_Led(similar(snapshot, seed)[0], SIMILAR, seed) for seed in reversed(context)]
    about += [_Led(together(snapshot, seed)[0], TOGETHER, seed) for seed in reversed(context)]
    rows = np.unique(np.concatenate([nightly.rows, *(each.rows for each in (*led, *about))]))
    keep = eligible.among(rows)
    sources, because = np.zeros(rows.size, np.uint8), np.full(rows.size, -1, np.int32)
    at_hand = np.zeros(rows.size, np.bool_)
    orders: list[tuple[NDArray[np.intp], float]] = []
    for each in led:
        places = rows.searchsorted(each.rows)
        sources[places], because[places] = SIMILAR, each.seed
    weight = (CONTEXT_WEIGHT if nightly.rows.size else VISITOR_CONTEXT_WEIGHT) / max(1, len(context))
    for each in about:
        places = rows.searchsorted(each.rows)
        sources[places], because[places], at_hand[places] = each.source, each.seed, True
        orders.append((places[keep[places]], weight))
    listed = rows.searchsorted(nightly.rows)
    known = listed[sources[listed] != TOGETHER]
    sources[known] = nightly.sources[sources[listed] != TOGETHER]
    orders.append((listed, 1.0))
    taste = None
    if shopper.recent:
        if call.affords(FOLD_IN_SECONDS, "taking in the latest events"):
            taste = shopper.taste(call)
        if taste is not None:
            places = keep.nonzero()[0]
            products = snapshot.item_factors[rows[places]] @ taste.folded.vector
            orders.append((places[np.argsort(-products, kind="stable")], 1.0))
            # What the vector orders is chosen by taste, unless the page at hand leads to it.
            sources[(sources == SIMILAR) & ~at_hand] = SourceType.SOURCE_TYPE_COLLABORATIVE
        else:
            places_of = [rows.searchsorted(each.rows) for each in led]
            orders += [(places[keep[places]], 1.0) for places in places_of]
    scores = fused(rows.size, orders)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > 0]
    rows, leading = rows[order], because[order]
    told = leading >= 0
    return Pool(
        rows,
        scores[order],
        sources[order],
        dict(zip(rows[told].tolist(), leading[told].tolist(), strict=True)),
        taste,
    )


@dataclass(frozen=True, slots=True)
class _Led:
    """Items that one item leads to, best first."""

    rows: Int32s
    source: int
    seed: int


def fused(count: int, orders: Sequence[tuple[NDArray[np.intp], float]]) -> Float32s:
    """Returns each item's score by reciprocal rank fusion, `(count,)` float32.

    Args:
        count: how many items there are.
        orders: places of items, best first, each once, and the order's weight.
    """
    scores = np.zeros(count, np.float32)
    for ordered, weight in orders:
        scores[ordered] += weight / (RANK_OFFSET + np.arange(1, ordered.size + 1))
    return scores


def rotate(pool: Pool, seed: int) -> None:
    """Lets near neighbours of the order change places; the same seed gives the same order."""
    rng = np.random.default_rng(seed & 0xFFFFFFFFFFFFFFFF)
    count = pool.rows.size
    pool.take(np.argsort(np.arange(count) + ROTATION_PLACES * rng.random(count), kind="stable"))
