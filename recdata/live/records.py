"""Owns the records inside the live store and how each becomes bytes.

Ids stay strings here: rows belong to one snapshot, and the live store outlives snapshots. Times are
microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import hashlib

import msgspec

#: Raised whenever a reader of the old layout would misread the new one.
LIVE_FORMAT_VERSION = 1

#: How many recent entries are kept of a shopper or session; the oldest go first.
MAX_RECENT = 100


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
    """What UpdateItems has set of an item; None is as the catalogue says."""

    stock: int | None
    price: float | None
    status: str | None  # active, discontinued
    update_time_us: int


class RuleRecord(msgspec.Struct, frozen=True, array_like=True):
    """A merchandiser's rule; `content` is the serialised message, which only the service can read."""

    rule_id: str
    content: bytes


def person_digest(user_id: str) -> bytes:
    """Returns the 16 bytes by which the ledger of erasures knows a person without naming them."""
    return hashlib.blake2b(
        user_id.encode(), digest_size=16, person=b"recsvc-erasure", usedforsecurity=False
    ).digest()
