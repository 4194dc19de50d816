"""Owns the gRPC server: the table of methods, listening, health, reflection, and a stop that drains."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from recdata.errors import ServeError
from recsvc.bestselling import list_bestsellers
from recsvc.config import ServingConfig
from recsvc.errors import MalformedRequestError, RequestError, StoppedError, abort, code_of
from recsvc.log import log
from recsvc.recommending import list_similar_items, recommend
from recsvc.selecting import get_forecast, list_candidates
from recsvc.serving import Generation, Serving
from recsvc.side import SideServices
from recsvc.state import serving_state
from recsvc.v1.bestseller_service_pb2 import ListBestsellersRequest
from recsvc.v1.recommendation_service_pb2 import ListSimilarItemsRequest, RecommendRequest
from recsvc.v1.selection_service_pb2 import GetForecastRequest, ListCandidatesRequest
from recsvc.v1.snapshot_service_pb2 import GetServingStateRequest

#: A method: reads one generation and a request, returns the serialised response.
Method = Callable[[Generation, Any], bytes]

#: What grpc is given for one service, by method name.
Handlers = dict[str, "grpc.RpcMethodHandler[Any, Any]"]

MAX_PORT = 65535


def methods(serving: Serving) -> dict[str, dict[str, tuple[type[Message], Method]]]:
    """Returns by service and method: the request's class, and what answers it."""

    def get_serving_state(generation: Generation, _: GetServingStateRequest) -> bytes:
        return serving_state(serving, generation)

    return {
        "recsvc.v1.RecommendationService": {
            "Recommend": (RecommendRequest, recommend),
            "ListSimilarItems": (ListSimilarItemsRequest, list_similar_items),
        },
        "recsvc.v1.BestsellerService": {"ListBestsellers": (ListBestsellersRequest, list_bestsellers)},
        "recsvc.v1.SelectionService": {
            "ListCandidates": (ListCandidatesRequest, list_candidates),
            "GetForecast": (GetForecastRequest, get_forecast),
        },
        "recsvc.v1.SnapshotService": {"GetServingState": (GetServingStateRequest, get_serving_state)},
    }


class Server:
    """A server over one home folder: `start`, then `wait` or `stop`.

    Attributes:
        serving: the snapshot that answers.
        grpc_server: grpc's server, for handlers that are added before `start`.
        port: the port that it listens on, 0 before `start`.

    Raises:
        SnapshotError: nothing is published, or what is published cannot be used.
    """

    def __init__(self, home: Path, config: ServingConfig) -> None:
        self.serving = Serving(home, config)
        self.port = 0
        self._config = config
        self._stopping = threading.Event()
        self.grpc_server = grpc.server(
            ThreadPoolExecutor(config.threads, thread_name_prefix="call"),
            # Without this a second server on the same port would start, and take half of the calls.
            options=(("grpc.so_reuseport", 0),),
            maximum_concurrent_rpcs=config.max_concurrent_calls,
        )
        table = methods(self.serving)
        for service, entries in table.items():
            add_service(self.grpc_server, service, self._handlers(service, entries))
        self._side = SideServices(self.grpc_server, table)

    @property
    def address(self) -> str:
        """Returns HOST:PORT as a client needs it."""
        host = self._config.host
        return f"[{host}]:{self.port}" if ":" in host and not host.startswith("[") else f"{host}:{self.port}"

    def start(self) -> None:
        """Listens and answers.

        Raises:
            ServeError: the port is taken, or the host is not one of this machine.
        """
        host, port = self._config.host, self._config.port
        if port > MAX_PORT:
            self.serving.stop()
            raise ServeError(
                f"port {port} is above {MAX_PORT}; give --port a smaller one, or 0 for a free one"
            )
        wanted = f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"
        try:
            self.port = self.grpc_server.add_insecure_port(wanted)
        except RuntimeError as error:
            self.serving.stop()
            why = _why_not(host, port)
            raise ServeError(
                f"cannot listen on {wanted}: {why}; stop what listens there, "
                "or give --port another number (0 for a free one)"
            ) from error
        self.serving.start()
        self.grpc_server.start()
        with self.serving.lease() as generation:
            snapshot_id = generation.snapshot_id
        log(logging.INFO, "listening", address=self.address, snapshot_id=snapshot_id)

    def stop(self) -> None:
        """Gives notice, refuses new calls, lets running ones end within the grace, closes the snapshot."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        log(logging.INFO, "stopping", grace_seconds=self._config.shutdown_grace_seconds)
        self._side.retire()
        time.sleep(self._config.shutdown_notice_seconds)
        ended = self.grpc_server.stop(self._config.shutdown_grace_seconds)
        self._side.close()
        ended.wait()
        self.serving.stop()
        log(logging.INFO, "stopped")

    def wait(self) -> None:
        """Blocks the main thread until SIGTERM or SIGINT, then stops; a second one cuts running calls off."""
        told = threading.Event()

        def on_signal(number: int, _: FrameType | None) -> None:
            if told.is_set():
                self.grpc_server.stop(None)
            told.set()
            log(logging.INFO, "signal", name=signal.Signals(number).name)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        told.wait()
        self.stop()

    def _handlers(self, service: str, entries: dict[str, tuple[type[Message], Method]]) -> Handlers:
        return {
            name: grpc.unary_unary_rpc_method_handler(
                self._handler(f"{service}/{name}", request_type, method),
                request_deserializer=None,  # grpc would call bytes that are no message our own failure
                response_serializer=None,  # methods return bytes
            )
            for name, (request_type, method) in entries.items()
        }

    def _handler(
        self, name: str, request_type: type[Message], method: Method
    ) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        """Returns what grpc calls: the method on a leased generation, errors mapped, slow calls logged."""
        serving, parse = self.serving, request_type.FromString
        slow_seconds = self._config.slow_call_ms / 1000 or float("inf")

        def handle(content: bytes, context: grpc.ServicerContext) -> bytes:
            began = time.perf_counter()
            try:
                generation = serving.acquire()
            except StoppedError as error:
                abort(context, error)
            try:
                return method(generation, parse(content))
            except DecodeError:
                abort(context, MalformedRequestError(request_type.DESCRIPTOR.full_name))
            except Exception as error:
                if not isinstance(error, RequestError):
                    log(logging.ERROR, "call failed", method=name, code=code_of(error).name, error=error)
                abort(context, error)
            finally:
                serving.release(generation)
                seconds = time.perf_counter() - began
                if seconds > slow_seconds:
                    log(logging.WARNING, "slow call", method=name, milliseconds=round(1000 * seconds, 1))

        return handle


def add_service(server: grpc.Server, service: str, handlers: Handlers) -> None:
    """Registers a service's handlers, by name and so that grpc finds them without a search."""
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_registered_method_handlers(service, handlers)


def _why_not(host: str, port: int) -> str:
    """Returns why an address cannot be listened on, in the system's words."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        return error.strerror or str(error)
    return "refused"
