"""Owns comparing checksums of snapshots behind the calls' back: GBs are read while they serve already."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

from recdata.errors import SnapshotCorruptError
from recdata.releases import Releases
from recsvc.log import log

LOWEST_PRIORITY = 19


class Verifier:
    """A thread that compares one snapshot's checksum after the other.

    Args:
        releases: the snapshots.
        done: called on the thread with a snapshot's id and what is wrong with it, "" where nothing is.
        yields: whether the thread gives way to every other on the machine. Not in a process that answers
            calls: one that waits for a core while it has Python's lock would stop them all.
    """

    def __init__(self, releases: Releases, done: Callable[[str, str], None], *, yields: bool) -> None:
        self._releases = releases
        self._done = done
        self._yields = yields
        self._wanted: SimpleQueue[str] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: set[str] = set()
        self._thread = threading.Thread(target=self._run, daemon=True, name="snapshot-verify")

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def want(self, snapshot_id: str) -> None:
        """Asks for a snapshot to be compared; once for all who ask before it is."""
        with self._lock:
            if snapshot_id in self._waiting:
                return
            self._waiting.add(snapshot_id)
        self._wanted.put(snapshot_id)

    def _run(self) -> None:
        if self._yields:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        while True:
            snapshot_id = self._wanted.get()
            why: str | None = ""
            try:
                self._releases.check(snapshot_id)
            except SnapshotCorruptError as error:
                why = str(error)
            except Exception as error:  # deleted meanwhile, or not readable: no word on what it holds
                why = None
                log(logging.ERROR, "snapshot not verified", snapshot_id=snapshot_id, error=error)
            else:
                log(logging.INFO, "snapshot verified", snapshot_id=snapshot_id)
            # Before it is told: who asks after that is not to be forgotten.
            with self._lock:
                self._waiting.discard(snapshot_id)
            if why is not None:
                self._done(snapshot_id, why)
