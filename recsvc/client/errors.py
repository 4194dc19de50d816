"""Owns what a failed call ends in on the caller's side: a class for each thing that a caller can do then.

CallError                 a call failed
 ├── UnavailableError     nobody answers, or the server stops: try later
 ├── DeadlineError        no answer in time
 ├── InvalidRequestError  the request is wrong; `field` names the place
 ├── NotFoundError        what the request names is not known
 ├── ExistsError          what was to be added is there already
 ├── PreconditionError    the server is not in the state that the call needs
 ├── OverloadedError      too many calls at once, or no room: try later, and less
 └── ServerError          the server failed, or is another version
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo
from google.rpc.status_pb2 import Status

from recdata.errors import RecsvcError

#: The metadata key under which a call carries its id.
REQUEST_ID_KEY = "x-request-id"
#: The metadata key under which gRPC carries a google.rpc.Status.
STATUS_KEY = "grpc-status-details-bin"


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Why a call failed, as the server said it.

    Attributes:
        code: the canonical code's name, such as NOT_FOUND.
        message: what is wrong and what to do, for people.
        reason: the reason as the contract names it, such as ITEM_NOT_FOUND; "" where the server gave none.
        field: the request field at fault, such as events[3].item_id; "" where it is none.
        request_id: the id that the call went out with, to find it in the server's log by.
        metadata: what else the server said, by name.
    """

    code: str
    message: str
    reason: str = ""
    field: str = ""
    request_id: str = ""
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)


class CallError(RecsvcError):
    """A call failed.

    Args:
        failure: why, as the server said it.
        message: the error's text; what the server said, with code and reason, where left out.
    """

    exit_code = 7

    def __init__(self, failure: Failure, message: str = "") -> None:
        named = ", ".join(part for part in (failure.code, failure.reason) if part)
        super().__init__(message or f"{failure.message} ({named})")
        self.failure = failure

    @property
    def code(self) -> str:
        """Returns the canonical code's name, such as NOT_FOUND."""
        return self.failure.code

    @property
    def reason(self) -> str:
        """Returns the reason as the contract names it, such as ITEM_NOT_FOUND; "" without one."""
        return self.failure.reason

    @property
    def field(self) -> str:
        """Returns the request field at fault, such as events[3].item_id; "" without one."""
        return self.failure.field

    @property
    def request_id(self) -> str:
        """Returns the id that the call went out with; "" for one entry of a batch."""
        return self.failure.request_id


class UnavailableError(CallError):
    """Nobody answers, or the server stops; where the method allows it, the call was sent again in vain."""


class DeadlineError(CallError):
    """No answer came in time. Whether the call was obeyed is not known."""


class InvalidRequestError(CallError):
    """The request is wrong; `field` names the place, and sending it again does not help."""


class NotFoundError(CallError):
    """What the request names is not known."""


class ExistsError(CallError):
    """What was to be added is there already."""


class PreconditionError(CallError):
    """The server is not in the state that the call needs, such as a store that can only be read."""


class OverloadedError(CallError):
    """Too many calls wait, or the live store has no room."""


class ServerError(CallError):
    """The server failed, or does not know the method."""


KINDS: dict[str, type[CallError]] = {
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineError,
    "INVALID_ARGUMENT": InvalidRequestError,
    "OUT_OF_RANGE": InvalidRequestError,
    "NOT_FOUND": NotFoundError,
    "ALREADY_EXISTS": ExistsError,
    "FAILED_PRECONDITION": PreconditionError,
    "RESOURCE_EXHAUSTED": OverloadedError,
}
NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


def error_of(status: Status, *, request_id: str = "") -> CallError:
    """Returns the error that a status stands for; also that of one entry of BatchRecommend."""
    return _error(_failure(status, request_id))


def error_of_call(call: grpc.Call, *, path: str, address: str, seconds: float, request_id: str) -> CallError:
    """Returns the error of a call that grpc ended.

    Args:
        call: what grpc raised.
        path: the method, for the message.
        address: where the call went, for the message.
        seconds: how long it was allowed to take, for the message.
        request_id: the id that it went out with.
    """
    code = call.code()
    details = dict(call.trailing_metadata() or ())
    status = _parsed(details.get(STATUS_KEY)) or Status(code=code.value[0], message=call.details() or "")
    told = details.get(REQUEST_ID_KEY, request_id)
    failure = _failure(status, told if isinstance(told, str) else told.decode("ascii", "replace"))
    if code is grpc.StatusCode.UNAVAILABLE and not failure.reason:
        text = f"nothing answers at {address}; start a server with `recsvc serve`, or give another address"
        return UnavailableError(failure, text)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineError(
            failure, f"{address} did not answer within {seconds:g} s; allow a longer timeout"
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ServerError(failure, f"the server at {address} does not know {path}; it is another version")
    return _error(failure)


def _error(failure: Failure) -> CallError:
    kind = KINDS.get(failure.code, ServerError)
    if kind is ServerError and failure.request_id:
        return kind(failure, f"{failure.message} ({failure.code}, request {failure.request_id})")
    return kind(failure)


def _failure(status: Status, request_id: str) -> Failure:
    info, bad, request = ErrorInfo(), BadRequest(), RequestInfo()
    for detail in status.details:
        for kind in (info, bad, request):
            if detail.Is(kind.DESCRIPTOR):
                detail.Unpack(kind)
    return Failure(
        code=NAMES.get(status.code, "UNKNOWN"),
        message=status.message,
        reason=info.reason,
        field=bad.field_violations[0].field if bad.field_violations else "",
        request_id=request.request_id or request_id,
        metadata=dict(info.metadata),
    )


def _parsed(content: str | bytes | None) -> Status | None:
    """Returns the status that a server sent; None where it sent none, or one that is no Status."""
    if not isinstance(content, bytes):
        return None
    try:
        return Status.FromString(content)
    except DecodeError:
        return None
