"""Owns finding the items, among all that a shopper never bought, that are worth a closer look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recdata.machine_code import compiled
from recdata.snapshot.records import Source
from training.als import AlsModel
from training.blocks import NO_ITEM, block_rows
from training.counts import ITEM_FEATURES
from training.history import Floats32, History, Rows
from training.naming import name_best, name_first
from training.neighbours import POOL_ITEMS

MAX_BLOCK_USERS = 512  # so that a block's lists, too, stay small
NEIGHBOURS = 60  # items taken from each shopper's neighbours in the item-item model
NEWLY_BOUGHT = 60  # and from those that most others have lately bought for the first time
NEWCOMERS = 10  # and from the new items that too few have bought for a vector of their own


@dataclass(frozen=True, slots=True)
class Found:
    """What a block of users, the first being `start`, may find.

    Attributes:
        rows: `(n, w)` int32 item rows, no item twice in a row, -1 where there is none.
        sources: the same shape, uint8 `Source` codes: the first that named the item.
        near: `(n, p)` float32, what the item-item model says of its pool's items.
    """

    rows: NDArray[np.int32]
    sources: NDArray[np.uint8]
    near: NDArray[np.float32]


class Discovery:
    """Names never-bought candidates, a bounded number from each source.

    The sources are the collaborative vectors, the item-item model, what most shoppers have lately bought for
    the first time, what is trending in the shopper's segment, and new items whose vectors come from their
    traits.

    Attributes:
        size: how many users one block holds.
        modelled_users: `(n_users,)` bool, shoppers with factors.
    """

    def __init__(
        self,
        history: History,
        model: AlsModel,
        sellable: NDArray[np.bool_],
        *,
        length: int,
        new: NDArray[np.bool_] | None = None,
    ) -> None:
        """Prepares the products.

        Args:
            history: pairs that are left out, neighbours and new buyers.
            model: vectors of the same shoppers and items.
            sellable: `(n_items,)` bool; the others are never found.
            length: candidates for each shopper from the vectors.
            new: `(n_items,)` bool, items whose vectors come from their traits; they have places of their own.
        """
        self._history, self._user_factors = history, model.user_factors
        self.modelled_users = np.asarray(model.user_factors.any(axis=1))
        modelled = sellable & model.item_factors.any(axis=1)
        new = np.zeros(history.n_items, bool) if new is None else new
        self._pools = [
            (pool.astype(np.int32), np.ascontiguousarray(model.item_factors[pool].T), count, source)
            for pool, count, source in (
                (_best_known(history, modelled & ~new), length, Source.COLLABORATIVE),
                (np.flatnonzero(modelled & new), NEWCOMERS, Source.NEW),
            )
        ]
        near = history.neighbours.pool
        self._near = np.where(sellable[near], near, NO_ITEM).astype(np.int32)
        liked = np.lexsort((np.arange(history.n_items), -history.recent_buyers, -history.new_buyers))
        self._liked = liked[sellable[liked] & (history.recent_buyers[liked] > 0)].astype(np.int32)
        trending = history.trending
        self._trending = (
            None if trending is None else np.where(sellable[trending.lists], trending.lists, NO_ITEM)
        )
        self._width = length + named_beside_vectors(history) + NEWCOMERS
        widest = max(*(pool.size for pool, *_ in self._pools), near.size)
        self.size = min(block_rows(widest), MAX_BLOCK_USERS)

    def candidates(self, start: int, stop: int) -> Found:
        """Returns what the users from `start` to before `stop` may find; of equals the first item rows."""
        history, n_users = self._history, stop - start
        rows = np.full((n_users, self._width), NO_ITEM, np.int32)
        sources = np.zeros(rows.shape, np.uint8)
        named, marks = np.zeros(n_users, np.int64), np.zeros(history.n_items, np.int64)
        starts = history.indptr[start : stop + 1]
        bought, starts = history.items[starts[0] : starts[-1]], starts - starts[0]
        name = compiled(name_best)

        def add(scores: Floats32, pool: Rows, count: int, source: Source, *, above: float = -np.inf) -> None:
            name(scores, pool, above, count, starts, bought, marks, rows, sources, named, int(source))

        near = history.neighbour_scores(start, stop)
        taste = self._user_factors[start:stop]
        # Whoever has no vector scores nothing at all, which is not above itself.
        nobody = np.where(self.modelled_users[start:stop, None], np.float32(0.0), np.float32(-np.inf))
        by_vector, newcomers = (
            (taste @ vectors + nobody, pool, count, source) for pool, vectors, count, source in self._pools
        )
        add(*by_vector)
        add(near, self._near, NEIGHBOURS, Source.COLLABORATIVE, above=0.0)
        # A shopper who has bought all of the first of them finds the next.
        liked = self._liked[: NEWLY_BOUGHT + int(np.diff(starts).max(initial=0))]
        falling = -np.arange(liked.size, dtype=np.float32)[None]
        add(falling, liked, NEWLY_BOUGHT, Source.BESTSELLER)
        if history.trending is not None:
            compiled(name_first)(
                self._trending,
                history.trending.segments[start:stop],
                history.trending.per_user,
                *(starts, bought, marks, rows, sources, named, int(Source.TRENDING)),
            )
        add(*newcomers)
        return Found(rows, sources, near)


def named_beside_vectors(history: History) -> int:
    """Returns how many candidates a shopper has at most beside those of the vectors."""
    return NEIGHBOURS + NEWLY_BOUGHT + (0 if history.trending is None else history.trending.per_user)


def _best_known(history: History, among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Returns those of the items `among`, ascending, that have the most recent buyers, then the most at all.

    So many that a shop of any size costs the same: what is found is nearly always one of them.
    """
    buyers = history.item_features[:, ITEM_FEATURES.index("buyers")]
    order = np.lexsort((np.arange(history.n_items), -buyers, -history.recent_buyers))
    return np.sort(order[among[order]][:POOL_ITEMS])
