"""Reviews in the live store: a trail that only grows, decisions of now, and their way to the night."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path

import lmdb
import msgspec
import pytest
from rich.console import Console

from recdata.errors import LiveStoreFullError, ReviewExistsError, RunError
from recdata.live import LiveStore, ReviewRecord, ReviewState
from recdata.live.environment import ADDED_SECTIONS, LIVE_FILE
from recdata.reviews import REVIEWS_NAME, Review, keep_reviews, load_reviews, read_reviews
from recdata.runs import RunFolder
from tests.recdata.live_shop import MB, NOW_US, event, running
from tests.recdata.test_live_store import as_nobody

SNOOZED = date(2025, 3, 10)


def review(review_id: str, item_id: str = "apple", decision: str = "approve", **fields) -> ReviewRecord:
    plain = {"note": "", "reviewer": "li", "review_time_us": NOW_US, "snooze_until": None}
    plain |= {"snapshot_id": "20250301-x", "action": "push"}
    return ReviewRecord(review_id=review_id, item_id=item_id, decision=decision, **plain | fields)


@pytest.fixture
def store(tmp_path: Path):
    with LiveStore.open(tmp_path, max_bytes=64 * MB) as opened:
        yield opened


def trail(store: LiveStore, item_id: str = "apple", most: int | None = None) -> list[str]:
    with store.view() as view:
        return [each.review_id for each in view.reviews.trail(item_id, most=most)]


def state(store: LiveStore, item_id: str = "apple") -> ReviewState | None:
    with store.view() as view:
        return view.reviews.state(item_id)


def test_the_trail_of_an_item_holds_every_review_latest_first(store) -> None:
    for review_id, item_id in (("1", "apple"), ("2", "app"), ("3", "apple"), ("4", "apple")):
        store.review(review(review_id, item_id, note=f"note {review_id}"))
    assert trail(store) == ["4", "3", "1"]
    assert trail(store, most=2) == ["4", "3"]
    assert trail(store, "app") == ["2"]
    assert trail(store, "pear") == []
    with store.view() as view:
        assert [each.note for each in view.reviews.since(0)] == ["note 1", "note 2", "note 3", "note 4"]
        assert [each.review_id for each in view.reviews.since(2)] == ["3", "4"]
        assert view.reviews.last_sequence == 4


def test_the_last_decision_counts_and_a_note_leaves_it(store) -> None:
    assert state(store) is None
    store.review(review("1", decision="snooze", snooze_until=SNOOZED))
    assert state(store) == ReviewState(1, 1, "snooze", SNOOZED, "push")
    store.review(review("2", decision="note", note="wait", action="drop"))
    assert state(store) == ReviewState(2, 2, "snooze", SNOOZED, "push")
    store.review(review("3", decision="reject", action="drop"))
    assert state(store) == ReviewState(3, 3, "reject", None, "drop")
    store.review(review("4", decision="reopen"))
    assert state(store) == ReviewState(4, 4)


def test_a_review_is_made_once_however_often_it_is_sent(store) -> None:
    first, _ = store.review(review("1"))
    # The second try comes later, and finds another snapshot.
    again, standing = store.review(review("1", review_time_us=NOW_US + 5, snapshot_id="20250302-y"))
    assert again == first
    assert standing.count == 1
    assert trail(store) == ["1"]


@pytest.mark.parametrize(
    "other",
    [{"decision": "reject"}, {"note": "no"}, {"reviewer": "wang"}, {"item_id": "pear"}],
)
def test_an_id_that_comes_with_another_review_is_refused(store, other) -> None:
    store.review(review("1"))
    with pytest.raises(ReviewExistsError, match="'1' exists and says something else"):
        store.review(review("1", **other))
    assert trail(store) == ["1"]
    assert state(store, "pear") is None


def test_reviews_of_many_threads_are_all_kept_in_one_order(store) -> None:
    def work(name: str) -> None:
        for each in range(20):
            store.review(review(f"{name}-{each}", item_id=f"i{each % 3}"))
            store.record([event(f"{name}-{each}")])

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.view() as view:
        entries = list(view.reviews.since(0))
        assert view.reviews.last_sequence == len(entries) == 80
        assert len({each.review_id for each in entries}) == 80
        for item_id in ("i0", "i1", "i2"):
            mine = [each for each in entries if each.item_id == item_id]
            assert view.reviews.trail(item_id) == mine[::-1]
            assert view.reviews.states()[item_id].count == len(mine)


def test_a_review_that_was_answered_outlives_a_killed_process(tmp_path: Path) -> None:
    body = """
        from tests.recdata.test_live_reviews import review
        for each in range(5):
            store.review(review(str(each)))
        print("made", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    with running(tmp_path, body) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "made\n"
        job.wait()
    with LiveStore.open(tmp_path, max_bytes=0) as store:
        assert trail(store) == ["4", "3", "2", "1", "0"]


def test_another_process_sees_a_review_at_once(store, tmp_path: Path) -> None:
    body = """
        import sys
        from tests.recdata.test_live_reviews import review
        store.review(review("theirs"))
        print("made", flush=True)
        time.sleep(60)
    """
    with running(tmp_path, "import time\n" + body.replace("\n        ", "\n")) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "made\n"
        assert trail(store) == ["theirs"]


def test_an_erasure_and_an_export_leave_reviews_alone(store, tmp_path: Path) -> None:
    store.review(review("1", reviewer="ann"))
    store.record([event("1")])
    store.erase("ann", now=datetime(2025, 3, 2, tzinfo=UTC))
    store.export(tmp_path / "out", until_us=NOW_US * 2)
    store.prune(before_us=NOW_US * 2)
    assert trail(store) == ["1"]


def test_a_full_store_refuses_a_review_and_still_tells_of_those_before(tmp_path: Path) -> None:
    with LiveStore.open(tmp_path, max_bytes=1 * MB) as store:
        numbers = itertools.count()
        with pytest.raises(LiveStoreFullError, match="live_store_mb"):
            _ = [store.review(review(str(number), note="n" * 400)) for number in numbers]
        assert len(trail(store)) == next(numbers) - 1 > 100
        assert store.review(review("0", note="n" * 400))[0].review_id == "0"  # sent again: it is there


def test_a_file_of_before_reviews_is_read_as_one_without_any(tmp_path: Path) -> None:
    with LiveStore.open(tmp_path, max_bytes=64 * MB) as store:
        store.record([event("1")])
    path = tmp_path / "live" / LIVE_FILE
    with lmdb.open(str(path), subdir=False, max_dbs=16, map_size=64 * MB) as env:
        for name in ADDED_SECTIONS:
            with env.begin(write=True) as transaction:
                transaction.drop(env.open_db(name.encode(), transaction), delete=True)
    found = []
    path.parent.chmod(0o555)
    path.chmod(0o444)

    def look() -> None:
        with LiveStore.open(tmp_path, max_bytes=0) as store:
            found.append((store.writable, trail(store), store.state().last_sequence))

    as_nobody(look, path)
    path.chmod(0o644)
    path.parent.chmod(0o755)
    assert found == [(False, [], 1)]
    with LiveStore.open(tmp_path, max_bytes=64 * MB) as store:
        store.review(review("1"))
        assert trail(store) == ["1"]


def folder(home: Path) -> RunFolder:
    return RunFolder(home, "20250302-x", date(2025, 3, 2), Console(file=StringIO()))


def test_the_nightly_job_gets_every_review_in_order_and_equal_ones_as_equal_bytes(tmp_path: Path) -> None:
    run = folder(tmp_path)
    keep_reviews(run)
    assert not run.resolve(REVIEWS_NAME).exists()
    assert not (tmp_path / "live").exists()
    with LiveStore.open(tmp_path, max_bytes=64 * MB) as store:
        store.review(review("1", decision="snooze", snooze_until=SNOOZED, note="等节后"))
        store.review(review("2", "pear", decision="reject"))
        keep_reviews(run)
        first = run.resolve(REVIEWS_NAME).stat()
        keep_reviews(run)
        assert run.resolve(REVIEWS_NAME).stat().st_mtime_ns == first.st_mtime_ns
        one, two = load_reviews(run.resolve(REVIEWS_NAME))
        assert one == Review(
            review_id="1",
            item_id="apple",
            decision="snooze",
            note="等节后",
            reviewer="li",
            reviewed_at=datetime(2025, 3, 1, 12, tzinfo=UTC),
            snooze_until=SNOOZED,
            snapshot_id="20250301-x",
            action="push",
        )
        assert (two.item_id, two.decision, two.snooze_until) == ("pear", "reject", None)
        store.review(review("3", "pear", decision="approve"))
        keep_reviews(run)
    assert [each.review_id for each in load_reviews(run.resolve(REVIEWS_NAME))] == ["1", "2", "3"]
    assert read_reviews(tmp_path) == load_reviews(run.resolve(REVIEWS_NAME))
    plain = msgspec.json.decode(run.resolve(REVIEWS_NAME).read_bytes())
    assert plain[0]["snooze_until"] == "2025-03-10"


def test_a_garbled_file_of_reviews_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / REVIEWS_NAME
    assert load_reviews(path) == []
    path.write_text("{}")
    with pytest.raises(RunError, match="delete the file"):
        load_reviews(path)
