"""Measures how long a server takes to its first answer, and what memory one more worker costs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil
from load import asking
from load.figures import Figure, figure
from load.names import RECOMMEND
from load.rig import Callers, CannotMeasureError, Rig, run_home

from cases.plan import Plan

REQUESTS = 10_000
#: So often all requests are sent, over new connections each time: a worker then has seen nearly every page of
#: the file that the other has, and few count as its own.
PASSES = 4
CALLERS = 32


def opening(size: str, plan: Plan) -> list[Figure]:
    """Returns open_seconds, the same with the process's start, and worker_memory."""
    requests = asking.recommends(asking.users(size, REQUESTS, seed=9))
    made_to_answer, start_to_answer, serve_to_answer = [], [], []
    with run_home(size) as home:
        for _ in range(plan.rounds):
            with Rig(home) as rig:
                rig.call(RECOMMEND, requests[0])
                now = time.monotonic_ns()
            made_to_answer.append((now - rig.made_ns) / 1e9)
            start_to_answer.append((now - rig.began_ns) / 1e9)
            began = time.monotonic()
            with _served(home, 1) as (address, _), grpc.insecure_channel(address) as channel:
                channel.unary_unary(RECOMMEND)(requests[0], timeout=10)
                serve_to_answer.append(time.monotonic() - began)
        memory, once = _memory(home, 2, requests)
    cache = "file in memory"
    return [
        figure("open_seconds", size, cache, made_to_answer, "s"),
        figure("start_seconds", size, f"{cache}, with Python's start", start_to_answer, "s"),
        figure("serve_seconds", size, f"{cache}, `recsvc serve` from its start", serve_to_answer, "s"),
        figure(
            "worker_memory",
            size,
            f"written to by one of 2 workers after {PASSES * REQUESTS // 2:,} calls each",
            [max(dirty for _, dirty in memory["recsvc-worker"])],
            "MB",
            with_file_pages_of_its_own=max(uss for uss, _ in memory["recsvc-worker"]),
            other_worker=min(dirty for _, dirty in memory["recsvc-worker"]),
            once_for_all_workers=once,
        ),
    ]


@contextmanager
def _served(home: Path, workers: int) -> Iterator[tuple[str, psutil.Process]]:
    """Runs `recsvc serve` and hands out its address and process."""
    command = [sys.executable, "-m", "recdata", "--home", str(home), "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, "--workers", str(workers)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("listening on "):
                    yield line.split()[-1], psutil.Process(process.pid)
                    break
            else:
                raise CannotMeasureError(f"recsvc serve ended with {process.wait()}")
        finally:
            process.send_signal(signal.SIGTERM)


def _memory(
    home: Path, workers: int, requests: list[bytes]
) -> tuple[dict[str, list[tuple[float, float]]], float]:
    """Returns the memory in MB that is each process's own (USS), and how much of it was written to, by name.

    What is the process's own and was never written to is the file's pages and programs that no other process
    uses at the moment. Beside it, what all but the workers have, with what the workers share of it, counted
    once.
    """
    with _served(home, workers) as (address, process):
        for _ in range(PASSES):
            with Callers("client.py", address, CALLERS) as callers:
                callers.keep("recommend", requests)
                callers.go(RECOMMEND, "recommend")
        found: dict[str, list[tuple[float, float]]] = {}
        once = 0.0
        for each in (process, *process.children(recursive=True)):
            full = each.memory_full_info()
            found.setdefault(each.name(), []).append((full.uss / 1e6, _private_dirty(each.pid)))
            if each.name() != "recsvc-worker":
                once += (full.rss - full.shared) / 1e6
        return found, once


def _private_dirty(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise CannotMeasureError(f"/proc/{pid}/smaps_rollup has no Private_Dirty")
