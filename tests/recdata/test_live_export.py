from __future__ import annotations

import csv
from contextlib import ExitStack
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from recdata.cli import recsvc
from recdata.config import DataConfig
from recdata.errors import ExportBusyError, LiveStoreError
from recdata.importing import import_tables
from recdata.live import LiveStore
from recdata.live.exporting import COLUMNS
from recdata.tables import EVENTS, read_table
from tests.recdata.live_shop import DAY_US, MB, NOW, NOW_US, SECOND_US, event, running
from tests.recdata.test_import_safety import files_limited_to

END_US = NOW_US + DAY_US

#: An export in which the process kills itself at the step STEP of those that reach the disk.
KILLED = """
    step, steps = {step}, iter(range(1, 1000))
    def ticking(work):
        def ticked(*args, **kwargs):
            if next(steps) == step: os.kill(os.getpid(), signal.SIGKILL)
            result = work(*args, **kwargs)
            if next(steps) == step: os.kill(os.getpid(), signal.SIGKILL)
            return result
        return ticked
    os.fsync, Path.replace = ticking(os.fsync), ticking(Path.replace)
    LiveStore.write = ticking(LiveStore.write)
    store.export(home / "out", until_us=NOW_US + 86_400_000_000)
"""


@pytest.fixture
def store(tmp_path: Path):
    with LiveStore.open(tmp_path, max_bytes=64 * MB) as opened:
        yield opened


def rows(folder: Path) -> list[dict[str, str]]:
    found = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += csv.DictReader(file)
    return found


def exported(folder: Path) -> list[str]:
    return [row["item_id"] for row in rows(folder)]


def record(store: LiveStore, *names: str) -> None:
    store.record([event(name, item_id=name) for name in names])


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(recsvc, ["--home", str(home), "events", *words], catch_exceptions=True)


def test_the_columns_are_those_of_the_events_table() -> None:
    assert tuple(column.name for column in EVENTS.columns) == COLUMNS


def test_each_event_is_exported_once_in_a_file_named_by_its_sequences(store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    record(store, "a", "b")
    first = store.export(out, until_us=END_US)
    record(store, "c")
    second = store.export(out, until_us=END_US)
    assert [path.name for path in (*first.files, *second.files)] == [
        "events-000000000001-000000000002.csv",
        "events-000000000003-000000000003.csv",
    ]
    assert exported(out) == ["a", "b", "c"]
    assert (first.events, second.events, second.waiting) == (2, 1, 0)
    assert store.record([event("a")]).duplicates == 1


def test_nothing_to_export_writes_no_file(store, tmp_path: Path) -> None:
    outcome = store.export(tmp_path / "out", until_us=END_US)
    assert (outcome.files, outcome.events) == ((), 0)
    assert not (tmp_path / "out").exists()


def test_what_came_at_the_limit_or_later_waits(store, tmp_path: Path) -> None:
    store.record([event(name, item_id=name, at=at) for name, at in (("a", 0), ("b", 1), ("c", 2))])
    outcome = store.export(tmp_path, until_us=NOW_US + SECOND_US)
    assert exported(tmp_path) == ["a"]
    assert outcome.waiting == store.state().unexported == 2


def test_an_export_reads_back_through_the_import_as_it_was_recorded(store, tmp_path: Path) -> None:
    out, long = tmp_path / "out", "界" * 85
    store.record(
        [
            event(
                "1",
                user_id='顾客 "ü", 1',
                item_id="apple",
                event_type="purchase",
                quantity=2.5,
                unit_price=0.1,
                order_id="o\n1",
                session_id="s",
                channel="app",
                region="north",
                promotion_id="p",
                attribution_token="t",
            ),
            event("2", user_id=long, item_id=long, at=-7),
            event("3", user_id="ann", item_id="apple", at=60, received=30),
            event("4", user_id="", session_id="s", item_id="apple"),
            event("5", user_id="", session_id="v", item_id="apple"),
            event("6", user_id="", session_id=long, item_id="apple"),
        ]
    )
    store.export(out, until_us=END_US)
    (out / "items.csv").write_text(f"item_id,title,category\napple,Apple,Food\n{long},Long,Food\n")
    console = Console(file=StringIO(), width=200)
    now = NOW.replace(hour=13)
    import_tables(out, None, tmp_path / "home", DataConfig(), now=now, console=console)
    table = read_table(tmp_path / "home", "events")
    assert table.height == 6
    bought = table.filter(pl.col("event_type") == "purchase").row(0, named=True)
    assert bought == {
        "user_id": '顾客 "ü", 1',
        "item_id": "apple",
        "event_type": "purchase",
        "event_time": NOW,
        "quantity": 2.5,
        "unit_price": 0.1,
        "order_id": "o\n1",
        "session_id": "s",
        "channel": "app",
        "region": "north",
        "promotion_id": "p",
        "attribution_token": "t",
    }
    by_item = table.filter(pl.col("item_id") == long).row(0, named=True)
    assert (by_item["user_id"], by_item["event_time"].second, by_item["unit_price"]) == (long, 53, None)
    assert table.filter(pl.col("user_id") == "ann")["event_time"][0] == NOW.replace(second=30)
    # Whose session it is, is the shopper; a visitor is known by the session alone.
    assert table.filter(pl.col("session_id") == "s")["user_id"].to_list() == ['顾客 "ü", 1'] * 2
    assert table.filter(pl.col("session_id") == "v")["user_id"].to_list() == ["session:v"]
    hashed = table.filter(pl.col("session_id") == long)["user_id"][0]
    assert hashed.startswith("session:")
    assert len(hashed) == 40


def test_a_session_of_two_shoppers_is_nobodys(store, tmp_path: Path) -> None:
    people = [("1", "ann"), ("2", "bob"), ("3", "")]
    store.record([event(name, user_id=user_id, session_id="s") for name, user_id in people])
    store.export(tmp_path, until_us=END_US)
    assert [row["user_id"] for row in rows(tmp_path)] == ["ann", "bob", "session:s"]


def test_an_export_killed_at_any_step_hands_each_event_over_exactly_once(tmp_path: Path) -> None:
    finished, step = False, 0
    while not finished:
        step += 1
        home = tmp_path / str(step)
        with LiveStore.open(home, max_bytes=64 * MB) as store:
            record(store, "a", "b", "c")
            with running(home, KILLED.format(step=step)) as job:
                finished = job.wait(60) == 0
            record(store, "d")
            again = store.export(home / "out", until_us=END_US)
            assert exported(home / "out") == ["a", "b", "c", "d"], step
            assert again.waiting == store.state().unexported == 0
            assert list((home / "out").glob(".*")) == []
            assert store.export(home / "out", until_us=END_US).files == ()
    assert step > 10  # before and after: two writes, two fsyncs, one rename


def test_who_was_erased_after_a_cut_off_export_is_not_in_its_file(store, tmp_path: Path) -> None:
    for step in (2, 9):  # after the range was stored; after the rename
        home = tmp_path / str(step)
        with LiveStore.open(home, max_bytes=64 * MB) as store:
            record(store, "a")
            store.record([event("b", user_id="bob", item_id="b")])
            with running(home, KILLED.format(step=step)) as job:
                assert job.wait(60) < 0
            store.erase("ann", now=NOW)
            store.export(home / "out", until_us=END_US)
            assert exported(home / "out") == ["b"]
            store.erase("bob", now=NOW)
            assert store.state().unexported == 0


def test_a_range_whose_events_were_all_erased_leaves_no_file(store, tmp_path: Path) -> None:
    record(store, "a")
    with running(tmp_path, KILLED.format(step=9)) as job:
        assert job.wait(60) < 0
    assert len(list((tmp_path / "out").glob("*.csv"))) == 1
    store.erase("ann", now=NOW)
    outcome = store.export(tmp_path / "out", until_us=END_US)
    assert (outcome.files, list((tmp_path / "out").iterdir())) == ((), [])


def test_a_second_export_at_the_same_time_is_refused(store, tmp_path: Path) -> None:
    record(store, "a")

    def second(_: int) -> None:
        with pytest.raises(ExportBusyError, match="another export is at work"):
            store.export(tmp_path / "other", until_us=END_US)

    store.export(tmp_path / "out", until_us=END_US, progress=second)
    assert exported(tmp_path / "out") == ["a"]


def test_a_folder_that_cannot_be_written_is_an_error_and_another_one_is_taken(store, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    record(store, "a")
    with pytest.raises(LiveStoreError, match=r"cannot be written.*export again"):
        store.export(tmp_path / "out", until_us=END_US)
    store.export(tmp_path / "other", until_us=END_US)
    assert exported(tmp_path / "other") == ["a"]


def test_a_disk_that_is_full_is_an_error_and_the_next_export_writes_the_same_file(
    store, tmp_path: Path
) -> None:
    store.record([event(f"{place}", promotion_id="p" * 200) for place in range(1000)])
    with ExitStack() as stack:
        limits = iter((files_limited_to(50_000),))  # from the first line on, after the range was stored

        def shrink(_: int) -> None:
            for limit in limits:
                stack.enter_context(limit)

        with pytest.raises(LiveStoreError, match="disk is full"):
            store.export(tmp_path / "out", until_us=END_US, progress=shrink)
    assert list((tmp_path / "out").iterdir()) == []
    store.export(tmp_path / "out", until_us=END_US)
    assert len(rows(tmp_path / "out")) == 1000


def test_pruning_takes_old_exported_events_their_ids_and_old_entries_alone(store, tmp_path: Path) -> None:
    store.record([event("old", item_id="old", at=-10), event("new", item_id="new", at=3 * 86_400)])
    store.export(tmp_path, until_us=NOW_US)
    store.record([event("waiting", item_id="waiting", user_id="bob", at=-10)])
    outcome = store.prune(before_us=NOW_US + DAY_US)
    assert (outcome.events, outcome.recent_entries) == (1, 2)
    with store.view() as view:
        assert [found.event_id for _, found in view.events()] == ["new", "waiting"]
        assert [entry.item_id for entry in view.person("ann", "").entries] == ["new"]
        assert view.person("bob", "").entries == ()
    assert store.record([event("new"), event("waiting"), event("old")]).recorded == 1
    assert store.state().last_sequence == 4


def test_the_verb_exports_and_says_how_many_and_prunes(tmp_path: Path) -> None:
    with LiveStore.open(tmp_path, max_bytes=64 * MB) as store:
        record(store, "a", "b")
    out = tmp_path / "out"
    done = run(tmp_path, "export", "--to", str(out), "--keep-days", "1")
    assert done.exit_code == 0, done.output
    assert "2 events exported, 0 wait" in done.output
    assert "2 exported events, 2 entries" in done.output  # they are of 2025
    assert exported(out) == ["a", "b"]
    again = run(tmp_path, "export", "--to", str(out))
    assert "nothing to export, no file written" in again.output
    status = run(tmp_path, "status").output
    assert "of 64 MB" in status
    assert "0 events" in status


def test_the_verb_refuses_a_time_without_a_zone_and_a_home_without_a_store(tmp_path: Path) -> None:
    assert "no live" not in run(tmp_path, "status").output
    assert "nothing was recorded" in str(run(tmp_path, "export", "--to", str(tmp_path)).exception)
    done = run(tmp_path, "export", "--to", str(tmp_path), "--until", "2025-03-01T00:00:00")
    assert "no time zone" in str(done.exception)
