"""Owns one worker process: a server on the shared port that does what the supervisor says on its pipe.

A supervisor that is gone closes the pipe, and the worker drains and ends as if it had been told to.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, time
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

from recdata.errors import LiveStoreError, RecsvcError
from recsvc.cores import keep_to_core
from recsvc.live import LiveHold
from recsvc.log import log, start_logging
from recsvc.pipes import (
    Failed,
    FromWorker,
    LiveFigures,
    Look,
    Ready,
    Report,
    Start,
    Swapped,
    Verified,
    heard_by_worker,
    tell,
)
from recsvc.server import Server
from recsvc.serving import Generation
from recsvc.tracing import start_tracing

REPORT_SECONDS = 1.0


class Worker:
    """One server and its pipe.

    Args:
        server: not started yet.
        pipe: to the supervisor.
    """

    def __init__(self, server: Server, pipe: Connection) -> None:
        self._server = server
        self._pipe = pipe
        self._lock = threading.Lock()
        # Why to stop. A signal's handler may put into it at any moment, which an Event would not stand.
        self._stops: SimpleQueue[str] = SimpleQueue()

    def run(self) -> None:
        """Serves until told to stop.

        Raises:
            ServeError: the address cannot be listened on.
        """
        serving = self._server.serving
        serving.swapped = self._on_swap
        self._server.start()
        signal.signal(signal.SIGTERM, lambda _number, _frame: self._stops.put("SIGTERM"))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal is the supervisor's to hear, too
        threading.Thread(target=self._listen, daemon=True, name="supervisor").start()
        # What is there now stays: the collector need not walk it again and again between calls.
        gc.collect()
        gc.freeze()
        self._tell(Ready(serving.acquire().snapshot_id))
        while not (why := self._why_to_stop()):
            self._report()
        log(logging.INFO, "told to stop", reason=why)
        last = self._figures()
        self._server.stop()
        # What was answered while it drained counts too.
        self._tell(msgspec.structs.replace(last, totals=self._server.meter.totals()))

    def _why_to_stop(self) -> str:
        """Returns why to stop, "" when the next report is due."""
        try:
            return self._stops.get(timeout=REPORT_SECONDS)
        except Empty:
            return ""

    def _on_swap(self, generation: Generation) -> None:
        self._tell(Swapped(generation.snapshot_id))

    def _listen(self) -> None:
        """Does what the supervisor says, until it is gone."""
        while True:
            try:
                message = heard_by_worker(self._pipe)
            except (EOFError, OSError):
                break
            if isinstance(message, Look):
                self._server.serving.look()
            elif isinstance(message, Verified):
                self._server.serving.verified(message.snapshot_id, message.why)
            else:
                self._stops.put("supervisor")
                if message.cut:
                    self._server.cut()
        self._stops.put("supervisor gone")

    def _report(self) -> None:
        try:
            self._tell(self._figures())
        except Exception as error:  # a worker that cannot report still answers
            log(logging.ERROR, "report failed", error=error)

    def _tell(self, message: FromWorker) -> None:
        with self._lock:
            try:
                tell(self._pipe, message)
            except OSError:  # the supervisor is gone, and so will we be
                self._stops.put("supervisor gone")

    def _figures(self) -> Report:
        server = self._server
        generation = server.serving.acquire()
        manifest = generation.snapshot.manifest
        return Report(
            totals=server.meter.totals(),
            snapshot_id=generation.snapshot_id,
            as_of_s=datetime.combine(manifest.as_of, time(), UTC).timestamp(),
            created_s=manifest.created_at.timestamp(),
            loaded_s=generation.loaded_at.timestamp(),
            verified=generation.verified,
            mapped=len(server.serving.mapped_ids()),
            refused=server.serving.failure is not None,
            live=live_figures(server.live, datetime.now(UTC)),
        )


def live_figures(live: LiveHold, now: datetime) -> LiveFigures:
    """Returns how the live store stands."""
    store = live.store
    if store is None:
        return LiveFigures(readable=False, writable=False)
    try:
        with store.view() as view:
            oldest = next(iter(view.events(view.exported_sequence + 1)), None) if view.unexported else None
            lag_seconds = 0.0 if oldest is None else now.timestamp() - oldest[1].received_time_us / 1e6
            return LiveFigures(
                readable=store.readable,
                writable=store.writable,
                used_bytes=view.used_bytes(),
                max_bytes=view.max_bytes,
                unexported=view.unexported,
                lag_seconds=max(0.0, lag_seconds),
            )
    except LiveStoreError:
        return LiveFigures(readable=False, writable=store.writable)


def main(pipe: Connection, start: Start) -> None:
    """Serves; a worker that cannot start says why on its pipe and leaves with the error's exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to hear
    os.setpgid(0, 0)
    with suppress(OSError):  # the name that `top` and `ps` show; only Linux has it
        Path("/proc/self/comm").write_text("recsvc-worker")
    os.dup2(2, 1)  # what a library prints is no answer of the command's
    start_logging(worker=start.worker)
    keep_to_core(start.worker, start.config.port, start.config.one_core_a_worker)
    try:
        tracing = start_tracing(start.config.trace_endpoint, worker=start.worker)
        server = Server(
            Path(start.home),
            start.config,
            worker=start.worker,
            shares_port=True,
            verifies=False,
            tracing=tracing,
        )
        Worker(server, pipe).run()
    except RecsvcError as error:
        tell(pipe, Failed(str(error), error.exit_code))
        sys.exit(error.exit_code)
    if tracing is not None:
        tracing.close()
