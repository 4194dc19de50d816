"""Owns calling the server as a person does: one function a method, errors as one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from recdata.errors import ServeError

ResponseT = TypeVar("ResponseT", bound=Message)

SERVICES = {
    "Recommend": "RecommendationService",
    "ListSimilarItems": "RecommendationService",
    "ListBestsellers": "BestsellerService",
    "ListCandidates": "SelectionService",
    "GetForecast": "SelectionService",
    "GetServingState": "SnapshotService",
}


class Client:
    """A connection to one server.

    Args:
        channel: a grpc channel.
        address: what the channel leads to, for messages.
        timeout: how long a call may take.
    """

    def __init__(self, channel: grpc.Channel, address: str, timeout: timedelta) -> None:
        self._channel = channel
        self._address = address
        self._timeout = timeout

    def call(self, name: str, request: Message, response: type[ResponseT]) -> ResponseT:
        """Returns a method's response.

        Raises:
            ServeError: nobody listens, no answer in time, or the server refuses; the message says which.
        """
        method = self._channel.unary_unary(
            f"/recsvc.v1.{SERVICES[name]}/{name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        try:
            return method(request, timeout=self._timeout.total_seconds())
        except grpc.RpcError as error:
            raise ServeError(self._explain(error)) from error

    def _explain(self, error: grpc.RpcError) -> str:
        code, details = error.code(), error.details()
        if code is grpc.StatusCode.UNAVAILABLE:
            return (
                f"nothing answers at {self._address}; start a server with `recsvc serve`, or give --address"
            )
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            seconds = self._timeout.total_seconds()
            return f"{self._address} did not answer within {seconds:g} s; give --timeout a larger number"
        status = rpc_status.from_call(error)
        info = ErrorInfo()
        for detail in status.details if status is not None else ():
            if detail.Unpack(info):
                return f"{details} ({code.name}, {info.reason})"
        return f"{details} ({code.name})"


@contextmanager
def connect(address: str, timeout: timedelta) -> Iterator[Client]:
    """Opens a connection to HOST:PORT for as long as the block runs."""
    with grpc.insecure_channel(address) as channel:
        yield Client(channel, address, timeout)
