"""Owns making room in the live store: what was exported long ago goes.

An event's id goes with it, so an event that is sent again later than that is recorded again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from recdata.live.records import recent_entries, sequence_key
from recdata.live.writing import Batch

if TYPE_CHECKING:  # the store imports this module
    from recdata.live.store import LiveStore

#: Deletions in one transaction; a recording waits for so many at most.
STEP = 2000
DAY_US = 86_400_000_000


Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class PruneOutcome:
    """How many events were deleted, and how many recent entries of shoppers and sessions."""

    events: int
    recent_entries: int


def prune(store: LiveStore, *, before_us: int) -> PruneOutcome:
    """Deletes exported events that were received before a moment, their ids, and recent entries as old.

    Recent entries go a day earlier than the events that made them: an event may be a day ahead of its
    receipt, and erasing a person finds their sessions by their events.

    Raises:
        LiveStoreError: what was deleted until then stays deleted.
    """
    store.reader_check()
    doomed: list[int] = []
    with store.view() as view:
        exported = view.exported_sequence
        for sequence, event in view.events():
            if sequence > exported or event.received_time_us >= before_us:
                break
            doomed.append(sequence)
        last = doomed[-1] if doomed else 0
        ids = [key for key, sequence in view.known_ids() if sequence <= last] if last else []
        old = [key for key, entries in view.recent() if entries[0].event_time_us < before_us + DAY_US]

    def step(keys: Sequence[bytes], section: str) -> Callable[[Batch], int]:
        return lambda batch: sum(batch.transaction.delete(key, db=batch.sections[section]) for key in keys)

    for keys in _steps(ids):  # before their events, by which the next try would find them
        store.write(step(keys, "event_ids"))
    events = sum(
        store.write(step([sequence_key(each) for each in part], "events")) for part in _steps(doomed)
    )
    entries = sum(
        store.write(partial(_shorten, keys=keys, before_us=before_us + DAY_US)) for keys in _steps(old)
    )
    return PruneOutcome(events, entries)


def _shorten(batch: Batch, *, keys: Sequence[bytes], before_us: int) -> int:
    """Takes old entries off the people with these keys; returns how many."""
    batch.flush_recent()
    section, removed = batch.sections["recent"], 0
    for key in keys:
        content = batch.transaction.get(key, None, section)
        if content is None:
            continue
        entries = recent_entries(content)
        kept = [entry for entry in entries if entry.event_time_us >= before_us]
        removed += len(entries) - len(kept)
        if kept:
            batch.transaction.put(key, msgspec.msgpack.encode(kept), db=section)
        else:
            batch.transaction.delete(key, db=section)
    return removed


def _steps(keys: Sequence[Key]) -> Iterator[list[Key]]:
    rest = iter(keys)
    while part := list(itertools.islice(rest, STEP)):
        yield part
