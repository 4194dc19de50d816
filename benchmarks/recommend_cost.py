"""Measures what Recommend costs the server beside a no-op RPC of the same answer size.

The real server runs in a process of its own, with the no-op as one more method of the same server; callers
run in another. Rounds alternate the two, so that both see the same machine. CPU is the server process's,
user and system, over the calls of a round. The no-op gets the request as bytes and gives bytes back: it is
what grpc itself costs. Run it with `make bench`; `--quick` takes under half a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import grpc
import lmdb
import numpy as np
import psutil
from load.synthetic import Size, publish, user_id
from rich.console import Console
from rich.table import Table

from recdata.releases import Releases
from recdata.snapshot.writer import SECTIONS, SNAPSHOT_FILE
from recsvc.v1.common_pb2 import ItemFilter
from recsvc.v1.recommendation_service_pb2 import RecommendRequest, RecommendResponse

FOLDER = Path(__file__).parent
REQUESTS = 2000
METHODS = ("no-op", "recommend")


@dataclass(frozen=True, slots=True)
class Measure:
    """One round of one method."""

    method: str
    connections: int
    calls: int
    cpu_us: float
    p50_us: float
    p99_us: float
    calls_per_s: float


def requests(users: list[str], case: str, category: str, *, seed: int) -> list[str]:
    """Returns serialised requests in hex; shoppers who come often come often here too."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, len(users) + 1) ** 0.7
    made = []
    for user in rng.choice(np.array(rng.permutation(users)), REQUESTS, p=weights / weights.sum()).tolist():
        request = RecommendRequest(user_id=user, page_size=20)
        if case == "exclude-purchased":
            request.exclude_purchased = True
        elif case == "visitor":
            request.user_id = ""
        elif case == "category":
            request.filter.CopyFrom(ItemFilter(category=category))
        made.append(request.SerializeToString().hex())
    return made


@contextmanager
def process(*command: str) -> Iterator[tuple[subprocess.Popen[str], IO[str], IO[str]]]:
    """Runs a Python script with lines in and out; its input's end is its end."""
    with subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            yield child, child.stdin, child.stdout
        finally:
            child.stdin.close()


def say(stdin: IO[str], content: object) -> None:
    """Sends one line of JSON."""
    stdin.write(json.dumps(content) + "\n")
    stdin.flush()


def measure(
    server: psutil.Process, client: tuple[IO[str], IO[str]], method: str, *, connections: int, seconds: float
) -> Measure:
    """Returns one round's figures."""
    stdin, stdout = client
    before = server.cpu_times()
    say(stdin, {"method": method, "seconds": seconds})
    answer = json.loads(stdout.readline())
    after = server.cpu_times()
    taken = sorted(answer["latencies_ns"])
    cpu = after.user + after.system - before.user - before.system
    return Measure(
        method=method,
        connections=connections,
        calls=len(taken),
        cpu_us=1e6 * cpu / len(taken),
        p50_us=taken[len(taken) // 2] / 1e3,
        p99_us=taken[int(len(taken) * 0.99)] / 1e3,
        calls_per_s=len(taken) / answer["seconds"],
    )


def ratios(measures: list[Measure], connections: int) -> list[float]:
    """Returns Recommend's CPU over the no-op's, one ratio a round."""
    costs = {
        method: [each.cpu_us for each in measures if (each.method, each.connections) == (method, connections)]
        for method in METHODS
    }
    return [ours / noop for noop, ours in zip(costs["no-op"], costs["recommend"], strict=True)]


def table(measures: list[Measure], title: str) -> Table:
    """Returns the medians over the rounds."""
    made = Table(title=title)
    for column in ("connections", "method", "server CPU, µs", "p50, µs", "p99, µs", "calls/s", "CPU ratio"):
        made.add_column(column, justify="left" if column == "method" else "right")
    for connections in sorted({each.connections for each in measures}):
        for method in METHODS:
            rows = [each for each in measures if (each.method, each.connections) == (method, connections)]
            cells = [
                f"{statistics.median(getattr(row, name) for row in rows):,.0f}"
                for name in ("cpu_us", "p50_us", "p99_us", "calls_per_s")
            ]
            found = ratios(measures, connections)
            ratio = f"{statistics.median(found):.2f} ({min(found):.2f} – {max(found):.2f})"
            made.add_row(str(connections), method, *cells, ratio if method == "recommend" else "1")
    return made


def known_users(home: Path, count: int) -> list[str]:
    """Returns the first ids of the serving snapshot's users."""
    releases = Releases(home)
    path = releases.folder(releases.current_id() or "") / SNAPSHOT_FILE
    with (
        lmdb.open(str(path), subdir=False, readonly=True, lock=False, max_dbs=len(SECTIONS)) as env,
        env.begin(db=env.open_db(b"users", create=False)) as transaction,
        transaction.cursor() as cursor,
    ):
        return [key.decode() for _, key in zip(range(count), cursor.iternext(values=False), strict=False)]


def check(address: str, sample: list[str]) -> None:
    """Checks that what is timed is right: full pages, parsed by the generated classes."""
    with grpc.insecure_channel(address) as channel:
        method = channel.unary_unary("/recsvc.v1.RecommendationService/Recommend")
        for request in sample:
            answer = RecommendResponse.FromString(method(bytes.fromhex(request), timeout=10))
            ids = [entry.item.item_id for entry in answer.results]
            assert len(ids) == len(set(ids)) == 20, f"{len(ids)} items in an answer"


def run(home: Path, sent: list[str], options: argparse.Namespace) -> tuple[list[Measure], int]:
    """Returns every round's figures and the size of an answer in bytes."""
    measures: list[Measure] = []
    with process(str(FOLDER / "load" / "server.py"), str(home)) as (child, stdin, stdout):
        say(stdin, sent[:200])
        told = json.loads(stdout.readline())
        check(told["address"], sent[:50])
        server = psutil.Process(child.pid)
        for connections in options.connections:
            script = str(FOLDER / "load" / "client.py")
            with process(script, told["address"], str(connections)) as (_, to_client, from_client):
                say(to_client, sent)
                assert json.loads(from_client.readline()) == "ready"
                client = (to_client, from_client)
                for method in METHODS:  # fills the caches
                    measure(server, client, method, connections=connections, seconds=options.seconds / 2)
                measures += [
                    measure(server, client, method, connections=connections, seconds=options.seconds)
                    for turn in range(options.rounds)
                    for method in (METHODS if turn % 2 else METHODS[::-1])
                ]
    return measures, told["answer_bytes"]


def main() -> None:
    """Measures, prints the table, writes the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, help="use this home's snapshot and not a synthetic one")
    parser.add_argument("--items", type=int, default=Size().items)
    parser.add_argument("--users", type=int, default=Size().users)
    parser.add_argument("--factors", type=int, default=Size().factors)
    parser.add_argument("--candidates", type=int, default=Size().candidates)
    parser.add_argument(
        "--case", choices=["plain", "exclude-purchased", "visitor", "category"], default="plain"
    )
    parser.add_argument("--category", default="Department 1", help="of the case category")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one round")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--quick", action="store_true", help="3 rounds of 1 s, 5,000 items, 1,000 users")
    parser.add_argument("--json", type=Path, default=FOLDER / "results" / "recommend_cost.json")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.items, options.users = 3, 1.0, 5_000, 1_000
    with tempfile.TemporaryDirectory() as folder:
        home = options.home
        if home is None:
            home = Path(folder)
            publish(home, Size(options.items, options.users, options.factors, options.candidates))
            users = [user_id(number) for number in range(options.users)]
        else:
            users = known_users(home, options.users)
        measures, answer_bytes = run(home, requests(users, options.case, options.category, seed=3), options)
    what = "the home's snapshot" if options.home else f"{options.items:,} items, {options.users:,} users"
    title = f"Recommend ({options.case}) beside a no-op of {answer_bytes:,} bytes; {what}, medians of rounds"
    Console().print(table(measures, title))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu_count": os.cpu_count(),
            "platform": platform.platform(),
            "python": sys.version.split()[0],
        },
        "options": {
            key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()
        },
        "answer_bytes": answer_bytes,
        "cpu_ratio": {str(each): statistics.median(ratios(measures, each)) for each in options.connections},
        "rounds": [asdict(each) for each in measures],
    }
    options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written to {options.json}")


if __name__ == "__main__":
    main()
