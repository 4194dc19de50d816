"""Owns what may be sold now and at which price: the snapshot's arrays, with the day's changes patched in.

A million items cannot be copied for each update of one of them. So the arrays are copied once, when the
first change comes, and then patched in place, an element at a time and by one writer only. A reader may meet
an item as it was before an update or after it, and nothing in between; `version` rises after the arrays are
patched, so that what was made of them is known to be old at the latest then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recdata.live.records import ItemState
from recdata.snapshot import Snapshot
from recdata.snapshot.records import Int32s

#: How many patches are remembered, so that what was made before them can be mended and not made again.
REMEMBERED_PATCHES = 64

ValueT = TypeVar("ValueT", bound=np.generic)


class Goods:
    """The items of one snapshot as they stand now.

    Attributes:
        snapshot: the mapped snapshot.
        sellable: `(n_items,)` bool: active and not known to be out of stock.
        active: `(n_items,)` bool: not discontinued.
        price: `(n_items,)` float64, NaN where not known.
        changed: what UpdateItems has set, by row. Look rows up; copy it before iterating.
        repriced: the price of now, by row, of items whose price is not the snapshot's or was not for a time.
            No row ever leaves it. As `changed`.
        version: rises whenever an item becomes sellable, active or priced otherwise; stock that lasts is no
            such change.
    """

    __slots__ = ("_log", "active", "changed", "price", "repriced", "sellable", "snapshot", "version")

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.sellable: NDArray[np.bool_] = snapshot.sellable
        self.active: NDArray[np.bool_] = snapshot.active
        self.price: NDArray[np.float64] = snapshot.price
        self.changed: dict[int, ItemState] = {}
        self.repriced: dict[int, float] = {}
        self.version = 0
        self._log: deque[tuple[int, Int32s]] = deque(maxlen=REMEMBERED_PATCHES)

    def patch(self, states: Mapping[int, ItemState | None]) -> None:
        """Lays the given states over the snapshot; None takes an item back to the snapshot's own.

        Not to be called by two threads at once.
        """
        if not states:
            return
        rows = np.fromiter(states, np.int32, len(states))
        active, sellable, price = self._states_of(rows, list(states.values()))
        old_price = self.price[rows]
        other_active, other_sellable = self.active[rows] != active, self.sellable[rows] != sellable
        other_price = ~((old_price == price) | (np.isnan(old_price) & np.isnan(price)))
        if other_active.any():
            self.active = _patched(self.active, rows[other_active], active[other_active])
        if other_sellable.any():
            self.sellable = _patched(self.sellable, rows[other_sellable], sellable[other_sellable])
        if other_price.any():
            self.price = _patched(self.price, rows[other_price], price[other_price])
        self._note(states, rows, price)
        other = rows[other_active | other_sellable | other_price]
        if other.size:
            self._log.append((self.version + 1, other))
            self.version += 1

    def changes_since(self, version: int) -> Int32s | None:
        """Returns the rows patched after a version; None where that is too long ago to know."""
        patches = list(self._log)
        if not patches or patches[0][0] > version + 1:
            return None
        parts = [rows for number, rows in patches if number > version]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)

    def _states_of(
        self, rows: Int32s, states: list[ItemState | None]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64]]:
        """Returns what each row is to be: active, sellable, price."""
        snapshot = self.snapshot
        active, sellable, price = snapshot.active[rows], snapshot.sellable[rows], snapshot.price[rows]
        stock = snapshot.stock[rows]
        for place, state in enumerate(states):
            if state is None:
                continue
            if state.price is not None:
                price[place] = state.price
            if state.status is not None:
                active[place] = state.status == "active"
            if state.stock is not None:
                stock[place] = state.stock
            if state.status is not None or state.stock is not None:
                sellable[place] = active[place] and stock[place] != 0
        return active, sellable, price

    def _note(self, states: Mapping[int, ItemState | None], rows: Int32s, price: NDArray[np.float64]) -> None:
        """Keeps the states, and the prices that differ from the snapshot's or once did."""
        listed = self.snapshot.price[rows]
        other = ~((listed == price) | (np.isnan(listed) & np.isnan(price)))
        for (row, state), now, differs in zip(states.items(), price.tolist(), other.tolist(), strict=True):
            if state is None:
                self.changed.pop(row, None)
            else:
                self.changed[row] = state
            # Never taken out again: a reader that has found a row must be able to read it.
            if differs or row in self.repriced:
                self.repriced[row] = now


def _patched(array: NDArray[ValueT], rows: Int32s, values: NDArray[ValueT]) -> NDArray[ValueT]:
    """Returns the array with values set at rows; a copy where it is a view into the map."""
    if not array.flags.writeable:
        array = array.copy()
    array[rows] = values
    return array
