"""Owns the records inside the live store and how each becomes bytes.

Ids stay strings here: rows belong to one snapshot, and the live store outlives snapshots. Times are
microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from recdata.errors import LiveStoreUnavailableError

#: Raised whenever a reader of the old layout would misread the new one.
LIVE_FORMAT_VERSION = 1

#: How many recent entries are kept of a shopper or session, and how many purchases before those; the oldest
#: go first.
MAX_RECENT = 100

#: As in the input tables and the snapshot.
MAX_ID_BYTES = 256

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

#: How many changes of items a reader may lag behind and still be told which items they were about.
MAX_ITEM_LOG = 512

Record = TypeVar("Record")


class Decoder(Generic[Record]):
    """Turns bytes of the live store into records of one type."""

    __slots__ = ("_decode",)

    def __init__(self, record_type: type[Record]) -> None:
        self._decode = msgspec.msgpack.Decoder(record_type).decode

    def decode(self, content: bytes) -> Record:
        """Returns a record.

        Raises:
            LiveStoreUnavailableError: the bytes are no such record.
        """
        try:
            return self._decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise LiveStoreUnavailableError(
                f"a record of the live store is damaged ({error}); move the folder `live` of the home folder "
                "away and start again; what was not exported is lost"
            ) from error


class EventRecord(msgspec.Struct, frozen=True, array_like=True):
    """One event as it was taken in; the columns of the `events` table, and when it came."""

    event_id: str
    user_id: str
    session_id: str
    item_id: str
    event_type: str  # impression, click, view, add_to_cart, purchase, return
    event_time_us: int
    received_time_us: int
    quantity: float = 1.0
    unit_price: float | None = None
    order_id: str = ""
    channel: str = ""
    region: str = ""
    promotion_id: str = ""
    attribution_token: str = ""


class RecentEntry(msgspec.Struct, frozen=True, array_like=True):
    """One event as serving sees it."""

    item_id: str
    event_type: str
    event_time_us: int


class ItemState(msgspec.Struct, frozen=True, array_like=True):
    """What UpdateItems has set of an item; None is as the catalogue says.

    Each field has a time of its own: a catalogue that was imported between two updates outdates the first
    and not the second.
    """

    stock: int | None
    price: float | None
    status: str | None  # active, discontinued
    update_time_us: int  # of the latest change
    stock_time_us: int = 0
    price_time_us: int = 0
    status_time_us: int = 0

    def after(self, catalogue_us: int) -> ItemState | None:
        """Returns what still holds beside a catalogue that was imported then; None where nothing does."""
        stock = self.stock if self.stock_time_us > catalogue_us else None
        price = self.price if self.price_time_us > catalogue_us else None
        status = self.status if self.status_time_us > catalogue_us else None
        if stock is None and price is None and status is None:
            return None
        times = self.stock_time_us, self.price_time_us, self.status_time_us
        return ItemState(stock, price, status, self.update_time_us, *times)


class ItemChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one item; None leaves a field as it is."""

    update_time_us: int
    stock: int | None = None
    price: float | None = None
    status: str | None = None

    def applied_to(self, state: ItemState | None) -> ItemState:
        """Returns an item's state after the change; None stands for an item that was never changed."""
        old = state or ItemState(None, None, None, 0)
        now = self.update_time_us
        return ItemState(
            old.stock if self.stock is None else self.stock,
            old.price if self.price is None else self.price,
            old.status if self.status is None else self.status,
            now,
            old.stock_time_us if self.stock is None else now,
            old.price_time_us if self.price is None else now,
            old.status_time_us if self.status is None else now,
        )


class RuleRecord(msgspec.Struct, frozen=True, array_like=True):
    """A merchandiser's rule; `content` is the serialised message, which only the service can read."""

    rule_id: str
    content: bytes


class LedgerEntry(msgspec.Struct, frozen=True, array_like=True):
    """One person's latest erasure; the ledger's key is their `person_digest`."""

    number: int
    time_us: int


class ExportIntent(msgspec.Struct, frozen=True, array_like=True):
    """An export that has begun; it is finished before another one begins."""

    first: int
    last: int
    folder: str
    file_name: str


_RECENT = Decoder(list[RecentEntry])


class Counters(msgspec.Struct, array_like=True):
    """The small numbers that every reader and writer wants; one entry."""

    last_sequence: int = 0
    exported_sequence: int = 0
    unexported: int = 0
    catalogue_version: int = 0
    rules_version: int = 0
    erasures: int = 0  # the last number in the ledger
    max_bytes: int = 0

    def encode(self) -> bytes:
        """Returns the entry's bytes."""
        return COUNTERS.pack(*msgspec.structs.astuple(self))

    @classmethod
    def decode(cls, content: bytes | None) -> Counters:
        """Returns the counters; None, an entry that is not there yet, gives zeros.

        Raises:
            LiveStoreUnavailableError: the bytes are no counters.
        """
        if not content:
            return cls()
        if len(content) != COUNTERS.size:
            raise LiveStoreUnavailableError(
                f"the live store's counters have {len(content)} bytes instead of {COUNTERS.size}; move the "
                "folder `live` of the home folder away and start again; what was not exported is lost"
            )
        return cls(*COUNTERS.unpack(content))


COUNTERS = struct.Struct("<7q")


def recent_entries(content: bytes | None) -> list[RecentEntry]:
    """Returns what a shopper or a session did lately; nothing where that was never written, or is damaged.

    A writer then begins anew: the events themselves are in the log, and the next one must not be refused.
    """
    try:
        return [] if content is None else _RECENT.decode(content)
    except LiveStoreUnavailableError:
        return []


def sequence_key(sequence: int) -> bytes:
    """Returns the key of an event: eight bytes, big-endian, so that keys sort as events came."""
    return sequence.to_bytes(8, "big")


def user_key(user_id: str) -> bytes:
    """Returns the key of a shopper's recent entries."""
    return b"u" + user_id.encode()


def session_key(session_id: str) -> bytes:
    """Returns the key of a session's recent entries."""
    return b"s" + session_id.encode()


def event_key(event_id: str) -> bytes:
    """Returns the 16 bytes by which a known event id is kept; what the id says of a person is not kept."""
    return hashlib.blake2b(event_id.encode(), digest_size=16, usedforsecurity=False).digest()


def microseconds(moment: datetime) -> int:
    """Returns a moment (with a zone) as microseconds since 1970-01-01 UTC, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def person_digest(user_id: str) -> bytes:
    """Returns the 16 bytes by which the ledger of erasures knows a person without naming them."""
    return hashlib.blake2b(
        user_id.encode(), digest_size=16, person=b"recsvc-erasure", usedforsecurity=False
    ).digest()
