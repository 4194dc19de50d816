"""Measures what an event recorded just before makes of a shopper's next Recommend."""

from __future__ import annotations

from statistics import median

from load import asking
from load.figures import Figure, figure
from load.names import RECOMMEND, RECORD
from load.rig import Rig, Round, run_home

from cases.plan import Plan


def live(size: str, plan: Plan) -> list[Figure]:
    """Returns the ratios of processor time and latency.

    Each round takes shoppers of its own: their lists once to fill the caches, once measured, one view of each
    recorded, their lists again.
    """
    made = []
    everybody = asking.users(size, 2 * plan.rounds * plan.live_users, seed=6)
    with run_home(size) as home, Rig(home).settle() as rig:
        for number, connections in enumerate((1, 8)):
            without: list[Round] = []
            after: list[Round] = []
            records: list[Round] = []
            with rig.callers(connections) as callers:
                for turn in range(plan.rounds):
                    start = (number * plan.rounds + turn) * plan.live_users
                    chosen = everybody[start : start + plan.live_users]
                    callers.keep("recommend", asking.recommends(chosen))
                    callers.keep("view", asking.views(size, chosen, seed=start))
                    callers.go(RECOMMEND, "recommend")
                    without.append(callers.go(RECOMMEND, "recommend"))
                    records.append(callers.go(RECORD, "view"))
                    after.append(callers.go(RECOMMEND, "recommend"))
            what = f"{connections} connection{'s' * (connections > 1)}"
            for name, unit in (("live_cpu_ratio", "cpu_us"), ("live_latency_ratio", "p50_us")):
                made.append(
                    figure(
                        name,
                        size,
                        what,
                        [getattr(b, unit) / getattr(a, unit) for a, b in zip(without, after, strict=True)],
                        without_us=median(getattr(each, unit) for each in without),
                        after_us=median(getattr(each, unit) for each in after),
                        record_us=median(getattr(each, unit) for each in records),
                    )
                )
    return made
