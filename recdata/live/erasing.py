"""Owns removing a person from the live store, and counting what it holds of one.

A person's sessions are those that an event of theirs names: what was done in them before the shopper was
known is theirs too, what another shopper did in them is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from recdata.live.exporting import visitor_id
from recdata.live.records import (
    Decoder,
    LedgerEntry,
    microseconds,
    person_digest,
    recent_entries,
    sequence_key,
    session_key,
    user_key,
)
from recdata.live.view import LiveView
from recdata.live.writing import Batch

if TYPE_CHECKING:  # the store imports this module
    from recdata.live.store import LiveStore

EVENTS, RECENT, SESSIONS = "live/events", "live/recent", "live/sessions"


class _Who(msgspec.Struct, frozen=True, array_like=True):
    """The first fields of an EventRecord; the others are passed over."""

    event_id: str
    user_id: str
    session_id: str


_WHO = Decoder(_Who)


@dataclass(frozen=True, slots=True)
class Erasure:
    """A removal.

    Attributes:
        number: its number in the ledger, from 1; every erasure has one of its own.
        time: when it was done, in UTC.
        removed: store -> records removed: "live/events", "live/recent", "live/sessions".
    """

    number: int
    time: datetime
    removed: dict[str, int]


@dataclass(slots=True)
class _Traces:
    """What the log holds of a person."""

    sequences: set[int] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)
    scanned: int = 0

    def look(self, events: Iterable[tuple[int, bytes]], user_id: str) -> bool:
        """Adds the person's own events; returns whether they name a session that was not known."""
        needle, known = user_id.encode(), len(self.sessions)
        for sequence, content in events:
            self.scanned = sequence
            if needle in content and (who := _WHO.decode(content)).user_id == user_id:
                self.sequences.add(sequence)
                if who.session_id:
                    self.sessions.add(who.session_id)
        return len(self.sessions) > known

    def look_in_sessions(self, events: Iterable[tuple[int, bytes]]) -> None:
        """Adds what was done in the person's sessions by nobody known."""
        for sequence, content in events:
            who = _WHO.decode(content)
            if not who.user_id and who.session_id in self.sessions:
                self.sequences.add(sequence)


def erase(store: LiveStore, user_id: str, *, now: datetime) -> Erasure:
    """Removes a person from the live store and writes the hash of their id into the ledger.

    Everything goes in one write. The log is read before it, so that others wait only for what came since.

    Args:
        store: the live store.
        user_id: the person.
        now: when it is done.

    Raises:
        LiveStoreError: nothing is removed then.
    """
    before = _traces(store, user_id)

    def work(batch: Batch) -> Erasure:
        batch.flush_recent()  # of writes in the same transaction
        traces = _Traces(set(before.sequences), set(before.sessions), before.scanned)
        first = before.scanned + 1
        if traces.look(batch.raw_events(first), user_id):
            first = 1  # a session that is theirs only now may have older events
        if traces.sessions:
            traces.look_in_sessions(batch.raw_events(first))
        return _removed(batch, traces, user_id, now)

    return store.write(work)


def count(store: LiveStore, user_id: str) -> dict[str, int]:
    """Returns store -> records that it holds of a person, for every store of the live file."""
    traces = _traces(store, user_id)
    with store.view() as view:
        sessions = [view.person("", session_id).session_entries for session_id in sorted(traces.sessions)]
        return {
            EVENTS: len(traces.sequences),
            RECENT: len(view.person(user_id, "").entries),
            SESSIONS: sum(map(bool, sessions)),
        }


def _traces(store: LiveStore, user_id: str) -> _Traces:
    traces = _Traces()
    with store.view() as view:
        traces.look(_raw(view), user_id)
        if traces.sessions:
            traces.look_in_sessions(_raw(view))
    return traces


def _raw(view: LiveView) -> Iterable[tuple[int, bytes]]:
    return view.raw_events()


def _removed(batch: Batch, traces: _Traces, user_id: str, now: datetime) -> Erasure:
    delete, sections, counters = batch.transaction.delete, batch.sections, batch.counters
    events = 0
    for sequence in sorted(traces.sequences):
        if delete(sequence_key(sequence), db=sections["events"]):
            events += 1
            counters.unexported -= sequence > counters.exported_sequence
    found = batch.transaction.get(user_key(user_id), None, sections["recent"])
    recent = len(recent_entries(found))
    delete(user_key(user_id), db=sections["recent"])
    sessions = sum(delete(session_key(each), db=sections["recent"]) for each in sorted(traces.sessions))
    counters.erasures += 1
    entry = LedgerEntry(counters.erasures, microseconds(now))
    # What was exported before the shopper was known stands in the tables under the visitor's id.
    for name in (user_id, *map(visitor_id, sorted(traces.sessions))):
        batch.transaction.put(person_digest(name), msgspec.msgpack.encode(entry), db=sections["erasures"])
    return Erasure(entry.number, now, {EVENTS: events, RECENT: recent, SESSIONS: sessions})
