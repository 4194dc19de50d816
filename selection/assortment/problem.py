"""Owns the problem that is solved: items with value and cost, pairs of substitutes, limits. Pure NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Sense = Literal["most", "least"]
EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: the sum of `weights` over the chosen of `rows` is at most (or at least) `bound`.

    Attributes:
        kind: budget, total, slots, todays_slots, least, band_least, band_most, new_least or always.
        key: the category, price band or item that it speaks of; "" for the whole assortment.
        sense: most or least.
        bound: in money for a budget, in items for the others.
        rows: (k,) positions of the items that it counts.
        weights: (k,) float64.
        share: the share of the assortment that it asks for; 0 where it asks for a number.
    """

    kind: str
    key: str
    sense: Sense
    bound: float
    rows: Rows
    weights: Floats
    share: float = 0.0

    def used(self, chosen: NDArray[np.bool_]) -> float:
        """Returns the sum over what was chosen."""
        return float(self.weights[chosen[self.rows]].sum())

    def slack(self, chosen: NDArray[np.bool_]) -> float:
        """Returns how much room is left; below 0 where the limit is broken."""
        used = self.used(chosen)
        return self.bound - used if self.sense == "most" else used - self.bound


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be chosen from.

    Attributes:
        value: (n,) float64 money that an item brings by itself; may be below 0.
        cost: (n,) float64 money that buying it in takes, 0 or more.
        pairs: (m, 2) positions of substitutes, the lesser one first.
        penalty: (m,) float64 money that the lesser one loses where both are chosen, 0 or more. With several
            substitutes beside it, it loses the most that one of them takes, not their sum.
        limits: all that must hold.
    """

    value: Floats
    cost: Floats
    pairs: NDArray[np.intp]
    penalty: Floats
    limits: tuple[Limit, ...]

    @property
    def size(self) -> int:
        """Returns the number of items."""
        return len(self.value)

    def worth(self, chosen: NDArray[np.bool_]) -> float:
        """Returns the money that a choice brings, losses between substitutes taken off."""
        return float(self.value[chosen].sum() - self.losses(chosen).sum())

    def losses(self, chosen: NDArray[np.bool_]) -> Floats:
        """Returns what each item loses to the strongest of its chosen substitutes, (n,) money."""
        both = chosen[self.pairs[:, 0]] & chosen[self.pairs[:, 1]]
        lost = np.zeros(self.size)
        np.maximum.at(lost, self.pairs[both, 0], self.penalty[both])
        return lost

    def allows(self, chosen: NDArray[np.bool_]) -> bool:
        """Returns whether a choice keeps every limit."""
        return all(limit.slack(chosen) >= -EPSILON * max(1.0, abs(limit.bound)) for limit in self.limits)

    def rows(self) -> tuple[sparse.csr_array, Floats]:
        """Returns every limit as a row of `A x <= b`: (n_limits, n) and (n_limits,) float64."""
        signs = [1.0 if limit.sense == "most" else -1.0 for limit in self.limits]
        signed = [sign * limit.weights for sign, limit in zip(signs, self.limits, strict=True)]
        matrix = sparse.csr_array(
            (
                np.concatenate([np.zeros(0), *signed]),
                np.concatenate([np.zeros(0, np.intp), *(limit.rows for limit in self.limits)]),
                np.cumsum([0, *(len(limit.rows) for limit in self.limits)]),
            ),
            shape=(len(self.limits), self.size),
        )
        return matrix, np.array([sign * limit.bound for sign, limit in zip(signs, self.limits, strict=True)])


def parts(problem: Problem) -> list[tuple[Problem, Rows, Rows]]:
    """Returns the problem cut where no limit and no pair joins its items.

    Each part comes with the positions of its items and of its limits in the whole; limits that count no
    item are a part of their own, and the items that nothing joins are one.
    """
    incidence, _ = problem.rows()
    incidence = abs(incidence)
    pairs = len(problem.pairs)
    joins = sparse.csr_array(
        (np.ones(2 * pairs), (np.repeat(np.arange(pairs), 2), problem.pairs.ravel())),
        shape=(pairs, problem.size),
    )
    both = sparse.vstack([incidence, joins], format="csr")
    graph = sparse.block_array([[None, both.T], [both, None]], format="csr")
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    of_item, of_limit = label[: problem.size], label[problem.size : problem.size + len(problem.limits)]
    of_item = np.where(np.diff(both.tocsc().indptr) > 0, of_item, -1)
    of_pair = label[problem.size + len(problem.limits) :]
    found = []
    for part in np.unique(np.concatenate([of_item, of_limit])):
        items, limits = np.flatnonzero(of_item == part), np.flatnonzero(of_limit == part)
        found.append((_part(problem, items, limits, np.flatnonzero(of_pair == part)), items, limits))
    return found


def _part(problem: Problem, items: Rows, limits: Rows, pairs: Rows) -> Problem:
    cut = [problem.limits[int(number)] for number in limits]
    return Problem(
        value=problem.value[items],
        cost=problem.cost[items],
        pairs=np.searchsorted(items, problem.pairs[pairs]),
        penalty=problem.penalty[pairs],
        limits=tuple(
            Limit(
                kind=limit.kind,
                key=limit.key,
                sense=limit.sense,
                bound=limit.bound,
                rows=np.searchsorted(items, limit.rows),
                weights=limit.weights,
                share=limit.share,
            )
            for limit in cut
        ),
    )
