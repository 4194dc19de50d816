"""Owns the metrics' page: what all workers have counted, in Prometheus's text format, on its own port."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from recdata.errors import ServeError
from recsvc.metrics import BOUNDS_SECONDS, Totals
from recsvc.pipes import Report
from recsvc.ports import address_text

EDGES = (*map(str, BOUNDS_SECONDS), "+Inf")


class WorkerSlot(Protocol):
    """What is shown of a worker's place; see `recsvc.supervisor.Slot`."""

    worker: int
    ready: bool
    known: tuple[Totals, Report | None]
    restarts: int


class WorkersCollector(Collector):
    """Merges the workers' counts when it is asked, and keeps those of the dead: a counter never falls."""

    def __init__(self, slots: Sequence[WorkerSlot]) -> None:
        self._slots = slots

    def collect(self) -> Iterable[Metric]:
        """Returns every metric."""
        totals = Totals()
        reports: list[tuple[str, Report]] = []
        for slot in self._slots:
            past, report = slot.known
            totals.add(past)
            if report is not None:
                totals.add(report.totals)
                reports.append((str(slot.worker), report))
        yield from _counts(totals)
        yield _gauge("recsvc_workers", "Workers that there should be.", len(self._slots))
        yield _gauge(
            "recsvc_workers_up", "Workers that answer calls.", sum(slot.ready for slot in self._slots)
        )
        restarts = CounterMetricFamily(
            "recsvc_worker_restarts", "Workers started in place of one that died.", labels=["worker"]
        )
        for slot in self._slots:
            restarts.add_metric([str(slot.worker)], slot.restarts)
        yield restarts
        yield from _by_worker(reports)


def serve_metrics(slots: Sequence[WorkerSlot], host: str, port: int) -> Callable[[], None]:
    """Serves the metrics at http://HOST:PORT/metrics on a thread of its own; returns what ends that.

    Raises:
        ServeError: the address cannot be listened on.
    """
    registry = CollectorRegistry()
    registry.register(WorkersCollector(slots))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except (OSError, OverflowError) as error:
        raise ServeError(
            f"cannot serve metrics on {address_text(host, port)}: {error}; "
            "give [serving] metrics_port another number, or 0 for none"
        ) from error

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end


def _counts(totals: Totals) -> Iterator[Metric]:
    seconds = HistogramMetricFamily(
        "recsvc_call_seconds",
        "Seconds that answered calls took, by the source of the answer's first item.",
        labels=["method", "source"],
    )
    calls = CounterMetricFamily(
        "recsvc_calls", "Calls that ended, by status code.", labels=["method", "code"]
    )
    for name, method in sorted(totals.methods.items()):
        answered = 0.0
        for source, (*buckets, total) in sorted(method.seconds.items()):
            summed = list(itertools.accumulate(buckets))
            answered += summed[-1]
            seconds.add_metric([name, source], list(zip(EDGES, summed, strict=True)), total)
        calls.add_metric([name, "OK"], answered)
        for code, count in sorted(method.failures.items()):
            calls.add_metric([name, code], count)
    yield seconds
    yield calls
    degradations = CounterMetricFamily(
        "recsvc_degradations", "What answers had to do without.", labels=["reason"]
    )
    for reason, count in sorted(totals.degradations.items()):
        degradations.add_metric([reason], count)
    yield degradations


#: By name: what it tells, and how it is read from a report.
_GAUGES: dict[str, tuple[str, Callable[[Report], float]]] = {
    "recsvc_snapshot_as_of_timestamp_seconds": (
        "First day that is not in the serving snapshot's data.",
        lambda report: report.as_of_s,
    ),
    "recsvc_snapshot_created_timestamp_seconds": (
        "When the serving snapshot was made.",
        lambda report: report.created_s,
    ),
    "recsvc_snapshot_loaded_timestamp_seconds": (
        "When the worker began to serve its snapshot.",
        lambda report: report.loaded_s,
    ),
    "recsvc_snapshot_refused": (
        "Whether the published snapshot was refused.",
        lambda report: report.refused,
    ),
    "recsvc_snapshots_mapped": ("Snapshots that requests may pin.", lambda report: report.mapped),
    "recsvc_live_store_readable": (
        "Whether the live store can be read.",
        lambda report: report.live.readable,
    ),
    "recsvc_live_store_writable": (
        "Whether the live store can be written.",
        lambda report: report.live.writable,
    ),
    "recsvc_live_store_used_bytes": ("Bytes used.", lambda report: report.live.used_bytes),
    "recsvc_live_store_max_bytes": ("Bytes that may be used.", lambda report: report.live.max_bytes),
    "recsvc_live_store_unexported_events": (
        "Events that the nightly job has not got yet.",
        lambda report: report.live.unexported,
    ),
    "recsvc_live_store_lag_seconds": (
        "Age of the oldest event that the nightly job has not got yet.",
        lambda report: report.live.lag_seconds,
    ),
}


def _by_worker(reports: Sequence[tuple[str, Report]]) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "recsvc_snapshot_info", "The serving snapshot; always 1.", labels=["worker", "snapshot_id"]
    )
    for worker, report in reports:
        info.add_metric([worker, report.snapshot_id], 1)
    yield info
    for name, (what, read) in _GAUGES.items():
        gauge = GaugeMetricFamily(name, what, labels=["worker"])
        for worker, report in reports:
            gauge.add_metric([worker], float(read(report)))
        yield gauge


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=value)
