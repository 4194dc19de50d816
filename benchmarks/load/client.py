"""Owns the callers as they are: grpc's own client, a closed loop on each of some connections.

Run as a process: `client.py ADDRESS CONNECTIONS`. It says "ready", then answers each line of JSON on stdin:

- `{"keep": NAME, "requests": [HEX, …]}` keeps requests under a name;
- `{"method": PATH, "requests": NAME, "seconds": S}` calls with them, over and over, for so long;
- without `seconds`, calls with each of them once; with `"answers": true` the answers come back too, in order.

A call's place in the loop is told by its connection, so that each has a share of the requests.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import grpc

TIMEOUT_SECONDS = 30


@dataclass(slots=True)
class Done:
    """What one connection did: latencies in nanoseconds, answers if asked for, and the first error."""

    latencies_ns: list[int] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""


def work(channel: grpc.Channel, order: dict[str, Any], requests: list[bytes], done: Done) -> None:
    """Calls with the requests, one call after the other, until all are through or the time is over."""
    method = channel.unary_unary(order["method"])
    seconds = order.get("seconds")
    end = time.perf_counter_ns() + int((seconds or 3600) * 1e9)
    keep = order.get("answers", False)
    at = 0
    while (began := time.perf_counter_ns()) < end:
        if at == len(requests):
            if seconds is None:
                break
            at = 0
        try:
            answer = method(requests[at], timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            done.errors += 1
            if not done.first_error:
                done.first_error = f"{error.code().name}: {error.details()}"  # type: ignore[attr-defined]
            if done.errors > 100:
                break
        else:
            done.latencies_ns.append(time.perf_counter_ns() - began)
            if keep:
                done.answers.append(answer.hex())
        at += 1


def main() -> None:
    """Answers one line for each line of stdin."""
    address, connections = sys.argv[1], int(sys.argv[2])
    # Channels to one address share a connection unless told otherwise.
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))
    channels = [grpc.insecure_channel(address, options=options) for _ in range(connections)]
    for channel in channels:
        grpc.channel_ready_future(channel).result(10)
    kept: dict[str, list[bytes]] = {}
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "keep" in order:
            kept[order["keep"]] = [bytes.fromhex(each) for each in order["requests"]]
            print(json.dumps("kept"), flush=True)
            continue
        requests = kept[order["requests"]]
        done = [Done() for _ in channels]
        bounds = [place * len(requests) // connections for place in range(connections + 1)]
        threads = [
            threading.Thread(target=work, args=(channel, order, requests[start:end], each))
            for channel, (start, end), each in zip(channels, itertools.pairwise(bounds), done, strict=True)
        ]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        answer = {
            "seconds": time.perf_counter() - began,
            "latencies_ns": [each for part in done for each in part.latencies_ns],
            "answers": [each for part in done for each in part.answers],
            "errors": sum(part.errors for part in done),
            "first_error": next((part.first_error for part in done if part.first_error), ""),
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
