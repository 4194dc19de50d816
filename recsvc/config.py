"""Owns the `[serving]` table of the config."""

from __future__ import annotations

from typing import Literal

from recdata.config import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig
from recdata.ordering import OrderConfig
from recsvc.cores import Keeping


class ServingConfig(RoomConfig, frozen=True):
    """`[serving]`: how the server listens, loads and answers."""

    # What the shop wants of the order of lists.
    order: OrderConfig = OrderConfig()

    # Address to listen on; 0.0.0.0 or [::] for every interface. Callers are not authenticated: keep it in a
    # trusted network.
    host: str = "127.0.0.1"
    # TCP port, 0–65535; 0 takes a free one, which is printed.
    port: NonNegativeInt = 50051
    # Processes that answer calls, 1 or more, on the one port; one for each core is the most that helps. They
    # share the snapshot's memory.
    workers: PositiveInt = 1
    # Threads of a worker that answer calls, 1 or more. Python runs one at a time: a second hides waits, more
    # only cost.
    threads: PositiveInt = 2
    # Whether each worker keeps to one core, which makes calls cheaper and their times more even: "auto" where
    # no quota of processor time is set, as it is in most containers; "always"; or "never", for where others
    # keep to cores of this machine too.
    one_core_a_worker: Keeping = "auto"
    # Threads that wait for the disk in calls that record something, 1 or more; each group of waiting calls is
    # written in one go, so that more of them make larger groups.
    write_threads: PositiveInt = 16
    # Largest size in MB, 1 or more, of the live store: events of the day, stock, prices, rules. A full one
    # refuses to record with RESOURCE_EXHAUSTED.
    live_store_mb: PositiveInt = 1024
    # Calls that may run or wait at once in a worker, 1 or more; one too many is refused with
    # RESOURCE_EXHAUSTED at once rather than answered late.
    max_concurrent_calls: PositiveInt = 256
    # Seconds between looks at the published pointer; above 0.
    poll_seconds: PositiveFloat = 1.0
    # Former snapshots, 0 or more, that stay mapped for requests that pin one, for page tokens and for a quick
    # roll back; each needs address space, and memory only as far as it is read.
    keep_previous: NonNegativeInt = 1
    # When a snapshot's checksum is compared (about 1 s a GB): "after" while it serves already, and a wrong
    # one makes way for the one before it; "before" it serves; "never". Publishing and activating always do,
    # and size and format are always checked before.
    verify_snapshots: Literal["after", "before", "never"] = "after"
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
    # TCP port of the metrics in Prometheus's text format, at /metrics; 0 serves none.
    metrics_port: NonNegativeInt = 0
    # Address to serve the metrics on.
    metrics_host: str = "127.0.0.1"
    # Where traces go: the URL of an OTLP collector that speaks gRPC, such as http://127.0.0.1:4317. Empty
    # traces nothing; needs recsvc[tracing].
    trace_endpoint: str = ""
