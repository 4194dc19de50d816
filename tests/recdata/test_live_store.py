from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from pathlib import Path

import lmdb
import pytest

from recdata.errors import (
    LiveStoreFormatError,
    LiveStoreFullError,
    LiveStoreReadOnlyError,
    LiveStoreUnavailableError,
    RuleExistsError,
    RuleNotFoundError,
)
from recdata.live import ItemChange, ItemState, LiveStore, RecentEntry, RuleRecord
from recdata.live.environment import LIVE_FILE
from recdata.live.records import MAX_RECENT
from tests.recdata.live_shop import DAY_US, MB, NOW_US, SECOND_US, event, running
from tests.recdata.test_import_safety import files_limited_to


@pytest.fixture
def store(tmp_path: Path):
    with LiveStore.open(tmp_path, max_bytes=64 * MB) as opened:
        yield opened


def person(store: LiveStore, user_id: str, session_id: str = ""):
    with store.view() as view:
        return view.person(user_id, session_id)


def items_of(entries) -> list[str]:
    return [entry.item_id for entry in entries]


def logged(store: LiveStore) -> list[str]:
    with store.view() as view:
        return [found.event_id for _, found in view.events()]


def test_what_is_recorded_is_known_of_the_shopper_and_of_the_session_ascending_in_time(store) -> None:
    store.record([event("2", item_id="pear", at=2, session_id="s"), event("1", item_id="apple", at=1)])
    store.record([event("3", user_id="", item_id="wine", at=3, session_id="s")])
    found = person(store, "ann", "s")
    assert items_of(found.entries) == ["apple", "pear", "wine"]
    assert items_of(found.session_entries) == ["pear", "wine"]
    assert found.entries[0] == RecentEntry("apple", "view", NOW_US + SECOND_US)
    assert items_of(person(store, "ann").entries) == ["apple", "pear"]
    assert items_of(person(store, "bob", "s").entries) == ["pear", "wine"]
    assert person(store, "bob", "t").entries == ()


def test_an_event_is_recorded_once_however_often_it_is_sent(store) -> None:
    first = store.record([event("1"), event("1"), event("2")])
    again = store.record([event("2", item_id="pear"), event("3")])
    assert (first.recorded, first.duplicates) == (2, 1)
    assert (again.recorded, again.duplicates) == (1, 1)
    assert logged(store) == ["1", "2", "3"]
    assert len(person(store, "ann").entries) == 3


def test_only_the_latest_entries_of_a_shopper_are_kept(store) -> None:
    store.record([event(str(place), item_id=f"i{place}", at=place) for place in range(MAX_RECENT)])
    store.record([event("late", item_id="late", at=MAX_RECENT), event("old", item_id="old", at=-1)])
    entries = person(store, "ann").entries
    assert len(entries) == MAX_RECENT
    assert items_of(entries)[0] == "i1"
    assert items_of(entries)[-1] == "late"


def test_ids_in_any_script_and_of_256_bytes_are_kept_as_they_are(store) -> None:
    names = ["顾客-ü-" + "界" * 63, "a" * 256, "\u0000\n\"'", "🍐" * 64]
    for place, name in enumerate(names):
        store.record([event(f"{place}", user_id=name, session_id=name, item_id=name)])
        store.update_items({name: ItemChange(update_time_us=1, stock=place)})
        assert items_of(person(store, name, name).entries) == [name]
    with store.view() as view:
        assert {item_id: state.stock for item_id, state in view.items().items()} == {
            name: place for place, name in enumerate(names)
        }
        assert [found.user_id for _, found in view.events()] == names


def test_another_store_of_the_same_home_sees_a_write_at_once(store, tmp_path: Path) -> None:
    with LiveStore.open(tmp_path, max_bytes=0) as other:
        store.record([event("1")])
        assert items_of(person(other, "ann").entries) == ["apple"]
        assert other.record([event("1")]).duplicates == 1


def test_a_view_stays_at_its_moment_and_the_next_one_is_later(store) -> None:
    with store.view() as view:
        thread = threading.Thread(target=lambda: store.record([event("1")]))
        thread.start()
        thread.join()
        assert view.person("ann", "").entries == ()
        with store.view() as inner:
            assert inner.person("ann", "").entries == ()
    assert items_of(person(store, "ann").entries) == ["apple"]


def test_an_update_changes_the_fields_that_it_sets_and_ages_by_field(store) -> None:
    store.update_items(
        {"apple": ItemChange(update_time_us=10, stock=3), "pear": ItemChange(update_time_us=10)}
    )
    store.update_items({"apple": ItemChange(update_time_us=20, price=1.5, status="discontinued")})
    with store.view() as view:
        state = view.item("apple")
        assert view.catalogue_version == 2
        assert view.item("wine") is None
    assert (state.stock, state.price, state.status, state.update_time_us) == (3, 1.5, "discontinued", 20)
    assert state.after(5) == state
    assert state.after(15) == ItemState(None, 1.5, "discontinued", 20, 10, 20, 20)
    assert state.after(20) is None


def test_changes_of_one_rule_at_the_same_time_all_hold(store) -> None:
    store.put_rule(RuleRecord("b", b"0"), expect="new")

    def add_ten() -> None:
        for _ in range(10):
            store.change_rule("b", lambda content: str(int(content) + 1).encode())

    threads = [threading.Thread(target=add_ten) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.view() as view:
        assert view.rule("b") == RuleRecord("b", b"40")
    with pytest.raises(RuleNotFoundError, match="'c'"):
        store.change_rule("c", lambda content: content)
    with pytest.raises(ValueError, match="invalid literal"):
        store.change_rule("b", lambda content: bytes(int("x")) + content)
    with store.view() as view:
        assert view.rule("b") == RuleRecord("b", b"40")


def test_rules_are_added_changed_and_deleted_as_expected_or_not_at_all(store) -> None:
    store.put_rule(RuleRecord("b", b"1"), expect="new")
    store.put_rule(RuleRecord("a", b"2"), expect="any")
    store.put_rule(RuleRecord("b", b"3"), expect="known")
    with pytest.raises(RuleExistsError, match="'b' exists"):
        store.put_rule(RuleRecord("b", b"4"), expect="new")
    with pytest.raises(RuleNotFoundError, match="'c'"):
        store.put_rule(RuleRecord("c", b"5"), expect="known")
    with pytest.raises(RuleNotFoundError, match="'c'"):
        store.delete_rule("c")
    with store.view() as view:
        assert view.rules() == [RuleRecord("a", b"2"), RuleRecord("b", b"3")]
        assert view.rules_version == 3
    store.delete_rule("a")
    with store.view() as view:
        assert view.rules() == [RuleRecord("b", b"3")]
        assert view.rules_version == 4
    assert store.problem == ""


def test_a_write_that_fails_in_a_group_fails_alone(store) -> None:
    """The first write holds the lead until the others wait, so that those are one group."""
    begun, go, outcomes = threading.Event(), threading.Event(), {}

    def lead(batch):
        begun.set()
        go.wait(30)
        return batch

    def attempt(name, work):
        try:
            outcomes[name] = work()
        except RuleNotFoundError as error:
            outcomes[name] = error

    works = {f"e{place}": lambda place=place: store.record([event(f"e{place}")]) for place in range(6)}
    works["bad"] = lambda: store.delete_rule("none")
    leader = threading.Thread(target=attempt, args=("lead", lambda: store.write(lead)))
    leader.start()
    assert begun.wait(30)
    threads = [threading.Thread(target=attempt, args=pair) for pair in works.items()]
    for thread in threads:
        thread.start()
    while len(store._groups._queue) < len(works):
        pass
    go.set()
    for thread in [leader, *threads]:
        thread.join(30)
    assert isinstance(outcomes.pop("bad"), RuleNotFoundError)
    del outcomes["lead"]
    assert all(outcome.recorded == 1 for outcome in outcomes.values())
    assert sorted(logged(store)) == [f"e{place}" for place in range(6)]
    assert len(person(store, "ann").entries) == 6


def test_many_threads_of_two_processes_record_each_event_once(store, tmp_path: Path) -> None:
    body = """
        def work(k):
            for n in range(30):
                store.record([event(f"{k}-{n}", user_id=f"u{n % 3}"), event(f"{k}-{n}+", user_id="all")])
        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    """
    with ExitStack() as stack:
        jobs = [stack.enter_context(running(tmp_path, body)) for _ in range(2)]  # both send the same events
        assert [job.wait(120) for job in jobs] == [0, 0]
    ids = logged(store)
    assert len(ids) == len(set(ids)) == 240
    assert store.state().last_sequence == store.state().unexported == 240
    assert len(person(store, "u0").entries) == 40


def test_a_process_killed_while_it_records_loses_nothing_that_it_acknowledged(store, tmp_path: Path) -> None:
    body = """
        def work(k):
            n = 0
            while True:
                store.record([event(f"{k}-{n}"), event(f"{k}-{n}+")])
                os.write(1, f"{k}-{n}\\n".encode())
                n += 1
        for k in range(4): threading.Thread(target=work, args=(k,)).start()
    """
    with running(tmp_path, body) as job:
        acknowledged = [job.stdout.readline().strip() for _ in range(100)]
        job.kill()
        acknowledged += job.stdout.read().split()
    ids = logged(store)
    assert len(ids) == len(set(ids))
    assert set(acknowledged) <= set(ids)
    assert {f"{name}+" for name in ids if not name.endswith("+")} == {
        name for name in ids if name.endswith("+")
    }
    assert store.record([event(name) for name in acknowledged]).recorded == 0
    assert store.record([event("after")]).recorded == 1


def test_a_store_at_its_limit_refuses_to_record_and_goes_on_reading_erasing_and_exporting(
    tmp_path: Path,
) -> None:
    with LiveStore.open(tmp_path, max_bytes=MB) as store:
        number = 0

        def fill() -> None:
            nonlocal number
            while True:
                events = [
                    event(f"{number}-{place}", user_id=f"u{number}", promotion_id="p" * 200)
                    for place in range(100)
                ]
                store.record(events)
                number += 1

        with pytest.raises(LiveStoreFullError, match=r"is full.*recsvc events export"):
            fill()
        assert number > 5
        assert "is full" in store.problem
        assert len(logged(store)) == number * 100
        assert len(person(store, "u0").entries) == 100
        with pytest.raises(LiveStoreFullError):
            store.update_items({"apple": ItemChange(update_time_us=1, stock=1)})
        now = NOW_US + DAY_US
        assert store.export(tmp_path / "out", until_us=now).events == number * 100
        assert store.prune(before_us=now).events == number * 100
        assert store.record([event("small")]).recorded == 1
        assert store.problem == ""
        assert store.state().used_bytes < MB


def test_a_full_map_leaves_nothing_of_a_write_and_lets_smaller_ones_in(tmp_path: Path) -> None:
    with LiveStore.open(tmp_path, max_bytes=MB) as store:
        huge = [event(f"{place}", promotion_id="p" * 100_000) for place in range(200)]  # 20 MB
        with pytest.raises(LiveStoreFullError):
            store.record(huge)
        assert logged(store) == []
        assert person(store, "ann").entries == ()
        assert store.record([event("small")]).recorded == 1


def test_a_full_disk_refuses_the_write_and_the_next_one_that_fits_is_made(store) -> None:
    store.record([event("1")])
    path = store.home / "live" / LIVE_FILE
    with files_limited_to(path.stat().st_size), pytest.raises(LiveStoreFullError, match="disk is full"):
        store.record([event(f"big{place}", promotion_id="p" * 200) for place in range(1000)])
    assert logged(store) == ["1"]
    assert "disk is full" in store.problem
    assert store.record([event("2")]).recorded == 1
    assert store.problem == ""


def test_a_store_that_may_only_be_read_says_so_and_is_read(store, tmp_path: Path) -> None:
    store.record([event("1")])
    store.close()
    for path in (tmp_path / "live").iterdir():
        path.chmod(0o444)
    (tmp_path / "live").chmod(0o555)
    tmp_path.chmod(0o755)
    found: list[object] = []

    def look() -> None:
        with LiveStore.open(tmp_path, max_bytes=64 * MB) as only:
            found.append(
                (only.readable, only.writable, "may only be read" in only.problem, only.state().unexported)
            )
            with pytest.raises(LiveStoreReadOnlyError, match="may only be read"):
                only.record([event("2")])

    as_nobody(look, tmp_path)
    (tmp_path / "live").chmod(0o755)
    assert found == [(True, False, True, 1)]


def as_nobody(work, folder: Path) -> None:
    """Does the work with the rights of an ordinary user, who may pass through the folders above."""
    if os.geteuid():
        work()
        return
    above = {path: path.stat().st_mode for path in folder.parents if not path.stat().st_mode & 0o001}
    for path in above:
        path.chmod(0o755)
    os.seteuid(65534)
    try:
        work()
    finally:
        os.seteuid(0)
        for path, mode in above.items():
            path.chmod(mode)


def test_an_unknown_format_is_refused_and_left_as_it_is(store, tmp_path: Path) -> None:
    store.close()
    path = tmp_path / "live" / LIVE_FILE
    with lmdb.open(str(path), subdir=False, max_dbs=2, map_size=MB) as env:
        meta = env.open_db(b"meta")
        with env.begin(write=True, db=meta) as transaction:
            transaction.put(b"format", (99).to_bytes(4, "big"))
    with pytest.raises(LiveStoreFormatError, match=r"format 99, this version knows 1"):
        LiveStore.open(tmp_path, max_bytes=64 * MB)
    with pytest.raises(LiveStoreFormatError):
        LiveStore.open(tmp_path, max_bytes=0)


def test_a_damaged_file_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / LIVE_FILE).write_bytes(b"x" * 9000)
    with pytest.raises(LiveStoreUnavailableError, match=r"damaged.*move its folder away"):
        LiveStore.open(tmp_path, max_bytes=MB)


def test_a_store_that_is_not_there_is_not_made_by_a_reader(tmp_path: Path) -> None:
    with pytest.raises(LiveStoreUnavailableError, match="nothing was recorded"):
        LiveStore.open(tmp_path, max_bytes=0)
    assert not (tmp_path / "live").exists()


def test_a_closed_store_is_unavailable_and_its_file_can_be_opened_again(store, tmp_path: Path) -> None:
    store.record([event("1")])
    store.close()
    store.close()
    assert (store.readable, store.writable) == (False, False)
    with pytest.raises(LiveStoreUnavailableError), store.view():
        pass
    with pytest.raises(LiveStoreUnavailableError):
        store.record([event("2")])
    with LiveStore.open(tmp_path, max_bytes=0) as again:
        assert logged(again) == ["1"]
        assert again.state().max_bytes == 64 * MB


def test_a_reader_killed_in_a_view_does_not_keep_the_store_from_using_its_pages(
    store, tmp_path: Path
) -> None:
    with running(
        tmp_path, "view = store.view().__enter__()\nprint('in', flush=True)\nthreading.Event().wait()"
    ) as job:
        assert job.stdout.readline().strip() == "in"
        job.kill()
        job.wait(30)
    assert str(job.pid) in store._file.env.readers()
    store.prune(before_us=0)
    assert str(job.pid) not in store._file.env.readers()
