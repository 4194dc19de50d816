"""A real server on a free port over the tiny shop, and channels to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from recsvc.config import ServingConfig
from recsvc.server import Server
from recsvc.v1.bestseller_service_pb2_grpc import BestsellerServiceStub
from recsvc.v1.catalog_service_pb2_grpc import CatalogServiceStub
from recsvc.v1.customer_service_pb2_grpc import CustomerServiceStub
from recsvc.v1.event_service_pb2_grpc import EventServiceStub
from recsvc.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from recsvc.v1.selection_service_pb2_grpc import SelectionServiceStub
from recsvc.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from tests.recsvc.tiny import Tiny

CONFIG = ServingConfig(
    port=0, poll_seconds=0.05, default_language="en", bestseller_window_days=30, shutdown_grace_seconds=5
)


@dataclass
class Refusal:
    """A failed call, opened."""

    code: grpc.StatusCode
    message: str
    reason: str
    field: str
    metadata: dict[str, str]


class Stubs:
    """Every service of one server."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.events = EventServiceStub(channel)
        self.catalog = CatalogServiceStub(channel)
        self.customers = CustomerServiceStub(channel)
        self.recommendations = RecommendationServiceStub(channel)
        self.bestsellers = BestsellerServiceStub(channel)
        self.selection = SelectionServiceStub(channel)
        self.snapshots = SnapshotServiceStub(channel)


def refusal(method, request) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        method(request)
    error = caught.value
    info, bad = ErrorInfo(), BadRequest()
    for detail in rpc_status.from_call(error).details:
        detail.Unpack(info)
        detail.Unpack(bad)
    field = bad.field_violations[0].field if bad.field_violations else ""
    assert info.domain == "recsvc"
    return Refusal(error.code(), error.details(), info.reason, field, dict(info.metadata))


@pytest.fixture(scope="session")
def running(tmp_path_factory) -> Iterator[Server]:
    home: Path = tmp_path_factory.mktemp("home")
    Tiny().publish(home)
    server = Server(home, CONFIG)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def stubs(running) -> Iterator[Stubs]:
    with grpc.insecure_channel(running.address) as channel:
        yield Stubs(channel)


@pytest.fixture
def start():
    """Starts servers that are stopped when the test ends, however it ends."""
    started = []

    def starting(home: Path, config: ServingConfig = CONFIG) -> Server:
        server = Server(home, config)
        started.append(server)
        server.start()
        return server

    yield starting
    for server in started:
        server.stop()
