"""Owns the callers: a closed loop on each of some connections, steered by lines of JSON on stdin.

Run as a process: `client.py ADDRESS CONNECTIONS`. The first line is the list of requests in hex; every
further line names a method and a number of seconds, and is answered with the latencies of the calls made.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import grpc

METHODS = {"recommend": "/recsvc.v1.RecommendationService/Recommend", "no-op": "/benchmark.Noop/Call"}


def calls(channel: grpc.Channel, path: str, requests: list[bytes], start: int, seconds: float) -> list[int]:
    """Returns the latency of each call in nanoseconds, one call after the other until the time is over."""
    method = channel.unary_unary(path)
    taken: list[int] = []
    end = time.perf_counter_ns() + int(seconds * 1e9)
    at = start
    while (began := time.perf_counter_ns()) < end:
        method(requests[at % len(requests)])
        taken.append(time.perf_counter_ns() - began)
        at += 1
    return taken


def main() -> None:
    """Answers one line for each line of stdin."""
    address, connections = sys.argv[1], int(sys.argv[2])
    requests = [bytes.fromhex(line) for line in json.loads(sys.stdin.readline())]
    # Channels to one address share a connection unless told otherwise.
    options = (("grpc.use_local_subchannel_pool", 1),)
    channels = [grpc.insecure_channel(address, options=options) for _ in range(connections)]
    for channel in channels:
        grpc.channel_ready_future(channel).result(10)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        results: list[list[int]] = [[] for _ in channels]

        def work(place: int, order: dict = order, results: list[list[int]] = results) -> None:
            start = place * len(requests) // connections
            results[place] = calls(
                channels[place], METHODS[order["method"]], requests, start, order["seconds"]
            )

        threads = [threading.Thread(target=work, args=(place,)) for place in range(connections)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        print(
            json.dumps({"seconds": seconds, "latencies_ns": [each for part in results for each in part]}),
            flush=True,
        )


if __name__ == "__main__":
    main()
