"""Measures one BatchRecommend of 100 shoppers beside 100 calls of Recommend."""

from __future__ import annotations

from statistics import median

from load import asking
from load.figures import Figure, figure
from load.names import BATCH, RECOMMEND
from load.rig import Rig, run_home

from cases.plan import Plan, alternating

LENGTH = 100


def batch(size: str, plan: Plan) -> list[Figure]:
    """Returns the ratios of processor time and of time passed, one connection."""
    chosen = asking.users(size, max(LENGTH, plan.requests // 10), seed=8)
    with run_home(size) as home, Rig(home).settle() as rig, rig.callers(1) as callers:
        callers.keep("single", asking.recommends(chosen))
        callers.keep("batch", asking.batches(chosen, LENGTH))
        callers.go(RECOMMEND, "single")
        single, together = alternating(
            plan.rounds,
            lambda: callers.go(RECOMMEND, "single", seconds=plan.seconds),
            lambda: callers.go(BATCH, "batch", seconds=plan.seconds),
        )
    what = f"{LENGTH} shoppers"
    return [
        figure(
            "batch_cpu_ratio",
            size,
            what,
            [b.cpu_us / (LENGTH * a.cpu_us) for a, b in zip(single, together, strict=True)],
            singles_us=LENGTH * median(each.cpu_us for each in single),
            batch_us=median(each.cpu_us for each in together),
        ),
        figure(
            "batch_wall_ratio",
            size,
            what,
            [a.rate / (LENGTH * b.rate) for a, b in zip(single, together, strict=True)],
            singles_us=LENGTH * median(1e6 / each.rate for each in single),
            batch_us=median(1e6 / each.rate for each in together),
        ),
    ]
