"""Owns finding the items, among all that a shopper never bought, that are worth a closer look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.als import AlsModel
from training.blocks import NO_ITEM, block_rows, top_k
from training.history import ITEM_FEATURES, Floats, History

MAX_BLOCK_USERS = 512  # so that a block's lists, too, stay small


class Discovery:
    """Finds never-bought candidates by a score that is linear in the vectors and the items' features.

    Attributes:
        size: how many users one block holds.
        modelled_items: `(n_items,)` bool, items with factors.
        modelled_users: `(n_users,)` bool, shoppers with factors.
    """

    def __init__(
        self, history: History, model: AlsModel, weights: Floats, sellable: NDArray[np.bool_], *, length: int
    ) -> None:
        """Prepares the product.

        Args:
            history: pairs that are left out, and the items' features.
            model: vectors of the same shoppers and items.
            weights: constant, one for each item feature, and the collaborative score's.
            sellable: `(n_items,)` bool; the others are never found.
            length: candidates for each shopper.
        """
        self._history, self._user_factors, self._length = history, model.user_factors, length
        self.modelled_items = np.asarray(model.item_factors.any(axis=1))
        self.modelled_users = np.asarray(model.user_factors.any(axis=1))
        self._pool = np.flatnonzero(sellable & (self.modelled_items | (history.recent_buyers > 0)))
        single = weights.astype(np.float32)
        self._bias = single[0] + history.item_features[self._pool] @ single[1 : 1 + len(ITEM_FEATURES)]
        self._vectors = np.ascontiguousarray((single[-1] * model.item_factors[self._pool]).T)
        self._place = np.full(history.n_items, NO_ITEM)
        self._place[self._pool] = np.arange(self._pool.size)
        self.size = min(block_rows(self._pool.size), MAX_BLOCK_USERS)

    def candidates(self, start: int, stop: int) -> NDArray[np.int32]:
        """Returns the best item rows of the users from `start` to before `stop`.

        The shape is `(stop - start, n)`, n at most `length`; best first, ties by item row upwards; places
        that no item is left for hold -1.
        """
        scores = self._user_factors[start:stop] @ self._vectors
        scores += self._bias
        pairs = self._history.pairs_of(start, stop)
        places = self._place[self._history.items[pairs]]
        inside = places != NO_ITEM
        scores[(self._history.users[pairs] - start)[inside], places[inside]] = -np.inf
        best, found = top_k(scores, self._length)
        return np.where(np.isfinite(found), self._pool[best], NO_ITEM).astype(np.int32)
