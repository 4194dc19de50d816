"""Owns finding selection candidates: by category, channel, region, action and stage, in any order.

Everything is read from the snapshot's columns, which all workers share; no record is decoded to find a page.
What was found is kept, within bounds, so that the next page of a list costs no search and no sort.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recdata.snapshot import Snapshot
from recdata.snapshot.records import Int32s
from recsvc.candidate_entries import CandidateEntries
from recsvc.review_book import ReviewBook

#: Bytes of orders and matches that are kept for one snapshot; those asked for last stay.
MAX_KEPT_BYTES = 32 << 20

#: Fields of an order, each with whether the largest comes first.
Order = tuple[tuple[str, bool], ...]
#: Components with their weights, in the order of the snapshot's components.
Weights = tuple[tuple[str, float], ...]
#: What a place's part of is another quantity to order by.
LOCAL = {"local_demand": "demand", "local_value": "expected_value"}
#: A channel and a region, "" standing for all.
Where = tuple[str, str]
EVERYWHERE: Where = ("", "")
#: The order by rank, as it lies in the snapshot.
BY_RANK: Order = ()

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class CandidateQuery:
    """Which candidates are asked for, in the snapshot's words; an empty one allows everything."""

    category: str = ""
    channel: str = ""
    region: str = ""
    action: str = ""
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Rescored:
    """All candidates under other weights; each array is `(n_candidates,)`.

    Attributes:
        order: int32 places, best first; equal scores by item id.
        ranks: int32 new ranks by place, from 1.
        scores: float64 new scores by place, 0..1.
    """

    order: Int32s
    ranks: Int32s
    scores: NDArray[np.float64]


class _Kept:
    """The results asked for last, as many as fit into some bytes. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable, make: Callable[[], tuple[Made, int]]) -> Made:
        """Returns what is kept under a key; else what `make` returns, with how many bytes it takes."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found[0]  # type: ignore[return-value] # each key has one kind of value
        made, n_bytes = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = (made, n_bytes)
                self._bytes += n_bytes
                while self._bytes > self._max_bytes and len(self._kept) > 1:
                    _, (_, gone) = self._kept.popitem(last=False)
                    self._bytes -= gone
        return made


class CandidateIndex:
    """The candidates of one snapshot, to be found, ordered, weighed and shown. Thread-safe.

    A place is a rank less 1.

    Attributes:
        columns: what candidates are found and ordered by.
        entries: candidates as messages and as bytes.
        reviews: what people said of them, kept up with the live store.
    """

    def __init__(self, snapshot: Snapshot, *, max_kept_bytes: int = MAX_KEPT_BYTES) -> None:
        self._snapshot = snapshot
        self._kept = _Kept(max_kept_bytes)
        self.columns = snapshot.candidate_columns
        self.entries = CandidateEntries(snapshot)
        self.reviews = ReviewBook(snapshot)

    def order(self, fields: Order, where: Where = EVERYWHERE) -> Int32s:
        """Returns every place in an order; what is not known comes last, equals come by rank.

        Args:
            fields: names of the columns' numbers, of `LOCAL`, or "rank".
            where: the channel and region that the fields of `LOCAL` are of.
        """
        return self._kept.get(("order", fields, where), lambda: _sized(self._ordered(fields, where)))

    def rescored(self, weights: Weights) -> Rescored:
        """Returns all candidates under other weights, of which none is negative and one is above 0.

        As `selection.score.weighted_score` has it: the components' mean, weighed.
        """

        def make() -> tuple[Rescored, int]:
            made = self._rescored(weights)
            return made, made.order.nbytes + made.ranks.nbytes + made.scores.nbytes

        return self._kept.get(("weights", weights), make)

    def matching(self, query: CandidateQuery, key: Hashable, order: Int32s) -> Int32s:
        """Returns, ascending, where in an order the candidates stand that a query allows.

        Args:
            query: the snapshot knows its category, channel and region.
            key: what names the order: its fields or weights.
            order: every place, in that order.
        """
        return self._kept.get(("match", query, key), lambda: _sized(self._found(query, order)))

    def _ordered(self, fields: Order, where: Where) -> Int32s:
        count = self.columns.rows.size
        places = np.arange(count, dtype=np.int32)
        keys = []
        for name, descending in fields:
            if name in LOCAL:
                values = self.columns.numbers[LOCAL[name]] * self._shares(where)
            else:
                values = places.astype(np.float64) if name == "rank" else self.columns.numbers[name]
            keys.append(-values if descending else values)
        # lexsort is stable, so equals stay by rank; its last key counts first; NaN comes last.
        return np.lexsort(keys[::-1]).astype(np.int32) if keys else places

    def _shares(self, where: Where) -> NDArray[np.float64]:
        """Returns the share of each candidate's demand that is of a channel and region, NaN if not told."""
        places = self._snapshot.places
        if places is None:
            return np.full(self.columns.rows.size, np.nan)
        return places.shares(places.within(*where))[self.columns.rows]

    def _rescored(self, weights: Weights) -> Rescored:
        parts = [self.columns.components[name] for name, _ in weights]
        scores = weighted_mean(parts, [weight for _, weight in weights])
        order = np.lexsort((self.columns.rows, -scores)).astype(np.int32)  # rows are by item id
        ranks = np.empty_like(order)
        ranks[order] = np.arange(1, order.size + 1, dtype=np.int32)
        return Rescored(order, ranks, scores)

    def _found(self, query: CandidateQuery, order: Int32s) -> Int32s:
        columns, snapshot = self.columns, self._snapshot
        keep = np.ones(columns.rows.size, np.bool_)
        for rows in (
            snapshot.category_rows(query.category) if query.category else None,
            snapshot.facet_rows("channel", query.channel) if query.channel else None,
            snapshot.facet_rows("region", query.region) if query.region else None,
        ):
            if rows is not None:
                allowed = np.zeros(snapshot.n_items, np.bool_)
                allowed[rows] = True
                keep &= allowed[columns.rows]
        for name, word in (("action", query.action), ("stage", query.stage)):
            if word:
                words = columns.words[name]
                keep &= columns.codes[name] == words.index(word) if word in words else False
        return np.flatnonzero(keep[order]).astype(np.int32)


def weighted_mean(parts: Sequence[NDArray[np.float64]], weights: Sequence[float]) -> NDArray[np.float64]:
    """Returns the parts' mean, weighed, `(n,)` float64 in 0..1.

    Args:
        parts: at least one, each `(n,)` in 0..1.
        weights: one a part; none is negative, one is above 0. Only proportions matter.
    """
    top = max(weights)
    scaled = weights if sum(weights) < float("inf") else [weight / top for weight in weights]
    total = math.fsum(scaled)
    mean: NDArray[np.float64] = np.sum(
        [weight / total * part for weight, part in zip(scaled, parts, strict=True)], axis=0
    )
    return mean.clip(0.0, 1.0)


def _sized(array: Int32s) -> tuple[Int32s, int]:
    array.flags.writeable = False
    return array, array.nbytes
