"""Owns callers that do not wait for answers: calls at set times, or so many always under way.

Run as a process: `pacer.py ADDRESS CONNECTIONS`. It says "ready", then answers each line of JSON on stdin:

- `{"keep": NAME, "requests": [HEX, …]}` keeps requests under a name. Where a request holds MARKER, each of
  them is replaced in every call by a number of as many digits that was never used before;
- `{"method": PATH, "requests": NAME, "seconds": S, "rate": R, "arrivals": "even" or "random"}` calls R times
  a second, whether answers come or not; a call's latency counts from the moment it was due;
- with `"window": W` in place of rate and arrivals, W calls are always under way on each connection;
- with `"find": HEX`, tells for each answer whether these bytes are in it.
"""

from __future__ import annotations

import itertools
import json
import random
import select
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from load.http2 import Connection

MARKER = b"#" * 16
DRAIN_SECONDS = 10.0


@dataclass(slots=True)
class Done:
    """What was done; the lists are of one length, in the order of the answers.

    Attributes:
        due_ns: when a call was due, `time.monotonic_ns`.
        latencies_ns: from then to its answer.
        found: whether the bytes looked for are in the answer.
        failed_ns: when calls were due that had no answer, or an error for one.
        late_ns: the most that a call was sent after it was due.
    """

    due_ns: list[int] = field(default_factory=list)
    latencies_ns: list[int] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    failed_ns: list[int] = field(default_factory=list)
    late_ns: int = 0


class Pacer:
    """Some connections and the calls under way on them."""

    def __init__(self, address: str, connections: int) -> None:
        self._connections = [Connection(address) for _ in range(connections)]
        self._by_socket = {each.socket: place for place, each in enumerate(self._connections)}
        self._sockets = list(self._by_socket)
        self._under_way: list[dict[int, int]] = [{} for _ in self._connections]
        self._settle()

    def paced(self, path: str, messages: Iterator[bytes], order: dict[str, Any]) -> Done:
        """Calls at set times."""
        done, find = Done(), bytes.fromhex(order.get("find", ""))
        rng = random.Random(1)  # noqa: S311 - arrival times
        step = 1e9 / order["rate"]
        gap: Callable[[], float] = (
            (lambda: rng.expovariate(1.0) * step) if order.get("arrivals") == "random" else lambda: step
        )
        due = float(time.monotonic_ns())
        end = due + order["seconds"] * 1e9
        turns = itertools.cycle(range(len(self._connections)))
        while due < end:
            wait = due - time.monotonic_ns()
            if wait <= 0:
                place = next(turns)
                stream = self._connections[place].send(path, next(messages))
                self._under_way[place][stream] = int(due)
                done.late_ns = max(done.late_ns, int(-wait))
                due += gap()
            self._take(done, find, max(0.0, min(wait, due - time.monotonic_ns()) / 1e9))
        self._drain(done, find)
        return done

    def full(self, path: str, messages: Iterator[bytes], order: dict[str, Any]) -> Done:
        """Keeps so many calls under way."""
        done, find = Done(), bytes.fromhex(order.get("find", ""))
        end = time.monotonic_ns() + order["seconds"] * 1e9
        while (now := time.monotonic_ns()) < end:
            for place, under_way in enumerate(self._under_way):
                while len(under_way) < order["window"]:
                    under_way[self._connections[place].send(path, next(messages))] = now
            self._take(done, find, 1.0)
        self._drain(done, find)
        return done

    def _take(self, done: Done, find: bytes, wait_seconds: float) -> None:
        for ready in select.select(self._sockets, (), (), wait_seconds)[0]:
            place = self._by_socket[ready]
            under_way = self._under_way[place]
            for stream, content in self._connections[place].receive():
                due = under_way.pop(stream)
                if content is None:
                    done.failed_ns.append(due)
                    continue
                done.due_ns.append(due)
                done.latencies_ns.append(time.monotonic_ns() - due)
                if find:
                    done.found.append(find in content)

    def _drain(self, done: Done, find: bytes) -> None:
        end = time.monotonic() + DRAIN_SECONDS
        while any(self._under_way) and time.monotonic() < end:
            self._take(done, find, 0.1)
        for under_way in self._under_way:
            done.failed_ns += under_way.values()
            under_way.clear()

    def _settle(self) -> None:
        """Lets the servers' settings come and be acknowledged."""
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            self._take(Done(), b"", 0.05)


def messages(requests: list[bytes], numbers: Iterator[int], start: int) -> Iterator[bytes]:
    """Yields the requests over and over, with new numbers in place of the markers."""
    parts = [request.split(MARKER) for request in requests]
    for at in itertools.count(start):
        made = parts[at % len(parts)]
        if len(made) == 1:
            yield made[0]
        else:
            whole = made[0]
            for part in made[1:]:
                whole += b"%016d" % next(numbers) + part
            yield whole


def main() -> None:
    """Answers one line for each line of stdin."""
    pacer = Pacer(sys.argv[1], int(sys.argv[2]))
    kept: dict[str, list[bytes]] = {}
    numbers = itertools.count(time.time_ns() % 10**15)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "keep" in order:
            kept[order["keep"]] = [bytes.fromhex(each) for each in order["requests"]]
            print(json.dumps("kept"), flush=True)
            continue
        stream = messages(kept[order["requests"]], numbers, random.randrange(10**6))  # noqa: S311
        began, cpu = time.perf_counter(), time.process_time()
        done = (pacer.full if "window" in order else pacer.paced)(order["method"], stream, order)
        answer = {
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu,
            "due_ns": done.due_ns,
            "latencies_ns": done.latencies_ns,
            "found": done.found,
            "errors": len(done.failed_ns),
            "failed_ns": done.failed_ns,
            "first_error": "",
            "late_ms": done.late_ns / 1e6,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    sys.exit(main())
