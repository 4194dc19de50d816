"""Owns why nothing keeps every limit: which ones contradict each other, and what each would have to become.

Every limit is given a slack that costs; the least total slack shows which must give. Each of those limits is
then let go alone, to see whether it would do by itself and how far it would have to move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from selection.assortment.problem import Floats, Problem

MAX_TRIED = 60
#: A search ends after so many nodes, the same everywhere; the clock only stands behind.
NODES = 200
SECONDS = 10.0
MOVED = 1e-6


@dataclass(frozen=True, slots=True)
class Conflict:
    """What stands in the way.

    Attributes:
        together: position of a limit -> how far it must move if as little as possible moves in all; 0 for
            every limit that somebody asked for where that was not found in time.
        alone: position of a limit -> the bound with which it alone would let the others be kept.
    """

    together: dict[int, float]
    alone: dict[int, float]


def find_conflict(problem: Problem, suspects: Sequence[int], *, seconds: float = SECONDS) -> Conflict:
    """Returns what makes a problem unsolvable.

    Args:
        problem: one that nothing satisfies.
        suspects: positions of the limits of the parts that are unsolvable.
        seconds: for each search.
    """
    moved = _least_slack(problem, list(suspects), seconds)
    # Those that gave first, then the others that somebody asked for: a limit that follows from today's
    # shelf is a remedy too, but only where it stands in the way.
    asked = [number for number in suspects if problem.limits[number].kind != "todays_slots"]
    if not np.isfinite(moved).all():
        return Conflict(dict.fromkeys(asked, 0.0), {})
    together = {number: float(slack) for number, slack in zip(suspects, moved, strict=True) if slack > MOVED}
    alone = {}
    for number in list(dict.fromkeys([*together, *asked]))[:MAX_TRIED]:
        (slack,) = _least_slack(problem, [number], seconds)
        if np.isfinite(slack) and slack > MOVED:
            limit = problem.limits[number]
            alone[number] = limit.bound + slack if limit.sense == "most" else limit.bound - slack
    return Conflict(together, alone)


def _least_slack(problem: Problem, free: list[int], seconds: float) -> Floats:
    """Returns how far each free limit moves when the least is moved, (k,); infinity where that is no help.

    Slacks are weighed by the limits' own size, so that money and items can be compared.
    """
    matrix, upper = problem.rows()
    n, k = problem.size, len(free)
    loose = sparse.csr_array((-np.ones(k), (free, np.arange(k))), shape=(len(problem.limits), k))
    weight = [1.0 / max(abs(problem.limits[number].bound), 1.0) for number in free]
    result = milp(
        np.concatenate([np.zeros(n), weight]),
        integrality=np.concatenate([np.ones(n), np.zeros(k)]),
        bounds=Bounds(np.zeros(n + k), np.concatenate([np.ones(n), np.full(k, np.inf)])),
        constraints=LinearConstraint(sparse.hstack([matrix, loose], format="csr"), -np.inf, upper),
        options={"time_limit": seconds, "node_limit": NODES},
    )
    if result.x is None:
        return np.full(k, np.inf)
    slack: Floats = result.x[n:]
    return slack
