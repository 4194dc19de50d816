"""Owns the solving: HiGHS on the integer programme, part by part, with shadow prices from its relaxation.

    maximise  sum value_i x_i - sum loss_i,   x_i in {0, 1},   loss_i >= 0,
    loss_i >= penalty_ij (x_i + x_j - 1)   for each stronger substitute j of i

so that loss_i is the most that one chosen substitute takes. Parts of the problem that no limit joins
(categories, without a budget) are solved one by one, each with its share of the time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from selection.assortment.greedy import greedy
from selection.assortment.problem import Floats, Problem, Rows, parts

MORE = 1e-4  # of a bound
LEAST_SECONDS = 0.05  # for a part, however late it is
INFEASIBLE = 2  # status of scipy.optimize.milp


@dataclass(frozen=True, slots=True)
class Solution:
    """What the solver found.

    Attributes:
        chosen: (n,) bool; all False where no choice keeps the limits.
        worth: money that the choice brings.
        bound: no choice brings more than this.
        infeasible: limits, by position, of the parts that nothing satisfies; empty where all is well.
    """

    chosen: NDArray[np.bool_]
    worth: float
    bound: float
    infeasible: tuple[int, ...]

    @property
    def gap(self) -> float:
        """Returns how far from the best the choice may be, as a share of it; 0 is proven best."""
        return max(0.0, self.bound - self.worth) / max(abs(self.bound), 1e-9)


def solve(problem: Problem, *, max_gap: float, time_limit_s: float) -> Solution:
    """Returns the best choice, or the best found in the time with how far from the best it may be."""
    chosen = np.zeros(problem.size, np.bool_)
    bound, broken = 0.0, []
    ends = time.monotonic() + time_limit_s
    left = problem.size
    # The smallest first: what they leave of their share of the time is the large ones'.
    for part, items, limits in sorted(parts(problem), key=lambda found: found[0].size):
        seconds = max(ends - time.monotonic(), 0.0) * part.size / max(left, 1)
        left -= part.size
        found, best = _solve_part(part, max_gap, max(seconds, LEAST_SECONDS))
        if found is None:
            broken += limits.tolist()
            continue
        chosen[items] = found
        bound += best
    if broken:
        return Solution(np.zeros(problem.size, np.bool_), 0.0, 0.0, tuple(sorted(broken)))
    worth = problem.worth(chosen)
    return Solution(chosen, worth, max(bound, worth), ())


def _solve_part(problem: Problem, max_gap: float, seconds: float) -> tuple[NDArray[np.bool_] | None, float]:
    """Returns the choice (None where there is none) and the bound on what any choice brings."""
    n = problem.size
    if n == 0:
        nothing = np.zeros(0, np.bool_)
        return (nothing if problem.allows(nothing) else None), 0.0
    if not problem.limits and not len(problem.pairs):
        best = problem.value > 0
        return best, float(problem.value[best].sum())
    matrix, upper, losers = programme(problem)
    plain = greedy(problem)
    start = problem.worth(plain) if problem.allows(plain) else -np.inf
    scale = max(float(np.abs(problem.value).max()), 1e-9)
    result = milp(
        np.concatenate([-problem.value / scale, np.full(losers, 1 / scale)]),
        integrality=np.concatenate([np.ones(n, np.int8), np.zeros(losers, np.int8)]),
        bounds=Bounds(np.zeros(n + losers), np.concatenate([np.ones(n), np.full(losers, np.inf)])),
        constraints=LinearConstraint(matrix, -np.inf, upper),
        options={"time_limit": seconds, "mip_rel_gap": max_gap},
    )
    if result.status == INFEASIBLE:
        return None, 0.0
    dual = result.mip_dual_bound
    most = float(problem.value.clip(0).sum())
    bound = min(most, -float(dual) * scale) if dual is not None and np.isfinite(dual) else most
    found = None if result.x is None else result.x[:n] > 0.5
    if found is not None and problem.allows(found) and problem.worth(found) >= start:
        return found, max(bound, problem.worth(found))
    return (plain, max(bound, start)) if np.isfinite(start) else (_any(problem), bound)


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


def programme(problem: Problem) -> tuple[sparse.csr_array, Floats, int]:
    """Returns `A [x, loss] <= b` of limits and pairs, and how many items may lose: the length of loss.

    A is (n_limits + m, n + losers), b (n_limits + m,) float64.
    """
    limits, bounds = problem.rows()
    m = len(problem.pairs)
    losers, at = np.unique(problem.pairs[:, 0], return_inverse=True)
    pair = np.arange(m)
    both = np.repeat(pair, 2), problem.pairs.ravel()
    joins = sparse.csr_array((np.repeat(problem.penalty, 2), both), shape=(m, problem.size))
    loss = sparse.csr_array((-np.ones(m), (pair, at)), shape=(m, len(losers)))
    nothing = sparse.csr_array((len(problem.limits), len(losers)))
    matrix = sparse.vstack([sparse.hstack([limits, nothing]), sparse.hstack([joins, loss])], format="csr")
    return matrix, np.concatenate([bounds, problem.penalty]), len(losers)


def shadow_prices(problem: Problem) -> Floats:
    """Returns what one more unit of each limit's bound would bring, (n_limits,) float64 money, 0 or more.

    From the dual of the relaxation, where items may be taken in part: near the truth for small changes, and
    0 for a limit that does not bind. For a limit that asks for a least number: what one less would bring.
    """
    prices = np.zeros(len(problem.limits))
    for part, _, limits in parts(problem):
        if part.size and len(limits):
            prices[limits] = _duals(part, limits)
    return prices


def _duals(problem: Problem, limits: Rows) -> Floats:
    matrix, upper, losers = programme(problem)
    cost = np.concatenate([-problem.value, np.ones(losers)])
    bounds = np.stack([np.zeros(len(cost)), np.full(len(cost), np.inf)], axis=1)
    bounds[: problem.size, 1] = 1
    # A little more room, so that the price is that of more and not of less where the two differ.
    upper[: len(limits)] += MORE * np.maximum(1.0, np.abs(upper[: len(limits)]))
    result = linprog(cost, A_ub=matrix, b_ub=upper, bounds=bounds)  # type: ignore[call-overload]
    if result.status != 0:
        return np.zeros(len(limits))
    duals: Floats = -result.ineqlin.marginals[: len(limits)]
    return np.maximum(duals, 0.0)
