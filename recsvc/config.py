"""Owns the `[serving]` table of the config."""

from __future__ import annotations

from typing import Literal

from recdata.config import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig


class ServingConfig(RoomConfig, frozen=True):
    """`[serving]`: how the server listens, loads and answers."""

    # Address to listen on; 0.0.0.0 or [::] for every interface. Callers are not authenticated: keep it in a
    # trusted network.
    host: str = "127.0.0.1"
    # TCP port, 0–65535; 0 takes a free one, which is printed.
    port: NonNegativeInt = 50051
    # Threads that answer calls, 1 or more. Python runs one at a time: a second hides waits, more only cost.
    threads: PositiveInt = 2
    # Calls that may run or wait at once, 1 or more; one too many is refused with RESOURCE_EXHAUSTED at once
    # rather than answered late.
    max_concurrent_calls: PositiveInt = 256
    # Seconds between looks at the published pointer; above 0.
    poll_seconds: PositiveFloat = 1.0
    # Whether a snapshot's checksum is compared before it serves (about 1 s a GB); its size always is.
    verify_snapshots: bool = True
    # Seconds, 0 or more, between telling health checks that the server stops and refusing calls, so that a
    # load balancer can turn away first; a call that comes in the very moment of the stop fails otherwise.
    shutdown_notice_seconds: NonNegativeFloat = 0.0
    # Seconds, 0 or more, that running calls are given to end after a stop signal; 0 cuts them off.
    shutdown_grace_seconds: NonNegativeFloat = 10.0
    # Language of the reasons where a request names none: zh or en.
    default_language: Literal["zh", "en"] = "zh"
    # Window in days, 1 or more, of the bestsellers that fill a list; the nearest there is, is taken.
    bestseller_window_days: PositiveInt = 28
    # Calls that take longer than this many milliseconds are logged; 0 logs none.
    slow_call_ms: NonNegativeFloat = 100.0
