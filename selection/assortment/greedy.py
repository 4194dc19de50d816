"""Owns the plain pick that the solver is held against, and that stands in where it runs out of time."""

from __future__ import annotations

import heapq
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from selection.assortment.problem import EPSILON, Floats, Problem

TRIED = 8
ROUNDING = 1e-12


def greedy(problem: Problem) -> NDArray[np.bool_]:
    """Returns the better of two greedy choices, (n,) bool: dearest first, and most value for its cost first.

    Items are taken one by one, the most worth first (what it would take from those chosen already is
    off), as long as no limit breaks that was kept. Limits that ask for a least number are filled first. It
    may break such a limit in the end: ask `Problem.allows`.
    """
    by_value = _fill(problem, problem.value)
    limited = any(limit.kind == "budget" for limit in problem.limits)
    if not limited:
        return by_value
    by_cost = _fill(problem, problem.value / np.maximum(problem.cost, EPSILON))
    options = [by_value, by_cost]
    return max(options, key=lambda chosen: (problem.allows(chosen), problem.worth(chosen)))


def _fill(problem: Problem, rank: Floats) -> NDArray[np.bool_]:
    state = _State(problem)
    for limit in problem.limits:
        if limit.sense == "least" and limit.bound > 0:
            for row in limit.rows[np.argsort(-rank[limit.rows], kind="stable")]:
                if limit.slack(state.chosen) >= -EPSILON:
                    break
                state.add(int(row))
    scale = np.where(problem.value != 0, rank / np.where(problem.value == 0, 1.0, problem.value), 0.0)
    waiting = np.flatnonzero(~state.chosen & (problem.value > 0))
    best = [(-state.gain(int(row)) * scale[row], int(row)) for row in waiting]
    heapq.heapify(best)
    later: list[tuple[float, int]] = []
    while best:
        told, row = heapq.heappop(best)
        gain = state.gain(row)
        if gain <= 0:
            continue
        if -gain * scale[row] > told + EPSILON:
            heapq.heappush(best, (-gain * scale[row], row))
            continue
        outcome = state.add(row)
        if outcome == "later":
            heapq.heappush(later, (told, row))
        elif outcome == "added":
            _catch_up(state, later)
    return state.chosen


def _catch_up(state: _State, later: list[tuple[float, int]]) -> None:
    """Adds what waited for a share to be kept, the best first, until the next few still have to wait."""
    waits: list[tuple[float, int]] = []
    while later and len(waits) < TRIED:
        entry = heapq.heappop(later)
        outcome = state.add(entry[1]) if state.gain(entry[1]) > 0 else "full"
        if outcome == "later":
            waits.append(entry)
        elif outcome == "added":
            for each in waits:
                heapq.heappush(later, each)
            waits = []
    for each in waits:
        heapq.heappush(later, each)


class _State:
    """What has been chosen so far, and how much of every limit is used."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.chosen = np.zeros(problem.size, np.bool_)
        self.used = [0.0] * len(problem.limits)
        self.touches: list[list[tuple[int, float]]] = [[] for _ in range(problem.size)]
        for number, limit in enumerate(problem.limits):
            for row, weight in zip(limit.rows.tolist(), limit.weights.tolist(), strict=True):
                self.touches[row].append((number, weight))
        self.lost = [0.0] * problem.size
        self.stronger: list[list[tuple[int, float]]] = [[] for _ in range(problem.size)]
        self.lesser: list[list[tuple[int, float]]] = [[] for _ in range(problem.size)]
        for (lesser, stronger), loss in zip(problem.pairs.tolist(), problem.penalty.tolist(), strict=True):
            self.stronger[lesser].append((stronger, loss))
            self.lesser[stronger].append((lesser, loss))

    def loss(self, row: int) -> float:
        return max((loss for rival, loss in self.stronger[row] if self.chosen[rival]), default=0.0)

    def gain(self, row: int) -> float:
        taken = sum(
            max(loss - self.lost[rival], 0.0) for rival, loss in self.lesser[row] if self.chosen[rival]
        )
        return float(self.problem.value[row]) - self.loss(row) - taken

    def add(self, row: int) -> Literal["added", "later", "full"]:
        """Chooses an item, or leaves it: for later where a share breaks, for good where a limit does."""
        outcome: Literal["added", "later", "full"] = "added"
        for number, weight in self.touches[row]:
            limit, used = self.problem.limits[number], self.used[number]
            room = ROUNDING * max(1.0, abs(limit.bound))
            breaks = limit.sense == "most" and weight > 0 and used + weight > limit.bound + room
            breaks |= limit.sense == "least" and weight < 0 and used + weight < min(limit.bound, used) - room
            if breaks and limit.share == 0:
                return "full"
            outcome = "later" if breaks else outcome
        if outcome == "later":
            return outcome
        for number, weight in self.touches[row]:
            self.used[number] += weight
        self.chosen[row] = True
        self.lost[row] = self.loss(row)
        for rival, loss in self.lesser[row]:
            if self.chosen[rival]:
                self.lost[rival] = max(self.lost[rival], loss)
        return "added"
