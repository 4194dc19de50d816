"""Owns items that the same shoppers buy: a linear item-item model over the items that sell now.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (2019), equation 8: the weights B that rebuild
each shopper's purchases from his other purchases best, in closed form.  It sees single items where the
collaborative vectors see tastes.  Only the items with the most recent buyers take part, so the inverse stays
small in a catalogue of any size; what is found for the first time is nearly always among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from training.blocks import NO_ITEM

POOL_ITEMS = 3000
PENALTY = 2.0  # on the squared weights, in mean buyers of an item of the pool


@dataclass(frozen=True, slots=True)
class Neighbours:
    """A fitted item-item model.

    Attributes:
        pool: `(p,)` int64 ascending item rows that take part.
        place: `(n_items,)` int32 position in the pool, -1 outside.
        weights: `(p, p)` float32; row: what was bought, column: what it speaks for.
    """

    pool: NDArray[np.int64]
    place: NDArray[np.int32]
    weights: NDArray[np.float32]

    def scores(
        self,
        rows: NDArray[np.integer],
        items: NDArray[np.integer],
        strength: NDArray[np.float32],
        n_rows: int,
    ) -> NDArray[np.float32]:
        """Returns `(n_rows, p)` float32: how much each row's purchases speak for each item of the pool.

        Args:
            rows: `(n,)` the row of each purchase, below n_rows.
            items: `(n,)` item rows.
            strength: `(n,)` how much a purchase counts.
            n_rows: shoppers.
        """
        places = self.place[items]
        inside = places != NO_ITEM
        bought = sparse.csr_array(
            (strength[inside], (rows[inside], places[inside])), shape=(n_rows, self.pool.size)
        )
        return np.asarray(bought @ self.weights, np.float32)


def fit_neighbours(
    users: NDArray[np.int32], items: NDArray[np.int32], n_users: int, recent_buyers: NDArray[np.int64]
) -> Neighbours:
    """Returns the model of all pairs bought; without a recent buyer its pool is empty.

    Args:
        users: `(n_pairs,)` user rows.
        items: `(n_pairs,)` item rows, each pair once.
        n_users: how many shoppers there are.
        recent_buyers: `(n_items,)` decides which items take part, ties by item row upwards.
    """
    n_items = recent_buyers.size
    pool = np.lexsort((np.arange(n_items), -recent_buyers))[:POOL_ITEMS]
    pool = np.sort(pool[recent_buyers[pool] > 0]).astype(np.int64)
    place = np.full(n_items, NO_ITEM, np.int32)
    place[pool] = np.arange(pool.size)
    if not pool.size:
        return Neighbours(pool, place, np.zeros((0, 0), np.float32))
    places = place[items]
    inside = places != NO_ITEM
    ones = np.ones(int(inside.sum()), np.float32)
    bought = sparse.csr_array((ones, (users[inside], places[inside])), shape=(n_users, pool.size))
    gram = (bought.T @ bought).toarray().astype(np.float64)
    gram[np.diag_indices(pool.size)] += PENALTY * np.trace(gram) / pool.size
    with threadpool_limits(limits=1, user_api="blas"):  # equal bits on any number of cores
        inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return Neighbours(pool, place, weights.astype(np.float32))
