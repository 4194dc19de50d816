"""What breaks under a server of two workers, over a real socket: processes, the live store, its disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import grpc

from recdata.live import LiveStore
from recsvc.v1.bestseller_service_pb2 import ListBestsellersRequest
from recsvc.v1.catalog_service_pb2 import (
    CreateRuleRequest,
    DeleteRuleRequest,
    GetItemRequest,
    ItemUpdate,
    ListRulesRequest,
    Rule,
    RuleAction,
    UpdateItemsRequest,
)
from recsvc.v1.common_pb2 import DegradationReason, ItemFilter
from recsvc.v1.customer_service_pb2 import EraseCustomerRequest
from recsvc.v1.event_service_pb2 import Event, EventType, RecordEventsRequest
from recsvc.v1.recommendation_service_pb2 import (
    BatchRecommendRequest,
    Carousel,
    ListBoughtTogetherRequest,
    ListSimilarItemsRequest,
    RankItemsRequest,
    RecommendPageRequest,
    RecommendRequest,
)
from recsvc.v1.selection_service_pb2 import (
    ComponentWeight,
    GetCandidateRequest,
    GetForecastRequest,
    ListCandidatesRequest,
    RescoreCandidatesRequest,
    ReviewCandidateRequest,
)
from tests.recsvc.conftest import Stubs, refusal
from tests.recsvc.running import Running, alive, state, two_workers
from tests.recsvc.test_serving import until
from tests.recsvc.tiny import Tiny

EXHAUSTED, PRECONDITION = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.FAILED_PRECONDITION
#: What a caller waits after a failure, as any that tries again does; a connection notices its end meanwhile.
PAUSE_SECONDS = 0.1
UNAVAILABLE = DegradationReason.DEGRADATION_REASON_LIVE_STORE_UNAVAILABLE
ANN = RecommendRequest(user_id="ann", session_id="s")

READS = [
    ("recommendations", "Recommend", ANN),
    ("recommendations", "BatchRecommend", BatchRecommendRequest(requests=[ANN, ANN])),
    (
        "recommendations",
        "RecommendPage",
        RecommendPageRequest(shopper=ANN, carousels=[Carousel(carousel_id="a"), Carousel(carousel_id="b")]),
    ),
    ("recommendations", "RankItems", RankItemsRequest(shopper=ANN, item_ids=["apple", "wine"])),
    ("recommendations", "ListSimilarItems", ListSimilarItemsRequest(item_id="apple")),
    ("recommendations", "ListBoughtTogether", ListBoughtTogetherRequest(item_ids=["apple"])),
    ("bestsellers", "ListBestsellers", ListBestsellersRequest()),
    ("selection", "ListCandidates", ListCandidatesRequest()),
    ("selection", "GetCandidate", GetCandidateRequest(item_id="pear")),
    (
        "selection",
        "RescoreCandidates",
        RescoreCandidatesRequest(weights=[ComponentWeight(name="trend", weight=1)]),
    ),
    ("selection", "GetForecast", GetForecastRequest(level=1)),
    ("catalog", "GetItem", GetItemRequest(item_id="apple")),
]
STOCK = UpdateItemsRequest(updates=[ItemUpdate(item_id="apple", stock=5)])


def view(event_id: str, **fields) -> Event:
    return Event(
        event_id=event_id, user_id="ann", item_id="apple", event_type=EventType.EVENT_TYPE_VIEW, **fields
    )


def hide(rule_id: str) -> CreateRuleRequest:
    target = ItemFilter(include_item_ids=["apple"])
    return CreateRuleRequest(rule=Rule(rule_id=rule_id, action=RuleAction.RULE_ACTION_HIDE, target=target))


def writes(number: int) -> list[tuple[str, str, object]]:
    """Calls that write, each for the first time."""
    return [
        ("events", "RecordEvents", RecordEventsRequest(events=[view(f"more-{number}")])),
        ("catalog", "UpdateItems", STOCK),
        ("catalog", "CreateRule", hide(f"more-{number}")),
        (
            "selection",
            "ReviewCandidate",
            ReviewCandidateRequest(request_id=f"more-{number}", item_id="pear", decision=1, reviewer="li"),
        ),
    ]


def called(stubs: Stubs, service: str, method: str) -> Callable:
    return getattr(getattr(stubs, service), method)


def answers(stubs: Stubs, *, degraded: bool = False) -> None:
    """Checks that every read answers, and whether it says that the live store is not in the answer."""
    for service, method, request in READS:
        answer = called(stubs, service, method)(request, wait_for_ready=True, timeout=10)
        if method == "BatchRecommend":
            infos = [result.response.info for result in answer.results]
        else:
            infos = [answer.info]
        for info in infos:
            told = [each.reason for each in info.degradations]
            assert (UNAVAILABLE in told) is (degraded and method != "GetForecast"), (method, told)


def stored(home: Path) -> Counter[str]:
    with LiveStore.open(home, max_bytes=0) as store, store.view() as moment:
        return Counter(event.event_id for _, event in moment.events())


@contextmanager
def without_retries(address: str):
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    with grpc.insecure_channel(address, options) as channel:
        yield Stubs(channel)


class Shopper(threading.Thread):
    """Asks and records on and on without retries, one call at a time, and keeps the books."""

    def __init__(self, running: Running, name: str, *, reads: bool = True) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self.unacknowledged: list[str] = []
        self.answered = 0
        self.failures: list[grpc.StatusCode] = []
        self.done = threading.Event()
        self._running, self._id, self._reads = running, name, reads

    def run(self) -> None:
        number = 0
        with without_retries(self._running.address) as stubs:
            while not self.done.is_set():
                number += 1
                ids = [f"{self._id}-{number}-{each}" for each in range(3)]
                if self._record(stubs, ids) and self._reads:
                    self._ask(stubs, *READS[number % len(READS)])

    def _record(self, stubs: Stubs, ids: list[str]) -> bool:
        # wait_for_ready: what finds no connection waits for one, so that what fails has reached a worker.
        request = RecordEventsRequest(events=[view(each) for each in ids])
        if self._ask(stubs, "events", "RecordEvents", request):
            self.acknowledged += ids
            return True
        self.unacknowledged += ids
        return False

    def _ask(self, stubs: Stubs, service: str, method: str, request: object) -> bool:
        try:
            called(stubs, service, method)(request, wait_for_ready=True, timeout=2 if not self._reads else 20)
        except grpc.RpcError as error:
            self.failures.append(error.code())
            self.done.wait(PAUSE_SECONDS)
            return False
        self.answered += 1
        return True


@contextmanager
def shopping(running: Running, count: int, name: str, *, reads: bool = True):
    shoppers = [Shopper(running, f"{name}-{each}", reads=reads) for each in range(count)]
    for shopper in shoppers:
        shopper.start()
    try:
        until(lambda: all(shopper.answered > 5 for shopper in shoppers))
        yield shoppers
    finally:
        for shopper in shoppers:
            shopper.done.set()
        for shopper in shoppers:
            shopper.join()


def kill_all(running: Running) -> None:
    """Kills the server's processes as a machine that fails would: the one that watches first."""
    pids = [running.process.pid, running.pid(0), running.pid(1)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    running.process.wait(10)
    until(lambda: not any(alive(pid) for pid in pids))


def test_workers_killed_under_load_fail_their_calls_alone_and_lose_no_event(tmp_path):
    Tiny().publish(tmp_path)
    count = 4
    with two_workers(tmp_path) as running:
        with shopping(running, count, "a") as shoppers:
            for kill, worker in enumerate((0, 1)):
                killed = running.pid(worker)
                os.kill(killed, signal.SIGKILL)
                until(lambda kill=kill: len(running.events("worker ready")) == 3 + kill)
                assert running.pid(worker) != killed
                before = [shopper.answered for shopper in shoppers]
                until(
                    lambda before=before: all(
                        shopper.answered > count + 5 for shopper, count in zip(shoppers, before, strict=True)
                    )
                )
        failures = [code for shopper in shoppers for code in shopper.failures]
        assert set(failures) <= {grpc.StatusCode.UNAVAILABLE}
        # A shopper has one call at a time, and may write one more to the connection before noticing its end.
        assert [len(shopper.failures) for shopper in shoppers if len(shopper.failures) > 4] == []
        with running.of_each_worker() as workers:
            for stubs in workers:
                answers(stubs)
    found = stored(tmp_path)
    sent = [each for shopper in shoppers for each in shopper.acknowledged + shopper.unacknowledged]
    assert set(found.values()) == {1}
    assert {each for shopper in shoppers for each in shopper.acknowledged} <= set(found) <= set(sent)


def test_a_server_killed_while_it_records_has_every_acknowledged_event_exactly_once(tmp_path):
    Tiny().publish(tmp_path)
    acknowledged: list[str] = []
    unacknowledged: list[str] = []
    for turn in range(2):
        with two_workers(tmp_path) as running:
            with running.connected() as stubs:  # what nobody acknowledged is sent again, and some of the rest
                for first in range(0, len(unacknowledged), 300):
                    again = [*unacknowledged[first : first + 300], *acknowledged[-30:]]
                    answer = stubs.events.RecordEvents(RecordEventsRequest(events=map(view, again)))
                    assert answer.recorded_count + answer.duplicate_count == len(again)
                    assert answer.duplicate_count >= 30
            acknowledged += unacknowledged
            with shopping(running, 4, f"turn{turn}", reads=False) as shoppers:
                kill_all(running)
        acknowledged += [each for shopper in shoppers for each in shopper.acknowledged]
        unacknowledged = [each for shopper in shoppers for each in shopper.unacknowledged]
        assert unacknowledged
        found = stored(tmp_path)
        assert set(found.values()) == {1}
        assert set(acknowledged) <= set(found) <= {*acknowledged, *unacknowledged}
    with two_workers(tmp_path) as running, running.of_each_worker() as workers:
        for stubs in workers:  # sent twice, to another worker the second time
            stubs.events.RecordEvents(RecordEventsRequest(events=map(view, unacknowledged[:900])))
            answers(stubs)
    assert stored(tmp_path) == Counter({*acknowledged, *unacknowledged[:900]} | set(found))


def test_a_full_live_store_refuses_writes_in_all_workers_answers_reads_and_may_be_given_room(tmp_path):
    Tiny().publish(tmp_path)
    with two_workers(tmp_path, live_store_mb=1) as running, running.of_each_worker() as workers:
        acknowledged, code = 0, grpc.StatusCode.OK
        while code is grpc.StatusCode.OK:
            events = [view(f"{acknowledged + each}", promotion_id="p" * 256) for each in range(100)]
            try:
                workers[acknowledged % 200 // 100].events.RecordEvents(RecordEventsRequest(events=events))
                acknowledged += 100
            except grpc.RpcError as error:
                code = error.code()
        assert code is EXHAUSTED
        for number, stubs in enumerate(workers):
            for service, method, request in writes(number):
                refused = refusal(called(stubs, service, method), request)
                assert (refused.code, refused.reason) == (EXHAUSTED, "LIVE_STORE_FULL"), method
                assert "recsvc events export" in refused.message
            answers(stubs)
            assert "is full" in state(stubs).live_store.problem
        assert sum(stored(tmp_path).values()) == acknowledged > 500
        erased = workers[1].customers.EraseCustomer(EraseCustomerRequest(user_id="ann"))
        assert erased.erasure_number == 1
    with two_workers(tmp_path, live_store_mb=4) as running, running.of_each_worker() as workers:
        for number, stubs in enumerate(workers):
            for service, method, request in writes(number):
                called(stubs, service, method)(request)
            assert state(stubs).live_store.problem == ""


def test_a_live_store_that_may_only_be_read_is_read_and_says_so_to_writes(tmp_path, request):
    Tiny().publish(tmp_path)
    with two_workers(tmp_path) as running, running.connected() as stubs:
        stubs.catalog.UpdateItems(STOCK)
        stubs.catalog.CreateRule(hide("one"))
    # File modes do not hold root back, unless it gives up the power to pass them over.
    prefix = ["setpriv", "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []
    live = tmp_path / "live"
    for path in live.iterdir():
        path.chmod(0o444)
    live.chmod(0o555)
    request.addfinalizer(lambda: live.chmod(0o755))
    with two_workers(tmp_path, prefix=prefix) as running, running.of_each_worker() as workers:
        for number, stubs in enumerate(workers):
            answers(stubs)
            assert stubs.catalog.GetItem(GetItemRequest(item_id="apple")).stock == 5
            assert [rule.rule_id for rule in stubs.catalog.ListRules(ListRulesRequest()).results] == ["one"]
            for service, method, asked in (
                *writes(number),
                ("catalog", "DeleteRule", DeleteRuleRequest(rule_id="one")),
                ("customers", "EraseCustomer", EraseCustomerRequest(user_id="ann")),
            ):
                refused = refusal(called(stubs, service, method), asked)
                assert (refused.code, refused.reason) == (PRECONDITION, "LIVE_STORE_READ_ONLY"), method
            told = state(stubs).live_store
            assert (told.readable, told.writable) == (True, False)
            assert "may only be read" in told.problem


def test_a_damaged_live_store_is_told_until_it_is_mended_and_then_all_workers_use_it_again(tmp_path):
    Tiny().publish(tmp_path)
    with two_workers(tmp_path) as running, running.connected() as stubs:
        stubs.events.RecordEvents(RecordEventsRequest(events=[view("kept")]))
    live, kept = tmp_path / "live", tmp_path / "kept"
    shutil.copytree(live, kept)
    (live / "live.lmdb").write_bytes(b"x" * 9000)
    with two_workers(tmp_path) as running, running.of_each_worker() as workers:
        for number, stubs in enumerate(workers):
            answers(stubs, degraded=True)
            for service, method, request in writes(number):
                refused = refusal(called(stubs, service, method), request)
                assert (refused.code, refused.reason) == (PRECONDITION, "LIVE_STORE_UNAVAILABLE"), method
                assert "damaged" in refused.message
            assert not state(stubs).live_store.readable
        live.rename(tmp_path / "damaged")
        kept.rename(live)
        for number, stubs in enumerate(workers):
            until(
                lambda stubs=stubs: (
                    stubs.catalog.GetItem(GetItemRequest(item_id="apple")).info.degraded is False
                )
            )
            answers(stubs)
            for service, method, request in writes(number):
                called(stubs, service, method)(request)
    assert stored(tmp_path) == Counter(["kept", "more-0", "more-1"])


def test_a_live_store_moved_away_takes_no_more_writes_until_it_is_back_and_none_is_lost(tmp_path):
    Tiny().publish(tmp_path)
    live = tmp_path / "live"
    with two_workers(tmp_path) as running, running.of_each_worker() as workers:
        for number, stubs in enumerate(workers):
            stubs.events.RecordEvents(RecordEventsRequest(events=[view(f"before-{number}")]))
        live.rename(tmp_path / "away")
        for number, stubs in enumerate(workers):
            for service, method, request in writes(number):
                refused = refusal(called(stubs, service, method), request)
                assert (refused.code, refused.reason) == (PRECONDITION, "LIVE_STORE_UNAVAILABLE"), method
                assert "moved away" in refused.message
            until(lambda stubs=stubs: stubs.catalog.GetItem(GetItemRequest(item_id="apple")).info.degraded)
            answers(stubs, degraded=True)
            assert "moved away" in state(stubs).live_store.problem
        (tmp_path / "away").rename(live)
        for number, stubs in enumerate(workers):
            answers(stubs)
            assert state(stubs).live_store.problem == ""
            for service, method, request in writes(number):
                called(stubs, service, method)(request)
    assert stored(tmp_path) == Counter(["before-0", "before-1", "more-0", "more-1"])


def test_a_live_store_cut_off_under_the_workers_is_told_and_they_answer_on(tmp_path):
    Tiny().publish(tmp_path)
    live, kept = tmp_path / "live", tmp_path / "kept"
    with two_workers(tmp_path) as running:
        with running.connected() as stubs:
            stubs.events.RecordEvents(RecordEventsRequest(events=[view(f"{each}") for each in range(500)]))
        shutil.copytree(live, kept)
        before = [running.pid(worker) for worker in (0, 1)]
        os.truncate(live / "live.lmdb", 8192)  # whoever reads what is mapped behind it is killed
        for _ in range(20):
            with running.connected() as stubs, contextlib.suppress(grpc.RpcError):
                stubs.recommendations.Recommend(ANN, wait_for_ready=True, timeout=10)
        until(lambda: running.figure("recsvc_workers_up") == 2)
        with running.of_each_worker() as workers:
            for stubs in workers:
                answers(stubs, degraded=True)
        live.rename(tmp_path / "damaged")
        kept.rename(live)
        # A worker that reached the file only after another had mended its length was not killed. It has the
        # damaged one open for good, and says that it needs a restart.
        for worker, pid in enumerate(before):
            if running.pid(worker) == pid:
                os.kill(pid, signal.SIGKILL)
                until(lambda worker=worker, pid=pid: running.pid(worker) != pid)
        until(lambda: running.figure("recsvc_workers_up") == 2)
        with running.of_each_worker() as workers:
            for stubs in workers:
                until(
                    lambda stubs=stubs: (
                        not stubs.catalog.GetItem(GetItemRequest(item_id="apple")).info.degraded
                    )
                )
                answers(stubs)
    assert len(stored(tmp_path)) == 500
