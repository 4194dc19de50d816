"""Measures the slowest call of a hundred at 70% of the load that saturates the server.

The no-op is asked as many times a second, and, beside it, at 70% of what saturates it. The first says what a
Recommend's own work adds at one rate, the second how near to its limit each can be driven.
"""

from __future__ import annotations

from statistics import median

from load import asking
from load.figures import Figure, figure
from load.names import NOOP, RECOMMEND
from load.rig import Rig, Round, run_home

from cases.plan import Plan, alternating

CONNECTIONS = {1: 8, 2: 32}  # enough for the system to spread them over the workers
UNDER_WAY = 64
SHARE = 0.7
#: What a refused call counts as; calls are refused where too many wait.
REFUSED_US = 1e6


def tail(size: str, plan: Plan) -> list[Figure]:
    """Returns p99_ratio for each number of workers; calls at even distances, and as told beside it random."""
    requests = asking.recommends(asking.users(size, plan.requests, seed=7))
    return [each for workers in plan.workers for each in _with(size, plan, workers, requests)]


def _with(size: str, plan: Plan, workers: int, requests: list[bytes]) -> list[Figure]:
    connections = CONNECTIONS.get(workers, 32)
    made = []
    with run_home(size) as home, Rig(home, workers=workers).settle() as rig:
        rig.size_noop(RECOMMEND, requests[:200])
        with rig.pacer(connections) as pacer:
            pacer.keep("recommend", requests)
            window = max(1, UNDER_WAY // connections)
            pacer.go(RECOMMEND, "recommend", window=window, seconds=2 * plan.seconds)  # fills the caches
            fulls = [
                pacer.go(RECOMMEND, "recommend", window=window, seconds=plan.seconds)
                for _ in range(min(3, plan.rounds))
            ]
            full = min(fulls, key=lambda each: each.rate)  # what the server is sure to manage
            noop_fulls = [
                pacer.go(NOOP, "recommend", window=window, seconds=plan.seconds)
                for _ in range(min(3, plan.rounds))
            ]
            noop_full = min(noop_fulls, key=lambda each: each.rate)
            rate = SHARE * full.rate
            for name, arrivals, noop_rate in (
                ("p99_ratio", "even", rate),
                ("p99_ratio_of_own_loads", "even", SHARE * noop_full.rate),
                ("p99_ratio_random_arrivals", "random", rate),
            ):
                noop, ours = alternating(
                    plan.rounds if arrivals == "even" else max(1, plan.rounds // 2),
                    *(
                        lambda method=method, arrivals=arrivals, asked=asked: pacer.go(
                            method,
                            "recommend",
                            rate=asked,
                            arrivals=arrivals,
                            seconds=plan.seconds,
                            errors_allowed=10**9,
                        )
                        for method, asked in ((NOOP, noop_rate), (RECOMMEND, rate))
                    ),
                )
                made.append(
                    figure(
                        name,
                        size,
                        f"{workers} worker{'s' * (workers > 1)}",
                        [_p99_us(b) / _p99_us(a) for a, b in zip(noop, ours, strict=True)],
                        calls_a_second=rate,
                        noops_a_second=noop_rate,
                        saturated_at=full.rate,
                        noop_saturated_at=noop_full.rate,
                        noop_p99_us=median(_p99_us(each) for each in noop),
                        recommend_p99_us=median(_p99_us(each) for each in ours),
                        noop_p50_us=median(each.p50_us for each in noop),
                        recommend_p50_us=median(each.p50_us for each in ours),
                        refused=sum(each.errors for each in noop + ours),
                        callers_busy=full.raw["cpu_seconds"] / full.raw["seconds"],
                    )
                )
    return made


def _p99_us(round_: Round) -> float:
    latencies = sorted([*round_.latencies_us, *[REFUSED_US] * round_.errors])
    return latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))]
