"""Owns who asks: the nightly job's record, what was recorded since, the visit, and the page looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo

import numpy as np

from recdata.errors import LiveStoreError
from recdata.foldin import FoldedIn, fold_in
from recdata.live import LiveView, Person
from recdata.live.view import NOBODY
from recdata.snapshot import Manifest, UserView
from recdata.snapshot.records import Int32s
from recsvc.call import Call
from recsvc.checks import check_lengths
from recsvc.errors import InvalidFieldError

MAX_SESSION_ITEMS = 100
MAX_CONTEXT_ITEMS = 100
SECONDS_A_DAY = 86_400
#: The latest interactions that lead to similar items; older ones still shape the vector.
MAX_SEEDS = 10
#: A business day may begin so much before its midnight in UTC. An event that both the snapshot and the live
#: store know counts a little more; one that neither counted would be lost.
EARLIEST_MIDNIGHT_US = 14 * 3_600_000_000

#: Events that tell of no interest: what was merely shown, and what was sent back.
_NO_INTEREST = frozenset(("impression", "return"))

_FIRST_DAY = date(1970, 1, 1)
#: Of what an int32 can hold; a span of time may reach further back.
_EARLIEST_DAY = -(2**31)
_NO_ROWS = np.empty(0, np.int32)
_NO_CONFIDENCES = np.empty(0, np.float32)


@dataclass(slots=True)
class Shopper:
    """Who asks, in rows of the serving snapshot.

    Attributes:
        record: the nightly job's; None for a shopper whom it does not know.
        recent: (row, event type, day) of what was done since the snapshot, the latest last, without
            impressions and returns; a visit's items without events count as views. Days since 1970-01-01.
        session_rows: rows seen in this visit.
        context_rows: rows looked at now, in the order of the request.
    """

    record: UserView | None
    recent: list[tuple[int, str, int]] = field(default_factory=list)
    session_rows: list[int] = field(default_factory=list)
    context_rows: list[int] = field(default_factory=list)

    @property
    def moved(self) -> bool:
        """Returns whether anything is known that the nightly job did not know."""
        return bool(self.recent or self.context_rows)

    def seeds(self) -> list[int]:
        """Returns the rows of the latest interactions, the latest first, each once."""
        return list(dict.fromkeys(row for row, _, _ in reversed(self.recent)))[:MAX_SEEDS]

    def purchased(self) -> Int32s:
        """Returns the ascending rows bought ever; what was sent back since was bought too."""
        nightly = self.record.purchased_rows if self.record is not None else _NO_ROWS
        return _with(nightly, [row for row, kind, _ in self.recent if kind == "purchase"])

    def purchased_within(self, days: int, *, now: datetime, zone: tzinfo) -> Int32s:
        """Returns the ascending rows bought within so many days up to now, those of the first day whole.

        Args:
            days: how many, 1 or more.
            now: with a time zone.
            zone: of the snapshot's business days, which are what it knows of a purchase. Recorded ones have
                days of UTC.
        """
        nightly = _NO_ROWS
        if self.record is not None:
            since = max(_day_of(now.astimezone(zone)) - days, _EARLIEST_DAY)
            nightly = self.record.purchased_rows[self.record.purchased_days >= since]
        since = _day_of(now.astimezone(UTC)) - days
        return _with(nightly, [row for row, kind, day in self.recent if kind == "purchase" and day >= since])

    def taste(self, call: Call) -> FoldedIn | None:
        """Returns the shopper's vector of now, None where nothing is known that the model can use."""
        snapshot = call.generation.snapshot
        settings = snapshot.manifest.fold_in
        if settings is None:
            return None
        weights: dict[int, float] = {}
        for row, kind, _ in self.recent:
            weight = settings.event_weights.get(kind, 0.0)
            if weight > 0:
                weights[row] = weights.get(row, 0.0) + weight
        rows, confidences = _NO_ROWS, _NO_CONFIDENCES
        if self.record is not None:
            rows, confidences = self.record.interacted_rows, self.record.confidences
        if not (rows.size or weights) or not snapshot.item_factors.shape[1]:
            return None
        folded = fold_in(
            rows,
            confidences,
            weights,
            settings,
            gramian=snapshot.item_gramian,
            factors=snapshot.item_factors,
        )
        return folded if folded.vector.any() else None


def _with(rows: Int32s, more: list[int]) -> Int32s:
    return np.union1d(rows, np.array(more, np.int32)) if more else rows


def _day_of(moment: datetime) -> int:
    """Returns a moment's day in its own zone, in days since 1970-01-01."""
    return (moment.date() - _FIRST_DAY).days


def identify(
    call: Call,
    *,
    user_id: str,
    session_id: str,
    session_item_ids: Sequence[str],
    context_item_ids: Sequence[str],
) -> Shopper:
    """Returns who asks.

    Raises:
        InvalidFieldError: more items than are allowed, or too long an id.
    """
    generation, view = call.generation, call.view
    record = generation.snapshot.user(user_id) if user_id else None
    shopper = Shopper(record)
    if view is not None and (user_id or session_id):
        person = _recorded(call, view, user_id, session_id)
        if person.erasure_number > generation.snapshot.manifest.erasures_applied:
            shopper.record = None
        if person.entries:
            since_us = live_from_us(generation.snapshot.manifest)
            for entry in person.entries:
                if entry.event_type in _NO_INTEREST:
                    continue
                row = generation.snapshot.item_row(entry.item_id)
                if row is not None and entry.event_time_us >= since_us:
                    day = entry.event_time_us // (SECONDS_A_DAY * 1_000_000)
                    shopper.recent.append((row, entry.event_type, day))
            shopper.session_rows = _rows(call, (entry.item_id for entry in person.session_entries))[0]
    if session_item_ids:
        _check_items(session_item_ids, "session_item_ids", MAX_SESSION_ITEMS)
        rows, unknown = _rows(call, session_item_ids)
        _note_unknown(call, unknown, "session_item_ids")
        today = int(call.now.timestamp()) // SECONDS_A_DAY
        shopper.recent += [(row, "view", today) for row in rows]
        shopper.session_rows += rows
    if context_item_ids:
        _check_items(context_item_ids, "context_item_ids", MAX_CONTEXT_ITEMS)
        rows, unknown = _rows(call, context_item_ids)
        _note_unknown(call, unknown, "context_item_ids")
        shopper.context_rows = list(dict.fromkeys(rows))
    return shopper


def _recorded(call: Call, view: LiveView, user_id: str, session_id: str) -> Person:
    """Returns what the live store knows; nothing, and a degradation, where it fails."""
    try:
        return view.person(user_id, session_id)
    except LiveStoreError as error:
        call.degrade("LIVE_STORE_UNAVAILABLE", str(error))
        return NOBODY


def live_from_us(manifest: Manifest) -> int:
    """Returns from when on an event cannot be in a snapshot's data, in microseconds since 1970-01-01 UTC."""
    midnight = datetime(manifest.as_of.year, manifest.as_of.month, manifest.as_of.day, tzinfo=UTC)
    return int(midnight.timestamp()) * 1_000_000 - EARLIEST_MIDNIGHT_US


def _rows(call: Call, item_ids: Iterable[str]) -> tuple[list[int], list[str]]:
    """Returns the rows of the known ids in their order, and the ids that the snapshot does not know."""
    rows, unknown = [], []
    for item_id in item_ids:
        row = call.generation.snapshot.item_row(item_id)
        if row is None:
            unknown.append(item_id)
        else:
            rows.append(row)
    return rows, unknown


def _note_unknown(call: Call, unknown: list[str], field_name: str) -> None:
    if unknown:
        call.degrade(
            "UNKNOWN_CONTEXT_ITEM",
            f"{len(unknown)} of {field_name} are not in the snapshot, the first of them {unknown[0][:100]!r}",
        )


def _check_items(values: Sequence[str], name: str, limit: int) -> None:
    if len(values) > limit:
        raise InvalidFieldError(name, f"{name} has {len(values)} items; at most {limit} are allowed")
    check_lengths(name, values)
