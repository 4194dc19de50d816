"""Owns the order of a shopper's own items: the nightly list, fused with what the last steps lead to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recdata.foldin import FoldedIn
from recdata.machine_code import aligned
from recdata.snapshot.records import Float32s, Int32s
from recsvc.call import Call
from recsvc.filtering import contains
from recsvc.fusing import RANK_OFFSET, fuser, gatherer
from recsvc.retrieval import Eligible
from recsvc.shopper import MAX_SEEDS, Shopper

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

_NO_ROWS = np.empty(0, np.int32)
_NO_MARKS = np.empty(0, np.uint8)
_NO_VECTOR = np.empty(0, np.float32)


@dataclass(slots=True)
class Pool:
    """Items in an order of their own, best first.

    Attributes:
        rows: `(n,)` int32, each once.
        scores: `(n,)` float32, descending.
        sources: `(n,)` uint8 `SourceType` numbers.
        because: rows, and the rows that led to them, −1 where none did.
        taste: the vector that took part, where one did.
        by_count: the order is a count, which no boost and no wish of the shop changes.
    """

    rows: Int32s
    scores: Float32s
    sources: np.ndarray
    because: tuple[Int32s, Int32s] = (_NO_ROWS, _NO_ROWS)
    taste: FoldedIn | None = None
    by_count: bool = False

    def add(self, rows: Int32s, sources: NDArray[np.uint8]) -> None:
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
        self.sources = np.concatenate([self.sources, sources])

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
    snapshot, record = call.generation.snapshot, shopper.record
    taste = None
    if shopper.recent and call.affords(FOLD_IN_SECONDS, "taking in the latest events"):
        taste = shopper.taste(call)
    nightly, marks = (_NO_ROWS, _NO_MARKS) if record is None else (record.ranked_rows, record.ranked_sources)
    # Weakest claim first: the page at hand says more than an earlier step, and orders more than taste.
    led, about = shopper.seeds()[::-1], shopper.context_rows[-MAX_SEEDS:]
    seeds = np.array(led + about, np.int32)
    similar_rows = snapshot.similar_rows
    rows = gatherer()(aligned(nightly), len(led), seeds, similar_rows, snapshot.together_rows)
    fused, scores, sources, because = fuser()(
        rows,
        eligible.among(rows),
        marks,
        NIGHTLY_PAGES * limit,
        len(led),
        seeds,
        similar_rows.shape[1],
        CONTEXT_WEIGHT,
        VISITOR_CONTEXT_WEIGHT,
        snapshot.item_factors,
        _NO_VECTOR if taste is None else taste.vector,
    )
    return Pool(fused, scores, sources, (fused, because), taste)


def rotate(pool: Pool, seed: int) -> None:
    """Lets near neighbours of the order change places; the same seed gives the same order."""
    rng = np.random.default_rng(seed & 0xFFFFFFFFFFFFFFFF)
    count = pool.rows.size
    pool.take(np.argsort(np.arange(count) + ROTATION_PLACES * rng.random(count), kind="stable"))
