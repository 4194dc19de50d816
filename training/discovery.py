"""Owns finding the items, among all that a shopper never bought, that are worth a closer look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recdata.snapshot.records import Source
from training.als import AlsModel
from training.blocks import NO_ITEM, block_rows, top_k
from training.history import History

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
    the first time, and new items whose vectors come from their traits.

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
            (pool, _places(pool, history.n_items), np.ascontiguousarray(model.item_factors[pool].T), count)
            for pool, count in (
                (np.flatnonzero(modelled & ~new), length),
                (np.flatnonzero(modelled & new), NEWCOMERS),
            )
        ]
        self._unsellable_near = ~sellable[history.neighbours.pool]
        liked = np.lexsort((np.arange(history.n_items), -history.recent_buyers, -history.new_buyers))
        self._liked = liked[sellable[liked] & (history.recent_buyers[liked] > 0)]
        self._liked_place = _places(self._liked, history.n_items)
        widest = max(self._pools[0][0].size, history.neighbours.pool.size)
        self.size = min(block_rows(widest), MAX_BLOCK_USERS)

    def candidates(self, start: int, stop: int) -> Found:
        """Returns what the users from `start` to before `stop` may find, ties by item row upwards."""
        near = self._history.neighbour_scores(start, stop)
        taste = self._user_factors[start:stop]
        by_vector, newcomers = (
            self._best(taste @ vectors, pool, place, start, count)
            for pool, place, vectors, count in self._pools
        )
        by_vector[~self.modelled_users[start:stop]] = NO_ITEM
        newcomers[~self.modelled_users[start:stop]] = NO_ITEM
        nearest = np.where((near > 0) & ~self._unsellable_near, near, -np.inf).astype(np.float32)
        pool = self._history.neighbours
        by_neighbour = self._best(nearest, pool.pool, pool.place, start, NEIGHBOURS)
        # A shopper who has bought all of the first of them finds the next.
        longest = NEWLY_BOUGHT + int(np.diff(self._history.indptr[start : stop + 1]).max(initial=0))
        liked = self._liked[:longest]
        falling = np.tile(-np.arange(liked.size, dtype=np.float32), (stop - start, 1))
        place = np.where(self._liked_place < liked.size, self._liked_place, NO_ITEM)
        by_others = self._best(falling, liked, place, start, NEWLY_BOUGHT)
        named = (
            (by_vector, Source.COLLABORATIVE),
            (by_neighbour, Source.COLLABORATIVE),
            (by_others, Source.BESTSELLER),
            (newcomers, Source.NEW),
        )
        sources = np.hstack([np.full(rows.shape, source, np.uint8) for rows, source in named])
        return Found(_without_repeats(np.hstack([rows for rows, _ in named])), sources, near)

    def _best(
        self,
        scores: NDArray[np.float32],
        items: NDArray[np.int64],
        place: NDArray[np.integer],
        start: int,
        count: int,
    ) -> NDArray[np.int32]:
        """Returns the best of `items` by `scores`, without what was bought; changes the scores."""
        if not items.size:
            return np.full((len(scores), 0), NO_ITEM, np.int32)
        pairs = self._history.pairs_of(start, start + len(scores))
        places = place[self._history.items[pairs]]
        inside = places != NO_ITEM
        scores[(self._history.users[pairs] - start)[inside], places[inside]] = -np.inf
        best, found = top_k(scores, count)
        return np.where(np.isfinite(found), items[best], NO_ITEM).astype(np.int32)


def _places(items: NDArray[np.int64], n_items: int) -> NDArray[np.int64]:
    places = np.full(n_items, NO_ITEM, np.int64)
    places[items] = np.arange(items.size)
    return places


def _without_repeats(rows: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns the rows with every place but an item's first set to -1."""
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    again = np.zeros(rows.shape, bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    repeated = np.empty_like(again)
    np.put_along_axis(repeated, order, again, axis=1)
    return np.where(repeated, NO_ITEM, rows).astype(np.int32)
