"""Owns computing a shopper's vector from what they did, and splitting a score into what made it.

One step of alternating least squares for one shopper: Hu, Koren and Volinsky, "Collaborative Filtering for
Implicit Feedback Datasets" (2008), equation 4, and equation 7 for the split, where every pair counts 1
towards a score of 0 and one that met counts its confidence towards a score of 1 besides. The offline training
solves the same, so that a vector folded in is the one that training would have found.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recdata.snapshot.records import Float32s, FoldIn

Float64s = NDArray[np.float64]
NumberT = TypeVar("NumberT", float, Float64s)


def confidence(weight: float, n_items: int, fold_in: FoldIn) -> float:
    """Returns the confidence that training gives an interaction of a weight.

    Args:
        weight: of the interaction before BM25, above 0.
        n_items: how many different items the shopper interacted with, this one included.
        fold_in: the model's settings.
    """
    if not fold_in.bm25_k1:
        return fold_in.alpha * weight
    rarity = math.log1p((fold_in.n_sold - n_items + 0.5) / (n_items + 0.5))
    saturated = weight * (fold_in.bm25_k1 + 1.0) / (fold_in.bm25_k1 + weight)
    return fold_in.alpha * saturated * rarity


def row_mass(confidence_sum: NumberT, n_others: int) -> NumberT:
    """Returns the weight of all of a row's pairs: 1 each, and the confidence of those that met.

    Args:
        confidence_sum: of the pairs that met.
        n_others: how many could have met.
    """
    return confidence_sum + n_others


def penalty_of(confidences: Float32s, fold_in: FoldIn) -> float:
    """Returns the penalty on the squared length of a shopper's vector.

    It grows with what is known of the shopper: Rendle, Krichene, Zhang and Koren, "Revisiting the Performance
    of iALS on Item Recommendation Benchmarks" (2022), frequency-scaled regularisation.

    Args:
        confidences: `(n,)`, of all of the shopper's interactions.
        fold_in: the model's settings.
    """
    mass = row_mass(float(confidences.sum(dtype=np.float64)), fold_in.n_sold)
    return float(fold_in.penalty * mass**fold_in.frequency_scaling)


class FoldedIn:
    """A shopper's vector, with what is needed to explain its scores.

    Args:
        gramian: `(f, f)`, the item factors' transpose times themselves.
        factors: `(n, f)`, the factors of the items that the shopper interacted with.
        confidences: `(n,)`, the confidence of each, above 0.
        penalty: on the squared length of the vector.

    Attributes:
        vector: `(f,)` float32; zeros without interactions.
    """

    def __init__(
        self, gramian: Float32s, factors: Float32s, confidences: Float32s, *, penalty: float
    ) -> None:
        self._factors, self._confidences = factors, confidences
        weighted = factors * confidences[:, None]
        self._matrix = gramian + weighted.T @ factors
        self._matrix.flat[:: gramian.shape[0] + 1] += penalty
        self.vector: Float32s = np.linalg.solve(self._matrix, confidences @ factors).astype(np.float32)

    def contributions(self, item_factors: Float32s) -> Float32s:
        """Returns how much each interaction adds to each item's score, `(n_items, n)`.

        A row's sum is the item's score: its factors times `vector`.

        Args:
            item_factors: `(n_items, f)`.
        """
        carried = np.linalg.solve(self._matrix, item_factors.T)  # (f, n_items)
        return (self._factors @ carried).T * self._confidences
