"""Owns how long and how often is measured, and turns that alternate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from load.rig import Round


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often is measured.

    Attributes:
        rounds: of each method; the median counts.
        seconds: of one round.
        requests: different requests that the callers send.
        recall_users: shoppers whose answers are compared with the exact ones.
        live_users: shoppers with an event, in one round.
        swaps: from one snapshot to another.
        workers: numbers of workers to measure with.
    """

    rounds: int
    seconds: float
    requests: int
    recall_users: int
    live_users: int
    swaps: int
    workers: tuple[int, ...] = (1, 2)


FULL = Plan(rounds=7, seconds=3.0, requests=20_000, recall_users=200, live_users=1000, swaps=5)
QUICK = Plan(rounds=3, seconds=0.6, requests=2_000, recall_users=50, live_users=150, swaps=1, workers=(1,))


def alternating(rounds: int, *turns: Callable[[], Round]) -> list[list[Round]]:
    """Returns each turn's rounds. Every other round goes backwards, so that no turn has the better place."""
    done: list[list[Round]] = [[] for _ in turns]
    for number in range(rounds):
        order = list(zip(turns, done, strict=True))
        for turn, results in order if number % 2 else reversed(order):
            results.append(turn())
    return done
