from __future__ import annotations

import gc
import multiprocessing
import operator
import os
from pathlib import Path

import pytest

from recdata.errors import RunError
from training.forecast.pool import Failure, run_tasks

# A task travels by name, so what it runs must be importable anywhere; `eval` of an expression is.
DIE = "__import__('os')._exit(1)"
HANG = "__import__('time').sleep(60)"


def test_bad_tasks_come_back_as_failures_and_the_others_are_not_touched(tmp_path: Path) -> None:
    done: list[int] = []
    found = run_tasks(
        eval,
        ["1 + 1", DIE, HANG, "1 / 0", "None", "2 + 2"],
        warm_up=gc.collect,
        processes=2,
        seconds=1.5,
        folder=tmp_path,
        advance=done.append,
    )
    kinds = [answer.kind if isinstance(answer, Failure) else answer for answer in found]
    assert kinds == [2, "died", "time limit", "error", None, 4]
    assert sum(done) == 6
    assert not multiprocessing.active_children()


def test_what_a_hanging_task_started_dies_with_it_and_leaves_no_files(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"echo $$ > {note}; exec sleep 60"
    task = f"__import__('subprocess').run(['sh', '-c', {script!r}])"
    folder = tmp_path / "work"
    folder.mkdir()
    found = run_tasks(eval, [task], warm_up=gc.collect, processes=1, seconds=2, folder=folder)
    assert found == [Failure("time limit", "took longer than 2 s")]
    assert not _runs(int(note.read_text()))
    assert list(folder.iterdir()) == []


def test_a_task_whose_process_was_killed_is_done_again(tmp_path: Path) -> None:
    def kill_one(_: int) -> None:
        if not killed:
            killed.append(multiprocessing.active_children()[0])
            killed[0].kill()

    killed: list[multiprocessing.process.BaseProcess] = []
    tasks = [f"__import__('time').sleep(0.02) or {number}" for number in range(30)]
    found = run_tasks(
        eval, tasks, warm_up=gc.collect, processes=2, seconds=30, folder=tmp_path, advance=kill_one
    )
    assert found == list(range(30))


def test_each_worker_is_told_to_use_one_thread(tmp_path: Path) -> None:
    before = os.environ.get("OMP_NUM_THREADS")
    asked = ["OMP_NUM_THREADS", "STAN_NUM_THREADS"]
    found = run_tasks(os.getenv, asked, warm_up=gc.collect, processes=1, seconds=30, folder=tmp_path)
    assert found == ["1", "1"]
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_workers_that_cannot_start_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="do not start"):
        run_tasks(operator.neg, [1], warm_up=os.abort, processes=1, seconds=5, folder=tmp_path)


def test_no_tasks_need_no_workers(tmp_path: Path) -> None:
    assert run_tasks(operator.neg, [], warm_up=os.abort, processes=2, seconds=5, folder=tmp_path) == []


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
