"""Owns the `serve` process: workers on one port, started, watched, restarted, told and drained.

It answers no calls and imports no grpc, so it stays small. It runs on one thread and wakes for what a worker
says, a signal, or a time that has come.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

import msgspec

from recdata.errors import ServeError
from recdata.releases import Releases
from recsvc.config import ServingConfig
from recsvc.forks import start_worker
from recsvc.log import log
from recsvc.metrics import Totals
from recsvc.pipes import (
    Failed,
    FromWorker,
    Look,
    Ready,
    Report,
    Start,
    Stop,
    Swapped,
    ToWorker,
    Verified,
    heard_from_worker,
    tell,
)
from recsvc.ports import address_text, hold_port
from recsvc.verifying import Verifier

#: A worker that lived this long was well: the next one starts at once.
WELL_SECONDS = 10.0
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
#: What a worker may take beyond notice and grace to close its snapshot and end.
END_SECONDS = 5.0
SIGNALS_AT_ONCE = 1 << 16
#: No signal has this number; it wakes the loop for what was found of a snapshot.
FOUND = 0


class WorkerFailedError(ServeError):
    """A worker could not start; the message is its own."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Slot:
    """One worker's place: the process that fills it, and what is known of those before.

    Attributes:
        worker: its number, from 0.
        process: the process; None while there is none.
        pipe: to it, as long as there is one.
        ready: whether it answers calls.
        known: what the processes before it have counted, and its own last report, None before the first;
            always replaced as a pair, so that whoever reads it on another thread counts nothing twice.
        restarts: how many processes have been started in place of one that died.
    """

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.process: ForkServerProcess | None = None
        self.pipe: Connection | None = None
        self.ready = False
        self.known: tuple[Totals, Report | None] = (Totals(), None)
        self.restarts = 0
        self.failed: Failed | None = None
        self.started_s = 0.0
        self.wait_s = 0.0
        self.due_s = 0.0

    def tell(self, message: ToWorker) -> None:
        """Sends a message; one to a worker that has just died is lost, which its end will show."""
        if self.pipe is not None:
            with contextlib.suppress(OSError):
                tell(self.pipe, message)


class Supervisor:
    """The workers of one server: `run` serves until it is told to stop.

    Attributes:
        slots: the workers' places.
        address: HOST:PORT as a client needs it, "" before `run`.

    Args:
        home: the home folder.
        config: how to serve.
    """

    def __init__(self, home: Path, config: ServingConfig) -> None:
        self._home = home
        self._config = config
        self.slots = [Slot(worker) for worker in range(config.workers)]
        self.address = ""
        self._selector = selectors.DefaultSelector()
        self._stopping_since: float | None = None
        self._announced: Callable[[str], None] = lambda _: None
        # What was found of snapshots, by id, and what the verifying thread has found since.
        self._right: set[str] = set()
        self._found: SimpleQueue[Verified] = SimpleQueue()
        self._verifier: Verifier | None = None

    def run(self, announce: Callable[[str], None]) -> None:
        """Serves until SIGTERM or SIGINT, drains, and returns; a second signal cuts running calls off.

        Args:
            announce: called once with the address, when every worker answers.

        Raises:
            ServeError: the address or the metrics' one cannot be had, or a worker cannot start.
        """
        self._announced = announce
        hears, wakes = socket.socketpair()
        with hold_port(self._config.host, self._config.port) as held, hears, wakes:
            port = held.getsockname()[1]
            self._config = msgspec.structs.replace(self._config, port=port)
            hears.setblocking(False)
            wakes.setblocking(False)
            signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, _heard)
            self._selector.register(hears, selectors.EVENT_READ)
            if self._config.verify_snapshots == "after":
                self._verifier = self._start_verifier(wakes)
            exposition = self._expose()
            try:
                log(logging.INFO, "starting", workers=len(self.slots))
                for slot in self.slots:
                    self._start(slot)
                self._loop(hears)
            finally:
                self._kill_all()
                exposition()
                signal.set_wakeup_fd(-1)
                self._selector.close()
        log(logging.INFO, "stopped")

    def _expose(self) -> Callable[[], None]:
        """Serves the metrics where the config says so; returns what ends that."""
        if not self._config.metrics_port:
            return lambda: None
        from recsvc.exposition import serve_metrics

        return serve_metrics(self.slots, self._config.metrics_host, self._config.metrics_port)

    def _loop(self, hears: socket.socket) -> None:
        while True:
            for key, _ in self._selector.select(self._seconds_to_next()):
                if key.data is None:
                    for number in hears.recv(SIGNALS_AT_ONCE):
                        if number == FOUND:
                            self._pass_on()
                        else:
                            self._on_signal(signal.Signals(number))
                else:
                    self._read(key.data)
            now = time.monotonic()
            if self._stopping_since is None:
                for slot in self.slots:
                    if slot.process is None and now >= slot.due_s:
                        slot.restarts += 1
                        self._start(slot)
            elif not any(slot.process for slot in self.slots):
                return
            elif now > self._stopping_since + self._patience_s():
                log(logging.ERROR, "workers killed", reason="they did not end within the grace")
                self._kill_all()
                return

    def _patience_s(self) -> float:
        config = self._config
        return config.shutdown_notice_seconds + config.shutdown_grace_seconds + END_SECONDS

    def _seconds_to_next(self) -> float | None:
        """Returns when something is due though nobody speaks; None for never."""
        now = time.monotonic()
        if self._stopping_since is not None:
            return max(0.0, self._stopping_since + self._patience_s() - now) + 0.01
        due = [slot.due_s for slot in self.slots if slot.process is None]
        return max(0.0, min(due) - now) if due else None

    def _on_signal(self, number: signal.Signals) -> None:
        log(logging.INFO, "signal", name=number.name)
        if number is signal.SIGHUP:
            self._tell_all(Look())
        elif number in (signal.SIGTERM, signal.SIGINT):
            again = self._stopping_since is not None
            self._tell_all(Stop(cut=again))
            if not again:
                self._stopping_since = time.monotonic()
                log(logging.INFO, "stopping", grace_seconds=self._config.shutdown_grace_seconds)

    def _start_verifier(self, wakes: socket.socket) -> Verifier:
        """Starts the thread that compares checksums here, where it keeps no call waiting."""

        def done(snapshot_id: str, why: str) -> None:
            self._found.put(Verified(snapshot_id, why))
            with contextlib.suppress(OSError):  # we have ended meanwhile
                wakes.send(bytes([FOUND]))

        verifier = Verifier(Releases(self._home), done, yields=True)
        verifier.start()
        return verifier

    def _verify(self, snapshot_id: str) -> None:
        """Has a snapshot that began to serve compared, once if it is right."""
        if snapshot_id in self._right:
            self._tell_all(Verified(snapshot_id, ""))
        elif self._verifier is not None:
            self._verifier.want(snapshot_id)

    def _pass_on(self) -> None:
        """Tells the workers what the checksums said."""
        found = self._found.get()
        if not found.why:
            self._right.add(found.snapshot_id)
        self._tell_all(found)

    def _tell_all(self, message: ToWorker, *, but: Slot | None = None) -> None:
        for slot in self.slots:
            if slot is not but:
                slot.tell(message)

    def _start(self, slot: Slot) -> None:
        """Starts a process in a slot."""
        slot.ready, slot.failed = False, None
        slot.started_s = time.monotonic()
        slot.process, slot.pipe = start_worker(Start(str(self._home), self._config, slot.worker))
        self._selector.register(slot.pipe, selectors.EVENT_READ, slot)

    def _read(self, slot: Slot) -> None:
        if slot.pipe is None:  # buried by what was read a moment ago
            return
        try:
            self._hear(slot, heard_from_worker(slot.pipe))
        except (EOFError, OSError):
            self._bury(slot)

    def _hear(self, slot: Slot, message: FromWorker) -> None:
        if isinstance(message, Report):
            slot.known = (slot.known[0], message)
        elif isinstance(message, Ready):
            slot.ready = True
            self._verify(message.snapshot_id)
            pid = slot.process.pid if slot.process else 0
            log(logging.INFO, "worker ready", worker=slot.worker, pid=pid, restarts=slot.restarts)
            if not self.address and all(each.ready for each in self.slots):
                self.address = address_text(self._config.host, self._config.port)
                log(logging.INFO, "listening", address=self.address, workers=len(self.slots))
                self._announced(self.address)
        elif isinstance(message, Swapped):
            self._tell_all(Look(), but=slot)
            self._verify(message.snapshot_id)
        else:
            slot.failed = message

    def _bury(self, slot: Slot) -> None:
        """Takes note of a process that has ended; its counts are kept.

        Raises:
            WorkerFailedError: it could not start, and the server has not answered yet.
        """
        process, pipe = slot.process, slot.pipe
        if process is None or pipe is None:
            return
        self._selector.unregister(pipe)
        pipe.close()
        process.join()
        code = process.exitcode or 0
        slot.process, slot.pipe, slot.ready = None, None, False
        past, report = slot.known
        if report is not None:
            counted = Totals()
            counted.add(past)
            counted.add(report.totals)
            slot.known = (counted, None)
        if self._stopping_since is not None:
            return
        why = slot.failed.message if slot.failed else f"it ended with {_ending(code)}"
        if not self.address:
            code = slot.failed.exit_code if slot.failed else ServeError.exit_code
            raise WorkerFailedError(why if slot.failed else f"worker {slot.worker} cannot start: {why}", code)
        lived_s = time.monotonic() - slot.started_s
        if lived_s >= WELL_SECONDS:
            slot.wait_s = 0.0
        wait_s, slot.wait_s = slot.wait_s, min(max(FIRST_WAIT_SECONDS, 2 * slot.wait_s), LONGEST_WAIT_SECONDS)
        slot.due_s = time.monotonic() + wait_s
        log(
            logging.ERROR,
            "worker died",
            worker=slot.worker,
            pid=process.pid,
            reason=why,
            lived_seconds=round(lived_s, 1),
            restart_in_seconds=wait_s,
        )

    def _kill_all(self) -> None:
        for slot in self.slots:
            if slot.process is not None:
                slot.process.kill()
                slot.process.join()
                slot.process = None


def _heard(_number: int, _frame: FrameType | None) -> None:
    """Does nothing: the signal's number reaches the loop through the wake-up socket."""


def _ending(code: int) -> str:
    """Returns how a process ended, in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
