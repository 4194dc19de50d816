"""Owns the gRPC server: the table of methods, listening, health, reflection, and a stop that drains."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from recdata.errors import LiveStoreError, RecsvcError, ServeError
from recsvc.beside import list_bought_together, list_similar_items
from recsvc.bestselling import list_bestsellers
from recsvc.call import Call
from recsvc.cataloguing import create_rule, delete_rule, get_item, list_rules, update_items, update_rule
from recsvc.config import ServingConfig
from recsvc.erasing import erase_customer
from recsvc.errors import EXPECTED, MalformedRequestError, abort, code_of
from recsvc.forecasting import get_forecast
from recsvc.live import LiveHold
from recsvc.log import log, request_id_of
from recsvc.machine_code import load_machine_code
from recsvc.metrics import Meter
from recsvc.pages import recommend_page
from recsvc.ports import address_text, cannot_listen, check_port
from recsvc.recommending import batch_recommend, rank_items, recommend
from recsvc.recording import record_events
from recsvc.reviewing import review_candidate
from recsvc.selecting import get_candidate, list_candidates, rescore_candidates
from recsvc.serving import Generation, Serving
from recsvc.side import SideServices
from recsvc.snapshots import activate_snapshot, list_snapshots
from recsvc.state import serving_state
from recsvc.tracing import Handle, Tracing
from recsvc.v1.bestseller_service_pb2 import ListBestsellersRequest
from recsvc.v1.catalog_service_pb2 import (
    CreateRuleRequest,
    DeleteRuleRequest,
    GetItemRequest,
    ListRulesRequest,
    UpdateItemsRequest,
    UpdateRuleRequest,
)
from recsvc.v1.common_pb2 import DegradationReason
from recsvc.v1.customer_service_pb2 import EraseCustomerRequest
from recsvc.v1.event_service_pb2 import RecordEventsRequest
from recsvc.v1.recommendation_service_pb2 import (
    BatchRecommendRequest,
    ListBoughtTogetherRequest,
    ListSimilarItemsRequest,
    RankItemsRequest,
    RecommendPageRequest,
    RecommendRequest,
)
from recsvc.v1.selection_service_pb2 import (
    GetCandidateRequest,
    GetForecastRequest,
    ListCandidatesRequest,
    RescoreCandidatesRequest,
    ReviewCandidateRequest,
)
from recsvc.v1.snapshot_service_pb2 import (
    ActivateSnapshotRequest,
    GetServingStateRequest,
    ListSnapshotsRequest,
)

#: A method: answers a call and its request with the serialised response.
Method = Callable[[Call, Any], bytes]

#: What grpc is given for one service, by method name.
Handlers = dict[str, "grpc.RpcMethodHandler[Any, Any]"]

#: By number, what the metrics call a reason.
REASON_NAMES = {
    number: name.removeprefix("DEGRADATION_REASON_") for name, number in DegradationReason.items()
}

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
        "recsvc.v1.SelectionService/ReviewCandidate",
        "recsvc.v1.SnapshotService/ActivateSnapshot",
    )
)


def methods(serving: Serving) -> dict[str, dict[str, tuple[type[Message], Method]]]:
    """Returns by service and method: the request's class, and what answers it."""

    def get_serving_state(call: Call, _: GetServingStateRequest) -> bytes:
        return serving_state(serving, call)

    def snapshots(_: Call, request: ListSnapshotsRequest) -> bytes:
        return list_snapshots(serving, request)

    def activate(_: Call, request: ActivateSnapshotRequest) -> bytes:
        return activate_snapshot(serving, request)

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
            "GetCandidate": (GetCandidateRequest, get_candidate),
            "GetForecast": (GetForecastRequest, get_forecast),
            "RescoreCandidates": (RescoreCandidatesRequest, rescore_candidates),
            "ReviewCandidate": (ReviewCandidateRequest, review_candidate),
        },
        "recsvc.v1.EventService": {"RecordEvents": (RecordEventsRequest, record_events)},
        "recsvc.v1.CatalogService": {
            "UpdateItems": (UpdateItemsRequest, update_items),
            "GetItem": (GetItemRequest, get_item),
            "CreateRule": (CreateRuleRequest, create_rule),
            "UpdateRule": (UpdateRuleRequest, update_rule),
            "DeleteRule": (DeleteRuleRequest, delete_rule),
            "ListRules": (ListRulesRequest, list_rules),
        },
        "recsvc.v1.CustomerService": {"EraseCustomer": (EraseCustomerRequest, erase_customer)},
        "recsvc.v1.SnapshotService": {
            "ListSnapshots": (ListSnapshotsRequest, snapshots),
            "ActivateSnapshot": (ActivateSnapshotRequest, activate),
            "GetServingState": (GetServingStateRequest, get_serving_state),
        },
    }


class Server:
    """A server over one home folder: `start`, then `wait` or `stop`.

    Attributes:
        serving: the snapshot that answers.
        live: the live store, as far as it can be used.
        grpc_server: grpc's server, for handlers that are added before `start`.
        port: the port that it listens on, 0 before `start`.
        meter: what it counts.

    Args:
        home: the home folder.
        config: how to listen, load and answer.
        worker: which of a server's workers this is, from 0.
        shares_port: whether other processes may listen on the same port, and get their share of the calls.
        verifies: see `Serving`.
        tracing: what records a span for each call; None for nothing.

    Raises:
        SnapshotError: nothing is published, or what is published cannot be used.
    """

    def __init__(
        self,
        home: Path,
        config: ServingConfig,
        *,
        worker: int = 0,
        shares_port: bool = False,
        verifies: bool = True,
        tracing: Tracing | None = None,
    ) -> None:
        load_machine_code()
        self.serving = Serving(home, config, worker=worker, verifies=verifies)
        self.meter = Meter()
        self._tracing = tracing
        self.live = LiveHold(home, max_bytes=config.live_store_mb << 20)
        self.serving.made = self._lay_day_over
        self._lay_day_over(self.serving.acquire())
        self._home = home
        self.port = 0
        self._config = config
        self._writers = ThreadPoolExecutor(config.write_threads, thread_name_prefix="write")
        self._stopping = threading.Event()
        self.grpc_server = grpc.server(
            ThreadPoolExecutor(config.threads, thread_name_prefix="call"),
            # Where none is meant to, a second server on the port must not start and take half of the calls.
            options=(("grpc.so_reuseport", int(shares_port)),),
            maximum_concurrent_rpcs=config.max_concurrent_calls,
        )
        table = methods(self.serving)
        for service, entries in table.items():
            add_service(self.grpc_server, service, self._handlers(service, entries))
        self._side = SideServices(self.grpc_server, table)

    @property
    def address(self) -> str:
        """Returns HOST:PORT as a client needs it."""
        return address_text(self._config.host, self.port)

    def start(self) -> None:
        """Listens and answers.

        Raises:
            ServeError: the port is taken, or the host is not one of this machine.
        """
        host, port = self._config.host, self._config.port
        try:
            check_port(port)
            self.port = self.grpc_server.add_insecure_port(address_text(host, port))
        except ServeError:
            self.serving.stop()
            raise
        except RuntimeError as error:
            self.serving.stop()
            raise cannot_listen(host, port, _why_not(host, port)) from error
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

    def cut(self) -> None:
        """Cuts running calls off, while `stop` waits for them."""
        self.grpc_server.stop(None)

    def _lay_day_over(self, generation: Generation) -> None:
        """Brings a generation up to the live store, so that no call must read all changes and reviews."""
        view = self.live.view()
        if view is not None:
            try:
                generation.keeper.current(view)
                generation.candidates.reviews.current(view)
            except LiveStoreError as error:
                log(logging.ERROR, "live store cannot be read", reason=str(error))
            finally:
                self.live.leave(view)

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
        meter, counted = self.meter, self.meter.method(name)

        def handle(content: bytes, context: grpc.ServicerContext) -> bytes:
            began = time.perf_counter()
            request_id, view = "", None
            try:
                request = parse(content)
                generation = serving.acquire(pinned_by(request))
                view = live.view()
                call = Call(generation, view=view, live=live, home=home, patience=context, serving=serving)
                answer = method(call, request)
            except Exception as error:
                request_id = request_id_of(context)
                told = error
                if isinstance(error, DecodeError):
                    told = MalformedRequestError(request_type.DESCRIPTOR.full_name)
                code = code_of(told).name
                counted.failed(code)
                if not isinstance(told, EXPECTED):
                    _log_failed(told, method=name, code=code, request_id=request_id)
                abort(context, told, request_id=request_id)
            finally:
                if view is not None:
                    live.leave(view)
                seconds = time.perf_counter() - began
                if seconds > slow_seconds:
                    log(
                        logging.WARNING,
                        "slow call",
                        method=name,
                        milliseconds=round(1000 * seconds, 1),
                        request_id=request_id or request_id_of(context),
                    )
            counted.answered(seconds, call.source)
            for degradation in call.degradations:
                meter.degraded(REASON_NAMES[degradation.reason])
            return answer

        called: Handle = handle if self._tracing is None else self._tracing.wrapped(name, handle)
        if name in WRITES:
            # These wait for the disk, and must not take the threads that answer reads.
            called.experimental_thread_pool = self._writers  # type: ignore[attr-defined] # grpc's own name
        return called


def _log_failed(error: Exception, *, method: str, code: str, request_id: str) -> None:
    """Writes the line of a call that did not fail by its caller's fault; a traceback where it is a defect."""
    if isinstance(error, RecsvcError):  # a full store fails every write: its words say what to do
        log(logging.ERROR, "call refused", method=method, code=code, request_id=request_id, reason=str(error))
    else:
        log(logging.ERROR, "call failed", method=method, code=code, request_id=request_id, error=error)


def _not_pinned(_: Message) -> str:
    return ""


def add_service(server: grpc.Server, service: str, handlers: Handlers) -> None:
    """Registers a service's handlers, by name and so that grpc finds them without a search."""
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_registered_method_handlers(service, handlers)


def _why_not(host: str, port: int) -> OSError | None:
    """Returns why an address cannot be listened on; None where the system does not say."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        return error
    return None
