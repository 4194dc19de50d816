"""Owns putting ranked items together from bytes: what is asked for often is serialised once, then copied.

Serialised protobuf messages may be concatenated: the parts merge. So a RankedItem is its item's bytes, its
source and reason, and four bytes of score; all but the score are made once and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from types import MappingProxyType

import msgspec
from google.type.money_pb2 import Money

from recdata.snapshot import ItemRecord
from recsvc.v1.common_pb2 import Item, RankedItem, SourceType

RESULTS_TAG = b"\x0a"  # field 1 (`results`), length-delimited
SCORE_TAG = b"\x15"  # field 2 of RankedItem, four bytes
SCORE_BYTES = 4
#: How many entries, and items, are kept at most; about 100 MB. Past it all are let go and made again: what is
#: asked for often is back within a few calls, and a hit costs no bookkeeping.
MAX_KEPT = 200_000
#: In a shop of so many items at most, what is asked for most stands in lists by row: a look into one touches
#: less memory than one into a dict.
MAX_LISTED_ITEMS = 100_000
MOST_ASKED = (SourceType.SOURCE_TYPE_COLLABORATIVE, SourceType.SOURCE_TYPE_REPEAT)
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


class _Sparse(dict[int, bytes | None]):
    """A shelf on which what is not there reads as None."""

    def __missing__(self, row: int) -> None:
        return None


#: By source, each row's entry up to its score, None where it was not made yet.
Shelves = list[_Sparse | list[bytes | None]]


class ItemBytes:
    """Items as bytes, made on first use and kept; safe to use from several threads.

    Args:
        read: returns an item by row.
        currency: ISO 4217 code of their prices.
        n_items: how many items there are; known, it makes a hit cheaper in a small shop.
        max_kept: how many entries, and items, are kept at most.
    """

    def __init__(
        self,
        read: Callable[[int], ItemRecord],
        *,
        currency: str,
        n_items: int = 0,
        max_kept: int = MAX_KEPT,
    ) -> None:
        self._read = read
        self._currency = currency
        self._n_items = n_items
        self._max_kept = max_kept
        self._items: dict[int, bytes] = {}
        self._n_entries = 0
        #: By endings, then by source: each row's entry up to its score.
        self._shelves: dict[tuple[bytes, ...], Shelves] = {}

    def results(
        self,
        rows: Sequence[int],
        scores: Sequence[bytes],
        sources: Sequence[int],
        endings: tuple[bytes, ...],
        *,
        keep: bool,
        prices: Mapping[int, float] = MappingProxyType({}),
    ) -> bytes:
        """Returns the `results` entries of a response whose field 1 is `repeated RankedItem`.

        Args:
            rows: item rows, best first.
            scores: four bytes for each row, little-endian float32.
            sources: places in `endings`, one for each row.
            endings: the bytes of source and reason by source.
            keep: whether to keep the entries made; only for endings of which there are few.
            prices: by row, prices that stand in for those of the snapshot.
        """
        entries: list[bytes | None]
        if prices and not prices.keys().isdisjoint(rows):
            entries = [
                self._priced(row, endings[source], prices[row])
                if row in prices
                else self._entry(row, endings[source])
                for row, source in zip(rows, sources, strict=True)
            ]
        elif keep:
            shelves = self._shelves.get(endings) or self._room(endings, 0)
            entries = [shelves[source][row] for row, source in zip(rows, sources, strict=True)]
            if None in entries:
                entries = self._completed(rows, sources, entries, endings)
        else:
            entries = [self._entry(row, endings[source]) for row, source in zip(rows, sources, strict=True)]
        parts: list[bytes | None] = [b""] * (2 * len(entries))
        parts[::2] = entries
        parts[1::2] = scores
        return b"".join(parts)  # type: ignore[arg-type] # no entry is None any more

    def _completed(
        self,
        rows: Sequence[int],
        sources: Sequence[int],
        known: Sequence[bytes | None],
        endings: tuple[bytes, ...],
    ) -> list[bytes | None]:
        """Returns the entries, after making and keeping those that the shelves lack."""
        shelves = self._room(endings, known.count(None))
        entries: list[bytes | None] = []
        for row, source, entry in zip(rows, sources, known, strict=True):
            if entry is None:
                entry = shelves[source][row] = self._entry(row, endings[source])
            entries.append(entry)
        return entries

    def _room(self, endings: tuple[bytes, ...], count: int) -> Shelves:
        """Returns the shelves of some endings with room for so many entries more."""
        self._n_entries += count
        if self._n_entries > self._max_kept:
            self._shelves, self._n_entries = {}, count
        shelves = self._shelves.get(endings)
        if shelves is None:
            in_list = range(0) if self._n_items > MAX_LISTED_ITEMS else MOST_ASKED
            shelves = self._shelves[endings] = [
                [None] * self._n_items if source in in_list and self._n_items else _Sparse()
                for source in range(len(endings))
            ]
        return shelves

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
