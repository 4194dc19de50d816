"""Owns how the shares of places lie in a snapshot: arrays and names, checked when written and when opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from recdata.errors import PublishError, SnapshotCorruptError
from recdata.places import RATIOS_SHAPE, PlaceShares

#: The arrays' dtype.
KINDS: dict[str, np.dtype[Any]] = {
    "shop": np.dtype(np.float32),
    "categories": np.dtype(np.float32),
    "demand": np.dtype(np.float32),
    "starts": np.dtype(np.int64),
    "places": np.dtype(np.int32),
    "own": np.dtype(np.float32),
    "weights": np.dtype(np.float32),
    "item_categories": np.dtype(np.int32),
    "ratios": np.dtype(np.float32),
}
SHARES = ("shop", "categories", "demand", "own", "weights")
#: Shares are stored in single precision.
SLACK = 1e-3


class PlaceNames(msgspec.Struct, frozen=True, array_like=True):
    """What the arrays cannot say: the names of places and categories, and the horizon of the intervals."""

    channels: list[str]
    regions: list[str]
    horizon_days: int
    categories: list[str]


def place_arrays(shares: PlaceShares, n_items: int) -> dict[str, NDArray[np.generic]]:
    """Returns shares as arrays by the name that they are stored under.

    Raises:
        PublishError: they contradict themselves or the number of items.
    """
    arrays = {name: np.asarray(getattr(shares, name), dtype=kind) for name, kind in KINDS.items()}
    if why := _unsound(arrays, names_of(shares), n_items):
        raise PublishError(
            f"the snapshot was not written: {why}; delete the run folder and run again; "
            "the live snapshot is untouched"
        )
    return arrays


def read_places(
    names: bytes | memoryview, array: Callable[[str], NDArray[np.generic]], n_items: int
) -> PlaceShares:
    """Returns stored shares; views, no copies.

    Args:
        names: the bytes of a `PlaceNames`.
        array: returns a stored array by name.
        n_items: how many items the snapshot has.

    Raises:
        SnapshotError: an array is missing.
        SnapshotCorruptError: something cannot be read, or contradicts itself or the number of items.
    """
    try:
        told = msgspec.msgpack.decode(names, type=PlaceNames)
        arrays = {name: array(name) for name in KINDS}
    except (ValueError, TypeError, msgspec.DecodeError) as error:
        raise _corrupt(str(error)) from error
    if why := _unsound(arrays, told, n_items):
        raise _corrupt(why)
    return PlaceShares(
        channels=tuple(told.channels),
        regions=tuple(told.regions),
        shop=arrays["shop"].view(np.float32),
        categories=arrays["categories"].view(np.float32),
        names=tuple(told.categories),
        demand=arrays["demand"].view(np.float32),
        starts=arrays["starts"].view(np.int64),
        places=arrays["places"].view(np.int32),
        own=arrays["own"].view(np.float32),
        weights=arrays["weights"].view(np.float32),
        item_categories=arrays["item_categories"].view(np.int32),
        ratios=arrays["ratios"].view(np.float32),
        horizon_days=told.horizon_days,
    )


def names_of(shares: PlaceShares) -> PlaceNames:
    """Returns what of the shares is no array."""
    return PlaceNames(list(shares.channels), list(shares.regions), shares.horizon_days, list(shares.names))


def _unsound(arrays: Mapping[str, NDArray[np.generic]], names: PlaceNames, n_items: int) -> str:
    """Returns what is wrong with the shares of places, "" where nothing is."""
    found = {name: arrays[name].view(kind) for name, kind in KINDS.items() if arrays[name].dtype == kind}
    if len(found) < len(KINDS):
        return f"dtypes of {sorted(set(KINDS) - set(found))}"
    own, starts = found["own"], found["starts"]
    n_places, n_regions, n_categories = (len(e) for e in (names.channels, names.regions, names.categories))
    horizon = names.horizon_days
    shapes = {
        "shop": (n_places,),
        "categories": (n_categories, n_places),
        "demand": (n_categories, n_places),
        "starts": (n_items + 1,),
        "places": own.shape,
        "weights": (n_items, 3),
        "item_categories": (n_items,),
        "ratios": RATIOS_SHAPE,
    }
    for name, shape in shapes.items():
        if found[name].shape != shape:
            return f"{name} is {found[name].shape}, not {shape}"
    if n_places != n_regions or horizon < 1:
        return f"{n_places} channels, {n_regions} regions, a horizon of {horizon} days"
    if starts[0] != 0 or starts[-1] != own.size or (np.diff(starts) < 0).any():
        return f"starts go from {starts[0]} to {starts[-1]}, over {own.size} shares"
    for name, most in (("places", n_places), ("item_categories", n_categories)):
        least = -1 if name == "item_categories" else 0
        rows = found[name]
        if rows.size and not least <= int(rows.min()) <= int(rows.max()) < most:
            return f"{name} go from {rows.min()} to {rows.max()}, past {most}"
    for name in SHARES:
        part = found[name]
        if part.size and not (np.isfinite(part).all() and part.min() >= 0 and part.max() <= 1 + SLACK):
            return f"{name} is no share somewhere"
    if not (np.isfinite(found["ratios"]).all() and (found["ratios"] > 0).all()):
        return "ratios are not all above 0"
    return ""


def _corrupt(why: str) -> SnapshotCorruptError:
    return SnapshotCorruptError(f"the shares of places are unsound: {why}; publish the run again")
