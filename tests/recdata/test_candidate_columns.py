"""Candidates in a snapshot: every field comes back, and their columns say the same as the records."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from recdata.errors import PublishError, SnapshotCorruptError
from recdata.snapshot import CandidateRecord, Snapshot, SnapshotWriter
from recdata.snapshot.columns import NUMBERS, arrays_of, columns_of, from_arrays
from tests.recdata.conftest import write_small


def record(rank: int, item_row: int, **fields) -> CandidateRecord:
    plain = {
        "category": "A",
        "action": "push",
        "stage": "growth",
        "score": 1 - rank / 10,
        "trend": 0.1,
        "demand": 10.0 * rank,
        "demand_q10": 1.0,
        "demand_q90": 99.0,
        "recent_sales": 2.0,
        "revenue_at_stake": 28.5,
        "repurchase_rate": 0.4,
        "order_value": 50.0,
        "price_band": "mid",
        "components": {"trend": 0.7, "demand": rank / 10},
        "reasons_zh": ["趋势上升"],
        "reasons_en": ["Trend is up"],
    }
    return CandidateRecord(rank=rank, item_row=item_row, **plain | fields)


FULL = record(
    1,
    1,
    against_zh=["价格偏高"],
    against_en=["Dear"],
    changes_zh=["降价"],
    changes_en=["A lower price"],
    hit_probability=0.25,
    hit_alarm_on=date(2024, 2, 3),
    top_probability=0.5,
    keep_probability=0.9,
    expected_value=120.5,
    expected_value_q10=80.0,
    expected_value_q90=160.0,
    price_place=0.75,
    elasticity=-1.5,
    elasticity_low=-2.0,
    elasticity_high=-1.0,
    discount=0.2,
    look_alikes=[("a", 0.875)],
    chosen=True,
)


@pytest.fixture
def snapshot(tmp_path: Path):
    with SnapshotWriter(tmp_path / "made") as writer:
        write_small(writer, candidates=[FULL, record(2, 0, action="drop", stage="dead")])
    opened = Snapshot.open(tmp_path / "made")
    yield opened
    opened.close()


def test_a_candidate_comes_back_with_every_field_and_unknown_ones_as_none(snapshot: Snapshot) -> None:
    assert snapshot.candidate(1) == FULL
    bare = snapshot.candidate(2)
    assert bare is not None
    assert (bare.hit_probability, bare.hit_alarm_on, bare.chosen, bare.look_alikes) == (None, None, None, [])


def test_columns_say_what_the_records_say(snapshot: Snapshot) -> None:
    columns = snapshot.candidate_columns
    assert columns.rows.tolist() == [1, 0]
    assert [columns.words["action"][code] for code in columns.codes["action"]] == ["push", "drop"]
    assert [columns.words["stage"][code] for code in columns.codes["stage"]] == ["growth", "dead"]
    assert columns.numbers["demand"].tolist() == [10.0, 20.0]
    assert columns.numbers["hit_probability"][0] == 0.25
    assert np.isnan(columns.numbers["hit_probability"][1])
    assert list(columns.components) == ["trend", "demand"]
    assert columns.components["demand"].tolist() == [0.1, 0.2]
    assert set(columns.numbers) == set(NUMBERS)


def test_a_candidate_is_found_by_its_item(snapshot: Snapshot) -> None:
    assert (snapshot.candidate_rank(1), snapshot.candidate_rank(0)) == (1, 2)
    assert snapshot.candidate_rank(7) is None


@pytest.mark.parametrize(
    ("candidates", "why"),
    [
        ([record(2, 0)], "candidate 1 has rank 2"),
        ([record(1, 0), record(3, 1)], "candidate 2 has rank 3"),
        ([record(1, 0), record(2, 0)], "item row 0 is a candidate twice"),
        ([record(1, 0), record(2, 1, components={"trend": 1.0})], r"components \['trend'\]"),
        ([record(1, 0, score=float("nan"))], "score.*nan"),
        ([record(1, 0, demand=float("nan"))], "demand.*nan"),
        ([record(1, 0), record(2, 1, order_value=None)], r"order_value\[1\] is nan"),
        ([record(1, 0, demand_q90=float("inf"))], "demand_q90.*inf"),
        ([record(1, 0, components={"trend": float("inf")})], "component 'trend'.*inf"),
        ([record(1, 9)], "a candidate names item row 9"),
    ],
)
def test_candidates_that_cannot_be_are_not_written(tmp_path: Path, candidates, why: str) -> None:
    with SnapshotWriter(tmp_path / "made") as writer, pytest.raises(PublishError, match=why):
        write_small(writer, candidates=candidates)


@pytest.mark.parametrize(
    ("altered", "why"),
    [
        ({"item_row": np.array([0, 2], np.int32)}, "item_row goes from 0 to 2"),
        ({"by_row": np.array([0, -1], np.int32)}, "by_row goes from -1 to 0"),
        ({"action": np.array([0, 5], np.uint8)}, "action goes from 0 to 5"),
        ({"score": np.array([1.0])}, "score is float64"),
        ({"demand": np.array([1, 2], np.int64)}, "demand is int64"),
    ],
)
def test_columns_that_contradict_the_snapshot_are_refused(altered, why: str) -> None:
    columns = columns_of([record(1, 0), record(2, 1)])
    with pytest.raises(SnapshotCorruptError, match=why):
        from_arrays(
            arrays_of(columns) | altered,
            columns.words,
            components=list(columns.components),
            n_items=2,
            count=2,
        )
