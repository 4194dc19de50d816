"""Owns the answer: the assortment, what each limit does to it, what it changes, or why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.selection_artefacts import ASSORTMENT
from selection.assortment.candidates import substitutes
from selection.assortment.config import AssortmentConfig
from selection.assortment.explain import find_conflict
from selection.assortment.greedy import greedy
from selection.assortment.limits import limits_of
from selection.assortment.problem import EPSILON, Limit, Problem
from selection.assortment.solve import Solution, solve

Status = Literal["best", "within_gap", "impossible", "nothing"]


class LimitUse(msgspec.Struct, frozen=True):
    """What one limit does. Money for a budget, items for the others; a share is given as such.

    Attributes:
        kind, key, sense, bound: as in `Limit`; for a share of the assortment, bound is that share.
        used: how much of it the assortment has; for a share, the share.
        slack: room left, in items (a budget: money).
        shadow_price: money that one unit more (of a least: one unit less) would bring; of a share, one item.
    """

    kind: str
    key: str
    sense: str
    bound: float
    used: float
    slack: float
    shadow_price: float


class Remedy(msgspec.Struct, frozen=True):
    """One limit that stands in the way.

    Attributes:
        kind, key, sense, bound: as in `Limit`.
        move: how far it moves if as little as possible moves in all; 0 where others move instead.
        alone: the bound with which it alone lets all others be kept (a share is let go); null if none does.
    """

    kind: str
    key: str
    sense: str
    bound: float
    move: float
    alone: float | None


class CategoryChange(msgspec.Struct, frozen=True):
    """One category: how many sell today, are chosen, come in and go out, and the money of both shelves."""

    category: str
    today: int
    chosen: int
    comes_in: int
    goes_out: int
    worth_today: float
    worth: float


class Plan(msgspec.Struct, frozen=True):
    """The content of assortment.json. Money is that of the forecast horizon.

    Attributes:
        status: best (proven), within_gap (a limit of the solver was reached; see gap), impossible (see
            remedies), or nothing (nothing may be chosen, or nothing is worth it).
        objective: revenue or margin.
        candidates, chosen, today: items that could be chosen, were, and sell today.
        pairs: pairs of substitutes that were reckoned with.
        worth: money of the assortment, losses between substitutes taken off.
        worth_today: the same of what sells today.
        worth_greedy: of the plain pick, under the same limits; null where it breaks one.
        gap: how far from the best it may be, as a share.
        out_of_time: whether the clock stopped the solver, so that another run may choose otherwise.
        cost: money to buy it in.
        losing: items whose cost is above what they sell for.
        limits: limits that bind first, by shadow price.
        remedies: where it is impossible, the limits that contradict each other.
        categories: changes by category, most money gained first.
        remarks: what was asked for and could not be reckoned with, in Chinese and in English.
    """

    status: Status
    objective: str
    candidates: int
    chosen: int
    today: int
    pairs: int
    worth: float
    worth_today: float
    worth_greedy: float | None
    gap: float
    out_of_time: bool
    cost: float
    losing: int
    limits: list[LimitUse]
    remedies: list[Remedy]
    categories: list[CategoryChange]
    remarks: list[tuple[str, str]] = []


def read_plan(path: Path) -> Plan:
    """Returns the content of an assortment.json."""
    return msgspec.json.decode(path.read_bytes(), type=Plan)


def plan_assortment(
    frame: pl.DataFrame,
    similar: tuple[NDArray[np.int32], NDArray[np.float32]],
    together: NDArray[np.int32],
    config: AssortmentConfig,
) -> tuple[pl.DataFrame, Plan]:
    """Returns the ASSORTMENT artefact and the plan, from `CANDIDATES`, the similar and the bought together.

    An impossible set of limits is an answer, not an error: nothing is chosen, and the plan says why.
    """
    pairs, penalty = substitutes(frame, similar, together, config)
    problem = Problem(
        value=frame.get_column("value").to_numpy(),
        cost=frame.get_column("cost").to_numpy(),
        pairs=pairs,
        penalty=penalty,
        limits=limits_of(frame, config),
    )
    solution = solve(
        problem, max_gap=config.max_gap, max_nodes=config.max_nodes, time_limit_s=config.time_limit_s
    )
    rows = frame.select(
        "item_row",
        pl.Series("chosen", solution.chosen, dtype=pl.Boolean),
        "value",
        "cost",
        "slot_category",
        "price_band",
    )
    rows = rows.select(pl.col(name).cast(dtype) for name, dtype in ASSORTMENT.items())
    return rows, _plan(frame, problem, solution, config)


def _plan(frame: pl.DataFrame, problem: Problem, solution: Solution, config: AssortmentConfig) -> Plan:
    chosen, today = solution.chosen, frame.get_column("sells_now").to_numpy()
    plain = greedy(problem)
    if solution.infeasible:
        status: Status = "impossible"
    elif not chosen.any():
        status = "nothing"
    else:
        status = "best" if solution.gap <= config.max_gap + EPSILON else "within_gap"
    return Plan(
        status=status,
        objective=config.objective,
        candidates=problem.size,
        chosen=int(chosen.sum()),
        today=int(today.sum()),
        pairs=len(problem.pairs),
        worth=round(solution.worth, 2),
        worth_today=round(problem.worth(today), 2),
        worth_greedy=round(problem.worth(plain), 2) if problem.allows(plain) else None,
        gap=round(solution.gap, 6),
        out_of_time=solution.out_of_time,
        cost=round(float(problem.cost[chosen].sum()), 2),
        losing=int(frame.get_column("loses").sum()),
        limits=[] if solution.infeasible else _uses(problem, solution),
        remedies=_remedies(problem, solution.infeasible) if solution.infeasible else [],
        categories=[] if solution.infeasible else _changes(frame, problem, chosen, today),
    )


def _uses(problem: Problem, solution: Solution) -> list[LimitUse]:
    chosen, found = solution.chosen, []
    for limit, price in zip(problem.limits, solution.prices, strict=True):
        used, bound, total = limit.used(chosen), limit.bound, int(chosen.sum())
        if limit.share > 0:
            used, bound = (used / total + limit.share if total else 0.0), limit.share
        found.append(
            LimitUse(
                kind=limit.kind,
                key=limit.key,
                sense=limit.sense,
                bound=round(bound, 4),
                used=round(used, 4),
                slack=round(limit.slack(chosen), 4),
                shadow_price=round(float(price), 4),
            )
        )
    return sorted(found, key=lambda use: (-use.shadow_price, use.kind, use.key))


def _remedies(problem: Problem, suspects: tuple[int, ...]) -> list[Remedy]:
    conflict = find_conflict(problem, suspects)

    def said(number: int) -> Remedy:
        limit: Limit = problem.limits[number]
        alone = conflict.alone.get(number)
        if alone is not None and limit.share:
            alone = 0.0 if limit.sense == "least" else 1.0
        return Remedy(
            kind=limit.kind,
            key=limit.key,
            sense=limit.sense,
            bound=limit.share or limit.bound,
            move=round(conflict.together.get(number, 0.0), 4),
            alone=None if alone is None else round(float(alone), 4),
        )

    return [said(number) for number in dict.fromkeys([*conflict.together, *conflict.alone])]


def _changes(
    frame: pl.DataFrame, problem: Problem, chosen: NDArray[np.bool_], today: NDArray[np.bool_]
) -> list[CategoryChange]:
    names = frame.get_column("slot_category").unique().sort()
    code = frame.get_column("slot_category").rank("dense").cast(pl.Int64).to_numpy() - 1

    def number(member: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(code[member], minlength=len(names))

    def worth(member: NDArray[np.bool_]) -> NDArray[np.float64]:
        brings = (problem.value - problem.losses(member))[member]
        return np.bincount(code[member], brings, minlength=len(names)).astype(np.float64)

    columns = zip(
        names,
        number(today),
        number(chosen),
        number(chosen & ~today),
        number(today & ~chosen),
        worth(today),
        worth(chosen),
        strict=True,
    )
    found = [
        CategoryChange(name, int(a), int(b), int(c), int(d), round(float(e), 2), round(float(f), 2))
        for name, a, b, c, d, e, f in columns
    ]
    return sorted(found, key=lambda change: (change.worth_today - change.worth, change.category))
