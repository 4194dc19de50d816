"""Measures how fast events are taken in and on disk."""

from __future__ import annotations

import tempfile
import time
from statistics import median

import lmdb
from load import asking
from load.figures import Figure, figure
from load.names import NOOP, RECORD, SIZE_FILE, STATE
from load.rig import CACHE, CannotMeasureError, Rig, run_home

from cases.plan import Plan, alternating
from recsvc.v1.event_service_pb2 import RecordEventsResponse
from recsvc.v1.snapshot_service_pb2 import GetServingStateRequest, GetServingStateResponse

CALLERS = 8
LENGTH = 10


def recording(size: str, plan: Plan) -> list[Figure]:
    """Returns events_rate and event_call_ratio, one call under way each; and the disk's commits."""
    with (
        run_home(size) as home,
        Rig(home).settle() as rig,
        rig.pacer(CALLERS) as pacer,
        rig.callers(CALLERS) as slow,
    ):
        (home / SIZE_FILE).write_text(str(len(RecordEventsResponse(recorded_count=1).SerializeToString())))
        pacer.keep("one", asking.events(size, 1000, 1, seed=11))
        pacer.keep("ten", asking.events(size, 1000, LENGTH, seed=12))
        order = {"window": 1, "seconds": plan.seconds}
        warm = pacer.go(RECORD, "ten", **order)
        noop, one, ten = alternating(
            plan.rounds,
            lambda: pacer.go(NOOP, "one", **order),
            lambda: pacer.go(RECORD, "one", **order),
            lambda: pacer.go(RECORD, "ten", **order),
        )
        recorded = LENGTH * (warm.calls + sum(each.calls for each in ten)) + sum(each.calls for each in one)
        # The same with grpc's own client, which takes more of the cores than the server does.
        views = asking.views(size, asking.users(size, plan.live_users, seed=13), seed=13)
        slow.keep("views", views)
        slow_one = slow.go(RECORD, "views")
        slow_noop = slow.go(NOOP, "views")
        recorded += slow_one.calls
        state = GetServingStateResponse.FromString(
            rig.call(STATE, GetServingStateRequest().SerializeToString())
        )
        stored = state.live_store.unexported_event_count
        if stored != recorded:
            raise CannotMeasureError(f"{recorded} events were recorded, the live store tells of {stored}")
    commits = [_commits(plan.seconds) for _ in range(3)]
    return [
        figure(
            "events_rate",
            size,
            f"{CALLERS} callers, {LENGTH} events a call",
            [LENGTH * each.rate for each in ten],
            "a second",
            p50_us=median(each.p50_us for each in ten),
            p99_us=median(each.p99_us for each in ten),
            cpu_us_a_call=median(each.cpu_us for each in ten),
        ),
        figure(
            "event_call_ratio",
            size,
            f"{CALLERS} callers, 1 event a call",
            [b.rate / a.rate for a, b in zip(noop, one, strict=True)],
            calls_a_second=median(each.rate for each in one),
            noops_a_second=median(each.rate for each in noop),
            p50_us=median(each.p50_us for each in one),
            p99_us=median(each.p99_us for each in one),
            ratio_with_callers_of_grpc=slow_one.rate / slow_noop.rate,
        ),
        figure("disk_commits", size, "LMDB alone, one small value each", commits, "a second"),
    ]


def _commits(seconds: float) -> float:
    """Returns how many durable LMDB commits of one value this disk takes in a second."""
    with (
        tempfile.TemporaryDirectory(dir=CACHE, prefix="run-") as folder,
        lmdb.open(folder, map_size=1 << 28) as env,
    ):
        began = now = time.monotonic()
        count = 0
        while now < began + seconds:
            with env.begin(write=True) as transaction:
                transaction.put(b"%016d" % count, bytes(100))
            count += 1
            now = time.monotonic()
        return count / (now - began)
