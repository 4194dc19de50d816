"""Starts `recsvc serve` with several workers, as an operator does, and reads what it says of itself."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from prometheus_client.parser import text_string_to_metric_families

from recsvc.v1.snapshot_service_pb2 import GetServingStateRequest
from tests.recsvc.conftest import Stubs
from tests.recsvc.test_serving import until

ROOT = Path(__file__).parents[2]
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


@dataclass
class Running:
    """A server that was started, and what it has logged so far."""

    home: Path
    process: subprocess.Popen
    address: str = ""
    metrics_port: int = 0
    log: list[dict] = field(default_factory=list)

    def events(self, name: str) -> list[dict]:
        return [line for line in self.log if line["event"] == name]

    def pid(self, worker: int) -> int:
        def pids() -> list[int]:
            return [line["pid"] for line in self.events("worker ready") if line["worker"] == worker]

        until(pids)  # the log is read on a thread of its own
        return pids()[-1]

    @contextmanager
    def connected(self):
        with grpc.insecure_channel(self.address, OWN_CONNECTION) as channel:
            yield Stubs(channel)

    @contextmanager
    def of_each_worker(self):
        """Hands out a connection to each of the two workers; which it is, is the kernel's choice."""
        found: dict[int, Stubs] = {}
        channels = []
        try:
            while len(found) < 2:
                assert len(channels) < 200, f"only workers {set(found)} answer"
                channels.append(grpc.insecure_channel(self.address, OWN_CONNECTION))
                stubs = Stubs(channels[-1])
                found.setdefault(state(stubs).worker, stubs)
            yield [found[0], found[1]]
        finally:
            for channel in channels:
                channel.close()

    def figures(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as page:
            families = text_string_to_metric_families(page.read().decode())
            return {
                (sample.name, tuple(sorted(sample.labels.items()))): sample.value
                for family in families
                for sample in family.samples
            }

    def figure(self, name: str, **labels: str) -> float:
        return self.figures().get((name, tuple(sorted(labels.items()))), 0.0)


@contextmanager
def without_retries(address: str):
    with grpc.insecure_channel(address, [*OWN_CONNECTION, ("grpc.enable_retries", 0)]) as channel:
        yield Stubs(channel)


def state(stubs: Stubs):
    return stubs.snapshots.GetServingState(GetServingStateRequest())


def alive(pid: int) -> bool:
    """Tells whether a process runs; one that has ended may stay in the table until somebody asks after it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def two_workers(home: Path, *, workers: int = 2, prefix: Sequence[str] = (), **serving: float | str):
    """Runs `recsvc serve` with two workers, started through `prefix`, and yields it once it listens."""
    metrics_port = free_port()
    keys = {"default_language": "en", "poll_seconds": 3600.0, "metrics_port": metrics_port} | serving
    config = home / "recsvc.toml"
    config.write_text("[serving]\n" + "".join(f"{key} = {json.dumps(keys[key])}\n" for key in keys))
    command = [*prefix, sys.executable, "-m", "recdata", "--home", str(home)]
    command += ["--config", str(config)]
    command += ["serve", "--port", "0", "--workers", str(workers)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        running = Running(home, process, metrics_port=metrics_port)

        def read() -> None:
            for line in process.stderr:
                running.log.append(json.loads(line) if line[0] == "{" else {"event": "text", "text": line})

        reader = threading.Thread(target=read)
        reader.start()
        try:
            running.address = process.stdout.readline().removeprefix("listening on ").strip()
            yield running
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(20)
            reader.join()
