"""Owns what a pair and a vector weigh in the collaborative model: BM25 and the penalties of the vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recdata.foldin import row_mass

Matrix = sparse.csr_array[np.float32, tuple[int, int]]
Float64s = NDArray[np.float64]


def bm25(matrix: Matrix, *, k1: float, b: float) -> Matrix:
    """Returns the weights by BM25, items as documents and shoppers as terms; always above zero.

    Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), equation 3.15, with the inverse
    document frequency log(1 + (n - n_t + 0.5) / (n_t + 0.5)), which stays positive for a shopper of every
    item.
    """
    if matrix.nnz == 0:
        return matrix.copy()
    pairs = matrix.tocoo()
    users, items = pairs.coords
    n_sold = np.count_nonzero(np.bincount(items, minlength=matrix.shape[1]))
    user_items = np.bincount(users, minlength=matrix.shape[0])
    rarity = np.log1p((n_sold - user_items + 0.5) / (user_items + 0.5))
    item_weight = np.bincount(items, weights=pairs.data, minlength=matrix.shape[1])
    length = 1.0 - b + b * item_weight / (item_weight.sum() / n_sold)
    saturated = pairs.data * (k1 + 1.0) / (k1 * length[items] + pairs.data)
    weighted = (saturated * rarity[users]).astype(np.float32)
    return sparse.csr_array((weighted, (users, items)), shape=matrix.shape)


@dataclass(frozen=True, slots=True)
class Penalties:
    """What the squared lengths of the vectors cost.

    Attributes:
        scale: the penalty of a vector whose pairs have a weight of 1 in all.
        users: `(n_users,)` float64.
        items: `(n_items,)` float64.
    """

    scale: float
    users: Float64s
    items: Float64s


def penalties_of(confidences: Matrix, *, regularization: float, frequency_scaling: float) -> Penalties:
    """Returns each vector's penalty: the weight of all its pairs to a power, times a scale.

    Rendle, Krichene, Zhang and Koren, "Revisiting the Performance of iALS on Item Recommendation Benchmarks"
    (2022), frequency-scaled regularisation; `recdata.foldin.penalty_of` is the same for one shopper.

    Args:
        confidences: `(n_users, n_items)` with at least one entry; shoppers and items without any count
            nowhere.
        regularization: mean penalty of a vector, in mean confidences of one.
        frequency_scaling: the power.
    """
    user_met = np.diff(confidences.indptr)
    item_met = np.bincount(confidences.indices, minlength=confidences.shape[1])
    user_sums = np.asarray(confidences.sum(axis=1, dtype=np.float64)).ravel()
    item_sums = np.zeros(confidences.shape[1])
    np.add.at(item_sums, confidences.indices, confidences.data)
    n_users, n_items = int(np.count_nonzero(user_met)), int(np.count_nonzero(item_met))
    users = row_mass(user_sums, n_items) ** frequency_scaling
    items = row_mass(item_sums, n_users) ** frequency_scaling
    mean_confidence = user_sums.sum() / (n_users + n_items)
    mean_power = (users[user_met > 0].sum() + items[item_met > 0].sum()) / (n_users + n_items)
    scale = float(regularization * mean_confidence / mean_power)
    return Penalties(scale, scale * users, scale * items)
