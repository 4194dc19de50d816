"""Several processes on one port, over a real socket; each server is `recsvc serve` as an operator runs it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from recsvc.v1.recommendation_service_pb2 import ListSimilarItemsRequest, RecommendRequest
from recsvc.v1.snapshot_service_pb2 import (
    ActivateSnapshotRequest,
    ListSnapshotsRequest,
)
from tests.recsvc.conftest import Stubs, refusal
from tests.recsvc.running import ROOT, Running, alive, state, two_workers
from tests.recsvc.test_serving import flip_the_last_byte, point_at, point_at_a_damaged_copy, until
from tests.recsvc.tiny import Tiny


class Callers:
    """Threads that ask on and on, each over its own connection."""

    def __init__(self, running: Running, count: int, ask: Callable[[Stubs], object]) -> None:
        self.answers = 0
        self.failures: list[grpc.StatusCode] = []
        self.done = threading.Event()

        def run() -> None:
            with running.connected() as stubs:
                while not self.done.is_set():
                    try:
                        ask(stubs)
                    except grpc.RpcError as error:
                        self.failures.append(error.code())
                    else:
                        self.answers += 1

        self._threads = [threading.Thread(target=run) for _ in range(count)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        until(lambda: self.answers > 20)
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        for thread in self._threads:
            thread.join()


def recommend(stubs: Stubs) -> object:
    # A call that finds no connection waits for one; so what fails has reached a worker.
    return stubs.recommendations.Recommend(RecommendRequest(user_id="ann"), wait_for_ready=True, timeout=10)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    home = tmp_path_factory.mktemp("workers")
    Tiny().publish(home)
    with two_workers(home, slow_call_ms=0.0001, one_core_a_worker="always") as made:
        yield made


def test_both_workers_answer_on_the_one_port(running):
    with running.of_each_worker() as workers:
        for stubs in workers:
            assert len(recommend(stubs).results) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="keeping to a core is Linux's")
def test_the_threads_of_a_worker_keep_to_its_core_but_for_the_one_that_loads_snapshots(running):
    with running.of_each_worker() as workers:
        for stubs in workers:
            recommend(stubs)
    allowed = os.sched_getaffinity(0)
    cores = []
    for worker in range(2):
        process = psutil.Process(running.pid(worker))
        of_threads = Counter(frozenset(os.sched_getaffinity(thread.id)) for thread in process.threads())
        if len(allowed) > 1:
            assert of_threads.pop(frozenset(allowed)) == 1
        assert len(of_threads) == 1
        cores += next(iter(of_threads))
    assert len(cores) == 2
    assert set(cores) <= allowed
    assert len(set(cores)) == min(2, len(allowed))


def test_the_metrics_are_those_of_all_workers_together(running):
    name = "recsvc.v1.RecommendationService/ListSimilarItems"
    with running.of_each_worker() as workers:
        for stubs in workers:
            for item_id in ("apple", "apple", "pear"):
                stubs.recommendations.ListSimilarItems(ListSimilarItemsRequest(item_id=item_id))
            refusal(stubs.recommendations.ListSimilarItems, ListSimilarItemsRequest(item_id="no such"))
            stubs.recommendations.Recommend(RecommendRequest(user_id="nobody"))
            stubs.recommendations.Recommend(RecommendRequest(user_id="ann"))
    until(lambda: running.figure("recsvc_calls_total", method=name, code="OK") == 6)
    until(lambda: running.figure("recsvc_degradations_total", reason="UNKNOWN_USER") >= 2)
    figures = running.figures()
    assert figures["recsvc_calls_total", (("code", "NOT_FOUND"), ("method", name))] == 2
    counted = sum(
        value
        for (sample, labels), value in figures.items()
        if sample == "recsvc_call_seconds_count" and ("method", name) in labels
    )
    assert counted == 6
    sources = {
        dict(labels)["source"]
        for (sample, labels), value in figures.items()
        if sample == "recsvc_call_seconds_count" and "Recommend" in dict(labels)["method"].split("/")
    }
    assert sources >= {"REPEAT", "BESTSELLER"}
    assert running.figure("recsvc_workers_up") == 2
    for worker in ("0", "1"):
        assert running.figure("recsvc_live_store_readable", worker=worker) == 1
        assert running.figure("recsvc_snapshot_as_of_timestamp_seconds", worker=worker) == 1740787200


def test_a_line_about_a_call_has_the_request_id_and_the_worker(running):
    def lines(request_id: str) -> list[dict]:
        return [line for line in running.events("slow call") if line.get("request_id") == request_id]

    with running.of_each_worker() as workers:
        for worker, stubs in enumerate(workers):
            stubs.recommendations.Recommend(
                RecommendRequest(), metadata=[("x-request-id", f"basket-{worker}")]
            )
            until(lambda worker=worker: lines(f"basket-{worker}"))
            assert [line["worker"] for line in lines(f"basket-{worker}")] == [worker]
    made = {line["request_id"] for line in running.events("slow call")}
    assert "" not in made
    assert len(made) > 3


def test_a_sighup_swaps_and_an_activation_rolls_back_in_all_workers(tmp_path):
    old = Tiny().publish(tmp_path).snapshot_id
    with two_workers(tmp_path) as running, running.of_each_worker() as workers:

        def serve(snapshot_id: str) -> bool:
            return all(state(stubs).snapshot.snapshot_id == snapshot_id for stubs in workers)

        assert serve(old)
        new = Tiny(title_suffix="!").publish(tmp_path).snapshot_id
        running.process.send_signal(signal.SIGHUP)
        until(lambda: serve(new))
        for stubs in workers:
            assert state(stubs).mapped_snapshot_ids == [new, old]
            pinned = stubs.recommendations.Recommend(RecommendRequest(user_id="ann", snapshot_id=old))
            assert (pinned.info.snapshot_id, pinned.results[0].item.title) == (old, "Bread")
        unmapped = refusal(workers[0].recommendations.Recommend, RecommendRequest(snapshot_id="20200101-x"))
        assert unmapped.code is grpc.StatusCode.FAILED_PRECONDITION
        assert unmapped.reason == "SNAPSHOT_NOT_MAPPED"
        assert new in unmapped.message
        assert old in unmapped.message

        back = workers[0].snapshots.ActivateSnapshot(ActivateSnapshotRequest(snapshot_id=old))
        assert (back.snapshot.snapshot_id, back.replaced_snapshot_id) == (old, new)
        assert state(workers[0]).snapshot.snapshot_id == old
        until(lambda: serve(old))
        listed = workers[1].snapshots.ListSnapshots(ListSnapshotsRequest(page_size=1))
        assert [(each.snapshot_id, each.active, each.mapped) for each in listed.results] == [
            (new, False, True)
        ]
        rest = workers[1].snapshots.ListSnapshots(
            ListSnapshotsRequest(page_size=5, page_token=listed.next_page_token)
        )
        assert [(each.snapshot_id, each.active, each.problem) for each in rest.results] == [(old, True, "")]
        assert rest.results[0].file_bytes == (tmp_path / "snapshots" / old / "snapshot.mdb").stat().st_size
        unknown = refusal(
            workers[0].snapshots.ActivateSnapshot, ActivateSnapshotRequest(snapshot_id="20200101-x")
        )
        assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "SNAPSHOT_NOT_FOUND")
        manifest = tmp_path / "snapshots" / "20200101-x" / "manifest.json"
        manifest.parent.mkdir()
        manifest.write_text("")
        unusable = refusal(
            workers[0].snapshots.ActivateSnapshot, ActivateSnapshotRequest(snapshot_id="20200101-x")
        )
        assert (unusable.code, unusable.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "SNAPSHOT_UNUSABLE",
        )
        assert serve(old)


def test_snapshots_swap_in_all_workers_under_load_without_a_failed_call(tmp_path):
    ids = [Tiny(title_suffix=suffix).publish(tmp_path).snapshot_id for suffix in ("", "!", "?")]
    with two_workers(tmp_path, poll_seconds=0.02) as running, running.of_each_worker() as workers:
        with Callers(running, 3, recommend) as callers:
            for snapshot_id in ids * 4:
                point_at(tmp_path, snapshot_id)
                until(
                    lambda wanted=snapshot_id: all(
                        state(stubs).snapshot.snapshot_id == wanted for stubs in workers
                    )
                )
        assert callers.failures == []


def test_a_snapshot_with_a_wrong_checksum_makes_way_in_all_workers(tmp_path):
    good = Tiny().publish(tmp_path).snapshot_id
    with two_workers(tmp_path) as running, running.of_each_worker() as workers:
        bad = point_at_a_damaged_copy(tmp_path, flip_the_last_byte)
        running.process.send_signal(signal.SIGHUP)
        for stubs in workers:
            until(lambda stubs=stubs: "altered" in state(stubs).load_failure.message)
            assert (state(stubs).snapshot.snapshot_id, state(stubs).published_snapshot_id) == (good, bad)
        until(lambda: running.figure("recsvc_snapshot_refused", worker="1") == 1)


def test_a_killed_worker_fails_only_the_calls_it_had_and_comes_back(tmp_path):
    Tiny().publish(tmp_path)
    with two_workers(tmp_path) as running, Callers(running, 4, recommend) as callers:
        method = {"method": "recsvc.v1.RecommendationService/Recommend", "code": "OK"}
        until(lambda: running.figure("recsvc_calls_total", **method) > 0)
        counted = running.figure("recsvc_calls_total", **method)
        killed = running.pid(1)
        os.kill(killed, signal.SIGKILL)
        until(lambda: running.events("worker died"))
        assert running.figure("recsvc_calls_total", **method) >= counted
        until(lambda: len(running.events("worker ready")) == 3)
        assert running.pid(1) != killed
        answers = callers.answers
        until(lambda: callers.answers > answers + 50)
        # Each caller has one call at a time under way on the one that died, and may have connected anew to
        # the queue of a process that is just ending.
        assert len(callers.failures) <= 2 * 4
        assert set(callers.failures) <= {grpc.StatusCode.UNAVAILABLE}
        assert running.events("worker died")[0]["reason"] == "it ended with signal SIGKILL"
        with running.of_each_worker() as workers:
            assert all(len(recommend(stubs).results) == 5 for stubs in workers)
        until(lambda: running.figure("recsvc_workers_up") == 2)
        assert running.figure("recsvc_worker_restarts_total", worker="1") == 1
        assert running.figure("recsvc_calls_total", **method) >= counted


def test_sigterm_gives_notice_and_drains_without_a_failed_call(tmp_path):
    Tiny().publish(tmp_path)
    with two_workers(tmp_path, shutdown_notice_seconds=1.0) as running:
        told = threading.Event()

        def watch() -> None:
            with grpc.insecure_channel(running.address) as channel:
                for answer in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()):
                    if answer.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                        told.set()
                        return

        watcher = threading.Thread(target=watch)
        watcher.start()
        with Callers(running, 4, recommend) as callers:
            running.process.send_signal(signal.SIGTERM)
            assert told.wait(10)
            answers = callers.answers
            until(lambda: callers.answers > answers, seconds=1)  # it still answers who has not heard
        watcher.join()
        assert callers.failures == []
        assert running.process.wait(10) == 0
        until(lambda: running.events("stopped"))


def test_workers_end_when_their_supervisor_is_killed(tmp_path):
    Tiny().publish(tmp_path)
    with two_workers(tmp_path) as running:
        pids = [running.pid(0), running.pid(1)]
        assert all(alive(pid) for pid in pids)
        running.process.kill()
        running.process.wait(10)
        until(lambda: not any(alive(pid) for pid in pids))


def test_a_worker_that_cannot_start_again_is_tried_again_later(tmp_path):
    snapshot_id = Tiny().publish(tmp_path).snapshot_id
    with two_workers(tmp_path, workers=1) as running:
        current = tmp_path / "snapshots" / "CURRENT"
        current.unlink()
        os.kill(running.pid(0), signal.SIGKILL)
        until(lambda: len(running.events("worker died")) >= 2)  # a busy machine may see more at once
        assert "no published snapshot" in running.events("worker died")[1]["reason"]
        assert [line["restart_in_seconds"] for line in running.events("worker died")[:2]] == [0.0, 0.5]
        point_at(tmp_path, snapshot_id)
        until(lambda: len(running.events("worker ready")) == 2)
        with running.connected() as stubs:
            assert len(recommend(stubs).results) == 5


def test_a_worker_is_started_again_though_what_it_was_forked_from_has_died(tmp_path):
    Tiny().publish(tmp_path)
    with two_workers(tmp_path, workers=1) as running:
        worker = running.pid(0)
        os.kill(psutil.Process(worker).ppid(), signal.SIGKILL)
        with running.connected() as stubs:
            assert len(recommend(stubs).results) == 5
        os.kill(worker, signal.SIGKILL)
        until(lambda: len(running.events("worker ready")) == 2)
        assert running.pid(0) != worker
        with running.connected() as stubs:
            assert len(recommend(stubs).results) == 5


def test_a_metrics_port_that_is_taken_is_told(tmp_path):
    Tiny().publish(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with two_workers(tmp_path, metrics_port=port) as running:
            assert running.process.wait(10) == 7
    assert any(f"127.0.0.1:{port}" in line.get("text", "") for line in running.log)


def test_a_port_that_workers_share_is_not_shared_with_another_server(running, tmp_path):
    Tiny().publish(tmp_path)
    port = running.address.rpartition(":")[2]
    command = [sys.executable, "-m", "recdata", "--home", str(tmp_path), "serve", "--port", port]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 7
    assert f"cannot listen on {running.address}: Address already in use" in ended.stderr


def test_answers_of_different_workers_have_tokens_of_their_own(running):
    tokens = set()
    with running.of_each_worker() as workers:
        for stubs in workers:
            tokens |= {recommend(stubs).info.attribution_token for _ in range(3)}
    assert len(tokens) == 6
    assert len({token.partition(".")[0] for token in tokens}) == 2
