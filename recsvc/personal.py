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

from recdata.snapshot.records import Float32s, Int32s
from recsvc.call import Call
from recsvc.filtering import contains
from recsvc.retrieval import Eligible, similar, together
from recsvc.shopper import Shopper, Taste
from recsvc.v1.common_pb2 import SourceType

RANK_OFFSET = 60.0
#: What all lists of one kind (similar, bought together) that the page at hand leads to weigh together, beside
#: 1 for the nightly list. Chosen on a validation period before the test period (docs/evaluation.md): as heavy
#: as the nightly list they cost a known shopper a third of NDCG; for a visitor they are all there is.
CONTEXT_WEIGHT = 0.25
VISITOR_CONTEXT_WEIGHT = 1.0
#: How far, in places, an item may move by rotation.
ROTATION_PLACES = 8.0
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


def moved_pool(call: Call, shopper: Shopper, eligible: Eligible) -> Pool:
    """Returns the eligible items after the shopper's last steps: nightly list, vector of now, and context."""
    nightly = nightly_pool(shopper, eligible)
    orders: list[tuple[Int32s, float]] = [(nightly.rows, 1.0)]
    sources = dict(zip(nightly.rows.tolist(), nightly.sources.tolist(), strict=True))
    because: dict[int, int] = {}
    snapshot = call.generation.snapshot
    context = shopper.context_rows[::-1][:10]
    context_weight = VISITOR_CONTEXT_WEIGHT if not nightly.rows.size else CONTEXT_WEIGHT
    for seed in context:
        for neighbours, source in (
            (together(snapshot, seed)[0], SourceType.SOURCE_TYPE_BOUGHT_TOGETHER),
            (similar(snapshot, seed)[0], SourceType.SOURCE_TYPE_SIMILAR),
        ):
            _lead(neighbours, source, seed, sources, because)
            kept = neighbours[eligible.among(neighbours)]
            orders.append((kept, context_weight / len(context)))
    for seed in shopper.seeds():
        _lead(similar(snapshot, seed)[0], SourceType.SOURCE_TYPE_SIMILAR, seed, sources, because)
    rows = np.fromiter(sorted(sources), np.int32, len(sources))
    rows = rows[eligible.among(rows)]
    taste = None
    if shopper.recent and call.affords(FOLD_IN_SECONDS, "taking in the latest events"):
        taste = shopper.taste(call)
        if taste is not None:
            products = snapshot.item_factors[rows] @ taste.folded.vector
            orders.append((rows[np.argsort(-products, kind="stable")], 1.0))
    if taste is None and shopper.recent:
        for seed in shopper.seeds():
            neighbours = similar(snapshot, seed)[0]
            orders.append((neighbours[eligible.among(neighbours)], 1.0))
    scores = fused(rows, orders)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > 0]
    rows = rows[order]
    codes = np.fromiter((sources[row] for row in rows.tolist()), np.uint8, rows.size)
    if taste is not None:  # what the vector orders is chosen by taste, unless the page at hand leads to it
        in_context = {row for row, seed in because.items() if seed in context}
        plain = codes == SourceType.SOURCE_TYPE_SIMILAR
        codes[plain & ~np.isin(rows, list(in_context))] = SourceType.SOURCE_TYPE_COLLABORATIVE
    return Pool(rows, scores[order], codes, because, taste)


def fused(rows: Int32s, orders: Sequence[tuple[Int32s, float]]) -> Float32s:
    """Returns each row's score by reciprocal rank fusion, `(len(rows),)` float32.

    Args:
        rows: ascending.
        orders: item rows best first, all of them in `rows`, and the order's weight.
    """
    scores = np.zeros(rows.size, np.float32)
    for ordered, weight in orders:
        scores[rows.searchsorted(ordered)] += weight / (RANK_OFFSET + np.arange(1, ordered.size + 1))
    return scores


def rotate(pool: Pool, seed: int) -> None:
    """Lets near neighbours of the order change places; the same seed gives the same order."""
    rng = np.random.default_rng(seed & 0xFFFFFFFFFFFFFFFF)
    count = pool.rows.size
    pool.take(np.argsort(np.arange(count) + ROTATION_PLACES * rng.random(count), kind="stable"))


def _lead(
    neighbours: Int32s, source: int, seed: int, sources: dict[int, int], because: dict[int, int]
) -> None:
    """Notes which row leads to which, the first one that does."""
    for row in neighbours.tolist():
        if row not in because:
            because[row] = seed
            # The page at hand, which comes first, says more than the nightly list; an earlier step does not.
            if row not in sources or source == SourceType.SOURCE_TYPE_BOUGHT_TOGETHER:
                sources[row] = source
