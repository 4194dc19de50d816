"""Five candidates of the tiny shop whose orders, scores and states can be worked out by hand."""

from __future__ import annotations

from datetime import date

import numpy as np

from recdata.snapshot import CandidateRecord, ForecastRecord
from recsvc.v1.selection_service_pb2 import ComponentWeight
from tests.recsvc.tiny import AS_OF, Tiny, candidate

FULL = candidate(
    1,
    "pear",
    "push",
    "growth",
    demand=40.0,
    trend=0.5,
    components={"demand": 0.9, "trend": 0.2, "hit": 0.5},
    against_zh=["价格偏高"],
    against_en=["It is dear"],
    changes_zh=["降价一成"],
    changes_en=["A tenth off"],
    hit_probability=0.25,
    hit_alarm_on=date(2025, 2, 14),
    top_probability=0.5,
    keep_probability=0.875,
    expected_value=120.5,
    expected_value_q10=80.0,
    expected_value_q90=160.25,
    price_place=0.75,
    elasticity=-1.5,
    elasticity_low=-2.0,
    elasticity_high=-1.0,
    discount=0.125,
    look_alikes=[("apple", 0.75), ("gone", 0.5)],
    chosen=True,
)


def picks() -> list[CandidateRecord]:
    """Returns the candidates; milk is none. Under trend alone the order is beer, apple, wine, pear, bread."""
    return [
        FULL,
        candidate(2, "beer", "keep", "mature", demand=90.0, trend=-0.1, expected_value=500.0,
                  components={"demand": 0.5, "trend": 0.8, "hit": 0.1}),
        candidate(3, "apple", "drop", "dead", demand=10.0, trend=0.0, hit_probability=0.75,
                  components={"demand": 0.4, "trend": 0.6, "hit": 0.9}),
        candidate(4, "wine", "push", "growth", demand=90.0, trend=0.2, expected_value=300.0,
                  components={"demand": 0.3, "trend": 0.6, "hit": 0.3}),
        candidate(5, "bread", "keep", "mature", demand=20.0, trend=0.1, chosen=False,
                  components={"demand": 0.1, "trend": 0.0, "hit": 0.0}),
    ]  # fmt: skip


def shop(**fields) -> Tiny:
    """Returns the tiny shop with these candidates, and a forecast of the pear."""
    curve = np.array([1, 2, 3], np.float32)
    forecast = ForecastRecord(AS_OF, "croston", curve, curve / 2, curve * 2)
    return Tiny(**{"candidates": picks(), "forecasts": {("item", "pear"): forecast}} | fields)


def weights(**named: float) -> list[ComponentWeight]:
    return [ComponentWeight(name=name, weight=weight) for name, weight in named.items()]


def ids(answer) -> list[str]:
    """Returns the item ids of a list of candidates, in its order."""
    entries = (getattr(entry, "candidate", entry) for entry in answer.results)
    return [entry.item.item_id for entry in entries]
