"""Owns the server under test: the real one, with a no-op method added that answers as many bytes.

Run as a process, one for each worker: `server.py HOME`. The first line on stdin is JSON: which worker it is,
whether others share its port, and the values of `[serving]` that differ from the default. It prints one line
of JSON, its address and when it began to be made, and serves until stdin ends.
"""

from __future__ import annotations

import functools
import gc
import json
import sys
import time
from pathlib import Path

import grpc
import msgspec

import recsvc.preloaded  # noqa: F401 - as every worker has it
from load.names import NOOP_SERVICE, SIZE_FILE
from recsvc.config import ServingConfig
from recsvc.cores import keep_to_core
from recsvc.server import Server, add_service


def add_noop(server: grpc.Server, home: Path) -> None:
    """Adds the no-op. As with the real method, the request reaches it and its answer leaves as bytes."""

    @functools.cache
    def answer() -> bytes:
        return bytes(int((home / SIZE_FILE).read_text()))

    handler = grpc.unary_unary_rpc_method_handler(lambda _request, _context: answer())
    add_service(server, NOOP_SERVICE, {"Call": handler})


def main() -> None:
    """Serves until stdin ends."""
    home = Path(sys.argv[1])
    order = json.loads(sys.stdin.readline())
    # As a worker does, on core after core.
    keep_to_core(order["worker"], 0, "auto")
    values = {"port": 0, "default_language": "en"} | order["serving"]
    began_ns = time.monotonic_ns()
    server = Server(
        home,
        msgspec.structs.replace(ServingConfig(), **values),
        worker=order["worker"],
        shares_port=order["shares_port"],
        verifies=False,  # nor does a worker: its supervisor does
    )
    add_noop(server.grpc_server, home)
    server.start()
    gc.collect()
    gc.freeze()  # as a worker does
    print(json.dumps({"address": server.address, "began_ns": began_ns}), flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
