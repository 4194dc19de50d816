"""Owns the programme as matrices, and its relaxation: items in part, for a bound and the prices of limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from selection.assortment.problem import Floats, Problem

MORE = 1e-4  # of a bound
LIMIT, INFEASIBLE = 1, 2  # statuses of scipy.optimize.linprog


@dataclass(frozen=True, slots=True)
class Relaxed:
    """What the relaxation says.

    Attributes:
        feasible: False where not even items in part keep the limits.
        bound: no choice brings more; infinity where the time ran out.
        prices: (n_limits,) float64 money, 0 or more, that one more unit of each limit's bound would bring;
            for a limit that asks for a least number, one less. 0 for a limit that does not bind.
        out_of_time: whether the clock stopped it.
    """

    feasible: bool
    bound: float
    prices: Floats
    out_of_time: bool = False


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


def relax(problem: Problem, seconds: float) -> Relaxed:
    """Returns the relaxation of a problem.

    Every limit is given a little more room than it has (`MORE`), so that a price is that of more and not of
    less where the two differ; the bound is too high by as much.
    """
    matrix, upper, losers = programme(problem)
    n_limits = len(problem.limits)
    cost = np.concatenate([-problem.value, np.ones(losers)])
    bounds = np.stack([np.zeros(len(cost)), np.full(len(cost), np.inf)], axis=1)
    bounds[: problem.size, 1] = 1
    upper[:n_limits] += MORE * np.maximum(1.0, np.abs(upper[:n_limits]))
    options = {"time_limit": seconds}
    result = linprog(cost, A_ub=matrix, b_ub=upper, bounds=bounds, options=options)  # type: ignore[call-overload]
    if result.status != 0:
        late = result.status == LIMIT
        return Relaxed(result.status != INFEASIBLE, float("inf"), np.zeros(n_limits), out_of_time=late)
    return Relaxed(True, -float(result.fun), np.maximum(-result.ineqlin.marginals[:n_limits], 0.0))
