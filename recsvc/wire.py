"""Owns putting ranked items together from bytes: what is asked for often is serialised once, then copied.

Serialised protobuf messages may be concatenated: the parts merge. So a RankedItem is its item's bytes, its
source and reason, and four bytes of score; all but the score are made once and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from types import MappingProxyType

import msgspec
import numpy as np
from google.type.money_pb2 import Money
from numpy.typing import NDArray

from recdata.snapshot import ItemRecord
from recdata.snapshot.records import Float32s, Int32s
from recsvc.entries import SCORE_BYTES, Entries
from recsvc.v1.common_pb2 import Item, RankedItem

RESULTS_TAG = b"\x0a"  # field 1 (`results`), length-delimited
SCORE_TAG = b"\x15"  # field 2 of RankedItem, four bytes
#: How many entries of one language, and items, are kept at most; about 100 MB. Past it all are let go and
#: made again: what is asked for often is back within a few calls, and a hit costs no bookkeeping.
MAX_KEPT = 200_000
NANOS = 1_000_000_000
#: Money counts units in 64 bits.
MONEY_ENDS = 2.0**63


def varint(number: int) -> bytes:
    """Returns a non-negative number as a protobuf varint."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def money(amount: float | None, currency: str) -> Money | None:
    """Returns an amount as Money, rounded to a billionth; None where it is not known (None, NaN).

    Nor is one that Money has no room for, which only slips in the input add up to; the list is answered.
    """
    if amount is None or not abs(amount) < MONEY_ENDS:
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
        currency: ISO 4217 code of their prices.
        max_kept: how many entries of one language, and items, are kept at most.
    """

    def __init__(
        self,
        read: Callable[[int], ItemRecord],
        *,
        currency: str,
        max_kept: int = MAX_KEPT,
    ) -> None:
        self._read = read
        self._currency = currency
        self._max_kept = max_kept
        self._items: dict[int, bytes] = {}
        #: By what they are kept under: entries up to their scores.
        self._entries: dict[int, Entries] = {}

    def results(
        self,
        rows: Int32s,
        scores: Float32s,
        sources: NDArray[np.uint8],
        endings: tuple[bytes, ...],
        *,
        keep_as: int | None = None,
        prices: Mapping[int, float] = MappingProxyType({}),
    ) -> bytes:
        """Returns the `results` entries of a response whose field 1 is `repeated RankedItem`.

        Args:
            rows: `(n,)` int32 item rows, best first.
            scores: `(n,)` float32.
            sources: `(n,)` uint8, places in `endings`.
            endings: the bytes of source and reason by source.
            keep_as: a number that stands for these endings, to keep the entries made under; None keeps none.
            prices: by row, prices that stand in for those of the snapshot.
        """
        # Asked once: a price that changes meanwhile must not be kept as the snapshot's.
        repriced = bool(prices) and not prices.keys().isdisjoint(rows.tolist())
        kept = None
        if keep_as is not None and not repriced:
            kept = self._entries.get(keep_as)
            if kept is None:
                kept = self._entries.setdefault(keep_as, Entries(self._max_kept))
            content = kept.together(rows, scores, sources)
            if content is not None:
                return content
        pairs = list(zip(rows.tolist(), sources.tolist(), strict=True))
        entries = [
            self._priced(row, endings[source], prices[row])
            if repriced and row in prices
            else self._entry(row, endings[source])
            for row, source in pairs
        ]
        if kept is not None:
            kept.keep(dict(zip(pairs, entries, strict=True)))
        parts = [b""] * (2 * len(entries))
        parts[::2] = entries
        parts[1::2] = scores.astype("<f4").view("V4").tolist()
        return b"".join(parts)

    def message(self, row: int, *, prices: Mapping[int, float]) -> Item:
        """Returns an item as its message, with the price of now."""
        record = self._read(row)
        if row in prices:
            record = msgspec.structs.replace(record, price=prices[row])
        return item_message(record, self._currency)

    def _priced(self, row: int, ending: bytes, price: float) -> bytes:
        """Returns an entry up to its score, with another price than the snapshot's; nothing is kept."""
        item = RankedItem(item=self.message(row, prices={row: price}))
        return _head(item.SerializeToString() + ending)

    def _entry(self, row: int, ending: bytes) -> bytes:
        """Returns an entry up to its score: head, item, source and reason, the score's tag."""
        item = self._items.get(row)
        if item is None:
            if len(self._items) >= self._max_kept:
                self._items = {}
            message = RankedItem(item=item_message(self._read(row), self._currency))
            item = self._items[row] = message.SerializeToString()
        return _head(item + ending)


def _head(entry: bytes) -> bytes:
    """Returns an entry up to its score: the field's tag, the length of all, what is given, a tag."""
    body = entry + SCORE_TAG
    return RESULTS_TAG + varint(len(body) + SCORE_BYTES) + body
