"""Erased people: their rows are in nothing that is made after the erasure, and what they do later is."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import msgspec
import polars as pl
from rich.console import Console

from recdata.importing import import_tables
from recdata.live.records import person_digest
from recdata.live.store import LiveStore
from recdata.releases import Releases
from recdata.runs import StageRecord
from tests.shop import FIRST_DAY, NOW, SMALL_CONFIG, Shop
from training.erasures import Ledger, erased_ids, load_ledger, read_ledger, without_erased
from training.pipeline import NightlyConfig, execute, nightly_stages, open_run, stages_for

SHOP = Shop(users=4, items=4, days=40)
MIDDLE = FIRST_DAY + timedelta(days=20)
LATER = FIRST_DAY + timedelta(days=400)


def erase(home: Path, user_id: str, *, now: datetime) -> None:
    with LiveStore.open(home, max_bytes=1 << 24) as store:
        store.erase(user_id, now=now)


def home_of(folder: Path) -> NightlyConfig:
    (folder / "recsvc.toml").write_text(SMALL_CONFIG)
    config = NightlyConfig.load(folder / "recsvc.toml")
    import_tables(
        SHOP.write(folder / "source"), None, folder, config.data, now=NOW, console=Console(file=StringIO())
    )
    return config


def make(home: Path, config: NightlyConfig, *names: str) -> tuple[Path, list[StageRecord], str]:
    """Returns the run's folder, the stages' records, and what was printed."""
    output = StringIO()
    run = open_run(home, config, as_of=None, console=Console(file=output))
    records = execute(run, stages_for(config, *names) if names else nightly_stages(config))
    return run.path, records, output.getvalue()


def test_without_a_live_store_nobody_was_erased_and_none_is_made(tmp_path: Path) -> None:
    assert read_ledger(tmp_path) == Ledger()
    assert not (tmp_path / "live").exists()


def test_the_ledger_names_digests_and_times_and_no_ids(tmp_path: Path) -> None:
    erase(tmp_path, "someone-secret", now=MIDDLE)
    erase(tmp_path, "other", now=LATER)
    ledger = read_ledger(tmp_path)
    assert ledger.last_number == 2
    assert ledger.erased == {
        person_digest("someone-secret").hex(): int(MIDDLE.timestamp()) * 1_000_000,
        person_digest("other").hex(): int(LATER.timestamp()) * 1_000_000,
    }


def test_rows_up_to_the_erasure_go_and_later_ones_stay() -> None:
    erased_at = datetime(2025, 3, 1, tzinfo=UTC)
    second = timedelta(seconds=1)
    times = [erased_at - second, erased_at, erased_at + second, None]
    table = pl.LazyFrame(
        {"user_id": ["a"] * 4 + ["b"] * 4, "time": times * 2},
        schema={"user_id": pl.String, "time": pl.Datetime("us", "UTC")},
    )
    ledger = Ledger(1, {person_digest("a").hex(): int(erased_at.timestamp()) * 1_000_000})
    erased = erased_ids(ledger, table)
    assert erased["user_id"].to_list() == ["a"]
    left = without_erased(table, erased, time="time").collect()
    assert left.columns == ["user_id", "time"]
    assert left.sort("user_id", "time", nulls_last=True).rows() == [
        ("a", times[2]), *(("b", time) for time in times)
    ]  # fmt: skip


def test_an_erasure_makes_the_run_anew_without_the_person_and_the_snapshot_says_so(tmp_path: Path) -> None:
    config = home_of(tmp_path)
    make(tmp_path, config)
    with closing(Releases(tmp_path).open_current()) as before:
        assert before.user("u1") is not None
        assert before.manifest.erasures_applied == 0
        assert before.manifest.catalogue_at == NOW
    erase(tmp_path, "u1", now=LATER)
    folder, _, printed = make(tmp_path, config)
    assert "prepare: already done" not in printed
    with closing(Releases(tmp_path).open_current()) as after:
        assert after.user("u1") is None
        assert after.manifest.counts["users"] == SHOP.users - 1
        assert after.manifest.erasures_applied == 1
    assert "u1" not in pl.read_parquet(folder / "users.parquet")["user_id"].to_list()
    assert b"u1" not in (folder / "erasures.json").read_bytes()
    _, records, again = make(tmp_path, config)
    assert again.count("already done") == len(records)


def test_an_erasure_of_somebody_unknown_is_applied_too(tmp_path: Path) -> None:
    config = home_of(tmp_path)
    make(tmp_path, config)
    first = Releases(tmp_path).current_id()
    erase(tmp_path, "a stranger", now=LATER)
    make(tmp_path, config)
    with closing(Releases(tmp_path).open_current()) as snapshot:
        assert snapshot.manifest.erasures_applied == 1
        assert snapshot.manifest.snapshot_id != first


def test_what_a_person_does_after_the_erasure_is_a_new_beginning(tmp_path: Path) -> None:
    config = home_of(tmp_path)
    folder, _, _ = make(tmp_path, config, "prepare")
    purchases = pl.read_parquet(folder / "purchases.parquet")
    everything = purchases.filter(pl.col("user_row") == 1)  # u0, u1: rows are in id order
    erase(tmp_path, "u1", now=MIDDLE)
    folder, records, _ = make(tmp_path, config, "prepare")
    left = pl.read_parquet(folder / "purchases.parquet").filter(pl.col("user_row") == 1)
    later = pl.col("day") > MIDDLE.date()
    same_day = pl.col("day") == MIDDLE.date()
    assert left.filter(later).equals(everything.filter(later))
    assert left.filter(pl.col("day") < MIDDLE.date()).is_empty()
    assert left.filter(same_day).equals(everything.filter(same_day))  # a minute after the erasure, at noon
    assert records[0].summary["erased_people_left_out"] == 1
    assert load_ledger(folder / "erasures_applied.json").last_number == 1


def test_a_torn_copy_of_the_ledger_is_written_anew(tmp_path: Path) -> None:
    config = home_of(tmp_path)
    erase(tmp_path, "u1", now=LATER)
    folder, _, _ = make(tmp_path, config, "prepare")
    (folder / "erasures.json").write_text("{")
    make(tmp_path, config, "prepare")
    assert msgspec.json.decode((folder / "erasures.json").read_bytes(), type=Ledger) == read_ledger(tmp_path)
