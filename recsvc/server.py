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
from recsvc.beside import list_bought_together, list_similar_items
from recsvc.bestselling import list_bestsellers
from recsvc.call import Call
from recsvc.config import ServingConfig
from recsvc.errors import MalformedRequestError, RequestError, StoppedError, abort, code_of
from recsvc.live import LiveHold
from recsvc.log import log
from recsvc.pages import recommend_page
from recsvc.recommending import batch_recommend, rank_items, recommend
from recsvc.selecting import get_forecast, list_candidates
from recsvc.serving import Serving
from recsvc.side import SideServices
from recsvc.state import serving_state
from recsvc.v1.bestseller_service_pb2 import ListBestsellersRequest
from recsvc.v1.recommendation_service_pb2 import (
    BatchRecommendRequest,
    ListBoughtTogetherRequest,
    ListSimilarItemsRequest,
    RankItemsRequest,
    RecommendPageRequest,
    RecommendRequest,
)
from recsvc.v1.selection_service_pb2 import GetForecastRequest, ListCandidatesRequest
from recsvc.v1.snapshot_service_pb2 import GetServingStateRequest

#: A method: answers a call and its request with the serialised response.
Method = Callable[[Call, Any], bytes]

#: What grpc is given for one service, by method name.
Handlers = dict[str, "grpc.RpcMethodHandler[Any, Any]"]

MAX_PORT = 65535

#: By request, which snapshot it asks for; "" for the one that serves.
PINS: dict[type[Message], Callable[[Any], str]] = {
    RecommendRequest: lambda request: request.snapshot_id,
    RecommendPageRequest: lambda request: request.shopper.snapshot_id,
    RankItemsRequest: lambda request: request.shopper.snapshot_id,
    ListSimilarItemsRequest: lambda request: request.snapshot_id,
    ListBoughtTogetherRequest: lambda request: request.snapshot_id,
    ListBestsellersRequest: lambda request: request.snapshot_id,
}

#: The methods that wait for the disk.
WRITES = frozenset(
    (
        "recsvc.v1.EventService/RecordEvents",
        "recsvc.v1.CatalogService/UpdateItems",
        "recsvc.v1.CatalogService/CreateRule",
        "recsvc.v1.CatalogService/UpdateRule",
        "recsvc.v1.CatalogService/DeleteRule",
        "recsvc.v1.CustomerService/EraseCustomer",
        "recsvc.v1.SnapshotService/ActivateSnapshot",
    )
)


def methods(serving: Serving) -> dict[str, dict[str, tuple[type[Message], Method]]]:
    """Returns by service and method: the request's class, and what answers it."""

    def get_serving_state(call: Call, _: GetServingStateRequest) -> bytes:
        return serving_state(serving, call.generation)

    return {
        "recsvc.v1.RecommendationService": {
            "Recommend": (RecommendRequest, recommend),
            "BatchRecommend": (BatchRecommendRequest, batch_recommend),
            "RecommendPage": (RecommendPageRequest, recommend_page),
            "RankItems": (RankItemsRequest, rank_items),
            "ListSimilarItems": (ListSimilarItemsRequest, list_similar_items),
            "ListBoughtTogether": (ListBoughtTogetherRequest, list_bought_together),
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
        live: the live store, as far as it can be used.
        grpc_server: grpc's server, for handlers that are added before `start`.
        port: the port that it listens on, 0 before `start`.

    Raises:
        SnapshotError: nothing is published, or what is published cannot be used.
    """

    def __init__(self, home: Path, config: ServingConfig) -> None:
        self.serving = Serving(home, config)
        self.live = LiveHold(home, max_bytes=config.live_store_mb << 20)
        self._home = home
        self.port = 0
        self._config = config
        self._writers = ThreadPoolExecutor(config.write_threads, thread_name_prefix="write")
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
        self._writers.shutdown()
        self.live.close()
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
        serving, live, home, parse = self.serving, self.live, self._home, request_type.FromString
        pinned_by = PINS.get(request_type, _not_pinned)
        slow_seconds = self._config.slow_call_ms / 1000 or float("inf")

        def handle(content: bytes, context: grpc.ServicerContext) -> bytes:
            began = time.perf_counter()
            try:
                request = parse(content)
                generation = serving.acquire(pinned_by(request))
            except DecodeError:
                abort(context, MalformedRequestError(request_type.DESCRIPTOR.full_name))
            except (StoppedError, RequestError) as error:
                abort(context, error)
            view = live.view()
            try:
                call = Call(generation, view=view, live=live, home=home, patience=context, serving=serving)
                return method(call, request)
            except Exception as error:
                if not isinstance(error, RequestError):
                    log(logging.ERROR, "call failed", method=name, code=code_of(error).name, error=error)
                abort(context, error)
            finally:
                if view is not None:
                    live.leave(view)
                serving.release(generation)
                seconds = time.perf_counter() - began
                if seconds > slow_seconds:
                    log(logging.WARNING, "slow call", method=name, milliseconds=round(1000 * seconds, 1))

        if name in WRITES:
            # These wait for the disk, and must not take the threads that answer reads.
            handle.experimental_thread_pool = self._writers  # type: ignore[attr-defined] # grpc's own name
        return handle


def _not_pinned(_: Message) -> str:
    return ""


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
