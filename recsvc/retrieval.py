"""Owns choosing items: pure functions from a snapshot's arrays to rows, scores and sources, best first.

A shopper's list is filled in steps, each over the items that the request allows: the list ranked by the
nightly job, the exact product of the shopper's and the items' factors, bestsellers of ever wider segments,
and at last the catalogue. Later steps run only where the ones before did not fill the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recdata.snapshot import RankedList, Snapshot, UserRecord
from recdata.snapshot.records import Float32s, Int32s
from recsvc.serving import Generation
from recsvc.v1.common_pb2 import SourceType

SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Segment:
    """Whose bestsellers are meant; "" stands for all."""

    category: str = ""
    channel: str = ""
    region: str = ""


@dataclass(slots=True)
class Eligible:
    """Which items may be in an answer; conditions are tested on the rows at hand, not on the catalogue.

    Attributes:
        sellable: `(n_items,)` bool.
        within: ascending rows of the category asked for; None for all.
        without: ascending rows to leave out, such as what the shopper bought; None for none.
        excluded: ascending rows that the request leaves out; None for none.
    """

    sellable: NDArray[np.bool_]
    within: Int32s | None = None
    without: Int32s | None = None
    excluded: Int32s | None = None

    def among(self, rows: Int32s) -> NDArray[np.bool_]:
        """Returns for each row whether it is eligible, `(len(rows),)` bool."""
        keep = self.sellable[rows]
        if self.within is not None:
            keep &= contains(self.within, rows)
        if self.without is not None:
            keep &= ~contains(self.without, rows)
        if self.excluded is not None:
            keep &= ~contains(self.excluded, rows)
        return keep

    def rows(self, all_rows: Int32s) -> Int32s:
        """Returns every eligible row, ascending."""
        rows = all_rows if self.within is None else self.within
        return rows[self.among(rows)]


@dataclass(slots=True)
class Picks:
    """A list in the making, best first; a row is taken once.

    Attributes:
        rows: item rows.
        scores: one for each row.
        sources: `SourceType` numbers, one for each row.
    """

    limit: int
    rows: list[int] = field(default_factory=list)
    scores: list[Float32s] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Returns how many items still have room."""
        return self.limit - len(self.rows)

    def add(self, rows: Int32s, scores: Float32s, sources: Sequence[int]) -> None:
        """Appends the first of the given items that have room; none of them may be in the list."""
        room = self.missing
        if rows.size > room:
            rows, scores, sources = rows[:room], scores[:room], sources[:room]
        self.rows += rows.tolist()
        self.scores.append(scores)
        self.sources += sources

    def add_new(self, rows: Int32s, scores: Float32s, source: int) -> None:
        """Appends as `add` does, leaving out what is in the list already."""
        if self.rows:
            fresh = ~np.isin(rows, self.rows)
            rows, scores = rows[fresh], scores[fresh]
        self.add(rows, scores, [source] * min(rows.size, self.missing))

    def all_scores(self) -> Float32s:
        """Returns the scores as one array, `(len(rows),)` float32."""
        return (
            self.scores[0] if len(self.scores) == 1 else np.concatenate(self.scores or [np.empty(0, "<f4")])
        )


def contains(ascending: Int32s, rows: Int32s) -> NDArray[np.bool_]:
    """Returns for each row whether it is in `ascending`, `(len(rows),)` bool."""
    if not ascending.size:
        return np.zeros(rows.size, np.bool_)
    found: NDArray[np.bool_] = ascending.take(ascending.searchsorted(rows), mode="clip") == rows
    return found


def add_ranked(picks: Picks, user: UserRecord, eligible: Eligible) -> None:
    """Adds the shopper's ranked items, in their order."""
    places = eligible.among(user.ranked_rows).nonzero()[0][: picks.missing]
    picks.add(user.ranked_rows[places], user.ranked_scores[places], user.ranked_sources[places].tolist())


def add_by_factors(picks: Picks, user: UserRecord, eligible: Eligible, generation: Generation) -> None:
    """Adds the eligible items with the highest product of factors; ties by item id."""
    factors = generation.snapshot.item_factors
    if not user.factors.size or not user.factors.any() or user.factors.size != factors.shape[1]:
        return
    rows = eligible.rows(generation.all_rows)
    if picks.rows:
        rows = rows[~np.isin(rows, picks.rows)]
    # einsum and not a BLAS product: that would start threads of its own for one vector.
    if 2 * rows.size < factors.shape[0]:
        scores = np.einsum("if,f->i", factors[rows], user.factors)
    else:
        scores = np.einsum("if,f->i", factors, user.factors)[rows]
    best = top(scores, picks.missing)
    picks.add(rows[best], scores[best], [SourceType.SOURCE_TYPE_COLLABORATIVE] * best.size)


def add_bestsellers(picks: Picks, segment: Segment, eligible: Eligible, generation: Generation) -> bool:
    """Adds bestsellers of the segment, then of ever wider ones; returns whether its own list exists.

    The channel and region are widened first, then the category.
    """
    exact = False
    for place, wider in enumerate(widening(segment)):
        if not picks.missing:
            break
        ranked = _bestsellers(generation, wider)
        if ranked is not None:
            exact = exact or place == 0
            keep = eligible.among(ranked.rows)
            picks.add_new(ranked.rows[keep], ranked.scores[keep], SourceType.SOURCE_TYPE_BESTSELLER)
    return exact


def add_catalogue(picks: Picks, eligible: Eligible, generation: Generation) -> None:
    """Adds any eligible item, by item id, with score 0."""
    rows = eligible.rows(generation.all_rows)
    picks.add_new(rows, np.zeros(rows.size, np.float32), SourceType.SOURCE_TYPE_CATALOGUE)


def similar(snapshot: Snapshot, item_row: int, eligible: Eligible) -> tuple[Int32s, Float32s]:
    """Returns the eligible items that are similar to one, most similar first, and their scores."""
    rows = snapshot.similar_rows[item_row]
    known = rows >= 0
    rows, scores = rows[known], snapshot.similar_scores[item_row][known]
    keep = eligible.among(rows) & (rows != item_row)
    return rows[keep], scores[keep]


def find_list(
    snapshot: Snapshot, kind: str, window_days: int, segment: Segment
) -> tuple[RankedList | None, Segment]:
    """Returns the list of the segment or of the nearest wider channel and region, and whose it is."""
    for wider in _wider_places(segment):
        found = snapshot.ranked_list(
            kind, window_days, category=wider.category, channel=wider.channel, region=wider.region
        )
        if found is not None:
            return found, wider
    return None, segment


def widening(segment: Segment) -> Iterator[Segment]:
    """Yields the segment and ever wider ones: without region, channel, both; then of the category above."""
    for category in _upwards(segment.category):
        yield from _wider_places(Segment(category, segment.channel, segment.region))


def top(scores: Float32s, count: int) -> NDArray[np.intp]:
    """Returns the places of the highest scores, best first; ties by place."""
    if count <= 0:
        return np.empty(0, np.intp)
    places = np.arange(scores.size)
    if scores.size > count:
        places = np.flatnonzero(scores >= np.partition(scores, scores.size - count)[scores.size - count])
    best: NDArray[np.intp] = places[np.argsort(-scores[places], kind="stable")][:count]
    return best


def _upwards(category: str) -> Iterator[str]:
    while category:
        yield category
        category = category.rpartition(SEPARATOR)[0]
    yield ""


def _wider_places(segment: Segment) -> list[Segment]:
    category, channel, region = segment.category, segment.channel, segment.region
    places = ((channel, region), (channel, ""), ("", region), ("", ""))
    return [Segment(category, *place) for place in dict.fromkeys(places)]


def _bestsellers(generation: Generation, segment: Segment) -> RankedList | None:
    return generation.snapshot.ranked_list(
        "best",
        generation.bestseller_window_days,
        category=segment.category,
        channel=segment.channel,
        region=segment.region,
    )
