"""Owns what the supervisor and its workers tell each other: JSON objects over a pipe."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import TypeAlias

import msgspec

from recsvc.config import ServingConfig
from recsvc.metrics import Totals

# --- to a worker -------------------------------------------------------------------------------------------


class Start(msgspec.Struct, frozen=True):
    """What a worker is started with: how to serve. `config.port` is the port that all workers share."""

    home: str
    config: ServingConfig
    worker: int


class Look(msgspec.Struct, frozen=True, tag="look"):
    """Look at the published pointer at once."""


class Verified(msgspec.Struct, frozen=True, tag="verified"):
    """A snapshot's checksum was compared; `why` says what is wrong, "" where nothing is."""

    snapshot_id: str
    why: str


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Drain and end; at once where `cut` is set."""

    cut: bool = False


ToWorker: TypeAlias = Look | Verified | Stop

# --- from a worker -----------------------------------------------------------------------------------------


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The worker answers calls, from this snapshot."""

    snapshot_id: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The worker cannot start, and ends."""

    message: str
    exit_code: int


class Swapped(msgspec.Struct, frozen=True, tag="swapped"):
    """The worker serves another snapshot; the others may look at once."""

    snapshot_id: str


class LiveFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The live store as one worker sees it."""

    readable: bool
    writable: bool
    used_bytes: int = 0
    max_bytes: int = 0
    unexported: int = 0
    lag_seconds: float = 0.0  # age of the oldest event that is not exported; 0 without one


class Report(msgspec.Struct, frozen=True, kw_only=True, tag="report"):
    """How a worker stands; sent every second, and as its last words."""

    totals: Totals
    snapshot_id: str
    as_of_s: float  # start of the day, seconds since 1970-01-01 UTC
    created_s: float
    loaded_s: float
    verified: bool
    mapped: int
    refused: bool  # whether the published snapshot was refused
    live: LiveFigures


FromWorker: TypeAlias = Ready | Failed | Swapped | Report

_ENCODER = msgspec.json.Encoder()
_TO_WORKER: msgspec.json.Decoder[ToWorker] = msgspec.json.Decoder(ToWorker)
_FROM_WORKER: msgspec.json.Decoder[FromWorker] = msgspec.json.Decoder(FromWorker)


def tell(pipe: Connection, message: ToWorker | FromWorker) -> None:
    """Sends a message.

    Raises:
        OSError: the other side is gone.
    """
    pipe.send_bytes(_ENCODER.encode(message))


def heard_by_worker(pipe: Connection) -> ToWorker:
    """Waits for the supervisor's next message.

    Raises:
        EOFError: it is gone.
        OSError: likewise.
    """
    return _TO_WORKER.decode(pipe.recv_bytes())


def heard_from_worker(pipe: Connection) -> FromWorker:
    """Waits for a worker's next message; raises as `heard_by_worker`."""
    return _FROM_WORKER.decode(pipe.recv_bytes())
