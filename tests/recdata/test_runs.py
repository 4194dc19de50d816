from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Mapping
from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from recdata.errors import RunError
from recdata.memory import PeakMemory
from recdata.runs import RunFolder, Stage, StageContext, digest_file, stage_table, write_atomic


def folder(home: Path) -> RunFolder:
    return RunFolder(home, "r1", date(2024, 3, 1), Console(file=StringIO()))


def doubling(calls: list[str], *, version: int = 1, config: object = None) -> list[Stage]:
    """Two stages: `a.txt` copies the input table, `b.txt` doubles `a.txt`."""

    def first(context: StageContext) -> Mapping[str, object]:
        calls.append("first")
        context.target("a.txt").write_bytes(context.source("tables:events").read_bytes())
        return {}

    def second(context: StageContext) -> Mapping[str, object]:
        calls.append("second")
        text = context.source("a.txt").read_text()
        context.target("b.txt").write_text(text * 2)
        return {"length": len(text)}

    return [
        Stage("first", version, ["tables:events"], ["a.txt"], first, config),
        Stage("second", 1, ["a.txt"], ["b.txt"], second),
    ]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "events.parquet").write_text("x")
    return tmp_path


def test_stages_run_in_order_and_leave_records(home: Path) -> None:
    calls: list[str] = []
    records = folder(home).execute(doubling(calls))
    assert calls == ["first", "second"]
    assert (home / "runs" / "r1" / "b.txt").read_text() == "xx"
    assert records[1].summary == {"length": 1}
    assert folder(home).record("second") == records[1]


def test_a_second_run_does_nothing(home: Path) -> None:
    calls: list[str] = []
    first = folder(home).execute(doubling(calls))
    assert folder(home).execute(doubling(calls)) == first
    assert calls == ["first", "second"]


@pytest.mark.parametrize("change", [{"version": 2}, {"config": {"k": 1}}])
def test_a_new_version_or_config_runs_the_stage_and_what_changed_below_it(
    home: Path, change: dict[str, object]
) -> None:
    calls: list[str] = []
    folder(home).execute(doubling(calls))
    folder(home).execute(doubling(calls, **change))
    assert calls == ["first", "second", "first"]  # a.txt came out the same, so the second had nothing to do


def test_changed_input_runs_all_that_follow_from_it(home: Path) -> None:
    calls: list[str] = []
    folder(home).execute(doubling(calls))
    (home / "tables" / "events.parquet").write_text("y")
    folder(home).execute(doubling(calls))
    assert calls == ["first", "second"] * 2


def test_a_deleted_or_touched_output_is_made_again(home: Path) -> None:
    calls: list[str] = []
    folder(home).execute(doubling(calls))
    (home / "runs" / "r1" / "b.txt").write_text("spoilt")
    (home / "runs" / "r1" / "a.txt").unlink()
    folder(home).execute(doubling(calls))
    assert (home / "runs" / "r1" / "b.txt").read_text() == "xx"


def test_a_copied_folder_is_as_good_as_the_first(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    calls: list[str] = []
    folder(home).execute(doubling(calls))
    copy = tmp_path_factory.mktemp("copy") / "home"
    shutil.copytree(home, copy, copy_function=shutil.copyfile)
    folder(copy).execute(doubling(calls))
    assert calls == ["first", "second"]


def test_a_garbled_record_is_as_none(home: Path) -> None:
    calls: list[str] = []
    folder(home).execute(doubling(calls))
    (home / "runs" / "r1" / "stages" / "first.json").write_text("{")
    folder(home).execute(doubling(calls))
    assert calls.count("first") == 2


def test_a_stage_that_fails_leaves_earlier_ones_done_and_nothing_of_its_own(home: Path) -> None:
    calls: list[str] = []
    good, _ = doubling(calls)

    def fail(context: StageContext) -> Mapping[str, object]:
        context.target("b.txt").write_text("half")
        raise RunError("no")

    with pytest.raises(RunError, match="no"):
        folder(home).execute([good, Stage("second", 1, ["a.txt"], ["b.txt"], fail)])
    assert not (home / "runs" / "r1" / "b.txt").exists()
    folder(home).execute(doubling(calls))
    assert calls == ["first", "second"]


def test_a_promised_output_that_is_missing_is_named(home: Path) -> None:
    with pytest.raises(RunError, match=r"stage lazy did not write out\.txt"):
        folder(home).execute([Stage("lazy", 1, [], ["out.txt"], lambda _: {})])


def _die(home: Path) -> None:
    def work(context: StageContext) -> Mapping[str, object]:
        context.target("b.txt").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    good, _ = doubling([])
    folder(home).execute([good, Stage("second", 1, ["a.txt"], ["b.txt"], work)])


def test_a_killed_run_goes_on_where_it_was(home: Path) -> None:
    process = multiprocessing.get_context("forkserver").Process(target=_die, args=(home,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    calls: list[str] = []
    folder(home).execute(doubling(calls))
    assert calls == ["second"]
    assert (home / "runs" / "r1" / "b.txt").read_text() == "xx"


def test_peak_memory_sees_what_was_held_for_a_moment() -> None:
    with PeakMemory(every_s=0.005) as idle:
        time.sleep(0.02)
    with PeakMemory(every_s=0.005) as memory:
        block = bytearray(b"x") * (200 << 20)
        time.sleep(0.05)
        del block
    assert 150 < memory.peak_mb - idle.peak_mb < 400


def test_the_table_ends_with_the_sum_and_the_highest_peak(home: Path) -> None:
    records = folder(home).execute(doubling([]))
    table = stage_table(records, title="run")
    assert list(table.columns[0].cells) == ["first", "second", "all"]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
    assert digest_file(tmp_path / "none") == "absent"
