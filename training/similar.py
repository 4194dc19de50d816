"""Owns the items most like an item, by the angle between their vectors; the stage `similar`.

The vectors are those of ALS, drawn towards what an item's traits speak for where few have bought it
(`training/content.py`), so that a new item has a list, and stands in lists, from its first day.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from recdata.artefacts import read_artefact
from recdata.config import NonNegativeInt, PositiveInt, RoomConfig
from recdata.runs import Stage, StageContext
from training.blocks import NO_ITEM, block_rows, in_threads, top_k
from training.content import item_traits, new_items, with_content

Places = NDArray[np.intp]


class SimilarConfig(RoomConfig, frozen=True):
    """`[training.similar]`: the list of similar items that every item carries."""

    # Similar items kept for each item; 1 to 200 is usual.
    similar_per_item: PositiveInt = 50
    # Days after its launch in which an item that too few have bought for a vector of its own stands in lists
    # all the same; it has a list of its own always.
    new_item_days: NonNegativeInt = 56
    # Threads; 0 means every core.  The lists do not depend on it.
    threads: NonNegativeInt = 0


def similar_items(
    item_factors: NDArray[np.float32],
    config: SimilarConfig,
    *,
    listed: NDArray[np.bool_] | None = None,
    on_items: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Returns each item's nearest others by cosine, best first, ties by item row upwards.

    Items with a zero vector have no list and stand in none.

    Args:
        item_factors: `(n_items, factors)` float32.
        config: length of the lists, threads.
        listed: `(n_items,)` which items may stand in a list; all of them if None.
        on_items: called with the number of items done since the last call.

    Returns:
        rows `(n_items, k)` int32 padded with -1 and cosines `(n_items, k)` float32 padded with 0, where k is
        `similar_per_item`.
    """
    n_items, k = item_factors.shape[0], config.similar_per_item
    rows, cosines = np.full((n_items, k), NO_ITEM, np.int32), np.zeros((n_items, k), np.float32)
    norms = np.linalg.norm(item_factors, axis=1)
    known = np.flatnonzero(norms > 0)
    units = item_factors[known] / norms[known, None]
    members = np.arange(known.size) if listed is None else np.flatnonzero(listed[known])
    place = np.full(known.size, NO_ITEM)
    place[members] = np.arange(members.size)
    catalogue = np.ascontiguousarray(units[members].T)
    asked, whose = _distinct(units, place != NO_ITEM)
    sharing = np.bincount(whose, minlength=asked.size)
    size = block_rows(members.size)

    def nearest(start: int) -> tuple[int, NDArray[np.int64], NDArray[np.float32]]:
        chosen = asked[start : start + size]
        block = units[chosen] @ catalogue
        inside = np.flatnonzero(place[chosen] != NO_ITEM)
        block[inside, place[chosen[inside]]] = -np.inf  # an item is not similar to itself
        return start, *top_k(block, k)

    width = min(k, members.size)
    places, found = np.zeros((asked.size, width), np.int64), np.zeros((asked.size, width), np.float32)
    for start, best, values in in_threads(nearest, range(0, asked.size, size), threads=config.threads):
        part = slice(start, start + len(best))
        places[part], found[part] = best, values
        if on_items is not None:
            on_items(int(sharing[part].sum()))
    real = np.isfinite(found)
    rows[known, :width] = np.where(real, known[members[places]], NO_ITEM)[whose]
    cosines[known, :width] = np.where(real, found, 0.0)[whose]
    return rows, cosines


def _distinct(units: NDArray[np.float32], listed: NDArray[np.bool_]) -> tuple[Places, Places]:
    """Returns the ascending positions whose lists are made, and for each position which of them is its own.

    Items that stand in no list and have the same direction, as those of the same traits without a buyer,
    have the same list.
    """
    others = np.flatnonzero(~listed)
    as_bytes = units[others].view(np.dtype((np.void, units.shape[1] * units.itemsize))).ravel()
    _, first, same = np.unique(as_bytes, return_index=True, return_inverse=True)
    asked = np.sort(np.concatenate([np.flatnonzero(listed), others[first]]))
    whose = np.searchsorted(asked, np.arange(listed.size))
    whose[others] = np.searchsorted(asked, others[first])[same]
    return asked, whose


def similar_stage(config: SimilarConfig) -> Stage:
    """Returns the stage that lists similar items for every item with factors."""

    def work(ctx: StageContext) -> dict[str, object]:
        items = read_artefact(ctx.source("items.parquet"), "items")
        vectors = np.load(ctx.source("item_factors.npy"))
        buyers = np.bincount(np.load(ctx.source("interacted_rows.npy")), minlength=items.height)
        directions = with_content(item_traits(items), vectors, buyers)
        listed = vectors.any(axis=1) | new_items(items, as_of=ctx.run.as_of, days=config.new_item_days)
        known = int(np.count_nonzero(directions.any(axis=1)))
        with ctx.bar("similar items", total=known) as advance:
            rows, cosines = similar_items(directions, config, listed=listed, on_items=advance)
        np.save(ctx.target("similar_rows.npy"), rows)
        np.save(ctx.target("similar_scores.npy"), cosines)
        return {
            "items_with_list": int(np.count_nonzero(rows[:, 0] != NO_ITEM)),
            "items_in_lists": int(np.count_nonzero(listed)),
        }

    return Stage(
        name="similar",
        version=2,
        inputs=("items.parquet", "item_factors.npy", "interacted_rows.npy"),
        outputs=("similar_rows.npy", "similar_scores.npy"),
        work=work,
        config=config,
    )
