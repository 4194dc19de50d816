"""Owns the server under test: the real one, with a no-op method added that answers as many bytes.

Run as a process: `server.py HOME`; it prints its address and the no-op's answer size, and serves until its
input is closed.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import grpc
import msgspec

from recsvc.config import ServingConfig
from recsvc.recommending import recommend
from recsvc.server import Server, add_service
from recsvc.v1.recommendation_service_pb2 import RecommendRequest

NOOP_SERVICE = "benchmark.Noop"


def main() -> None:
    """Serves until stdin ends."""
    home = Path(sys.argv[1])
    requests = [bytes.fromhex(line) for line in json.loads(sys.stdin.readline())]
    server = Server(home, msgspec.structs.replace(ServingConfig(), port=0, default_language="en"))
    with server.serving.lease() as generation:
        sizes = [len(recommend(generation, RecommendRequest.FromString(request))) for request in requests]
    size = round(statistics.median(sizes))
    answer = bytes(size)
    # As the real method: the request reaches it as bytes, its answer leaves as bytes.
    handler = grpc.unary_unary_rpc_method_handler(lambda _request, _context: answer)
    add_service(server.grpc_server, NOOP_SERVICE, {"Call": handler})
    server.start()
    print(json.dumps({"address": server.address, "answer_bytes": size}), flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
