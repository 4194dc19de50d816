"""Owns computing a shopper's vector from what they did, and splitting a score into what made it.

One step of alternating least squares for one shopper: Hu, Koren and Volinsky, "Collaborative Filtering for
Implicit Feedback Datasets" (2008), equation 4, and equation 7 for the split, where every pair counts 1
towards a score of 0 and one that met counts its confidence towards a score of 1 besides. The offline training
solves the same, so that a vector folded in is the one that training would have found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recdata.machine_code import aligned, compiled
from recdata.snapshot.records import Float32s, FoldIn, Int32s

Float64s = NDArray[np.float64]
NumberT = TypeVar("NumberT", float, Float64s)


def confidence(weight: float, n_items: int, alpha: float, bm25_k1: float, n_sold: int) -> float:
    """Returns the confidence that training gives an interaction of a weight.

    Args:
        weight: of the interaction before BM25, above 0.
        n_items: how many different items the shopper interacted with, this one included.
        alpha: confidence of a weight of 1.
        bm25_k1: 0 where weights are taken as they are.
        n_sold: items with any interaction.
    """
    if bm25_k1 == 0:
        return alpha * weight
    rarity = math.log1p((n_sold - n_items + 0.5) / (n_items + 0.5))
    saturated = weight * (bm25_k1 + 1.0) / (bm25_k1 + weight)
    return alpha * saturated * rarity


def row_mass(confidence_sum: NumberT, n_others: int) -> NumberT:
    """Returns the weight of all of a row's pairs: 1 each, and the confidence of those that met.

    Args:
        confidence_sum: of the pairs that met.
        n_others: how many could have met.
    """
    return confidence_sum + n_others


def penalty_of(confidences: Float32s, penalty: float, frequency_scaling: float, n_sold: int) -> float:
    """Returns the penalty on the squared length of a shopper's vector.

    It grows with what is known of the shopper: Rendle, Krichene, Zhang and Koren, "Revisiting the Performance
    of iALS on Item Recommendation Benchmarks" (2022), frequency-scaled regularisation.

    Args:
        confidences: `(n,)`, of all of the shopper's interactions.
        penalty: where all pairs have a weight of 1 together.
        frequency_scaling: power of that weight; 0 is one penalty for everybody.
        n_sold: items with any interaction.
    """
    total = 0.0
    for each in confidences:
        total += each
    return float(penalty * row_mass(total, n_sold) ** frequency_scaling)


def solve_vector(
    gramian: Float32s, factors: Float32s, rows: Int32s, confidences: Float32s, penalty: float
) -> Float32s:
    """Returns the vector of a shopper, `(f,)` float32; zeros where the equations have no one solution.

    By Cholesky's decomposition. To be compiled: it is several times as fast as the same in array expressions.

    Args:
        gramian: `(f, f)`, the item factors' transpose times themselves.
        factors: `(n_items, f)`.
        rows: `(n,)`, the items that the shopper interacted with, each once.
        confidences: `(n,)`, the confidence of each, above 0.
        penalty: on the squared length of the vector.
    """
    f = gramian.shape[0]
    left, x = np.empty((f, f), np.float32), np.zeros(f, np.float32)
    for i in range(f):
        for j in range(i + 1):
            left[i, j] = gramian[i, j]
        left[i, i] += np.float32(penalty)
    n = rows.size
    at = 0
    while at < n:  # by fours, so that the matrix is gone over a quarter as often
        two, three, four = min(at + 1, n - 1), min(at + 2, n - 1), min(at + 3, n - 1)
        a, b, c, d = factors[rows[at]], factors[rows[two]], factors[rows[three]], factors[rows[four]]
        zero = np.float32(0)
        weight_a = confidences[at]
        weight_b = confidences[two] if at + 1 < n else zero
        weight_c = confidences[three] if at + 2 < n else zero
        weight_d = confidences[four] if at + 3 < n else zero
        for i in range(f):
            wa, wb, wc, wd = weight_a * a[i], weight_b * b[i], weight_c * c[i], weight_d * d[i]
            x[i] += wa + wb + wc + wd
            row = left[i]
            for j in range(i + 1):
                row[j] += wa * a[j] + wb * b[j] + wc * c[j] + wd * d[j]
        at += 4
    for i in range(f):
        row = left[i]
        for j in range(i):
            other = left[j]
            met = np.float32(0)
            for k in range(j):
                met += row[k] * other[k]
            row[j] = (row[j] - met) / other[j]
        met = np.float32(0)
        for k in range(i):
            met += row[k] * row[k]
        rest = row[i] - met
        if not rest > 0:
            x[:] = 0
            return x
        row[i] = np.sqrt(rest)
        met = np.float32(0)
        for k in range(i):
            met += row[k] * x[k]
        x[i] = (x[i] - met) / row[i]
    for i in range(f - 1, -1, -1):
        row = left[i]
        x[i] /= row[i]
        for k in range(i):
            x[k] -= row[k] * x[i]
    return x


def take_in(
    rows: Int32s,
    confidences: Float32s,
    more: Int32s,
    weights: Float64s,
    alpha: float,
    bm25_k1: float,
    n_sold: int,
    penalty: float,
    frequency_scaling: float,
    gramian: Float32s,
    factors: Float32s,
) -> tuple[Int32s, Float32s, float, Float32s]:
    """Returns a shopper's interactions with others added, their penalty, and the vector. To be compiled.

    Args:
        rows: `(n,)`, ascending, the items that the shopper interacted with.
        confidences: `(n,)`, the confidence of each, above 0.
        more: `(m,)`, rows of items, each once.
        weights: `(m,)`, of the interactions with them, before the model makes confidences of them.
        alpha: as for `confidence`, as are the next two.
        bm25_k1: see `alpha`.
        n_sold: see `alpha`.
        penalty: as for `penalty_of`, as is the next.
        frequency_scaling: see `penalty`.
        gramian: `(f, f)`, the item factors' transpose times themselves.
        factors: `(n_items, f)`.

    Raises:
        IndexError: a row is that of no item.
    """
    n = rows.size
    for met in (rows, more):
        for row in met:
            if row < 0 or row >= factors.shape[0]:
                raise IndexError("an interaction's row is that of no item")
    places = np.searchsorted(rows, more)
    n_all = n
    for k in range(more.size):
        if places[k] == n or rows[places[k]] != more[k]:
            n_all += 1
    every, confident = np.empty(n_all, np.int32), np.empty(n_all, np.float32)
    every[:n], confident[:n] = rows, confidences
    at = n
    for k in range(more.size):
        added = confidence(weights[k], n_all, alpha, bm25_k1, n_sold)
        if places[k] < n and rows[places[k]] == more[k]:
            confident[places[k]] += added
        else:
            every[at], confident[at] = more[k], added
            at += 1
    mass = penalty_of(confident, penalty, frequency_scaling, n_sold)
    return every, confident, mass, solve_vector(gramian, factors, every, confident, mass)


@cache
def intake() -> Callable[..., tuple[Int32s, Float32s, float, Float32s]]:
    """Returns `take_in` as machine code."""
    known = "int32[:]", "float32[:]", "int32[:]", "float64[:]"
    settings = "float64", "float64", "int64", "float64", "float64"
    return compiled(
        take_in,
        *known,
        *settings,
        "float32[:,:]",
        "float32[:,:]",
        lets_others_run=False,
        calls=(row_mass, confidence, penalty_of, solve_vector),
    )


@dataclass(frozen=True, slots=True)
class FoldedIn:
    """A shopper's vector, with what is needed to explain its scores.

    Attributes:
        gramian: `(f, f)`, the item factors' transpose times themselves.
        factors: `(n_items, f)`.
        rows: `(n,)`, the items that the shopper interacted with.
        confidences: `(n,)`, the confidence of each.
        penalty: on the squared length of the vector.
        vector: `(f,)`; zeros without interactions.
    """

    gramian: Float32s
    factors: Float32s
    rows: Int32s
    confidences: Float32s
    penalty: float
    vector: Float32s

    def contributions(self, among: Int32s) -> Float32s:
        """Returns how much each interaction adds to each item's score, `(len(among), n)`.

        A row's sum is the item's score: its factors times `vector`.

        Args:
            among: rows of the items.
        """
        met = self.factors[self.rows]
        left = self.gramian + (met * self.confidences[:, None]).T @ met
        left.flat[:: left.shape[0] + 1] += self.penalty
        carried = np.linalg.solve(left, self.factors[among].T)  # (f, len(among))
        return (met @ carried).T * self.confidences


def fold_in(
    rows: Int32s,
    confidences: Float32s,
    weights: Mapping[int, float],
    settings: FoldIn,
    *,
    gramian: Float32s,
    factors: Float32s,
) -> FoldedIn:
    """Returns a shopper's vector of now.

    Args:
        rows: `(n,)`, ascending, the items of which the model knows that the shopper interacted with them.
        confidences: `(n,)`, the confidence of each, above 0.
        weights: what came since, by row, before the model makes confidences of it.
        settings: the model's.
        gramian: `(f, f)`, the item factors' transpose times themselves.
        factors: `(n_items, f)`.
    """
    every, confident, penalty, vector = intake()(
        aligned(rows),
        aligned(confidences),
        np.array(list(weights), np.int32),
        np.array(list(weights.values()), np.float64),
        settings.alpha,
        settings.bm25_k1,
        settings.n_sold,
        settings.penalty,
        settings.frequency_scaling,
        gramian,
        factors,
    )
    return FoldedIn(gramian, factors, every, confident, penalty, vector)
