"""Owns the made shop's selection: candidates as large as real ones, and the requests for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import numpy as np

from recdata.snapshot import CandidateRecord
from recsvc.v1.selection_service_pb2 import (
    CandidateFilter,
    ComponentWeight,
    GetCandidateRequest,
    ListCandidatesRequest,
    RescoreCandidatesRequest,
)

#: At most so many items are candidates; the rest could not be sold.
MOST = 100_000
COMPONENTS = (
    *("demand", "value", "sales", "buyers", "trend", "hit", "repurchase", "order_value", "margin"),
    *("satisfaction", "tier", "novelty", "safety"),
)
ACTIONS = ("push", "keep", "discount", "drop", "launch")
STAGES = ("growth", "mature", "decline", "dead", "launch", "seasonal")
ORDERS = ("", "expected_value desc", "hit_probability desc", "revenue_at_stake desc, rank", "trend desc")
PAGE = 20


def records(item_ids: Sequence[str], categories: Sequence[str], *, seed: int) -> Iterator[CandidateRecord]:
    """Yields candidates, best first: at most `MOST` of the items, in an order that is drawn.

    Args:
        item_ids: by item row.
        categories: by item row.
        seed: of everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    count = min(len(item_ids), MOST)
    rows = rng.permutation(len(item_ids))[:count].tolist()
    parts = rng.random((count, len(COMPONENTS)))
    parts = parts[np.argsort(-parts.mean(axis=1), kind="stable")]
    for place, (row, values) in enumerate(zip(rows, parts.tolist(), strict=True)):
        demand = 1000.0 * values[0]
        yield CandidateRecord(
            rank=place + 1,
            item_row=row,
            category=categories[row],
            action=ACTIONS[place % len(ACTIONS)],
            stage=STAGES[place % len(STAGES)],
            score=sum(values) / len(values),
            trend=values[4] - 0.5,
            demand=demand,
            demand_q10=0.6 * demand,
            demand_q90=1.5 * demand,
            recent_sales=0.9 * demand,
            revenue_at_stake=round(12.5 * demand, 2),
            repurchase_rate=values[6],
            order_value=round(200 * values[7], 2),
            price_band="mid",
            components=dict(zip(COMPONENTS, values, strict=True)),
            reasons_zh=["预计未来 28 天需求 1,234 件", "近 28 天销量上升 25%", "复购率 40%，高于品类平均"],
            reasons_en=[
                "Demand of 1,234 units is expected in the next 28 days",
                "Sales rose by 25% in the last 28 days",
                "40% buy it again, more than usual in its category",
            ],
            against_zh=["价格高于品类 85% 的商品", "毛利低于品类平均"],
            against_en=["Dearer than 85% of its category", "A lower margin than usual in its category"],
            changes_zh=["价格降 10% 后需求预计升 15%"],
            changes_en=["A price lower by 10% is expected to sell 15% more"],
            hit_probability=values[5],
            hit_alarm_on=date(2024, 12, 1) + timedelta(days=place % 30) if place % 3 == 0 else None,
            top_probability=values[1],
            keep_probability=values[12],
            expected_value=round(12.0 * demand, 2),
            expected_value_q10=round(8.0 * demand, 2),
            expected_value_q90=round(17.0 * demand, 2),
            price_place=values[8],
            elasticity=-1.5 if place % 4 == 0 else None,
            elasticity_low=-2.0 if place % 4 == 0 else None,
            elasticity_high=-1.0 if place % 4 == 0 else None,
            discount=0.1 if place % 5 == 2 else None,
            look_alikes=[(item_ids[(row + each) % len(item_ids)], 0.9 - each / 10) for each in range(1, 4)],
            chosen=place % 2 == 0,
        )


def lists(categories: Sequence[str], count: int, *, seed: int) -> list[bytes]:
    """Returns serialised ListCandidatesRequests of 20: half of the whole shop, half of one category."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, (2 * len(categories), len(ORDERS), len(ACTIONS) + 1), (count, 3)).tolist()
    return [
        ListCandidatesRequest(
            filter=CandidateFilter(
                category=categories[category] if category < len(categories) else "",
                action=action,  # type: ignore[arg-type] # 0 is any
            ),
            order_by=ORDERS[order],
            page_size=PAGE,
        ).SerializeToString()
        for category, order, action in drawn
    ]


def gets(item_ids: Sequence[str], count: int, *, seed: int) -> list[bytes]:
    """Returns serialised GetCandidateRequests of different items."""
    chosen = np.random.default_rng(seed).permutation(len(item_ids))[:count].tolist()
    return [GetCandidateRequest(item_id=item_ids[each]).SerializeToString() for each in chosen]


def rescores(sets: int, count: int, *, seed: int) -> list[bytes]:
    """Returns serialised RescoreCandidatesRequests of 20, under so many different sets of weights."""
    rng = np.random.default_rng(seed)
    drawn = rng.random((sets, len(COMPONENTS))).tolist()
    return [
        RescoreCandidatesRequest(
            weights=[
                ComponentWeight(name=name, weight=weight)
                for name, weight in zip(COMPONENTS, drawn[number % sets], strict=True)
            ],
            page_size=PAGE,
        ).SerializeToString()
        for number in range(count)
    ]
