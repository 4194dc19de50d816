"""Owns the solving: HiGHS on the integer programme, part by part, after its relaxation.

    maximise  sum value_i x_i - sum loss_i,   x_i in {0, 1},   loss_i >= 0,
    loss_i >= penalty_ij (x_i + x_j - 1)   for each stronger substitute j of i

so that loss_i is the most that one chosen substitute takes. Parts of the problem that no limit joins
(categories, without a budget) are solved one by one, each with its share of the time. The relaxation comes
first: where it proves the greedy choice good enough, that is the answer, and it bounds any other.

What ends a hard part is a number of nodes of the solver's tree, which is the same on every machine and under
any load. The clock stands behind it; what it stopped says so, since another run may then choose otherwise.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from selection.assortment.greedy import greedy
from selection.assortment.problem import Floats, Problem, parts
from selection.assortment.relax import programme, relax

LEAST_SECONDS = 0.05  # for a part, however late it is
LIMIT, INFEASIBLE = 1, 2  # statuses of scipy.optimize.milp


@dataclass(frozen=True, slots=True)
class Solution:
    """What the solver found.

    Attributes:
        chosen: (n,) bool; all False where no choice keeps the limits.
        worth: money that the choice brings.
        bound: no choice brings more than this.
        prices: (n_limits,) float64, the shadow prices; see `Relaxed`.
        infeasible: limits, by position, of the parts that nothing satisfies; empty where all is well.
        out_of_time: whether the clock stopped it anywhere, so that another run may choose otherwise.
    """

    chosen: NDArray[np.bool_]
    worth: float
    bound: float
    prices: Floats
    infeasible: tuple[int, ...]
    out_of_time: bool

    @property
    def gap(self) -> float:
        """Returns how far from the best the choice may be, as a share of it; 0 is proven best."""
        return max(0.0, self.bound - self.worth) / max(abs(self.bound), 1e-9)


def solve(problem: Problem, *, max_gap: float, max_nodes: int, time_limit_s: float) -> Solution:
    """Returns the best choice, or the best found within the limits with how far from the best it may be.

    Args:
        problem: what is to be chosen from.
        max_gap: share of the best that the choice may be short of it.
        max_nodes: of the solver's tree, in each part.
        time_limit_s: of all parts together.
    """
    chosen = np.zeros(problem.size, np.bool_)
    prices = np.zeros(len(problem.limits))
    bound, broken, late = 0.0, [], False
    ends = time.monotonic() + time_limit_s
    left = problem.size
    # The smallest first: what they leave of their share of the time is the large ones'.
    for part, items, limits in sorted(parts(problem), key=lambda found: found[0].size):
        seconds = max(ends - time.monotonic(), 0.0) * part.size / max(left, 1)
        left -= part.size
        found = _solve_part(part, max_gap, max_nodes, max(seconds, LEAST_SECONDS))
        prices[limits] = found.prices
        late |= found.out_of_time
        if found.chosen is None:
            broken += limits.tolist()
            continue
        chosen[items] = found.chosen
        bound += found.bound
    if broken:
        return Solution(np.zeros(problem.size, np.bool_), 0.0, 0.0, prices, tuple(sorted(broken)), late)
    worth = problem.worth(chosen)
    return Solution(chosen, worth, max(bound, worth), prices, (), late)


@dataclass(frozen=True, slots=True)
class _Found:
    """A part's choice (None where nothing keeps its limits), the bound on any, the prices of its limits."""

    chosen: NDArray[np.bool_] | None
    bound: float
    prices: Floats
    out_of_time: bool = False


def _solve_part(problem: Problem, max_gap: float, max_nodes: int, seconds: float) -> _Found:
    """Returns the greedy choice where the relaxation proves it good enough, else the solver's."""
    n, free = problem.size, np.zeros(len(problem.limits))
    if n == 0:
        nothing = np.zeros(0, np.bool_)
        return _Found(nothing if problem.allows(nothing) else None, 0.0, free)
    if not problem.limits and not len(problem.pairs):
        best = problem.value > 0
        return _Found(best, float(problem.value[best].sum()), free)
    started = time.monotonic()
    relaxed = relax(problem, seconds)
    late = relaxed.out_of_time
    if not relaxed.feasible:
        return _Found(None, 0.0, free)
    most = min(relaxed.bound, float(problem.value.clip(0).sum()))
    plain = greedy(problem)
    start = problem.worth(plain) if problem.allows(plain) else -np.inf
    if start >= most * (1 - max_gap):
        return _Found(plain, max(most, start), relaxed.prices, late)
    left = max(seconds - (time.monotonic() - started), LEAST_SECONDS)
    solved, bound, stopped = _integers(problem, max_gap, max_nodes, left)
    late |= stopped
    if solved is None and np.isneginf(bound):
        return _Found(None, 0.0, free)
    most = min(most, bound)
    if solved is not None and problem.allows(solved) and problem.worth(solved) >= start:
        return _Found(solved, max(most, problem.worth(solved)), relaxed.prices, late)
    return _Found(plain if np.isfinite(start) else _any(problem), max(most, start), relaxed.prices, late)


def _integers(
    problem: Problem, max_gap: float, max_nodes: int, seconds: float
) -> tuple[NDArray[np.bool_] | None, float, bool]:
    """Returns what HiGHS finds, if anything, its bound, and whether the clock stopped it.

    The bound is minus infinity where there is nothing to find.
    """
    matrix, upper, losers = programme(problem)
    n = problem.size
    scale = max(float(np.abs(problem.value).max()), 1e-9)
    started = time.monotonic()
    result = milp(
        np.concatenate([-problem.value / scale, np.full(losers, 1 / scale)]),
        integrality=np.concatenate([np.ones(n, np.int8), np.zeros(losers, np.int8)]),
        bounds=Bounds(np.zeros(n + losers), np.concatenate([np.ones(n), np.full(losers, np.inf)])),
        constraints=LinearConstraint(matrix, -np.inf, upper),
        options={"time_limit": seconds, "node_limit": max_nodes, "mip_rel_gap": max_gap},
    )
    if result.status == INFEASIBLE:
        return None, -np.inf, False
    # One status tells of both limits, and the message is for people.
    late = result.status == LIMIT and time.monotonic() - started >= seconds
    dual = result.mip_dual_bound
    bound = -float(dual) * scale if dual is not None and np.isfinite(dual) else np.inf
    return (None if result.x is None else result.x[:n] > 0.5), bound, late


def _any(problem: Problem) -> NDArray[np.bool_] | None:
    """Returns some choice that keeps the limits, whatever it is worth; None where there is none."""
    matrix, upper = problem.rows()
    result = milp(
        np.zeros(problem.size),
        integrality=np.ones(problem.size, np.int8),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix, -np.inf, upper),
    )
    return None if result.x is None else result.x > 0.5
