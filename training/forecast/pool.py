"""Owns the worker processes that fit series: one thread each, a time limit a task, nothing left behind.

A task that runs over its limit, or whose process dies twice, comes back as a `Failure`; the others are
not touched. Results stand in the order of the tasks, whichever worker made them.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import tempfile
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

from recdata.errors import RunError

_PENDING = object()

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

#: A worker that has not imported its libraries after this long is given up, in seconds.
START_SECONDS = 120.0
#: How often a task is tried whose worker died.
ATTEMPTS = 2
#: Every library's way to be told that a worker has one core.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "POLARS_MAX_THREADS",
        "STAN_NUM_THREADS",
    ),
    "1",
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task has no result. kind: "time limit", "died" or "error"."""

    kind: str
    message: str


@dataclass(slots=True, eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    deadline: float
    task: int | None = None
    ready: bool = False


@dataclass(slots=True)
class _Job(Generic[TaskT, ResultT]):
    work: Callable[[TaskT], ResultT]
    warm_up: Callable[[], None]
    tasks: Sequence[TaskT]
    seconds: float
    folder: Path
    advance: Callable[[int], None]
    results: list[Any]
    waiting: deque[int]
    attempts: dict[int, int] = field(default_factory=dict)
    failed_starts: int = 0


def run_tasks(
    work: Callable[[TaskT], ResultT],
    tasks: Sequence[TaskT],
    *,
    warm_up: Callable[[], None],
    processes: int,
    seconds: float,
    folder: Path,
    advance: Callable[[int], None] = lambda _: None,
) -> list[ResultT | Failure]:
    """Returns the result (or `Failure`) of every task, in the tasks' order.

    Args:
        work: a function of a module (it travels to other processes by name).
        tasks: what it is called with.
        warm_up: called once in each process before its first task, outside any task's time limit.
        processes: how many at the same time; 0 means one a core.
        seconds: a task that takes longer is killed with all it started.
        folder: temporary files of the workers go below it and are removed.
        advance: called with 1 whenever a task has ended.

    Raises:
        RunError: the workers cannot start at all.
    """
    if not tasks:
        return []
    job: _Job[TaskT, ResultT] = _Job(
        work, warm_up, tasks, seconds, folder, advance, [_PENDING] * len(tasks), deque(range(len(tasks)))
    )
    count = min(processes or len(os.sched_getaffinity(0)), len(tasks))
    with tempfile.TemporaryDirectory(prefix="workers-", dir=folder, ignore_cleanup_errors=True) as place:
        job.folder = Path(place)
        workers = [_start(job) for _ in range(count)]
        try:
            while any(result is _PENDING for result in job.results):
                _turn(job, workers)
        finally:
            for worker in workers:
                _kill(worker)
    return job.results


def _turn(job: _Job[Any, Any], workers: list[_Worker]) -> None:
    """Waits for the next message or deadline and deals with it; a lost worker is replaced in the list."""
    for worker in workers:
        if worker.ready and worker.task is None and job.waiting:
            worker.task = job.waiting.popleft()
            worker.deadline = time.monotonic() + job.seconds
            with contextlib.suppress(BrokenPipeError):  # it has died; reading from it will tell
                worker.connection.send(job.tasks[worker.task])
    busy = [worker for worker in workers if worker.task is not None or not worker.ready]
    timeout = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
    told = wait([worker.connection for worker in busy], timeout=timeout)
    for worker in list(workers):
        lost: Failure | None = None
        if worker.connection in told:
            lost = _hear(job, worker)
        elif worker in busy and time.monotonic() >= worker.deadline:
            lost = Failure("time limit", f"took longer than {job.seconds:g} s")
        if lost is not None:
            workers.remove(worker)
            _kill(worker)
            _give_up(job, worker, lost)
            workers.append(_start(job))


def _hear(job: _Job[Any, Any], worker: _Worker) -> Failure | None:
    try:
        kind, content = worker.connection.recv()
    except (EOFError, OSError):
        return Failure("died", "its process died")
    if kind == "broken":
        return Failure("died", content)
    if kind == "ready":
        worker.ready = True
    elif worker.task is not None:
        _finish(job, worker.task, content if kind == "result" else Failure(kind, content))
        worker.task = None
    return None


def _give_up(job: _Job[Any, Any], worker: _Worker, failure: Failure) -> None:
    if not worker.ready:
        job.failed_starts += 1
        if job.failed_starts > ATTEMPTS:
            raise RunError(
                f"the processes that fit forecasts do not start ({failure.message}); "
                "check the training extra and free memory"
            )
    if worker.task is None:
        return
    tries = job.attempts[worker.task] = job.attempts.get(worker.task, 0) + 1
    if failure.kind == "died" and tries < ATTEMPTS:
        job.waiting.appendleft(worker.task)
    else:
        _finish(job, worker.task, failure)


def _finish(job: _Job[Any, Any], task: int, result: Any) -> None:  # noqa: ANN401 - whatever work returns
    job.results[task] = result
    job.advance(1)


def _start(job: _Job[Any, Any]) -> _Worker:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    place = tempfile.mkdtemp(dir=job.folder)
    process = spawn.Process(target=_serve, args=(theirs, job.work, job.warm_up, place), daemon=True)
    with _environment(ONE_THREAD | {"TMPDIR": place}):
        process.start()
    theirs.close()
    return _Worker(process, ours, time.monotonic() + START_SECONDS)


def _kill(worker: _Worker) -> None:
    process = worker.process
    if process.pid is not None and process.is_alive():
        try:
            # The worker leads a session of its own, so this reaches the optimiser that it started too.
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
    process.join()
    process.close()
    worker.connection.close()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(
    connection: Connection, work: Callable[[Any], Any], warm_up: Callable[[], None], place: str
) -> None:
    """A worker's life: warm up, then answer one task after the other until the pipe closes."""
    os.setsid()
    tempfile.tempdir = place
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    try:
        warm_up()
    except Exception:
        connection.send(("broken", traceback.format_exc(limit=1)))
        return
    connection.send(("ready", None))
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            answer = ("result", work(task))
        except Exception as error:
            kind = "time limit" if isinstance(error, TimeoutError) else "error"
            answer = (kind, f"{type(error).__name__}: {error}")
        connection.send(answer)
