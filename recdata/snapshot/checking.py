"""Owns what must hold inside a snapshot: a writer stores, and a reader opens, nothing that breaks it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recdata.errors import PublishError, SnapshotCorruptError
from recdata.snapshot.records import Int32s, Manifest

#: The arrays that are served from: dtype, and number of axes. The first axis is the item_row.
ARRAYS = {
    "item_factors": (np.float32, 2),
    "similar_rows": (np.int32, 2),
    "similar_scores": (np.float32, 2),
    "together_rows": (np.int32, 2),
    "together_lifts": (np.float32, 2),
    "together_orders": (np.int32, 2),
    "item_orders": (np.int32, 1),
    "active": (np.bool_, 1),
    "sellable": (np.bool_, 1),
    "price": (np.float64, 1),
    "unit_cost": (np.float64, 1),
    "stock": (np.int64, 1),
    "daily_demand": (np.float32, 1),
    "category_codes": (np.int32, 1),
}
#: Arrays in which every number must be finite; a price may be NaN, which means not known.
FINITE = ("item_factors", "similar_scores", "together_lifts", "item_gramian")
#: Arrays of item rows in which -1 stands for none.
PADDED_ROWS = ("similar_rows", "together_rows")
#: Arrays of one shape: a list of rows for each item, and what is told of each.
PAIRED = (
    ("similar_rows", "similar_scores"),
    ("together_rows", "together_lifts"),
    ("together_rows", "together_orders"),
)
MAX_WINDOW_DAYS = 36_500


class RowCheck:
    """Remembers the highest item_row seen, since rows may be stored before the items are."""

    def __init__(self) -> None:
        self._highest = -1
        self._where = ""

    def see(self, rows: Int32s, where: str, *, lowest_allowed: int = 0) -> None:
        """Takes note of rows.

        Raises:
            PublishError: one is below the lowest allowed.
        """
        if not rows.size:
            return
        lowest, highest = int(rows.min()), int(rows.max())
        if lowest < lowest_allowed:
            raise _refused(f"{where} names item row {lowest}")
        if highest > self._highest:
            self._highest, self._where = highest, where

    def finish(self, n_items: int) -> None:
        """Checks that every row seen is an item.

        Raises:
            PublishError: one is not.
        """
        if self._highest >= n_items:
            raise _refused(
                f"{self._where} names item row {self._highest}, but there are only {n_items} items"
            )


def check_finite(numbers: NDArray[np.generic], where: str) -> None:
    """Checks that numbers are neither NaN nor infinite.

    Raises:
        PublishError: one is.
    """
    finite = np.isfinite(numbers)
    if not finite.all():
        place = np.argwhere(~finite)[0].tolist()
        raise _refused(f"{where}{place} is {numbers[tuple(place)]}")


def check_lengths(where: str, **arrays: NDArray[np.generic]) -> None:
    """Checks that the arrays of one record are equally long.

    Raises:
        PublishError: they are not.
    """
    sizes = {name: array.size for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise _refused(f"{where} has arrays of different lengths ({sizes})")


def check_arrays(arrays: Mapping[str, NDArray[np.generic]], n_items: int, where: str) -> None:
    """Checks the arrays that are served from against the number of items.

    Raises:
        SnapshotCorruptError: a dtype or shape does not fit.
    """
    for name, (dtype, axes) in ARRAYS.items():
        array = arrays[name]
        if array.dtype != dtype or array.ndim != axes or array.shape[0] != n_items:
            raise SnapshotCorruptError(
                f"{where}: {name} is {array.dtype} {array.shape}; {np.dtype(dtype)} with {axes} axes, the "
                f"first of {n_items} items, is needed; publish the run again"
            )
    for rows, told in PAIRED:
        if arrays[rows].shape != arrays[told].shape:
            raise SnapshotCorruptError(
                f"{where}: {rows} {arrays[rows].shape} and {told} {arrays[told].shape} differ in shape; "
                "publish the run again"
            )
    gramian, n_factors = arrays["item_gramian"], arrays["item_factors"].shape[1]
    if gramian.dtype != np.float32 or gramian.shape != (n_factors, n_factors):
        raise SnapshotCorruptError(
            f"{where}: item_gramian is {gramian.dtype} {gramian.shape}; float32 {(n_factors, n_factors)} is "
            "needed; publish the run again"
        )


def check_manifest(manifest: Manifest, entries: Mapping[str, int], where: str) -> None:
    """Checks a manifest against the number of entries that the file holds, by section.

    Raises:
        SnapshotCorruptError: they differ, or a window is not a number of days.
    """
    for section, found in entries.items():
        told = manifest.counts.get(section)
        if told != found:
            raise SnapshotCorruptError(
                f"{where}: the manifest says {told} {section}, the file holds {found}: altered; "
                "publish the run again"
            )
    for kind, windows in manifest.windows.items():
        for days in windows:
            if not 0 <= days <= MAX_WINDOW_DAYS:
                raise SnapshotCorruptError(
                    f"{where}: the manifest names a window of {days} days of {kind!r}; at most "
                    f"{MAX_WINDOW_DAYS} are possible; publish the run again"
                )


def _refused(what: str) -> PublishError:
    return PublishError(
        f"the snapshot was not written: {what}; delete the run folder and run again; "
        "the live snapshot is untouched"
    )
