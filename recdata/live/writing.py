"""Owns what a write does within one transaction: events, items, rules, erasures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

import lmdb
import msgspec

from recdata.errors import LiveStoreFullError, RuleExistsError, RuleNotFoundError
from recdata.live.environment import COUNTERS_KEY, LiveFile
from recdata.live.records import (
    MAX_ITEM_LOG,
    MAX_RECENT,
    Counters,
    Decoder,
    EventRecord,
    ItemChange,
    ItemState,
    RecentEntry,
    RuleRecord,
    event_key,
    recent_entries,
    sequence_key,
    session_key,
    user_key,
)
from recdata.live.view import used_bytes

Expect = Literal["new", "known", "any"]

_PACK = msgspec.msgpack.Encoder().encode
_ITEM = Decoder(ItemState)
_RULE = Decoder(RuleRecord)


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """What became of events: how many are new, and how many were known by their event_id."""

    recorded: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class PreparedEvent:
    """An event with all that can be made of it before its turn to be written."""

    id_key: bytes
    content: bytes
    people: tuple[bytes, ...]  # keys of its shopper and session
    entry: RecentEntry

    @classmethod
    def of(cls, event: EventRecord) -> PreparedEvent:
        """Returns an event, prepared."""
        people = []
        if event.user_id:
            people.append(user_key(event.user_id))
        if event.session_id:
            people.append(session_key(event.session_id))
        entry = RecentEntry(event.item_id, event.event_type, event.event_time_us)
        return cls(event_key(event.event_id), _PACK(event), tuple(people), entry)


class Batch:
    """One write transaction; committed at the end of its `with` block, aborted by an error in it.

    Attributes:
        transaction: LMDB's.
        sections: the file's databases.
        file: the file itself.
        counters: the store's; change them here, they are written at the end.
    """

    def __init__(self, file: LiveFile) -> None:
        self.file = file
        self.sections = file.sections
        self._recent: dict[bytes, list[RecentEntry]] = {}
        self._room_checked = False

    def __enter__(self) -> Batch:
        self.transaction: lmdb.Transaction[bytes] = self.file.env.begin(write=True, buffers=False)
        try:
            self._found = self.transaction.get(COUNTERS_KEY, None, self.sections["meta"]) or b""
            self.counters = Counters.decode(self._found)
        except BaseException:
            self.transaction.abort()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.transaction.abort()
            return
        try:
            self.flush_recent()
            counters = self.counters.encode()
            if counters != self._found:
                self.transaction.put(COUNTERS_KEY, counters, db=self.sections["meta"])
            self.file.check_in_place()
            self.transaction.commit()
        except BaseException:
            self.transaction.abort()
            raise

    def record(self, events: Sequence[PreparedEvent]) -> RecordOutcome:
        """Appends the events whose ids are not known."""
        self.need_room()
        put, known, log = self.transaction.put, self.sections["event_ids"], self.sections["events"]
        counters, recent, recorded = self.counters, self._recent, 0
        for event in events:
            key = sequence_key(counters.last_sequence + 1)
            if not put(event.id_key, key, overwrite=False, db=known):
                continue
            put(key, event.content, append=True, db=log)
            counters.last_sequence += 1
            recorded += 1
            for person in event.people:
                recent.setdefault(person, []).append(event.entry)
        counters.unexported += recorded
        return RecordOutcome(recorded, len(events) - recorded)

    def raw_events(self, first: int = 1) -> Iterator[tuple[int, bytes]]:
        """Yields the events from a sequence on as bytes, this batch's among them."""
        with self.transaction.cursor(self.sections["events"]) as cursor:
            if cursor.set_range(sequence_key(first)):
                for key, content in cursor:
                    yield int.from_bytes(key, "big"), content

    def events_from(self, first: int) -> int:
        """Returns how many events there are from a sequence on."""
        with self.transaction.cursor(self.sections["events"]) as cursor:
            if not cursor.set_range(sequence_key(first)):
                return 0
            return sum(1 for _ in cursor.iternext(keys=True, values=False))

    def flush_recent(self) -> None:
        """Writes the recent entries that this batch has gathered: each person's once, however many events."""
        put, get, section = self.transaction.put, self.transaction.get, self.sections["recent"]
        for key, added in self._recent.items():
            content = get(key, None, section)
            entries = [*recent_entries(content), *added]
            if len(entries) > 1:
                entries.sort(key=_time)  # stable: of one time, the one recorded first
            put(key, _PACK(_kept(entries)), db=section)
        self._recent = {}

    def update_items(self, changes: Mapping[str, ItemChange]) -> None:
        """Changes the fields that are set, and notes for readers which items they are of."""
        self.need_room()
        section = self.sections["items"]
        for item_id, change in changes.items():
            key = item_id.encode()
            content = self.transaction.get(key, None, section)
            state = change.applied_to(_ITEM.decode(content) if content is not None else None)
            self.transaction.put(key, _PACK(state), db=section)
        version = self.counters.catalogue_version = self.counters.catalogue_version + 1
        log = self.sections["item_log"]
        self.transaction.put(sequence_key(version), _PACK(list(changes)), db=log)
        if version > MAX_ITEM_LOG:
            self.transaction.delete(sequence_key(version - MAX_ITEM_LOG), db=log)

    def put_rule(self, rule: RuleRecord, expect: Expect) -> None:
        """Adds or replaces a rule.

        Raises:
            RuleExistsError, RuleNotFoundError: it is there, or not, against what was expected.
        """
        key, section = rule.rule_id.encode(), self.sections["rules"]
        there = self.transaction.get(key, None, section) is not None
        if there and expect == "new":
            raise RuleExistsError(f"a rule {rule.rule_id!r} exists; update it, or choose another id")
        if not there and expect == "known":
            raise _no_rule(rule.rule_id)
        self.need_room()
        self.transaction.put(key, _PACK(rule), db=section)
        self.counters.rules_version += 1

    def change_rule(self, rule_id: str, change: Callable[[bytes], bytes]) -> None:
        """Puts what `change` makes of a rule's content, as it is in this transaction, in its place.

        Raises:
            RuleNotFoundError: no rule has that id.
        """
        content = self.transaction.get(rule_id.encode(), None, self.sections["rules"])
        if content is None:
            raise _no_rule(rule_id)
        self.put_rule(RuleRecord(rule_id, change(_RULE.decode(content).content)), "known")

    def delete_rule(self, rule_id: str) -> None:
        """Deletes a rule.

        Raises:
            RuleNotFoundError: no rule has that id.
        """
        if not self.transaction.delete(rule_id.encode(), db=self.sections["rules"]):
            raise _no_rule(rule_id)
        self.counters.rules_version += 1

    def need_room(self) -> None:
        """Checks once a batch that the store has not reached its limit.

        Raises:
            LiveStoreFullError: it has.
        """
        if self._room_checked:
            return
        limit = self.counters.max_bytes
        # Pages are counted once the file itself is as large; until then this is ten times as cheap.
        if limit and self.file.size_bytes() >= limit and (used := self._used_bytes()) >= limit:
            raise LiveStoreFullError(
                f"{self.file.path} is full: {used:,} of {limit:,} bytes are used; "
                "raise [serving] live_store_mb and start again, or run `recsvc events export`, which makes "
                "room of what is older than its --keep-days"
            )
        self._room_checked = True

    def _used_bytes(self) -> int:
        return used_bytes(self.transaction, self.file)


def _no_rule(rule_id: str) -> RuleNotFoundError:
    return RuleNotFoundError(f"no rule {rule_id!r}; list the rules to see which there are")


def _kept(entries: list[RecentEntry]) -> list[RecentEntry]:
    """Returns the latest entries, and as many purchases before them: a page seen must not undo a purchase."""
    late = max(0, len(entries) - MAX_RECENT)
    bought = [entry for entry in entries[:late] if entry.event_type == "purchase"]
    return bought[-MAX_RECENT:] + entries[late:]


def _time(entry: RecentEntry) -> int:
    return entry.event_time_us
