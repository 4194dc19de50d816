"""Owns putting ranked items together from bytes: each item is serialised once, then only copied.

Serialised protobuf messages may be concatenated: the parts merge. So a RankedItem is its item's bytes (made
once for each item of a snapshot), four bytes of score, and its source and reason (made once a wording).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from google.type.money_pb2 import Money

from recdata.snapshot import ItemRecord
from recdata.snapshot.records import Float32s
from recsvc.v1.common_pb2 import Item, RankedItem

RESULTS_TAG = b"\x0a"  # field 1 (`results`), length-delimited
SCORE_TAG = b"\x15"  # field 2 of RankedItem, four bytes
SCORE_BYTES = 4
NANOS = 1_000_000_000


def varint(number: int) -> bytes:
    """Returns a non-negative number as a protobuf varint."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


#: Head of a `results` entry by its length; longer ones are made when they come.
_HEADS = tuple(RESULTS_TAG + varint(length) for length in range(2048))


def entry_head(length: int) -> bytes:
    """Returns what stands before a `results` entry of so many bytes."""
    return _HEADS[length] if length < len(_HEADS) else RESULTS_TAG + varint(length)


def money(amount: float | None, currency: str) -> Money | None:
    """Returns an amount as Money, rounded to a billionth; None where it is not known (None, NaN)."""
    if amount is None or not math.isfinite(amount):
        return None
    nanos = int((Decimal(repr(amount)) * NANOS).to_integral_value(ROUND_HALF_EVEN))
    sign = -1 if nanos < 0 else 1
    units, rest = divmod(abs(nanos), NANOS)
    return Money(currency_code=currency, units=sign * units, nanos=sign * rest)


def item_message(record: ItemRecord, currency: str) -> Item:
    """Returns an item as its message; the price is left out where it is not known."""
    return Item(
        item_id=record.item_id,
        title=record.title,
        category=record.category,
        brand=record.brand,
        price=money(record.price, currency),
    )


class ItemBytes:
    """Items as bytes, made on first use and kept; safe to use from several threads.

    Args:
        read: returns an item by row.
        count: how many items there are.
        currency: ISO 4217 code of their prices.
    """

    def __init__(self, read: Callable[[int], ItemRecord], *, count: int, currency: str) -> None:
        self._read = read
        self._currency = currency
        self._parts: list[bytes | None] = [None] * count

    def results(self, rows: Sequence[int], scores: Float32s, endings: Sequence[bytes]) -> bytes:
        """Returns the `results` entries of a response whose field 1 is `repeated RankedItem`.

        Args:
            rows: item rows, best first.
            scores: `(len(rows),)` float32.
            endings: the bytes of source and reason, one for each row.
        """
        parts = self._parts
        numbers = scores.astype("<f4", copy=False).tobytes()
        made: list[bytes] = []
        at = 0
        for row, ending in zip(rows, endings, strict=True):
            part = parts[row] or self._make(row)
            made += (
                entry_head(len(part) + SCORE_BYTES + len(ending)),
                part,
                numbers[at : at + SCORE_BYTES],
                ending,
            )
            at += SCORE_BYTES
        return b"".join(made)

    def _make(self, row: int) -> bytes:
        item = item_message(self._read(row), self._currency)
        part = RankedItem(item=item).SerializeToString() + SCORE_TAG
        self._parts[row] = part
        return part
