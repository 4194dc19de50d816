"""What breaks under a server of two workers, over a real socket, when the live store or its disk fails."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections import Counter

import grpc

from recsvc.v1.catalog_service_pb2 import DeleteRuleRequest, GetItemRequest, ListRulesRequest
from recsvc.v1.customer_service_pb2 import EraseCustomerRequest
from recsvc.v1.event_service_pb2 import RecordEventsRequest
from tests.recsvc.conftest import refusal
from tests.recsvc.every_call import ANN, STOCK, answers, called, hide, stored, view, writes
from tests.recsvc.running import state, two_workers
from tests.recsvc.test_serving import until
from tests.recsvc.tiny import Tiny

EXHAUSTED, PRECONDITION = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.FAILED_PRECONDITION


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
        told = running.events("call refused")
        assert {line["code"] for line in told} == {"RESOURCE_EXHAUSTED"}
        assert all("recsvc events export" in line["reason"] and "traceback" not in line for line in told)
        assert running.events("call failed") == []
        for stubs in workers:
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
