"""Owns the server's log, one JSON object a line on stderr, and the id by which a call's lines are found."""

from __future__ import annotations

import logging
import secrets
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

LOGGER = logging.getLogger("recsvc")

#: The metadata in which a caller names a call; at most so much of it is kept.
REQUEST_ID_KEY = "x-request-id"
MAX_REQUEST_ID_CHARACTERS = 128
_MADE_BYTES = 12


class HasMetadata(Protocol):
    """What a call came with; grpc's context is one."""

    def invocation_metadata(self) -> Iterable[Any] | None:
        """Returns the caller's metadata, pairs of key and value."""


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object; `extra={"fields": {...}}` adds keys.

    Args:
        fields: what every line has, by name.
    """

    def __init__(self, **fields: str | float) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line: time, level, event, the extra fields, and a traceback where there is one."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line.update(self._fields)
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def start_logging(**fields: str | float) -> None:
    """Sends the log, and what grpc itself has to say, to stderr; for the command line, not for tests.

    Args:
        fields: what every line has, by name, such as the worker's number.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(**fields))
    for name, level in (("recsvc", logging.INFO), ("grpc", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def log(level: int, event: str, *, error: BaseException | None = None, **fields: str | float | None) -> None:
    """Writes one line: what happened, and its fields by name."""
    LOGGER.log(level, event, extra={"fields": fields}, exc_info=error)


def request_id_of(context: HasMetadata) -> str:
    """Returns the id that the caller gave a call in its metadata, else one that is made now.

    It is only asked for when there is something to say of the call, so that other calls do not pay for it.
    """
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID_KEY and value:
            return str(value)[:MAX_REQUEST_ID_CHARACTERS]
    return secrets.token_hex(_MADE_BYTES)
