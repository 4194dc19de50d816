"""Owns the connection to a server: its retries, deadlines and balance, and the client's life."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any, ParamSpec, Protocol, Self, TypeVar

import grpc
from google.protobuf.message import Message

from recsvc.client.errors import REQUEST_ID_KEY, error_of_call
from recsvc.client.methods import METHODS, Methods

FieldsP = ParamSpec("FieldsP")

#: grpc sends a call five times at most, whatever it is told.
MAX_RETRIES = 4
#: A batch of 1000 lists of 200 items is some 40 MB; grpc's own limit is 4 MB.
MAX_ANSWER_BYTES = 64 << 20


class Paged(Protocol):
    """A response that is one page of a list."""

    @property
    def next_page_token(self) -> str:
        """Returns what asks for the next page; "" on the last one."""


PageT = TypeVar("PageT", bound=Paged)


class Client(Methods):
    """A connection to a server; it may be shared by threads, but is opened after a fork.

    Close it with `close`, or use it as a context manager.

    Args:
        address: HOST:PORT, or any name that gRPC resolves, such as dns:///recsvc.internal:50051.
        timeout: how long a call may take, all tries together.
        retries: how often a call that nobody answered (UNAVAILABLE) is sent again, 0–4; methods that must
            not be sent twice never are (see `Methods`).
        round_robin: True spreads calls over all addresses of the name; False keeps to the first that answers.

    Raises:
        ValueError: the timeout is not above 0, or retries are outside 0–4.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: timedelta = timedelta(seconds=2),
        retries: int = 2,
        round_robin: bool = False,
    ) -> None:
        if not 0 <= retries <= MAX_RETRIES:
            raise ValueError(f"retries is {retries}; give 0 to {MAX_RETRIES}")
        self._address = address
        self._seconds = _seconds(timeout)
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.service_config", service_config(retries, round_robin=round_robin)),
                # A name server may carry such a config too; ours holds.
                ("grpc.service_config_disable_resolution", 1),
                ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
            ],
        )
        self._calls: dict[str, Callable[..., Any]] = {
            method.path: self._channel.unary_unary(
                method.path,
                request_serializer=_bytes_of,
                response_deserializer=method.response.FromString,
            )
            for method in METHODS
        }

    def within(self, timeout: timedelta) -> Self:
        """Returns the same connection with another deadline for each call; close either of them."""
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__
        other._seconds = _seconds(timeout)
        return other

    def send(self, path: str, request: Message) -> Any:  # noqa: ANN401 - typed by each method
        """Returns the response of the method with that path; `Methods` has a typed function for each.

        Raises:
            CallError: the call failed; its class says what can be done.
        """
        request_id = uuid.uuid4().hex
        try:
            return self._calls[path](request, timeout=self._seconds, metadata=((REQUEST_ID_KEY, request_id),))
        except grpc.RpcError as error:
            if not isinstance(error, grpc.Call):
                raise  # no call was made: grpc's own defect
            failed = error_of_call(
                error,
                path=path,
                address=self._address,
                seconds=self._seconds,
                request_id=request_id,
            )
        raise failed  # outside of the handler: grpc's own error is not the caller's business

    def close(self) -> None:
        """Closes the connection; calls that run fail."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def pages(method: Callable[FieldsP, PageT], *args: FieldsP.args, **fields: FieldsP.kwargs) -> Iterator[PageT]:
    """Hands out every page of a list, as in `pages(client.list_rules, page_size=200)`.

    Raises:
        CallError: a call failed.
    """
    page = method(*args, **fields)
    yield page
    while page.next_page_token:
        fields["page_token"] = page.next_page_token
        page = method(*args, **fields)
        yield page


def service_config(retries: int, *, round_robin: bool) -> str:
    """Returns gRPC's own description, as JSON, of which calls are sent again, and how calls are spread."""
    config: dict[str, object] = {
        "loadBalancingConfig": [{"round_robin" if round_robin else "pick_first": {}}],
        "methodConfig": [],
    }
    if retries:
        config["methodConfig"] = [
            {
                "name": [
                    {"service": f"recsvc.v1.{method.service}", "method": method.name}
                    for method in METHODS
                    if method.again
                ],
                "retryPolicy": {
                    "maxAttempts": retries + 1,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
        # Where most calls fail, sending them again would keep a server that comes back from getting up.
        config["retryThrottling"] = {"maxTokens": 20, "tokenRatio": 0.1}
    return json.dumps(config)


def _seconds(timeout: timedelta) -> float:
    if timeout <= timedelta():
        raise ValueError(f"timeout is {timeout}; give one above 0")
    return timeout.total_seconds()


def _bytes_of(request: Message) -> bytes:
    return request.SerializeToString()
