"""Checksums are compared behind the calls' back: GBs are read once, however many workers ask."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from recdata.releases import Releases
from recsvc.verifying import Verifier
from tests.recsvc.test_serving import flip_the_last_byte
from tests.recsvc.tiny import Tiny


def test_a_snapshot_is_compared_once_for_all_who_ask_before_it_is(tmp_path):
    snapshot_id = Tiny().publish(tmp_path).snapshot_id
    begun, go_on, told = threading.Semaphore(0), threading.Semaphore(0), SimpleQueue()

    class Slow(Releases):
        def check(self, wanted: str) -> None:
            begun.release()
            assert go_on.acquire(timeout=10)
            super().check(wanted)

    verifier = Verifier(Slow(tmp_path), lambda *found: told.put(found), yields=False)
    verifier.start()
    for _ in range(3):
        verifier.want(snapshot_id)
    assert begun.acquire(timeout=10)
    verifier.want(snapshot_id)
    go_on.release()
    assert told.get(timeout=10) == (snapshot_id, "")
    assert not begun.acquire(timeout=0.2)
    flip_the_last_byte(Releases(tmp_path).folder(snapshot_id))
    verifier.want(snapshot_id)  # who asks later is told what is so then
    go_on.release()
    assert "altered" in told.get(timeout=10)[1]
