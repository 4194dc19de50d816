"""Measures how long a server takes to its first answer, and what memory one more worker costs."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

from load import asking
from load.figures import Figure, figure
from load.names import RECOMMEND
from load.rig import Rig, read_through, run_home

from cases.plan import Plan
from recdata.releases import Releases

CALLS_EACH = 10_000
CONNECTIONS = 32


def opening(size: str, plan: Plan) -> list[Figure]:
    """Returns open_seconds, the same with the process's start, and worker_memory."""
    requests = asking.recommends(asking.users(size, CALLS_EACH, seed=9))
    made_to_answer, start_to_answer = [], []
    with run_home(size) as home:
        releases = Releases(home)
        read_through(releases.folder(releases.current_id() or ""))
        for _ in range(plan.rounds):
            with Rig(home) as rig:
                rig.call(RECOMMEND, requests[0])
                now = time.monotonic_ns()
            made_to_answer.append((now - rig.made_ns) / 1e9)
            start_to_answer.append((now - rig.began_ns) / 1e9)
        one, two = (_memory(home, workers, requests) for workers in (1, 2))
    cache = "page cache warm"
    return [
        figure("open_seconds", size, cache, made_to_answer, "s"),
        figure("start_seconds", size, f"{cache}, with Python's start", start_to_answer, "s"),
        figure(
            "worker_memory",
            size,
            f"after {CALLS_EACH:,} calls each",
            [sum(two) - sum(one)],
            "MB",
            with_one=" + ".join(f"{each:.0f}" for each in one),
            with_two=" + ".join(f"{each:.0f}" for each in two),
            largest=max(two),
            median_of_all=median(two),
        ),
    ]


def _memory(home: Path, workers: int, requests: list[bytes]) -> list[float]:
    """Returns the memory that is each process's own (USS) in MB."""
    with Rig(home, **({"workers": workers} if workers > 1 else {})) as rig:
        for _ in range(workers):  # new connections each time, so that every worker gets its share
            with rig.callers(CONNECTIONS) as callers:
                callers.keep("recommend", requests)
                callers.go(RECOMMEND, "recommend")
        return [process.memory_full_info().uss / 1e6 for process in rig.processes]
