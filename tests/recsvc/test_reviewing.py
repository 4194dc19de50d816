"""What people say of candidates: stored before the answer, seen by everybody's next call, never lost."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import grpc
import pytest
from google.type.date_pb2 import Date

from recdata.errors import SnapshotError
from recdata.live import LiveStore, ReviewRecord, ReviewState
from recdata.live.environment import LIVE_FILE
from recdata.releases import Releases
from recdata.reviews import read_reviews
from recsvc.review_book import ReviewBook, state_of, status_of
from recsvc.server import Server
from recsvc.v1.common_pb2 import DegradationReason
from recsvc.v1.selection_service_pb2 import (
    CandidateFilter,
    GetCandidateRequest,
    ListCandidatesRequest,
    RescoreCandidatesRequest,
    ReviewCandidateRequest,
    ReviewDecision,
    SelectionAction,
)
from recsvc.v1.selection_service_pb2 import ReviewState as State
from tests.recsvc.conftest import CONFIG, Stubs, refusal
from tests.recsvc.picks import ids, shop, weights
from tests.recsvc.running import two_workers
from tests.recsvc.test_serving import until
from tests.recsvc.tiny import candidate

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
PENDING, APPROVED = State.REVIEW_STATE_PENDING, State.REVIEW_STATE_APPROVED
REJECTED, SNOOZED = State.REVIEW_STATE_REJECTED, State.REVIEW_STATE_SNOOZED
TOMORROW = date.today() + timedelta(days=1)  # noqa: DTZ011 - a day ahead of any zone's today is enough


def day(of: date) -> Date:
    return Date(year=of.year, month=of.month, day=of.day)


def review(request_id: str, item_id: str = "pear", decision: str = "approve", **fields):
    if decision == "snooze":
        fields = {"snooze_until": day(TOMORROW)} | fields
    return ReviewCandidateRequest(
        request_id=request_id,
        item_id=item_id,
        decision=ReviewDecision.Value(f"REVIEW_DECISION_{decision.upper()}"),
        **{"reviewer": "li"} | fields,
    )


def listed(selection, state=State.REVIEW_STATE_UNSPECIFIED, **fields) -> list[str]:
    request = ListCandidatesRequest(filter=CandidateFilter(review_state=state), **fields)
    return ids(selection.ListCandidates(request))


@pytest.fixture
def home(tmp_path) -> Path:
    shop().publish(tmp_path)
    return tmp_path


@pytest.fixture
def server(home, start) -> Server:
    return start(home)


@pytest.fixture
def selection(server) -> Iterator:
    with grpc.insecure_channel(server.address) as channel:
        yield Stubs(channel).selection


def test_a_review_is_answered_as_stored_and_seen_by_the_next_calls(selection):
    answer = selection.ReviewCandidate(review("r1", note="库存够", reviewer="李"))
    stored = answer.review
    assert (stored.review_id, stored.item_id, stored.note, stored.reviewer) == ("r1", "pear", "库存够", "李")
    assert stored.decision == ReviewDecision.REVIEW_DECISION_APPROVE
    assert stored.action == SelectionAction.SELECTION_ACTION_PUSH
    assert stored.snapshot_id == answer.info.snapshot_id
    assert stored.review_time.seconds > 1_700_000_000
    assert not stored.HasField("snooze_until")
    assert (answer.status.state, answer.status.review_count) == (APPROVED, 1)
    got = selection.GetCandidate(GetCandidateRequest(item_id="pear"))
    assert list(got.reviews) == [stored]
    assert got.candidate.review == answer.status
    assert selection.ListCandidates(ListCandidatesRequest()).results[0].review == answer.status
    rescored = selection.RescoreCandidates(RescoreCandidatesRequest(weights=weights(demand=1)))
    assert rescored.results[0].candidate.review == answer.status


def test_candidates_can_be_filtered_by_state_of_review(selection):
    for item_id, decision in (("pear", "approve"), ("beer", "reject"), ("apple", "snooze"), ("wine", "note")):
        selection.ReviewCandidate(review(item_id, item_id, decision, note="why"))
    assert listed(selection, PENDING) == ["wine", "bread"]
    assert listed(selection, APPROVED) == ["pear"]
    assert listed(selection, REJECTED) == ["beer"]
    assert listed(selection, SNOOZED) == ["apple"]
    selection.ReviewCandidate(review("again", "pear", "reopen"))
    assert listed(selection, PENDING, order_by="demand desc") == ["wine", "pear", "bread"]
    request = RescoreCandidatesRequest(weights=weights(trend=1), filter={"review_state": PENDING})
    assert ids(selection.RescoreCandidates(request)) == ["wine", "pear", "bread"]


def test_the_trail_comes_latest_first_with_every_review(selection):
    for number in range(60):
        selection.ReviewCandidate(review(f"r{number}", decision="note", note=f"{number}"))
    got = selection.GetCandidate(GetCandidateRequest(item_id="pear"))
    assert [each.review_id for each in got.reviews] == [f"r{number}" for number in range(59, 9, -1)]
    assert (got.candidate.review.state, got.candidate.review.review_count) == (PENDING, 60)


def test_whoever_reviews_a_page_misses_none_on_the_next(selection):
    """Approving takes candidates off the list of the pending; a count of those shown would skip as many."""
    wanted = CandidateFilter(review_state=PENDING)
    first = selection.ListCandidates(ListCandidatesRequest(filter=wanted, page_size=2))
    assert (ids(first), first.total_size) == (["pear", "beer"], 5)
    for item_id in ids(first):
        selection.ReviewCandidate(review(item_id, item_id))
    request = ListCandidatesRequest(filter=wanted, page_size=2, page_token=first.next_page_token)
    second = selection.ListCandidates(request)
    assert (ids(second), second.total_size) == (["apple", "wine"], 3)


def test_a_review_that_is_sent_again_is_there_once_and_answered_as_before(selection):
    first = selection.ReviewCandidate(review("r1", note="ok"))
    again = selection.ReviewCandidate(review("r1", note="ok"))
    assert (again.review, again.status) == (first.review, first.status)
    assert len(selection.GetCandidate(GetCandidateRequest(item_id="pear")).reviews) == 1
    refused = refusal(selection.ReviewCandidate, review("r1", decision="reject"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REVIEW_EXISTS")
    assert listed(selection, APPROVED) == ["pear"]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (review(""), "request_id"),
        (review(" "), "request_id"),
        (review("x" * 129), "request_id"),
        (review("r", ""), "item_id"),
        (review("r", "x" * 257), "item_id"),
        (review("r", decision="unspecified"), "decision"),
        (review("r", reviewer=""), "reviewer"),
        (review("r", reviewer="\t"), "reviewer"),
        (review("r", reviewer="x" * 257), "reviewer"),
        (review("r", note="x" * 2001), "note"),
        (review("r", decision="note"), "note"),
        (review("r", snooze_until=day(TOMORROW)), "snooze_until"),
        (review("r", decision="snooze", snooze_until=None), "snooze_until"),
        (review("r", decision="snooze", snooze_until=Date(year=2025, month=2, day=30)), "snooze_until"),
        (review("r", decision="snooze", snooze_until=day(date(2025, 1, 1))), "snooze_until"),
        (review("r", decision="snooze", snooze_until=day(date(9999, 1, 1))), "snooze_until"),
        (review("r", decision="snooze", snooze_until=Date(year=2**31 - 1)), "snooze_until"),
        (ReviewCandidateRequest(request_id="r", item_id="pear", reviewer="li", decision=77), "decision"),
        (review("r", action=99), "action"),
    ],
)
def test_a_review_that_lacks_something_is_refused_by_its_field(selection, request_, field):
    refused = refusal(selection.ReviewCandidate, request_)
    assert (refused.code, refused.field) == (INVALID, field)
    assert list(selection.GetCandidate(GetCandidateRequest(item_id="pear")).reviews) == []


@pytest.mark.parametrize(("item_id", "reason"), [("none", "ITEM_NOT_FOUND"), ("milk", "CANDIDATE_NOT_FOUND")])
def test_a_review_of_what_is_no_candidate_is_refused(selection, home, item_id, reason):
    refused = refusal(selection.ReviewCandidate, review("r", item_id))
    assert (refused.code, refused.reason) == (NOT_FOUND, reason)
    assert read_reviews(home) == []


def test_a_review_of_another_action_than_the_advised_one_is_refused(selection):
    refused = refusal(selection.ReviewCandidate, review("r", action=SelectionAction.SELECTION_ACTION_DROP))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ACTION_CHANGED")
    assert "PUSH is advised now" in refused.message
    selection.ReviewCandidate(review("r", action=SelectionAction.SELECTION_ACTION_PUSH))
    assert listed(selection, APPROVED) == ["pear"]


def test_a_decision_is_asked_again_once_something_else_is_advised(home, server, selection):
    selection.ReviewCandidate(review("1", "pear"))
    selection.ReviewCandidate(review("2", "beer", "reject"))
    selection.ReviewCandidate(review("3", "apple", "snooze"))
    turned = [
        candidate(1, "pear", "drop", "decline"),
        candidate(2, "beer", "keep", "mature"),
        candidate(3, "apple", "push", "growth"),
    ]
    manifest = shop(candidates=turned).publish(home)
    until(lambda: server.serving.acquire().snapshot_id == manifest.snapshot_id)
    assert listed(selection, PENDING) == ["pear"]
    assert listed(selection, REJECTED) == ["beer"]
    assert listed(selection, SNOOZED) == ["apple"]
    got = selection.GetCandidate(GetCandidateRequest(item_id="pear"))
    assert got.candidate.review.action == SelectionAction.SELECTION_ACTION_PUSH
    assert [each.review_id for each in got.reviews] == ["1"]
    # Sent again it is still the review of then, also of what is no candidate any more.
    assert selection.ReviewCandidate(review("1", "pear")).review == got.reviews[0]


def test_a_review_sent_again_holds_although_its_item_is_gone(home, server, selection):
    first = selection.ReviewCandidate(review("1", "pear"))
    manifest = shop(candidates=[candidate(1, "beer", "keep", "mature")]).publish(home)
    until(lambda: server.serving.acquire().snapshot_id == manifest.snapshot_id)
    assert selection.ReviewCandidate(review("1", "pear")).review == first.review
    assert refusal(selection.ReviewCandidate, review("2", "pear")).reason == "CANDIDATE_NOT_FOUND"


def test_a_snooze_sent_again_holds_although_its_day_is_over(home, start):
    over = date.today() - timedelta(days=3)  # noqa: DTZ011 - over in every zone
    with LiveStore.open(home, max_bytes=1 << 24) as store:
        store.review(ReviewRecord("1", "pear", "snooze", "", "li", 0, over, "s", "push"))
    with grpc.insecure_channel(start(home).address) as channel:
        service = Stubs(channel).selection
        again = service.ReviewCandidate(review("1", decision="snooze", snooze_until=day(over)))
        assert (again.review.snooze_until, again.status.review_count) == (day(over), 1)
        assert again.status.state == PENDING
        refused = refusal(service.ReviewCandidate, review("2", decision="snooze", snooze_until=day(over)))
        assert (refused.code, refused.field) == (INVALID, "snooze_until")


SNOOZE = ReviewState(1, 1, "snooze", date(2025, 3, 10), "push")


@pytest.mark.parametrize(
    ("state", "advised", "today", "expected"),
    [
        (None, "push", date(2025, 3, 1), PENDING),
        (ReviewState(1, 1), "push", date(2025, 3, 1), PENDING),
        (SNOOZE, "push", date(2025, 3, 10), SNOOZED),
        (SNOOZE, "drop", date(2025, 3, 10), SNOOZED),
        (SNOOZE, "push", date(2025, 3, 11), PENDING),
        (ReviewState(1, 1, "approve", None, "push"), "push", date(2025, 3, 1), APPROVED),
        (ReviewState(1, 1, "approve", None, "push"), "drop", date(2025, 3, 1), PENDING),
        (ReviewState(1, 1, "reject", None, "drop"), "drop", date(2025, 3, 1), REJECTED),
    ],
)
def test_a_snooze_holds_to_its_last_day_and_other_decisions_for_their_action(state, advised, today, expected):
    assert state_of(state, advised, today) == expected
    assert status_of(state, advised, today).HasField("snooze_until") == (expected == SNOOZED)


@pytest.fixture
def book(home) -> Iterator[ReviewBook]:
    snapshot = Releases(home).open_current()
    yield ReviewBook(snapshot)
    snapshot.close()


def test_what_was_snoozed_comes_back_by_itself_after_the_day(home, book):
    today = book.today()
    record = ReviewRecord("1", "pear", "snooze", "", "li", 0, today + timedelta(days=1), "s", "push")
    with LiveStore.open(home, max_bytes=1 << 24) as store:
        store.review(record)
        with store.view() as view:
            for days, expected in ((0, SNOOZED), (1, SNOOZED), (2, PENDING), (1, SNOOZED)):
                states = book.states(view, today + timedelta(days=days))
                assert states.tolist() == [expected, PENDING, PENDING, PENDING, PENDING]


def test_a_book_takes_in_what_was_said_since_and_nothing_of_other_items(home, book):
    with LiveStore.open(home, max_bytes=1 << 24) as store:
        for number, item_id in enumerate(("pear", "gone", "milk", "pear", "bread")):
            advised = {"pear": "push", "bread": "keep"}.get(item_id, "")
            store.review(ReviewRecord(f"{number}", item_id, "approve", "", "li", 0, None, "s", advised))
            with store.view() as view:
                known = dict(book.current(view))
        assert {place: state.count for place, state in known.items()} == {0: 2, 4: 1}
        with store.view() as view:
            assert book.states(view, book.today()).tolist() == [APPROVED, *[PENDING] * 3, APPROVED]


def test_a_day_ends_at_midnight_of_the_shops_time_zone(home):
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):  # 25 hours apart
        shop(business_timezone=zone).publish(home)
        snapshot = Releases(home).open_current()
        before, found = datetime.now(ZoneInfo(zone)), ReviewBook(snapshot).today()
        after = datetime.now(ZoneInfo(zone))
        assert before.date() <= found <= after.date()
        snapshot.close()


def test_a_snapshot_of_a_time_zone_that_is_not_known_here_is_refused_with_a_remedy(home):
    shop(business_timezone="Mars/Olympus").publish(home)
    with pytest.raises(SnapshotError, match=r"'Mars/Olympus'.*tzdata"):
        Server(home, CONFIG)


def test_every_worker_sees_a_review_at_once_and_it_outlives_a_killed_one(home):
    with two_workers(home) as running:
        with running.of_each_worker() as (one, two):
            one.selection.ReviewCandidate(review("1", "pear"))
            assert listed(two.selection, APPROVED) == ["pear"]
            two.selection.ReviewCandidate(review("2", "beer", "reject"))
            two.selection.ReviewCandidate(review("1", "pear"))
            assert listed(one.selection, REJECTED) == ["beer"]
            answer = one.selection.ReviewCandidate(review("3", "wine", "snooze"))
            assert answer.status.state == SNOOZED
        os.kill(running.pid(0), signal.SIGKILL)
        os.kill(running.pid(1), signal.SIGKILL)
        until(lambda: len(running.events("worker ready")) >= 4)
        with running.connected() as stubs:
            assert listed(stubs.selection, PENDING) == ["apple", "bread"]
    assert [each.review_id for each in read_reviews(home)] == ["1", "2", "3"]


def test_without_a_live_store_candidates_are_answered_and_what_rests_on_reviews_is_refused(
    home, server, selection
):
    selection.ReviewCandidate(review("1", "pear"))
    shutil.move(home / "live" / LIVE_FILE, home / "aside")

    def degraded() -> bool:
        return selection.ListCandidates(ListCandidatesRequest()).info.degraded

    until(degraded)
    answer = selection.ListCandidates(ListCandidatesRequest())
    reasons = [each.reason for each in answer.info.degradations]
    assert reasons == [DegradationReason.DEGRADATION_REASON_LIVE_STORE_UNAVAILABLE]
    assert not answer.results[0].HasField("review")
    got = selection.GetCandidate(GetCandidateRequest(item_id="pear"))
    assert got.info.degraded
    assert (list(got.reviews), got.candidate.HasField("review")) == ([], False)
    wanted = ListCandidatesRequest(filter=CandidateFilter(review_state=APPROVED))
    for method, request in (
        (selection.ListCandidates, wanted),
        (selection.ReviewCandidate, review("2", "beer")),
    ):
        refused = refusal(method, request)
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "LIVE_STORE_UNAVAILABLE",
        )
    shutil.move(home / "aside", home / "live" / LIVE_FILE)
    until(lambda: not degraded())
    assert listed(selection, APPROVED) == ["pear"]
