"""Owns what a case stands on: the shop's home folder, the server's process, and its callers' processes."""

from __future__ import annotations

import ctypes
import hashlib
import json
import mmap
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import numpy as np
import psutil

from load.names import SIZE_FILE
from load.synthetic import SIZES, Synthetic
from recdata.releases import CURRENT_FILE, Releases
from recdata.snapshot import columns, records
from recdata.snapshot.checking import ARRAYS
from recdata.snapshot.records import FORMAT_VERSION
from recsvc.forks import ONE_THREAD

FOLDER = Path(__file__).parent
CACHE = FOLDER.parent / "cache"
SETTLE_SECONDS = 120.0
IDLE_SECONDS = 0.5


class CannotMeasureError(Exception):
    """A figure could not be measured; the message says why."""


def shop_home(size: str) -> Path:
    """Returns the home folder of a made shop, after making it where it is not there yet."""
    made_by = [
        *(FOLDER / name for name in ("synthetic.py", "exact.py", "selections.py")),
        *(Path(module.__file__ or "") for module in (columns, records)),
    ]
    sources = b"".join(path.read_bytes() for path in made_by)
    state = f"{FORMAT_VERSION} {sorted(ARRAYS)} {SIZES[size]}".encode()
    home = CACHE / f"{size}-{hashlib.sha256(sources + state).hexdigest()[:10]}"
    if not (home / "done").exists():
        for old in CACHE.glob(f"{size}-*"):
            shutil.rmtree(old)
        print(f"making the shop {size} once", file=sys.stderr, flush=True)
        began = time.monotonic()
        Releases(home).publish(Synthetic(SIZES[size]).write)
        (home / "done").touch()
        print(f"made in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return home


@contextmanager
def run_home(size: str) -> Iterator[Path]:
    """Makes a home folder of its own, which borrows the shop's snapshot, and deletes it at the end."""
    shop = shop_home(size)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="run-") as name:
        home = Path(name)
        snapshot_id = Releases(shop).current_id() or ""
        (home / "snapshots").mkdir()
        (home / "snapshots" / snapshot_id).symlink_to(shop / "snapshots" / snapshot_id)
        shutil.copy(shop / "snapshots" / CURRENT_FILE, home / "snapshots")
        with held_in_memory(shop / "snapshots" / snapshot_id):
            yield home


@contextmanager
def held_in_memory(folder: Path) -> Iterator[None]:
    """Keeps a folder's files in memory: what the system evicts and reads again is not what is measured.

    Where the system does not allow that, it is said.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with ExitStack() as stack:
        for path in folder.iterdir():
            if not path.stat().st_size:
                continue
            with path.open("rb") as file:
                pages = stack.enter_context(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
            address = np.frombuffer(pages, np.uint8).ctypes.data
            if libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(len(pages))):
                why = os.strerror(ctypes.get_errno())
                print(f"{path.name} is not kept in memory ({why})", file=sys.stderr, flush=True)
        yield


class Lines:
    """A Python script as a process, with lines of JSON in and out; its input's end is its end."""

    def __init__(self, script: str, *arguments: str, **environment: str) -> None:
        places = [str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]
        self.began_ns = time.monotonic_ns()
        self._process = subprocess.Popen(
            [sys.executable, str(FOLDER / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ONE_THREAD | environment | {"PYTHONPATH": os.pathsep.join(filter(None, places))},
        )
        self.pid = self._process.pid

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def say(self, content: object) -> None:
        """Sends one line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(content) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:  # noqa: ANN401 - JSON
        """Returns one line's content.

        Raises:
            CannotMeasureError: the process has ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise CannotMeasureError(f"{self._process.args!r} ended with {self._process.wait()}")
        return json.loads(line)

    def ask(self, content: object) -> Any:  # noqa: ANN401 - JSON
        """Sends one line and returns the answer's content."""
        self.say(content)
        return self.hear()


@dataclass(frozen=True, slots=True)
class Round:
    """One round of calls to one method.

    Attributes:
        calls: calls that were answered.
        errors: calls that were not.
        cpu_us: processor time of the server's processes for a call, user and system.
        seconds: the round took.
        latencies_us: of each call; ascending, but as they came where answers or moments are kept.
        raw: what the callers told.
    """

    calls: int
    errors: int
    cpu_us: float
    seconds: float
    latencies_us: list[float]
    raw: dict[str, Any] = field(repr=False)

    @property
    def rate(self) -> float:
        """Returns calls a second."""
        return self.calls / self.seconds

    def at(self, share: float) -> float:
        """Returns the latency in microseconds that a share of the calls stayed below."""
        ordered = sorted(self.latencies_us)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    @property
    def p50_us(self) -> float:
        """Returns the median latency in microseconds."""
        return self.at(0.5)

    @property
    def p99_us(self) -> float:
        """Returns the latency in microseconds that one call of a hundred was above."""
        return self.at(0.99)


class Callers:
    """A process of callers on some connections to a server.

    Args:
        script: `client.py` or `pacer.py`.
        address: HOST:PORT of the server.
        connections: how many.
        clock: returns the processor time in seconds that the server has taken so far.
    """

    def __init__(
        self, script: str, address: str, connections: int, *, clock: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._clock = clock
        self._lines = Lines(script, address, str(connections))
        assert self._lines.hear() == "ready"

    def __enter__(self) -> Callers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.__exit__(kind, error, trace)

    def keep(self, name: str, requests: Sequence[bytes]) -> None:
        """Gives the callers requests under a name."""
        self._lines.ask({"keep": name, "requests": [request.hex() for request in requests]})

    def say(self, method: str, requests: str, **order: object) -> None:
        """Begins a round; `hear` ends it."""
        self._before = self._clock()
        self._method = method
        self._lines.say({"method": method, "requests": requests} | order)

    def hear(self, *, errors_allowed: int = 0) -> Round:
        """Returns the round begun.

        Raises:
            CannotMeasureError: more calls failed than allowed.
        """
        raw = self._lines.hear()
        cpu = self._clock() - self._before
        calls = len(raw["latencies_ns"])
        if raw["errors"] > errors_allowed or not calls:
            raise CannotMeasureError(
                f"{self._method}: {raw['errors']} calls failed, {calls} were answered; {raw['first_error']}"
            )
        latencies = [each / 1e3 for each in raw["latencies_ns"]]
        return Round(calls, raw["errors"], 1e6 * cpu / calls, raw["seconds"], latencies, raw)

    def go(self, method: str, requests: str, *, errors_allowed: int = 0, **order: object) -> Round:
        """Returns a round of calls (see the callers' scripts for the order, and `hear`)."""
        self.say(method, requests, **order)
        return self.hear(errors_allowed=errors_allowed)


class Rig:
    """A running server over a run's home folder.

    Args:
        home: the home folder.
        workers: processes on the one port.
        serving: values of `[serving]` that differ from the default.

    Attributes:
        address: HOST:PORT.
        began_ns: when its process was started, `time.monotonic_ns`.
        made_ns: when the server began to be made in it.
    """

    def __init__(self, home: Path, *, workers: int = 1, **serving: object) -> None:
        self.home = home
        self._servers = [Lines("server.py", str(home), **ONE_THREAD) for _ in range(workers)]
        self.began_ns = self._servers[0].began_ns
        try:
            for number, server in enumerate(self._servers):
                told = server.ask({"worker": number, "shares_port": workers > 1, "serving": serving})
                if number == 0:
                    self.address: str = told["address"]
                    self.made_ns: int = told["began_ns"]
                    serving = serving | {"port": int(self.address.rpartition(":")[2])}
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._processes = [psutil.Process(server.pid) for server in self._servers]

    def __enter__(self) -> Rig:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.__exit__(kind, error, trace)

    def cpu_seconds(self) -> float:
        """Returns the processor time of the server's processes, ended threads included."""
        # The clock of another process (clock_getcpuclockid): nanoseconds, where /proc counts hundredths.
        return sum(time.clock_gettime((~process.pid << 3) | 2) for process in self._processes)

    def settle(self) -> Rig:
        """Waits until the server is idle, since it checks its snapshot while it serves; returns itself."""
        before, end = self.cpu_seconds(), time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < end:
            time.sleep(IDLE_SECONDS)
            now = self.cpu_seconds()
            if now - before < 0.05 * IDLE_SECONDS:
                break
            before = now
        return self

    def callers(self, connections: int) -> Callers:
        """Returns callers with grpc's own client (`client.py`)."""
        return Callers("client.py", self.address, connections, clock=self.cpu_seconds)

    def pacer(self, connections: int) -> Callers:
        """Returns callers that do not wait for answers (`pacer.py`)."""
        return Callers("pacer.py", self.address, connections, clock=self.cpu_seconds)

    def call(self, method: str, request: bytes, *, seconds: float = 30.0) -> bytes:
        """Returns one answer.

        Raises:
            CannotMeasureError: the call failed.
        """
        options = (("grpc.max_receive_message_length", -1),)
        with grpc.insecure_channel(self.address, options) as channel:
            try:
                answer: bytes = channel.unary_unary(method)(request, timeout=seconds)
            except grpc.RpcError as error:
                raise CannotMeasureError(f"{method}: {error.code().name}, {error.details()}") from error
        return answer

    def size_noop(self, method: str, requests: Sequence[bytes]) -> int:
        """Makes the no-op answer as many bytes as a method answers these requests at the median."""
        size = round(statistics.median(len(self.call(method, request)) for request in requests))
        (self.home / SIZE_FILE).write_text(str(size))
        return size
