"""Measures the server's processor time of a Recommend beside that of a no-op that answers as many bytes."""

from __future__ import annotations

from statistics import median

from load import asking
from load.figures import Figure, figure
from load.names import NOOP, RECOMMEND, RECORD
from load.rig import CannotMeasureError, Rig, run_home

from cases.plan import Plan, alternating
from recsvc.v1.recommendation_service_pb2 import RecommendResponse


def cost(size: str, plan: Plan) -> list[Figure]:
    """Returns cpu_ratio at 8 connections and at 1, with others' events in the live store."""
    requests = asking.recommends(asking.users(size, plan.requests, seed=3))
    made = []
    with run_home(size) as home, Rig(home).settle() as rig:
        for content in asking.events(size, 20, 100, seed=4):
            rig.call(RECORD, _numbered(content))
        answer_bytes = rig.size_noop(RECOMMEND, requests[:200])
        for request in requests[:50]:
            _check(rig.call(RECOMMEND, request))
        for connections in (8, 1):
            with rig.callers(connections) as callers:
                callers.keep("recommend", requests if connections > 1 else requests[: plan.requests // 4])
                callers.go(RECOMMEND, "recommend")  # fills the caches: each once
                noop, ours = alternating(
                    plan.rounds,
                    lambda callers=callers: callers.go(NOOP, "recommend", seconds=plan.seconds),
                    lambda callers=callers: callers.go(RECOMMEND, "recommend", seconds=plan.seconds),
                )
            made.append(
                figure(
                    "cpu_ratio",
                    size,
                    f"{connections} connection{'s' * (connections > 1)}",
                    [b.cpu_us / a.cpu_us for a, b in zip(noop, ours, strict=True)],
                    noop_us=median(each.cpu_us for each in noop),
                    recommend_us=median(each.cpu_us for each in ours),
                    noop_p50_us=median(each.p50_us for each in noop),
                    recommend_p50_us=median(each.p50_us for each in ours),
                    noop_p99_us=median(each.p99_us for each in noop),
                    recommend_p99_us=median(each.p99_us for each in ours),
                    recommends_a_second=median(each.rate for each in ours),
                    answer_bytes=answer_bytes,
                )
            )
    return made


def _numbered(content: bytes) -> bytes:
    for number in range(content.count(asking.MARKER)):
        content = content.replace(asking.MARKER, b"%016d" % (hash((content, number)) % 10**16), 1)
    return content


def _check(answer: bytes) -> None:
    ids = [entry.item.item_id for entry in RecommendResponse.FromString(answer).results]
    if len(set(ids)) != asking.PAGE or len(ids) != asking.PAGE:
        raise CannotMeasureError(f"an answer has {len(ids)} items, {len(set(ids))} different ones")
