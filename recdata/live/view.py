"""Owns reading the live store: one moment of it, seen by one thread."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from types import TracebackType

import lmdb
import msgspec

from recdata.live.environment import COUNTERS_KEY, INTENT_KEY, LiveFile, explained
from recdata.live.records import (
    COUNTERS,
    MAX_ITEM_LOG,
    Decoder,
    EventRecord,
    ExportIntent,
    ItemState,
    LedgerEntry,
    RecentEntry,
    RuleRecord,
    person_digest,
    sequence_key,
)
from recdata.live.reviewing import Reviews

_ENTRIES = Decoder(tuple[RecentEntry, ...])
_EVENT = Decoder(EventRecord)
_ITEM = Decoder(ItemState)
_IDS = Decoder(list[str])
_RULE = Decoder(RuleRecord)
_LEDGER = Decoder(LedgerEntry)
_INTENT = Decoder(ExportIntent)
_NO_COUNTERS = bytes(COUNTERS.size)


class Person(msgspec.Struct, frozen=True):
    """What the live store knows of a shopper in a session.

    Attributes:
        entries: what they did, under the user id or in the session, ascending in time; at most
            `MAX_RECENT` of each, and as many purchases before those.
        session_entries: what was done in the session alone, ascending in time.
        erasure_number: 0, or the number of their erasure: a snapshot whose manifest says
            `erasures_applied` < this number must be taken not to know them.
    """

    entries: tuple[RecentEntry, ...]
    session_entries: tuple[RecentEntry, ...]
    erasure_number: int


#: Somebody of whom nothing is recorded.
NOBODY = Person((), (), 0)


class LiveView:
    """The live store at one moment; use it in a `with` block, in the thread that it was made for.

    A block within a block of the same thread sees the same moment. Outside of a block nothing is held: a
    view keeps no old pages alive between calls. Reading raises LiveStoreUnavailableError where LMDB fails.

    Attributes:
        catalogue_version: counts the changes of items.
        rules_version: counts the changes of rules.
        erasures: the last number in the ledger of erasures.
        last_sequence: of the latest event.
        exported_sequence: of the latest event that was exported.
        unexported: how many events wait for their export.
        max_bytes: how large the store may become.
    """

    __slots__ = (
        "_depth",
        "_env",
        "_file",
        "_items",
        "_ledger",
        "_meta",
        "_recent",
        "_transaction",
        "catalogue_version",
        "erasures",
        "exported_sequence",
        "last_sequence",
        "max_bytes",
        "rules_version",
        "unexported",
    )

    def __init__(self, file: LiveFile) -> None:
        self._file, self._env = file, file.env
        sections = file.sections
        self._meta, self._recent = sections["meta"], sections["recent"]
        self._items, self._ledger = sections["items"], sections["erasures"]
        self._depth = 0
        self._transaction: lmdb.Transaction[bytes] = None  # type: ignore[assignment] # set by __enter__

    def __enter__(self) -> LiveView:
        if self._depth:
            self._depth += 1
            return self
        try:
            # LMDB keeps what it hands back to it, so that this is no new transaction but a renewed one.
            transaction = self._env.begin(buffers=False)
            content = transaction.get(COUNTERS_KEY, _NO_COUNTERS, self._meta)
            (
                self.last_sequence,
                self.exported_sequence,
                self.unexported,
                self.catalogue_version,
                self.rules_version,
                self.erasures,
                self.max_bytes,
            ) = COUNTERS.unpack(content)
        except (lmdb.Error, struct.error) as error:
            raise explained(self._file.path, error) from error
        self._transaction, self._depth = transaction, 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self._transaction.abort()

    def person(self, user_id: str, session_id: str) -> Person:
        """Returns what is known of a shopper and a session; either id may be empty."""
        get, recent = self._transaction.get, self._recent
        try:
            mine = get(b"u" + user_id.encode(), None, recent) if user_id else None
            here = get(b"s" + session_id.encode(), None, recent) if session_id else None
            number = self.erasure_number(user_id) if user_id and self.erasures else 0
        except lmdb.Error as error:
            raise explained(self._file.path, error) from error
        if mine is None and here is None:
            return Person((), (), number) if number else NOBODY
        session_entries = _ENTRIES.decode(here) if here is not None else ()
        if mine is None:
            return Person(session_entries, session_entries, number)
        entries = _ENTRIES.decode(mine)
        if session_entries:
            entries = _merged(entries, session_entries)
        return Person(entries, session_entries, number)

    def erasure_number(self, user_id: str) -> int:
        """Returns the number of a person's latest erasure, 0 where there was none."""
        entry = self.ledger_entry(person_digest(user_id))
        return entry.number if entry else 0

    def ledger_entry(self, digest: bytes) -> LedgerEntry | None:
        """Returns the latest erasure of the person whose digest it is, or None."""
        content = self._get(digest, self._ledger)
        return _LEDGER.decode(content) if content is not None else None

    def ledger(self) -> dict[bytes, LedgerEntry]:
        """Returns every person's latest erasure by `person_digest`."""
        return {key: _LEDGER.decode(content) for key, content in self._all(self._ledger)}

    def items(self) -> dict[str, ItemState]:
        """Returns the state of every item that was ever changed, by item_id upwards."""
        return {key.decode(): _ITEM.decode(content) for key, content in self._all(self._items)}

    def items_since(self, version: int) -> dict[str, ItemState]:
        """Returns the state of the items changed after a `catalogue_version`.

        Of every item that was ever changed, where the version is so old that the changes are not known.
        """
        behind = range(version + 1, self.catalogue_version + 1)
        if version < 0 or len(behind) > MAX_ITEM_LOG:
            return self.items()
        changed = [self._get(sequence_key(each), self._file.sections["item_log"]) for each in behind]
        ids = {item_id for content in changed if content is not None for item_id in _IDS.decode(content)}
        found = ((item_id, self.item(item_id)) for item_id in sorted(ids))
        return {item_id: state for item_id, state in found if state is not None}

    def item(self, item_id: str) -> ItemState | None:
        """Returns an item's state, None where it was never changed."""
        content = self._get(item_id.encode(), self._items)
        return _ITEM.decode(content) if content is not None else None

    def rules(self) -> list[RuleRecord]:
        """Returns every rule, by rule_id upwards."""
        return [_RULE.decode(content) for _, content in self._all(self._file.sections["rules"])]

    def rule(self, rule_id: str) -> RuleRecord | None:
        """Returns a rule, None where there is none of that id."""
        content = self._get(rule_id.encode(), self._file.sections["rules"])
        return _RULE.decode(content) if content is not None else None

    @property
    def reviews(self) -> Reviews:
        """Returns people's reviews of candidates, to be read within the view's block."""
        return Reviews(self._transaction, self._file)

    def intent(self) -> ExportIntent | None:
        """Returns the export that has begun and not ended, or None."""
        content = self._get(INTENT_KEY, self._meta)
        return _INTENT.decode(content) if content is not None else None

    def events(self, first: int = 1) -> Iterator[tuple[int, EventRecord]]:
        """Yields the events from a sequence on, with their sequences, ascending."""
        for sequence, content in self.raw_events(first):
            yield sequence, _EVENT.decode(content)

    def raw_events(self, first: int = 1) -> Iterator[tuple[int, bytes]]:
        """Yields the events from a sequence on as bytes, with their sequences, ascending."""
        for key, content in self._all(self._file.sections["events"], sequence_key(first)):
            yield int.from_bytes(key, "big"), content

    def recent(self) -> Iterator[tuple[bytes, tuple[RecentEntry, ...]]]:
        """Yields every shopper's and session's entries by key."""
        for key, content in self._all(self._recent):
            yield key, _ENTRIES.decode(content)

    def known_ids(self) -> Iterator[tuple[bytes, int]]:
        """Yields every known event id as it is kept, with its event's sequence."""
        for key, content in self._all(self._file.sections["event_ids"]):
            yield key, int.from_bytes(content, "big")

    def used_bytes(self) -> int:
        """Returns how many bytes are in use; pages that wait to be used again are not."""
        try:
            return used_bytes(self._transaction, self._file)
        except lmdb.Error as error:
            raise explained(self._file.path, error) from error

    def _get(self, key: bytes, section: lmdb._Database) -> bytes | None:
        try:
            return self._transaction.get(key, None, section)
        except lmdb.Error as error:
            raise explained(self._file.path, error) from error

    def _all(self, section: lmdb._Database, first: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        try:
            with self._transaction.cursor(section) as cursor:
                if cursor.set_range(first) if first else cursor.first():
                    yield from cursor
        except lmdb.Error as error:
            raise explained(self._file.path, error) from error


class Views:
    """The views of one store, one a thread."""

    def __init__(self, file: LiveFile) -> None:
        self._file = file
        self._local = threading.local()

    def of_this_thread(self) -> LiveView:
        """Returns the calling thread's view."""
        try:
            view: LiveView = self._local.view
        except AttributeError:
            view = self._local.view = LiveView(self._file)
        return view


def used_bytes(transaction: lmdb.Transaction[bytes], file: LiveFile) -> int:
    """Returns how many bytes the pages in use take, in a transaction of the file."""
    stats = [transaction.stat(section) for section in file.sections.values()]
    pages = sum(stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in stats)
    return pages * stats[0]["psize"]


def _merged(mine: tuple[RecentEntry, ...], here: tuple[RecentEntry, ...]) -> tuple[RecentEntry, ...]:
    """Returns both, ascending in time; what was recorded under both ids stands once."""
    known = set(mine)
    added = [entry for entry in here if entry not in known]
    return tuple(sorted((*mine, *added), key=lambda entry: entry.event_time_us)) if added else mine
