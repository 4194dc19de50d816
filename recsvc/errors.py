"""Owns how an error becomes a gRPC status: the request errors, and the one table of codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from recdata.errors import (
    LiveStoreError,
    LiveStoreFullError,
    LiveStoreReadOnlyError,
    RecsvcError,
    ReviewExistsError,
    RuleExistsError,
    RuleNotFoundError,
)

DOMAIN = "recsvc"

#: How much of a caller's name is told back. A status travels in headers, and a client drops it past 8 kB.
TOLD_CHARACTERS = 100
TOLD_METADATA_CHARACTERS = 256


class RequestError(RecsvcError):
    """Base of the errors that are the caller's to mend.

    Args:
        message: what is wrong and what to do.
        reason: the machine-readable reason, UPPER_SNAKE_CASE.
        field: the request field at fault.
        metadata: what else the caller may want to read, by name.
    """

    def __init__(
        self, message: str, *, reason: str, field: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.field = field
        self.metadata = {
            name: shortened(value, TOLD_METADATA_CHARACTERS) for name, value in (metadata or {}).items()
        }


class StoppedError(RecsvcError):
    """A call reached the server after its snapshot was closed; another server may answer it."""

    def __init__(self) -> None:
        super().__init__("the server has stopped; send the call again, to another server or later")


class InvalidFieldError(RequestError):
    """A request field holds a value that no snapshot could answer, or that this one no longer can."""

    def __init__(self, field: str, message: str, *, reason: str = "INVALID_FIELD") -> None:
        super().__init__(message, reason=reason, field=field)


@contextmanager
def of_part(part: str, *, unless: str = "") -> Iterator[None]:
    """Names the fields of a message within a request from the request down, as "shopper.user_id".

    Args:
        part: the field that holds the message.
        unless: fields that begin so are named from the request down already; "" for none.
    """
    try:
        yield
    except InvalidFieldError as error:
        if unless and error.field.startswith(unless):
            raise
        raise InvalidFieldError(f"{part}.{error.field}", f"{part}.{error}", reason=error.reason) from error


class MalformedRequestError(RequestError):
    """The bytes that came are no message of the method."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"the request is not a {kind} in protobuf's binary form, with text in UTF-8; "
            "make it with code generated from proto/recsvc/v1",
            reason="MALFORMED_REQUEST",
            field="",
        )


class UnknownNameError(RequestError):
    """A request names an item, category or forecast that the serving snapshot does not know."""


class PreconditionError(RequestError):
    """A request is right in itself, and cannot be answered as things stand."""


class NotMappedError(PreconditionError):
    """A request pins a snapshot that this worker does not have mapped.

    Args:
        snapshot_id: the snapshot that was asked for.
        mapped: the ids of those that are mapped, the serving one first.
    """

    def __init__(self, snapshot_id: str, mapped: Sequence[str]) -> None:
        super().__init__(
            f"snapshot {quoted(snapshot_id)} is not mapped, mapped are {', '.join(mapped)}; pin one of "
            "those, or leave snapshot_id empty for the one that serves",
            reason="SNAPSHOT_NOT_MAPPED",
            field="snapshot_id",
            metadata={"snapshot_id": snapshot_id},
        )


class UnusableSnapshotError(PreconditionError):
    """A snapshot that a caller wants to serve cannot be used."""

    def __init__(self, snapshot_id: str, why: str) -> None:
        super().__init__(
            why, reason="SNAPSHOT_UNUSABLE", field="snapshot_id", metadata={"snapshot_id": snapshot_id}
        )


#: Which status an error ends in; the first class that fits counts. Whatever fits none is a defect of ours.
CODES: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    (InvalidFieldError, grpc.StatusCode.INVALID_ARGUMENT),
    (MalformedRequestError, grpc.StatusCode.INVALID_ARGUMENT),
    (UnknownNameError, grpc.StatusCode.NOT_FOUND),
    (PreconditionError, grpc.StatusCode.FAILED_PRECONDITION),
    (LiveStoreFullError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (RuleExistsError, grpc.StatusCode.ALREADY_EXISTS),
    (ReviewExistsError, grpc.StatusCode.ALREADY_EXISTS),
    (RuleNotFoundError, grpc.StatusCode.NOT_FOUND),
    (LiveStoreError, grpc.StatusCode.FAILED_PRECONDITION),
    (StoppedError, grpc.StatusCode.UNAVAILABLE),
    (Exception, grpc.StatusCode.INTERNAL),
)


#: What a call may end in without anything being wrong with the server; no line of its log tells it.
EXPECTED: tuple[type[Exception], ...] = (
    RequestError,
    StoppedError,
    RuleExistsError,
    RuleNotFoundError,
    ReviewExistsError,
)


#: The machine-readable reason of an error that is no RequestError; its words are told to the caller.
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (StoppedError, "SERVER_STOPPED"),
    (LiveStoreFullError, "LIVE_STORE_FULL"),
    (LiveStoreReadOnlyError, "LIVE_STORE_READ_ONLY"),
    (RuleExistsError, "RULE_EXISTS"),
    (ReviewExistsError, "REVIEW_EXISTS"),
    (RuleNotFoundError, "RULE_NOT_FOUND"),
    (LiveStoreError, "LIVE_STORE_UNAVAILABLE"),
)


def shortened(text: str, characters: int) -> str:
    """Returns a text, cut with an ellipsis where it is longer than so many characters."""
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def quoted(name: str) -> str:
    """Returns a caller's name in quotes, for a message; a long one is cut."""
    return repr(shortened(name, TOLD_CHARACTERS))


def code_of(error: Exception) -> grpc.StatusCode:
    """Returns the status code that an error ends in."""
    return next(code for kind, code in CODES if isinstance(error, kind))


def status_of(error: Exception, *, request_id: str = "") -> Status:
    """Returns the google.rpc.Status of an error, with details; a defect's own words stay in the log."""
    code = code_of(error)
    message = str(error)
    details: list[Message] = []
    if reason := next((reason for kind, reason in REASONS if isinstance(error, kind)), ""):
        details.append(ErrorInfo(reason=reason, domain=DOMAIN))
    elif isinstance(error, RequestError):
        details.append(ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata))
        if code is grpc.StatusCode.INVALID_ARGUMENT:
            violation = BadRequest.FieldViolation(field=error.field, description=message)
            details.append(BadRequest(field_violations=[violation]))
    else:
        message = "the server failed to answer; its log has the reason"
        details.append(ErrorInfo(reason="INTERNAL", domain=DOMAIN))
    if request_id:
        details.append(RequestInfo(request_id=request_id))
    return Status(code=code.value[0], message=message, details=[_packed(detail) for detail in details])


def abort(context: grpc.ServicerContext, error: Exception, *, request_id: str = "") -> NoReturn:
    """Ends the call with the error's status; grpc leaves the handler by an exception of its own."""
    context.abort_with_status(rpc_status.to_status(status_of(error, request_id=request_id)))
    raise AssertionError from error  # abort_with_status never returns


def _packed(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed
