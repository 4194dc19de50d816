"""Owns choosing items: from a snapshot's arrays to rows, scores and sources, best first.

A shopper's list is filled in steps, each over the items that the request allows: the personal items (the list
ranked by the nightly job, and what the shopper's last steps lead to), the exact product of the shopper's and
the items' factors, bestsellers of ever wider segments, and at last the catalogue. Later steps run only where
the ones before did not fill the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recdata.snapshot import RankedList, Snapshot, UserView
from recdata.snapshot.records import Float32s, Int32s
from recsvc.call import Call
from recsvc.filtering import SEPARATOR, Conditions, contains
from recsvc.v1.common_pb2 import SourceType

#: Seconds that the exact product takes for one item and one factor, and for one item, measured generously.
SECONDS_A_PRODUCT = 1e-9
SECONDS_AN_ITEM = 2e-8

COLLABORATIVE = SourceType.SOURCE_TYPE_COLLABORATIVE

_NO_ROWS = np.empty(0, np.int32)
_NO_SCORES = np.empty(0, np.float32)
_NO_SOURCES = np.empty(0, np.uint8)


@dataclass(frozen=True, slots=True)
class Segment:
    """Whose bestsellers are meant; "" stands for all."""

    category: str = ""
    channel: str = ""
    region: str = ""


@dataclass(slots=True)
class Eligible:
    """Which items may be in an answer.

    Attributes:
        conditions: those of the catalogue, which all hold; at least one.
        without: ascending rows to leave out, such as what the shopper bought.
        only: ascending rows, the only ones that may be in it; None for any.
    """

    conditions: tuple[Conditions, ...]
    without: tuple[Int32s, ...] = ()
    only: Int32s | None = None

    def among(self, rows: Int32s) -> NDArray[np.bool_]:
        """Returns for each row whether it is eligible, `(len(rows),)` bool."""
        keep = self.conditions[0].among(rows)
        for condition in self.conditions[1:]:
            keep &= condition.among(rows)
        for ascending in self.without:
            keep &= absent(ascending, rows)
        if self.only is not None:
            keep &= contains(self.only, rows)
        return keep

    def mask(self) -> NDArray[np.bool_] | None:
        """Returns which items are eligible, `(n_items,)` bool, where that is at hand; else None."""
        if len(self.conditions) > 1 or self.without or self.only is not None:
            return None
        return self.conditions[0].mask()

    def rows(self) -> Int32s:
        """Returns every eligible row, ascending."""
        if self.only is not None:
            return self.only[self.among(self.only)]
        first = min(self.conditions, key=lambda each: each.count_at_most())
        rows = first.rows()
        others = tuple(each for each in self.conditions if each is not first)
        for condition in others:
            rows = rows[condition.among(rows)]
        for ascending in self.without:
            rows = rows[~contains(ascending, rows)]
        return rows

    def count_at_most(self) -> int:
        """Returns a number that the eligible items do not exceed."""
        count = min(each.count_at_most() for each in self.conditions)
        return count if self.only is None else min(count, self.only.size)

    def but(self, *without: Int32s) -> Eligible:
        """Returns the same, leaving out more ascending rows."""
        more = tuple(rows for rows in without if rows.size)
        return Eligible(self.conditions, self.without + more, self.only) if more else self

    def within(self, only: Int32s) -> Eligible:
        """Returns the same among these ascending rows alone."""
        kept = only if self.only is None else only[contains(self.only, only)]
        return Eligible(self.conditions, self.without, kept)


@dataclass(slots=True)
class Picks:
    """A list in the making, best first; a row is taken once.

    Attributes:
        limit: how many items it may hold.
        rows: `(n,)` int32 item rows.
        scores: `(n,)` float32.
        sources: `(n,)` uint8 `SourceType` numbers.
        cap: at most so many items of one narrowest category; 0 for any number.
        page_cap: the same of the whole page that the list stands on.
        category_codes: `(n_items,)` int32, needed for a cap.
        counted: how many items of each category the list has, counted where there is a cap.
        taken: the same of the page; shared by its lists.
        because: rows, and the rows that led to them, −1 where none did; None for nowhere.
    """

    limit: int
    rows: Int32s = field(default_factory=lambda: _NO_ROWS)
    scores: Float32s = field(default_factory=lambda: _NO_SCORES)
    sources: NDArray[np.uint8] = field(default_factory=lambda: _NO_SOURCES)
    cap: int = 0
    page_cap: int = 0
    category_codes: Int32s | None = None
    counted: Counter[int] | None = None
    taken: Counter[int] | None = None
    because: tuple[Int32s, Int32s] | None = None

    @property
    def missing(self) -> int:
        """Returns how many items still have room."""
        return self.limit - self.rows.size

    def add(self, rows: Int32s, scores: Float32s, sources: NDArray[np.uint8]) -> None:
        """Appends the first of the given items that have room; none of them may be in the list."""
        if (self.cap or self.page_cap) and rows.size:
            places = self._within_cap(rows)
            rows, scores, sources = rows[places], scores[places], sources[places]
        room = self.missing
        if rows.size > room:
            rows, scores, sources = rows[:room], scores[:room], sources[:room]
        self.rows = np.concatenate([self.rows, rows], dtype=np.int32)
        self.scores = np.concatenate([self.scores, scores], dtype=np.float32)
        self.sources = np.concatenate([self.sources, sources])

    def add_head(self, record: UserView, allowed: NDArray[np.bool_], *, fresh_only: bool) -> None:
        """Fills an empty list without a cap with the first of a shopper's ranked items that are allowed."""
        self.rows, self.scores, self.sources = record.head(allowed, self.limit, fresh_only=fresh_only)

    def add_new(self, rows: Int32s, scores: Float32s, source: int) -> None:
        """Appends as `add` does, leaving out what is in the list already."""
        if self.rows.size:
            fresh = ~np.isin(rows, self.rows)
            rows, scores = rows[fresh], scores[fresh]
        self.add(rows, scores, np.full(rows.size, source, np.uint8))

    def reserve(self, row: int) -> bool:
        """Keeps room for an item that `pin` puts into the list later.

        Returns:
            Whether there is any, in the list and under the caps.
        """
        code = -1 if self.category_codes is None else int(self.category_codes[row])
        if self.missing <= 0 or not self._has_room(code):
            return False
        self.limit -= 1
        return True

    def pin(self, row: int, position: int) -> None:
        """Puts an item that room is reserved for at a place, from 1 on; past the end it comes last."""
        self.limit += 1
        place = min(position - 1, self.rows.size)
        self.rows = np.insert(self.rows, place, row)
        self.scores = np.insert(self.scores, place, 0)
        self.sources = np.insert(self.sources, place, SourceType.SOURCE_TYPE_RULE)

    def _within_cap(self, rows: Int32s) -> list[int]:
        """Returns the places of rows whose category has room, as many as are missing; counts them."""
        if self.category_codes is None:
            return list(range(rows.size))
        places: list[int] = []
        for place, code in enumerate(self.category_codes[rows].tolist()):
            if len(places) == self.missing:
                break
            if self._has_room(code):
                places.append(place)
        return places

    def _has_room(self, code: int) -> bool:
        """Returns whether a category has room for one more, and counts it where it has; −1 always has."""
        if self.counted is None:
            self.counted = Counter()
        if self.taken is None:
            self.taken = Counter()
        if (self.cap and self.counted[code] >= self.cap) or (
            self.page_cap and self.taken[code] >= self.page_cap
        ):
            return code < 0
        self.counted[code] += 1
        self.taken[code] += 1
        return True


def absent(ascending: Int32s, rows: Int32s) -> NDArray[np.bool_]:
    """Returns for each row whether it is not in `ascending`, `(len(rows),)` bool."""
    if not ascending.size:
        return np.ones(rows.size, np.bool_)
    found: NDArray[np.bool_] = ascending.take(ascending.searchsorted(rows), mode="clip") != rows
    return found


def add_by_vector(picks: Picks, vector: Float32s, eligible: Eligible, call: Call) -> None:
    """Adds the eligible items with the highest product of factors; ties by item id.

    Left out, and noted as a degradation, where the caller cannot wait for it.
    """
    factors = call.generation.snapshot.item_factors
    if vector.size != factors.shape[1] or not vector.any():
        return
    count = eligible.count_at_most()
    cost = count * (factors.shape[1] * SECONDS_A_PRODUCT + SECONDS_AN_ITEM)
    if not call.affords(cost, f"the product of {count} items"):
        return
    rows = eligible.rows()
    if picks.rows.size:
        rows = rows[~np.isin(rows, picks.rows)]
    # einsum and not a BLAS product: that would start threads of its own for one vector.
    if 2 * rows.size < factors.shape[0]:
        scores = np.einsum("if,f->i", factors[rows], vector)
    else:
        scores = np.einsum("if,f->i", factors, vector)[rows]
    # A cap may leave out the best, so that more are needed.
    best = top(scores, rows.size if picks.cap or picks.page_cap else picks.missing)
    picks.add(rows[best], scores[best], np.full(best.size, COLLABORATIVE, np.uint8))


def add_bestsellers(picks: Picks, segment: Segment, eligible: Eligible, call: Call) -> bool:
    """Adds bestsellers of the segment, then of ever wider ones; returns whether its own list exists.

    The channel and region are widened first, then the category.
    """
    exact = False
    for place, wider in enumerate(widening(segment)):
        if not picks.missing:
            break
        ranked = bestsellers(call, wider)
        if ranked is not None:
            exact = exact or place == 0
            keep = eligible.among(ranked.rows)
            whole_shop = wider == Segment()
            source = SourceType.SOURCE_TYPE_BESTSELLER if whole_shop else SourceType.SOURCE_TYPE_SEGMENT
            picks.add_new(ranked.rows[keep], ranked.scores[keep], source)
    return exact


def add_catalogue(picks: Picks, eligible: Eligible) -> None:
    """Adds any eligible item, by item id, with score 0."""
    rows = eligible.rows()
    picks.add_new(rows, np.zeros(rows.size, np.float32), SourceType.SOURCE_TYPE_CATALOGUE)


def similar(snapshot: Snapshot, item_row: int) -> tuple[Int32s, Float32s]:
    """Returns the items that are similar to one, most similar first, and their scores."""
    rows = snapshot.similar_rows[item_row]
    known = rows >= 0
    return rows[known], snapshot.similar_scores[item_row][known]


def together(snapshot: Snapshot, item_row: int) -> tuple[Int32s, Float32s]:
    """Returns the items of the same orders as one, highest lift first, and their lifts."""
    rows = snapshot.together_rows[item_row]
    known = rows >= 0
    return rows[known], snapshot.together_lifts[item_row][known]


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


def bestsellers(call: Call, segment: Segment) -> RankedList | None:
    """Returns the bestsellers of just this segment, in the window that fills lists."""
    return call.generation.snapshot.ranked_list(
        "best",
        call.generation.bestseller_window_days,
        category=segment.category,
        channel=segment.channel,
        region=segment.region,
    )


def _upwards(category: str) -> Iterator[str]:
    while category:
        yield category
        category = category.rpartition(SEPARATOR)[0]
    yield ""


def _wider_places(segment: Segment) -> list[Segment]:
    category, channel, region = segment.category, segment.channel, segment.region
    places = ((channel, region), (channel, ""), ("", region), ("", ""))
    return [Segment(category, *place) for place in dict.fromkeys(places)]
