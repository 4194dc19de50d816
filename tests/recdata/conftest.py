"""Small real snapshots for the floor's tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from recdata.places import PlaceShares
from recdata.snapshot import (
    CandidateRecord,
    ForecastRecord,
    ItemRecord,
    Manifest,
    RankedList,
    SnapshotWriter,
    UserRecord,
)
from tests.arrays import snapshot_arrays

LONG_ID = "長" * 66 + "id"  # 200 bytes of UTF-8


PICK = CandidateRecord(
    1, 0, "Drinks > Tea", "push", "growth", 0.8, 0.1, 3.0, 1.0, 5.0, 2.0, 28.5, 0.4, 50.0, "mid",
    {"trend": 0.7}, ["趋势上升"], ["Trend is up"],
)  # fmt: skip


def write_small(
    writer: SnapshotWriter,
    *,
    title: str = "Tea",
    hour: int = 3,
    candidates: Sequence[CandidateRecord] = (PICK,),
    places: PlaceShares | None = None,
    **arrays: np.ndarray,
) -> Manifest:
    """Writes two items, two users, one list, one forecast, one candidate; `arrays` stand in for its own."""
    writer.write_arrays(
        snapshot_arrays(
            2,
            item_factors=np.arange(6, dtype=np.float32).reshape(2, 3),
            similar_rows=np.array([[1], [-1]], np.int32),
            similar_scores=np.array([[0.5], [0.0]], np.float32),
            sellable=np.array([True, False]),
        )
        | arrays
    )
    writer.write_items(
        [
            ItemRecord("a", title, "Drinks > Tea", "", 9.5, None, "active", date(2024, 1, 2)),
            ItemRecord(LONG_ID, "壶", "Home", "B", None, 0, "active", None),
        ]
    )
    writer.write_categories(
        {
            "Drinks": np.array([0], np.int32),
            "Drinks > Tea": np.array([0], np.int32),
            "Home": np.array([1], np.int32),
        }
    )
    user = UserRecord(
        user_row=0,
        tier=0,
        factors=np.array([1, 2, 3], np.float32),
        purchased_rows=np.array([0], np.int32),
        purchased_days=np.array([19_000], np.int32),
        ranked_rows=np.array([1, 0], np.int32),
        ranked_scores=np.array([0.9, 0.1], np.float32),
        ranked_sources=np.array([1, 2], np.uint8),
        interacted_rows=np.array([0], np.int32),
        confidences=np.array([1.5], np.float32),
    )
    writer.write_facets({("brand", "B"): np.array([1], np.int32)})
    writer.write_users([("u1", user), ("用户", user)])
    popular = RankedList(np.array([1, 0], np.int32), np.array([2, 1], np.float32), np.array([2, 1], np.int32))
    writer.write_lists({("best", 28, "", "", ""): popular, ("best", 7, "", "", ""): popular})
    curve = np.array([1, 2], np.float32)
    writer.write_forecasts(
        {("item", "a"): ForecastRecord(date(2024, 3, 1), "prophet", curve, curve / 2, curve * 2)}
    )
    if places is not None:
        writer.write_places(places)
    writer.write_candidates(candidates)
    return writer.finish(
        as_of=date(2024, 3, 1),
        created_at=datetime(2024, 3, 1, hour, tzinfo=UTC),
        currency="CNY",
        metrics={"ndcg@20": 0.3},
        lineage={"run": "r1"},
    )


@pytest.fixture
def snapshot_folder(tmp_path: Path) -> Path:
    """Returns a folder with one small snapshot in it."""
    with SnapshotWriter(tmp_path / "made") as writer:
        write_small(writer)
    return tmp_path / "made"
