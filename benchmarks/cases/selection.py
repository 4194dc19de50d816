"""Measures the processor time of SelectionService's reads beside a no-op that answers as many bytes."""

from __future__ import annotations

from statistics import median

from load import selections
from load.figures import Figure, figure
from load.names import GET_CANDIDATE, LIST_CANDIDATES, NOOP, RESCORE_CANDIDATES
from load.rig import CannotMeasureError, Rig, run_home
from load.synthetic import SIZES, item_id

from cases.plan import Plan, alternating
from recdata.releases import Releases
from recsvc.v1.selection_service_pb2 import RescoreCandidatesResponse

CONNECTIONS = 8
#: Sets of weights that a team tries on one morning; the server keeps what it made of the last ones.
SETS = 20
#: Different requests of each kind: what people look at in a day, and not every list that there could be.
REQUESTS = 500


def selection(size: str, plan: Plan) -> list[Figure]:
    """Returns each read's ratio of processor time, and the milliseconds of weights not asked for before."""
    with run_home(size) as home:
        snapshot = Releases(home).open_current()
        categories = [name for name in snapshot.categories if " > " in name]
        rows = snapshot.candidate_columns.rows.tolist()
        snapshot.close()
    ids = [item_id(row) for row in rows]
    count = min(plan.requests, REQUESTS)
    return [
        _ratio(
            "list_candidates_cpu_ratio",
            size,
            plan,
            LIST_CANDIDATES,
            selections.lists(categories, count, seed=5),
        ),
        _ratio("get_candidate_cpu_ratio", size, plan, GET_CANDIDATE, selections.gets(ids, count, seed=6)),
        _ratio("rescore_cpu_ratio", size, plan, RESCORE_CANDIDATES, selections.rescores(SETS, count, seed=7)),
        _fresh(size, plan),
    ]


def _ratio(name: str, size: str, plan: Plan, method: str, requests: list[bytes]) -> Figure:
    # A server of its own: the no-op's size is fixed by its first call.
    with run_home(size) as home, Rig(home).settle() as rig:
        answer_bytes = rig.size_noop(method, requests[:200])
        with rig.callers(CONNECTIONS) as callers:
            callers.keep("requests", requests)
            callers.go(method, "requests")  # fills the caches: each once
            noop, ours = alternating(
                plan.rounds,
                lambda: callers.go(NOOP, "requests", seconds=plan.seconds),
                lambda: callers.go(method, "requests", seconds=plan.seconds),
            )
    return figure(
        name,
        size,
        f"{CONNECTIONS} connections",
        [b.cpu_us / a.cpu_us for a, b in zip(noop, ours, strict=True)],
        noop_us=median(each.cpu_us for each in noop),
        ours_us=median(each.cpu_us for each in ours),
        noop_p99_us=median(each.p99_us for each in noop),
        ours_p99_us=median(each.p99_us for each in ours),
        calls_a_second=median(each.rate for each in ours),
        answer_bytes=answer_bytes,
    )


def _fresh(size: str, plan: Plan) -> Figure:
    """Returns the processor time of weights that nobody asked for before: all is weighed and sorted anew."""
    count = 40
    with run_home(size) as home, Rig(home).settle() as rig, rig.callers(1) as callers:
        made = []
        for number in range(plan.rounds):
            requests = selections.rescores(count, count, seed=100 + number)
            _check(rig.call(RESCORE_CANDIDATES, requests[0]), size)
            callers.keep("fresh", requests[1:])
            made.append(callers.go(RESCORE_CANDIDATES, "fresh").cpu_us / 1e3)
    return figure("rescore_fresh_ms", size, "", made, unit="ms")


def _check(answer: bytes, size: str) -> None:
    found = RescoreCandidatesResponse.FromString(answer)
    known = min(SIZES[size].items, selections.MOST)
    if found.total_size != known or [each.rank for each in found.results] != list(range(1, 21)):
        raise CannotMeasureError(f"of {known} candidates {found.total_size} are told")
