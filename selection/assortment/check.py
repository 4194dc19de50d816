"""Owns the check of the solver on a made shop: `python -m selection.assortment.check [ITEMS]`.

Values and margins are drawn as shops have them (a few items earn most, costs differ), a tenth of the items
have substitutes, and the limits are a budget for a quarter of everything, slots for half of each category, a
price-band mix and a share of new items. Prints what the solver finds, how sure it is, and the greedy pick's.
"""

from __future__ import annotations

import sys
import time

import msgspec
import numpy as np
import polars as pl
from rich.console import Console

from selection.assortment.candidates import CANDIDATES
from selection.assortment.config import AssortmentConfig
from selection.assortment.greedy import greedy
from selection.assortment.limits import limits_of
from selection.assortment.problem import Problem
from selection.assortment.solve import solve

ITEMS = 20_000
PER_CATEGORY = 100
CHECKED: dict[str, dict[str, object]] = {
    "slots only": {},
    "budget": {"budget": 0.25},
    "budget, mix, new": {"budget": 0.25, "band_least": {"premium": 0.2}, "new_least": 0.15},
    "total, mix, new": {"band_least": {"premium": 0.2}, "band_most": {"mid": 0.5}, "new_least": 0.15},
}


def made_shop(items: int, seed: int) -> tuple[pl.DataFrame, Problem]:
    """Returns candidates and the problem without limits."""
    rng = np.random.default_rng(seed)
    value = np.exp(rng.normal(3.0, 1.2, items))
    cost = value * rng.uniform(0.3, 0.95, items)
    category = rng.integers(0, max(items // PER_CATEGORY, 1), items)
    bands = np.array(["value", "mid", "high", "premium"])[rng.choice(4, items, p=[0.25, 0.35, 0.25, 0.15])]
    names = [f"A > {number:04d}" for number in category]
    frame = pl.DataFrame(
        {
            "item_row": np.arange(items, dtype=np.int32),
            "item_id": [f"i{number:06d}" for number in range(items)],
            "category": names,
            "slot_category": names,
            "price_band": bands,
            "value": value,
            "cost": cost,
            "is_new": rng.random(items) < 0.1,
            "sells_now": rng.random(items) < 0.5,
            "loses": np.zeros(items, np.bool_),
        },
        schema=CANDIDATES,
    )
    by_category = np.argsort(category, kind="stable")
    one, two = by_category[:-1], by_category[1:]
    kept = (category[one] == category[two]) & (rng.random(items - 1) < 0.2)
    one, two = one[kept], two[kept]
    less = value[one] < value[two]
    pairs = np.stack([np.where(less, one, two), np.where(less, two, one)], axis=1)
    loss = 0.3 * rng.uniform(0.5, 1.0, len(pairs)) * value[pairs[:, 0]]
    return frame, Problem(value, cost, pairs, loss, ())


def check(items: int, out: Console) -> None:
    """Prints one line a set of limits."""
    frame, bare = made_shop(items, seed=1)
    out.print(f"{items} items, {len(bare.pairs)} pairs of substitutes")
    for name, asked in CHECKED.items():
        limits = dict(asked)
        if "budget" in limits:
            limits["budget"] = 0.25 * float(bare.cost.sum())
        elif name.startswith("total"):
            limits["total_slots"] = items // 4
        config = msgspec.convert(limits, AssortmentConfig)
        problem = Problem(bare.value, bare.cost, bare.pairs, bare.penalty, limits_of(frame, config))
        started = time.process_time()
        found = solve(
            problem, max_gap=config.max_gap, max_nodes=config.max_nodes, time_limit_s=config.time_limit_s
        )
        solved = time.process_time() - started
        plain = greedy(problem)
        kept = problem.allows(plain)
        gain = found.worth / problem.worth(plain) - 1 if kept else float("nan")
        told = f"  {name:18} {int(found.chosen.sum()):6} chosen, gap {found.gap:.4%}, {solved:5.1f} s"
        out.print(f"{told} of processor time, " + (f"{gain:+.3%} over greedy" if kept else "greedy fails"))


if __name__ == "__main__":
    check(int(sys.argv[1]) if len(sys.argv) > 1 else ITEMS, Console(width=120))
