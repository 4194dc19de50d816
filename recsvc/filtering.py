"""Owns the catalogue's conditions of a filter, tested on the rows at hand or on every item.

What a condition says of the snapshot (category, brand, channel, region, attributes, ids) never changes and is
looked up once. What changes during the day (stock, status, price) is read from `Goods` at every test.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from recdata.snapshot import Snapshot
from recdata.snapshot.records import Int32s
from recsvc.checks import amount_of, check_count, check_length, check_lengths
from recsvc.errors import InvalidFieldError
from recsvc.goods import Goods
from recsvc.v1.common_pb2 import ItemFilter

MAX_IDS = 1000
MAX_BRANDS = 100
MAX_ATTRIBUTES = 20
MAX_VALUES = 100
SEPARATOR = " > "

#: A list this many times as long as another is searched in; a shorter one is marked in a mask of all items.
SEARCH_RATIO = 32

_NO_ROWS = np.empty(0, np.int32)


class Stock(Enum):
    """Which items a filter is about, as far as their stock and status go."""

    SELLABLE = "active and in stock"
    ACTIVE = "active, in stock or not"
    ANY = "all; for rules, which hold whatever the stock"


class Conditions:
    """The catalogue's conditions of one filter. Thread-safe, and always of now.

    Made by `compiled`.

    Attributes:
        category: the category that the filter names, "" for none.
        unknown_category: the snapshot does not know that category, so that nothing matches.
        kept_bytes: bytes that the conditions hold themselves; views into the snapshot's map cost nothing.
    """

    __slots__ = (
        "_excluded",
        "_fixed",
        "_goods",
        "_grown",
        "_high",
        "_lists",
        "_low",
        "_made",
        "_stock",
        "_table",
        "_within",
        "category",
        "kept_bytes",
        "unknown_category",
    )

    def __init__(self, goods: Goods, stock: Stock = Stock.SELLABLE) -> None:
        self.category = ""
        self.unknown_category = False
        self._goods = goods
        self._stock = stock
        self._within: Int32s | None = None  # rows of the category
        self._table: NDArray[np.bool_] | None = None  # by category code, the last for -1: in the category
        self._lists: tuple[Int32s, ...] = ()  # a row must be in all of them
        self._excluded: Int32s | None = None
        self._low: float | None = None
        self._high: float | None = None
        self._fixed: Int32s | None = None  # what the snapshot alone says, once it was asked for
        self._made: tuple[int, Int32s] | None = None  # every eligible row, and of which version
        self._grown: Callable[[Conditions, int], None] | None = None
        self.kept_bytes = 0

    @property
    def unfiltered(self) -> bool:
        """Returns whether every item that can be sold is eligible."""
        return self._stock is Stock.SELLABLE and self._rest_is_empty()

    def mask(self) -> NDArray[np.bool_] | None:
        """Returns which items are eligible now, `(n_items,)` bool, where the stock says it all; else None."""
        return self._goods.sellable if self.unfiltered else None

    @property
    def says_nothing(self) -> bool:
        """Returns whether there is no condition but that on the stock."""
        return self._rest_is_empty()

    @property
    def priced(self) -> bool:
        """Returns whether there is a condition on the price."""
        return self._low is not None or self._high is not None

    def among(self, rows: Int32s) -> NDArray[np.bool_]:
        """Returns for each row whether it is eligible now, `(len(rows),)` bool, the caller's own."""
        goods = self._goods
        if self._stock is Stock.SELLABLE:
            keep = goods.sellable.take(rows)
        elif self._stock is Stock.ACTIVE:
            keep = goods.active.take(rows)
        else:
            keep = np.ones(rows.size, np.bool_)
        if self._table is not None:
            keep &= self._table.take(goods.snapshot.category_codes.take(rows))
        for ascending in self._lists:
            keep &= contains(ascending, rows)
        if self._excluded is not None:
            keep &= ~contains(self._excluded, rows)
        if self._low is not None or self._high is not None:
            price = goods.price.take(rows)
            if self._low is not None:
                keep &= price >= self._low
            if self._high is not None:
                keep &= price <= self._high
        return keep

    def rows(self) -> Int32s:
        """Returns every row that is eligible now, ascending and read-only; made once and kept."""
        goods = self._goods
        version = goods.version  # before the arrays are read: a later patch makes this old, never too new
        made = self._made
        if made is not None:
            if made[0] == version:
                return made[1]
            changed = goods.changes_since(made[0])
            if changed is not None and np.array_equal(self.among(changed), contains(made[1], changed)):
                self._made = (version, made[1])
                return made[1]
        rows = self._every_row()
        rows.flags.writeable = False
        self._made = (version, rows)
        self._keep(rows.nbytes - (made[1].nbytes if made is not None else 0))
        return rows

    def count_at_most(self) -> int:
        """Returns a number that the eligible items do not exceed; costs next to nothing."""
        made, fixed = self._made, self._fixed
        if made is not None and made[0] == self._goods.version:
            return made[1].size
        if fixed is not None:
            return fixed.size
        return min((rows.size for rows in self._inverted()), default=self._goods.snapshot.n_items)

    def on_growth(self, grown: Callable[[Conditions, int], None]) -> None:
        """Has a cache told that these conditions grow, and by how many bytes."""
        self._grown = grown

    def _every_row(self) -> Int32s:
        goods = self._goods
        inverted = self._inverted()
        if inverted:
            if self._fixed is None:
                self._fixed = self._intersection(inverted)
            rows = self._fixed
            keep = np.ones(rows.size, np.bool_)
            if self._stock is not Stock.ANY:
                keep = (goods.sellable if self._stock is Stock.SELLABLE else goods.active)[rows]
            if self.priced:
                self._bound(keep, goods.price[rows])
            return rows[keep]
        if self._stock is Stock.ANY:
            keep = np.ones(goods.snapshot.n_items, np.bool_)
        else:
            keep = (goods.sellable if self._stock is Stock.SELLABLE else goods.active).copy()
        if self.priced:
            self._bound(keep, goods.price)
        if self._excluded is not None:
            keep[self._excluded] = False
        return np.flatnonzero(keep).astype(np.int32)

    def _inverted(self) -> list[Int32s]:
        return [*self._lists] if self._within is None else [self._within, *self._lists]

    def _intersection(self, inverted: list[Int32s]) -> Int32s:
        """Returns the rows that are in every list and not left out, from the shortest list on."""
        inverted.sort(key=lambda rows: rows.size)
        rows = shortest = inverted[0]
        for other in inverted[1:]:
            rows = rows[_found(other, rows, self._goods.snapshot.n_items)]
        if self._excluded is not None:
            rows = rows[~contains(self._excluded, rows)]
        if rows is not shortest:
            self._keep(rows.nbytes)
        return rows

    def _bound(self, keep: NDArray[np.bool_], price: NDArray[np.float64]) -> None:
        if self._low is not None:
            keep &= price >= self._low
        if self._high is not None:
            keep &= price <= self._high

    def _keep(self, n_bytes: int) -> None:
        self.kept_bytes += n_bytes
        if self._grown is not None:
            self._grown(self, n_bytes)

    def _rest_is_empty(self) -> bool:
        return not (self._lists or self.priced or self.category) and self._excluded is None

    def _set_category(self, category: str) -> None:
        snapshot = self._goods.snapshot
        self.category = category
        rows = snapshot.category_rows(category)
        self.unknown_category = rows is None
        self._within = _NO_ROWS if rows is None else rows
        names = snapshot.categories
        table = np.zeros(len(names) + 1, np.bool_)
        if rows is not None:
            # All paths below one stand side by side; the path itself may stand apart ("A", "A & B", "A > C").
            below = category + SEPARATOR
            table[bisect_left(names, category)] = True
            table[bisect_left(names, below) : bisect_left(names, below + "\U0010ffff")] = True
        self._table = table
        self.kept_bytes += table.nbytes

    def _set_bounds(self, filter_: ItemFilter, field: str) -> None:
        currency = self._goods.snapshot.manifest.currency
        if filter_.HasField("min_price"):
            self._low = amount_of(filter_.min_price, f"{field}.min_price", currency)
        if filter_.HasField("max_price"):
            self._high = amount_of(filter_.max_price, f"{field}.max_price", currency)

    def _set_lists(self, filter_: ItemFilter) -> None:
        snapshot = self._goods.snapshot
        lists = []
        if filter_.brands:
            lists.append(_any_of(snapshot, "brand", filter_.brands))
        if filter_.sold_in_channel:
            lists.append(_any_of(snapshot, "channel", (filter_.sold_in_channel,)))
        if filter_.sold_in_region:
            lists.append(_any_of(snapshot, "region", (filter_.sold_in_region,)))
        lists += [_any_of(snapshot, f"attribute:{each.name}", each.values) for each in filter_.attributes]
        if filter_.include_item_ids:
            lists.append(rows_of(snapshot, filter_.include_item_ids))
        if filter_.exclude_item_ids:
            self._excluded = rows_of(snapshot, filter_.exclude_item_ids)
            self.kept_bytes += self._excluded.nbytes
        self._lists = tuple(sorted(lists, key=lambda rows: rows.size))
        self.kept_bytes += sum(rows.nbytes for rows in lists if rows.flags.owndata)


def compiled(
    goods: Goods, filter_: ItemFilter, field: str = "filter", *, stock: Stock | None = None
) -> Conditions:
    """Returns the catalogue's conditions of a filter; those on the shopper are the caller's to see to.

    Args:
        goods: the items of now.
        filter_: the filter.
        field: where it stood in the request.
        stock: which items it is about; None for what the filter says itself.

    Raises:
        InvalidFieldError: too many entries, too long a name, a bad amount or another currency.
    """
    _check(filter_, field)
    if stock is None:
        stock = Stock.ACTIVE if filter_.include_out_of_stock else Stock.SELLABLE
    made = Conditions(goods, stock)
    made._set_bounds(filter_, field)
    if filter_.category:
        made._set_category(filter_.category)
    made._set_lists(filter_)
    return made


def contains(ascending: Int32s, rows: Int32s) -> NDArray[np.bool_]:
    """Returns for each row whether it is in `ascending`, `(len(rows),)` bool."""
    if not ascending.size:
        return np.zeros(rows.size, np.bool_)
    found: NDArray[np.bool_] = ascending.take(ascending.searchsorted(rows), mode="clip") == rows
    return found


def rows_of(snapshot: Snapshot, item_ids: Iterable[str]) -> Int32s:
    """Returns the ascending rows of the ids that the snapshot knows, each once."""
    rows = {snapshot.item_row(item_id) for item_id in item_ids}
    rows.discard(None)
    return np.array(sorted(row for row in rows if row is not None), np.int32)


def _any_of(snapshot: Snapshot, facet: str, values: Sequence[str]) -> Int32s:
    """Returns the ascending rows of the items that have one of a facet's values."""
    found = [snapshot.facet_rows(facet, value) for value in dict.fromkeys(values)]
    lists = [rows for rows in found if rows is not None]
    if len(lists) < 2:
        return lists[0] if lists else _NO_ROWS
    return union(lists, snapshot.n_items)


def union(lists: Sequence[Int32s], n_items: int) -> Int32s:
    """Returns the ascending rows that are in any of the lists, each once."""
    if SEARCH_RATIO * sum(rows.size for rows in lists) < n_items:
        return np.unique(np.concatenate(lists)) if lists else _NO_ROWS
    mask = np.zeros(n_items, np.bool_)
    for rows in lists:
        mask[rows] = True
    return np.flatnonzero(mask).astype(np.int32)


def _found(ascending: Int32s, rows: Int32s, n_items: int) -> NDArray[np.bool_]:
    """Returns what `contains` does, for rows of any number."""
    if SEARCH_RATIO * rows.size < ascending.size:
        return contains(ascending, rows)
    mask = np.zeros(n_items, np.bool_)
    mask[ascending] = True
    return mask[rows]


def _check(filter_: ItemFilter, field: str) -> None:
    """Checks what can be checked without a snapshot."""
    check_length(f"{field}.sold_in_channel", filter_.sold_in_channel)
    check_length(f"{field}.sold_in_region", filter_.sold_in_region)
    for name, values, most in (
        ("brands", filter_.brands, MAX_BRANDS),
        ("exclude_item_ids", filter_.exclude_item_ids, MAX_IDS),
        ("include_item_ids", filter_.include_item_ids, MAX_IDS),
    ):
        check_count(f"{field}.{name}", values, most)
        check_lengths(f"{field}.{name}", values)
    check_count(f"{field}.attributes", filter_.attributes, MAX_ATTRIBUTES)
    for place, condition in enumerate(filter_.attributes):
        where = f"{field}.attributes[{place}]"
        if not condition.name:
            raise InvalidFieldError(f"{where}.name", f"{where}.name is empty; name a column of the catalogue")
        check_length(f"{where}.name", condition.name)
        check_count(f"{where}.values", condition.values, MAX_VALUES, least=1)
        check_lengths(f"{where}.values", condition.values)
