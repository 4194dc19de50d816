from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import Pipe

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from recsvc.exposition import WorkersCollector
from recsvc.metrics import BOUNDS_SECONDS, Meter, Totals
from recsvc.pipes import LiveFigures, Report, heard_from_worker, tell


@dataclass
class Place:
    """A worker's place, as the supervisor keeps it."""

    worker: int
    known: tuple[Totals, Report | None]
    ready: bool = True
    restarts: int = 0


def report(meter: Meter) -> Report:
    """Returns a worker's report after its way over the pipe."""
    made = Report(
        totals=meter.totals(),
        snapshot_id="20250301-abc",
        as_of_s=1.0,
        created_s=2.0,
        loaded_s=3.0,
        verified=True,
        mapped=2,
        refused=False,
        live=LiveFigures(readable=True, writable=False, lag_seconds=12.5),
    )
    ours, theirs = Pipe()
    with ours, theirs:
        tell(theirs, made)
        return heard_from_worker(ours)


def samples(*places: Place) -> dict[tuple[str, frozenset[str]], float]:
    """Returns the page's figures by name and label values, as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(WorkersCollector(places))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_an_answer_is_counted_in_the_bucket_of_its_time_and_the_row_of_its_source():
    meter = Meter()
    counted = meter.method("a")
    for seconds, source in ((0.0001, "REPEAT"), (0.00011, "REPEAT"), (99.0, "REPEAT"), (0.2, "")):
        counted.answered(seconds, source)
    totals = meter.totals().methods["a"]
    row = totals.seconds["REPEAT"]
    assert (row[0], row[1], row[len(BOUNDS_SECONDS)], sum(row[:-1])) == (1, 1, 1, 3)
    assert row[-1] == pytest.approx(99.00021)
    assert sum(totals.seconds[""][:-1]) == 1


def test_totals_are_a_copy_that_later_calls_do_not_change():
    meter = Meter()
    meter.method("a").answered(0.1)
    before = msgspec.json.encode(meter.totals())
    kept = meter.totals()
    meter.method("a").answered(0.1)
    meter.degraded("UNKNOWN_USER")
    assert msgspec.json.encode(kept) == before


def test_the_page_adds_up_workers_and_those_that_died_before_them():
    meters = [Meter(), Meter(), Meter()]
    for meter in meters:
        meter.method("a").answered(0.0004, "REPEAT")
        meter.method("a").failed("NOT_FOUND")
        meter.degraded("UNKNOWN_USER")
    found = samples(
        Place(0, (meters[0].totals(), report(meters[1])), restarts=1),
        Place(1, (Totals(), report(meters[2]))),
        Place(2, (Totals(), None), ready=False),
    )
    assert found["recsvc_call_seconds_bucket", frozenset({"a", "REPEAT", "0.0003"})] == 0
    assert found["recsvc_call_seconds_bucket", frozenset({"a", "REPEAT", "0.0005"})] == 3
    assert found["recsvc_call_seconds_bucket", frozenset({"a", "REPEAT", "+Inf"})] == 3
    assert found["recsvc_call_seconds_sum", frozenset({"a", "REPEAT"})] == pytest.approx(0.0012)
    assert found["recsvc_calls_total", frozenset({"a", "OK"})] == 3
    assert found["recsvc_calls_total", frozenset({"a", "NOT_FOUND"})] == 3
    assert found["recsvc_degradations_total", frozenset({"UNKNOWN_USER"})] == 3
    assert found["recsvc_workers", frozenset()] == 3
    assert found["recsvc_workers_up", frozenset()] == 2
    assert found["recsvc_worker_restarts_total", frozenset({"0"})] == 1
    assert found["recsvc_snapshot_info", frozenset({"0", "20250301-abc"})] == 1
    assert found["recsvc_live_store_lag_seconds", frozenset({"1"})] == 12.5
    assert found["recsvc_live_store_writable", frozenset({"1"})] == 0
    assert ("recsvc_snapshots_mapped", frozenset({"2"})) not in found
