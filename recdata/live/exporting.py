"""Owns handing the recorded events to the nightly job: each exactly once, whatever is killed when.

The range and the file's name are stored first. The file is written aside, made durable and renamed; then
the store is told that the range is out. A job that finds a range that is not out writes the same file again.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from recdata.errors import ExportBusyError, LiveStoreError
from recdata.live.environment import INTENT_KEY, explained, sync_folder
from recdata.live.records import MAX_ID_BYTES, EventRecord, ExportIntent
from recdata.live.writing import Batch
from recdata.runs import is_disk_full

if TYPE_CHECKING:  # the store imports this module
    from recdata.live.store import LiveStore

#: The columns of the input table `events`; a test holds them to `recdata.tables`.
COLUMNS = (
    "user_id",
    "item_id",
    "event_type",
    "event_time",
    "quantity",
    "unit_price",
    "order_id",
    "session_id",
    "channel",
    "region",
    "promotion_id",
    "attribution_token",
)
#: What stands before the session of a visitor who was never known, in place of a shopper's id.
VISITOR_PREFIX = "session:"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class ExportOutcome:
    """What an export did.

    Attributes:
        files: what it wrote, in order of sequences; none where nothing waited. More than one where an
            export that was cut off was finished first.
        events: how many events they hold.
        waiting: how many events wait for the next export.
    """

    files: tuple[Path, ...]
    events: int
    waiting: int


def export(
    store: LiveStore, folder: Path, *, until_us: int, progress: Progress = lambda _: None
) -> ExportOutcome:
    """Writes the events that are not exported yet as a CSV file of the table `events`.

    Events are taken in the order in which they were recorded, up to the first that was received at
    `until_us` or later. An event's time is that of its receipt where the caller's clock ran ahead. Events of
    a session in which just one shopper is known are that shopper's; otherwise an event without a shopper
    is a visitor's, `session:` and the session.

    Args:
        store: the live store.
        folder: where the file goes, named by its first and last sequence.
        until_us: events received before are exported.
        progress: told how many more events are written.

    Raises:
        ExportBusyError: another export is at work.
        LiveStoreError: the store or the folder cannot be written; the next export goes on.
    """
    with _alone(store):
        files, events = [], 0
        with store.view() as view:
            intent = view.intent()
        while intent or (intent := _intent(store, folder, until_us)):
            path, written = _write(store, intent, progress)
            store.write(partial(_done, last=intent.last))
            if written:
                files.append(path)
            events += written
            intent = None
        with store.view() as view:
            return ExportOutcome(tuple(files), events, view.unexported)


def _intent(store: LiveStore, folder: Path, until_us: int) -> ExportIntent | None:
    """Returns what is to be exported, after it was stored; None where nothing is."""
    first = last = 0
    with store.view() as view:
        for sequence, event in view.events(view.exported_sequence + 1):
            if event.received_time_us >= until_us:
                break
            first, last = first or sequence, sequence
    if not last:
        return None
    try:  # before the folder is stored: an export that was begun ends where it began
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritten(folder, error) from error
    name = f"events-{first:012d}-{last:012d}.csv"
    intent = ExportIntent(first, last, str(folder.resolve()), name)

    def work(batch: Batch) -> None:
        batch.transaction.put(INTENT_KEY, msgspec.msgpack.encode(intent), db=batch.sections["meta"])

    store.write(work)
    return intent


def _write(store: LiveStore, intent: ExportIntent, progress: Progress) -> tuple[Path, int]:
    """Returns the file of an intent and how many events it holds, once it is on disk."""
    folder = Path(intent.folder)
    path, part = folder / intent.file_name, folder / f".{intent.file_name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(COLUMNS)
            shoppers, events = _shoppers(store, intent), 0
            for event in _events(store, intent):
                out.writerow(_row(event, shoppers))
                events += 1
                progress(1)
            file.flush()
            os.fsync(file.fileno())
        if events:
            part.replace(path)
        else:  # all of them were erased since the range was stored
            part.unlink()
            path.unlink(missing_ok=True)
        sync_folder(folder)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise _unwritten(path, error) from error
    return path, events


def _unwritten(path: Path, error: OSError) -> LiveStoreError:
    why = "the disk is full" if is_disk_full(error) else "cannot be written"
    return LiveStoreError(f"{path}: {why} ({error}); mend it and export again: no event is lost or doubled")


def _done(batch: Batch, *, last: int) -> None:
    """Tells the store that the events up to `last` are out."""
    counters = batch.counters
    counters.exported_sequence = last
    counters.unexported = batch.events_from(last + 1)
    batch.transaction.delete(INTENT_KEY, db=batch.sections["meta"])


def _events(store: LiveStore, intent: ExportIntent) -> Iterator[EventRecord]:
    with store.view() as view:
        for sequence, event in view.events(intent.first):
            if sequence > intent.last:
                return
            yield event


def _shoppers(store: LiveStore, intent: ExportIntent) -> dict[str, str]:
    """Returns session -> its shopper, for the sessions of the range in which just one is known."""
    found: dict[str, str] = {}
    for event in _events(store, intent):
        if event.user_id and event.session_id:
            known = found.setdefault(event.session_id, event.user_id)
            if known != event.user_id:
                found[event.session_id] = ""
    return found


def _row(event: EventRecord, shoppers: dict[str, str]) -> tuple[str | float, ...]:
    happened = min(event.event_time_us, event.received_time_us)
    return (
        event.user_id or shoppers.get(event.session_id) or visitor_id(event.session_id),
        event.item_id,
        event.event_type,
        f"{_EPOCH + timedelta(microseconds=happened):%Y-%m-%dT%H:%M:%S.%fZ}",
        event.quantity,
        "" if event.unit_price is None else event.unit_price,
        event.order_id,
        event.session_id,
        event.channel,
        event.region,
        event.promotion_id,
        event.attribution_token,
    )


def visitor_id(session_id: str) -> str:
    """Returns the id under which the tables know a visitor of whom only the session is known."""
    made = VISITOR_PREFIX + session_id
    if len(made.encode()) <= MAX_ID_BYTES:
        return made
    return VISITOR_PREFIX + hashlib.blake2b(session_id.encode(), digest_size=16).hexdigest()


@contextmanager
def _alone(store: LiveStore) -> Iterator[None]:
    """Holds the exports of a store for one job."""
    path = store.home / "live" / "export.lock"
    try:
        lock = path.open("w")
    except OSError as error:
        raise explained(path, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExportBusyError(
                f"{path.parent}: another export is at work; wait for it, then export again"
            ) from None
        yield
