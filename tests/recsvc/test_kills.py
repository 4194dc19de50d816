"""What a server of two workers loses, over a real socket, when its processes are killed under load."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from contextlib import contextmanager

import grpc

from recsvc.v1.event_service_pb2 import RecordEventsRequest
from tests.recsvc.conftest import Stubs
from tests.recsvc.every_call import READS, answers, called, stored, view
from tests.recsvc.running import Running, alive, two_workers, without_retries
from tests.recsvc.test_serving import until
from tests.recsvc.tiny import Tiny

#: What a caller waits after a failure, as any that tries again does; a connection notices its end meanwhile.
PAUSE_SECONDS = 0.1


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
