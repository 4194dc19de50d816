"""Owns the items most like an item, by the angle between their vectors in ALS; the stage `similar`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from recdata.config import NonNegativeInt, PositiveInt, RoomConfig
from recdata.runs import Stage, StageContext
from training.blocks import NO_ITEM, block_rows, in_threads, top_k


class SimilarConfig(RoomConfig, frozen=True):
    """`[training.similar]`: the list of similar items that every item carries."""

    # Similar items kept for each item; 1 to 200 is usual.
    similar_per_item: PositiveInt = 50
    # Threads; 0 means every core.  The lists do not depend on it.
    threads: NonNegativeInt = 0


def similar_items(
    item_factors: NDArray[np.float32],
    config: SimilarConfig,
    *,
    on_items: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Returns each item's nearest others by cosine, best first, ties by item row upwards.

    Items with a zero vector have no list and stand in none.

    Args:
        item_factors: `(n_items, factors)` float32.
        config: length of the lists, threads.
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
    catalogue = np.ascontiguousarray(units.T)
    size = block_rows(known.size)

    def nearest(start: int) -> tuple[int, NDArray[np.int64], NDArray[np.float32]]:
        block = units[start : start + size] @ catalogue
        inside = np.arange(block.shape[0])
        block[inside, start + inside] = -np.inf  # an item is not similar to itself
        return start, *top_k(block, k)

    for start, places, found in in_threads(nearest, range(0, known.size, size), threads=config.threads):
        items, width = known[start : start + size], places.shape[1]
        real = np.isfinite(found)
        rows[items, :width] = np.where(real, known[places], NO_ITEM)
        cosines[items, :width] = np.where(real, found, 0.0)
        if on_items is not None:
            on_items(items.size)
    return rows, cosines


def similar_stage(config: SimilarConfig) -> Stage:
    """Returns the stage that lists similar items for every item with factors."""

    def work(ctx: StageContext) -> dict[str, object]:
        item_factors = np.load(ctx.source("item_factors.npy"))
        known = int(np.count_nonzero(item_factors.any(axis=1)))
        with ctx.bar("similar items", total=known) as advance:
            rows, cosines = similar_items(item_factors, config, on_items=advance)
        np.save(ctx.target("similar_rows.npy"), rows)
        np.save(ctx.target("similar_scores.npy"), cosines)
        return {"items_with_list": int(np.count_nonzero(rows[:, 0] != NO_ITEM))}

    return Stage(
        name="similar",
        version=1,
        inputs=("item_factors.npy",),
        outputs=("similar_rows.npy", "similar_scores.npy"),
        work=work,
        config=config,
    )
