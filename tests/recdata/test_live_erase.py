from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from recdata.cli import recsvc
from recdata.errors import LiveStoreFullError
from recdata.live import LiveStore
from recdata.live.exporting import visitor_id
from recdata.live.records import LedgerEntry, person_digest
from recdata.releases import Releases
from tests.recdata.conftest import write_small
from tests.recdata.live_shop import DAY_US, MB, NOW, NOW_US, event
from tests.recdata.test_import_safety import files_limited_to


@pytest.fixture
def store(tmp_path: Path):
    with LiveStore.open(tmp_path, max_bytes=64 * MB) as opened:
        yield opened


def logged(store: LiveStore) -> list[str]:
    with store.view() as view:
        return [found.event_id for _, found in view.events()]


def person(store: LiveStore, user_id: str, session_id: str = ""):
    with store.view() as view:
        return view.person(user_id, session_id)


def check(home: Path, user_id: str) -> Result:
    return CliRunner().invoke(recsvc, ["--home", str(home), "erasures", "check", "--user", user_id])


def test_an_erased_person_is_gone_with_their_sessions_and_nobody_else(store) -> None:
    store.record(
        [
            event("before the login", user_id="", session_id="s"),
            event("login", session_id="s"),
            event("elsewhere"),
            event("bob", user_id="bob", session_id="s"),
            event("visitor", user_id="", session_id="t"),
            event("anna", user_id="anna", item_id="ann"),
        ]
    )
    assert store.count("ann") == {"live/events": 3, "live/recent": 2, "live/sessions": 1}
    erasure = store.erase("ann", now=NOW)
    assert (erasure.number, erasure.time) == (1, NOW)
    assert erasure.removed == {"live/events": 3, "live/recent": 2, "live/sessions": 1}
    assert logged(store) == ["bob", "visitor", "anna"]
    assert store.state().unexported == 3
    gone = person(store, "ann", "s")
    assert (gone.entries, gone.session_entries, gone.erasure_number) == ((), (), 1)
    assert len(person(store, "bob").entries) == len(person(store, "anna", "t").session_entries) == 1
    assert person(store, "bob").erasure_number == 0
    assert set(store.count("ann").values()) == {0}


def test_the_ledger_holds_a_hash_and_the_file_no_id(store, tmp_path: Path) -> None:
    name = "a-name-to-be-forgotten"
    store.record([event(f"{name}-1", user_id=name, session_id=f"{name}-s")])
    store.erase(name, now=NOW)
    with store.view() as view:
        entry = LedgerEntry(1, NOW_US)
        assert view.ledger() == {
            person_digest(name): entry,
            person_digest(visitor_id(f"{name}-s")): entry,  # what was exported before the shopper was known
        }
    store.record([event(str(place), user_id="bob") for place in range(50)])  # the old pages are used again
    copy = tmp_path / "copy.lmdb"
    store._file.env.copy(str(copy), compact=True)
    assert b"to-be-forgotten" not in copy.read_bytes()


def test_an_exported_event_is_erased_too_and_the_waiting_ones_are_counted(store, tmp_path: Path) -> None:
    store.record([event("1")])
    store.export(tmp_path / "out", until_us=NOW_US + DAY_US)
    store.record([event("2"), event("3", user_id="bob")])
    assert store.erase("ann", now=NOW).removed["live/events"] == 2
    assert logged(store) == ["3"]
    assert store.state().unexported == 1


def test_the_same_id_begins_anew_and_an_old_event_sent_again_stays_out(store) -> None:
    store.record([event("1")])
    store.erase("ann", now=NOW)
    assert store.record([event("1"), event("2", item_id="pear")]).duplicates == 1
    found = person(store, "ann")
    assert [entry.item_id for entry in found.entries] == ["pear"]
    assert found.erasure_number == 1


def test_every_erasure_has_a_number_of_its_own_and_the_second_finds_nothing(store) -> None:
    store.record([event("1")])
    store.erase("ann", now=NOW)
    again = store.erase("ann", now=NOW + timedelta(seconds=1))
    assert again.number == 2
    assert set(again.removed.values()) == {0}
    assert store.erase("bob", now=NOW).number == 3
    with store.view() as view:
        assert view.erasures == 3
        assert view.erasure_number("ann") == 2


def test_an_erasure_that_cannot_be_written_removes_nothing(store) -> None:
    store.record([event(f"{place}", session_id=f"s{place}") for place in range(300)])
    with files_limited_to(4096), pytest.raises(LiveStoreFullError):
        store.erase("ann", now=NOW)
    assert store.count("ann")["live/events"] == 300
    assert person(store, "ann").erasure_number == 0
    assert store.erase("ann", now=NOW).removed["live/sessions"] == 300


def test_the_check_finds_a_person_in_every_store_and_leaves_with_1(tmp_path: Path) -> None:
    manifest = Releases(tmp_path).publish(lambda writer: write_small(writer, title="Tea"))
    with LiveStore.open(tmp_path, max_bytes=64 * MB) as store:
        store.record([event("1", user_id="u1", session_id="s")])
    events = pl.DataFrame({"user_id": ["u1", "u1", "u2"]})
    (tmp_path / "tables" / "rejects").mkdir(parents=True)
    events.write_parquet(tmp_path / "tables" / "events.parquet")
    (tmp_path / "tables" / "rejects" / "events.csv").write_text("table,row,value\nevents,7,u1\n")
    (tmp_path / "runs" / "r1").mkdir(parents=True)
    events.head(1).write_parquet(tmp_path / "runs" / "r1" / "users.parquet")
    found = check(tmp_path, "u1")
    assert found.exit_code == 1
    for store_name, count in (
        ("live/events", 1),
        ("live/recent", 1),
        ("live/sessions", 1),
        ("tables/events", 2),
        ("tables/rejects/events.csv", 1),
        ("runs/r1", 1),
        (f"snapshot {manifest.snapshot_id}", 1),
    ):
        assert re.search(rf"^ *{re.escape(store_name)} +{count} +\w", found.output, re.MULTILINE), store_name
    assert "never erased; 8 records found" in found.output
    with LiveStore.open(tmp_path, max_bytes=0) as store:
        store.erase("u1", now=NOW)
    after = check(tmp_path, "u1").output
    assert re.search(r"^ *live/events +0 *$", after, re.MULTILINE)
    assert "hidden since the erasure" in after
    assert "erased, number 1; 5 records found" in after


def test_the_check_leaves_with_0_where_nothing_is_found(tmp_path: Path) -> None:
    Releases(tmp_path).publish(lambda writer: write_small(writer, title="Tea"))
    found = check(tmp_path, "nobody")
    assert found.exit_code == 0
    assert "never erased; nothing found" in found.output


def test_the_check_does_not_call_an_empty_folder_clean_nor_nobody_a_person(tmp_path: Path) -> None:
    nothing = check(tmp_path, "u1")
    assert nothing.exit_code == 2
    assert "holds nothing to look in; give the --home" in nothing.output
    Releases(tmp_path).publish(lambda writer: write_small(writer, title="Tea"))
    nobody = check(tmp_path, "")
    assert nobody.exit_code == 2
    assert "--user is empty" in nobody.output


def test_the_check_leaves_with_1_where_a_snapshot_cannot_be_read(tmp_path: Path) -> None:
    manifest = Releases(tmp_path).publish(lambda writer: write_small(writer, title="Tea"))
    (Releases(tmp_path).folder(manifest.snapshot_id) / "manifest.json").write_text("{")
    found = check(tmp_path, "u1")
    assert "never erased; nothing found; 1 of the stores cannot be read" in found.output
    assert found.exit_code == 1
