from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recdata.errors import PublishError, SnapshotCorruptError, SnapshotFormatError, SnapshotNotFoundError
from recdata.snapshot import ForecastRecord, Snapshot, SnapshotWriter, UserRecord
from recdata.snapshot.writer import MANIFEST_FILE, SNAPSHOT_FILE
from tests.recdata.conftest import LONG_ID, write_small


def test_everything_written_is_read_back(snapshot_folder: Path) -> None:
    snapshot = Snapshot.open(snapshot_folder)
    assert snapshot.manifest.counts == {
        "items": 2, "users": 2, "lists": 2, "forecasts": 1, "candidates": 1, "categories": 3,
    }  # fmt: skip
    assert snapshot.manifest.windows == {"best": [28, 7]}
    assert snapshot.item_factors.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert snapshot.sellable.tolist() == [True, False]
    assert snapshot.item_row(LONG_ID) == 1
    assert snapshot.item(1).title == "壶"
    assert snapshot.item(0).launched_on == date(2024, 1, 2)
    assert snapshot.categories == ("Drinks", "Drinks > Tea", "Home")
    rows = snapshot.category_rows("Drinks")
    assert rows is not None
    assert rows.tolist() == [0]
    user = snapshot.user("用户")
    assert user is not None
    assert user.ranked_rows.tolist() == [1, 0]
    assert user.ranked_sources.tolist() == [1, 2]
    popular = snapshot.ranked_list("best", 28)
    assert popular is not None
    assert popular.buyers.tolist() == [2, 1]
    forecast = snapshot.forecast("item", "a")
    assert forecast is not None
    assert (forecast.first_day, forecast.method, forecast.q90.tolist()) == (
        date(2024, 3, 1),
        "prophet",
        [2, 4],
    )
    candidate = snapshot.candidate(1)
    assert candidate is not None
    assert candidate.reasons_zh == ["趋势上升"]
    snapshot.close()


def test_what_is_not_there_is_none(snapshot_folder: Path) -> None:
    snapshot = Snapshot.open(snapshot_folder)
    assert snapshot.user("nobody") is None
    assert snapshot.user("") is None
    assert snapshot.user("x" * 600) is None
    assert snapshot.item_row("none") is None
    assert snapshot.category_rows("Nowhere") is None
    assert snapshot.ranked_list("best", 28, category="Drinks") is None
    assert snapshot.forecast("item", "b") is None
    assert snapshot.candidate(2) is None
    snapshot.close()


def test_arrays_are_views_that_cannot_be_written(snapshot_folder: Path) -> None:
    snapshot = Snapshot.open(snapshot_folder)
    with pytest.raises(ValueError, match="read-only"):
        snapshot.item_factors[0, 0] = 1
    assert snapshot.item_factors.flags.aligned
    snapshot.close()


def test_the_id_follows_the_content_and_not_the_clock(tmp_path: Path) -> None:
    ids = []
    for number, (title, hour) in enumerate([("Tea", 3), ("Tea", 9), ("Coffee", 3)]):
        with SnapshotWriter(tmp_path / str(number)) as writer:
            ids.append(write_small(writer, title=title, hour=hour).snapshot_id)
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


def test_a_truncated_file_is_refused(snapshot_folder: Path) -> None:
    path = snapshot_folder / SNAPSHOT_FILE
    os.truncate(path, path.stat().st_size - 4096)
    with pytest.raises(SnapshotCorruptError, match="truncated or altered"):
        Snapshot.open(snapshot_folder, verify=False)


def test_one_altered_byte_is_refused(snapshot_folder: Path) -> None:
    path = snapshot_folder / SNAPSHOT_FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(SnapshotCorruptError, match="altered"):
        Snapshot.open(snapshot_folder)


def test_a_newer_format_is_refused_by_name(snapshot_folder: Path) -> None:
    path = snapshot_folder / MANIFEST_FILE
    manifest = json.loads(path.read_text())
    manifest["format_version"] = 99
    path.write_text(json.dumps(manifest))
    with pytest.raises(SnapshotFormatError, match="format_version is 99, this version reads 1; upgrade"):
        Snapshot.open(snapshot_folder)


def test_a_garbled_manifest_is_refused(snapshot_folder: Path) -> None:
    (snapshot_folder / MANIFEST_FILE).write_text('{"format_version": 1, "snapshot_id": 5}')
    with pytest.raises(SnapshotCorruptError, match="cannot be read"):
        Snapshot.open(snapshot_folder)


def test_a_missing_file_beside_its_manifest_is_refused(snapshot_folder: Path) -> None:
    (snapshot_folder / SNAPSHOT_FILE).unlink()
    with pytest.raises(SnapshotCorruptError, match="missing beside its manifest"):
        Snapshot.open(snapshot_folder)


def test_an_empty_folder_holds_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(SnapshotNotFoundError, match="snapshots list"):
        Snapshot.open(tmp_path)


def test_users_out_of_order_are_refused(tmp_path: Path) -> None:
    nothing = np.zeros(0, np.float32)
    user = UserRecord(
        0, 0, nothing, nothing.view(np.int32), nothing.view(np.int32), nothing, nothing.view(np.uint8)
    )
    with (
        SnapshotWriter(tmp_path / "made") as writer,
        pytest.raises(PublishError, match="do not ascend between b'b' and b'a'"),
    ):
        writer.write_users([("b", user), ("a", user)])


@given(
    factors=st.lists(st.floats(width=32, allow_nan=False), max_size=9),
    purchased=st.lists(st.integers(0, 2**31 - 1), max_size=9),
    ranked=st.lists(st.integers(0, 2**31 - 1), max_size=9),
)
def test_a_user_record_survives_its_bytes(
    factors: list[float], purchased: list[int], ranked: list[int]
) -> None:
    record = UserRecord(
        user_row=7,
        tier=3,
        factors=np.array(factors, np.float32),
        purchased_rows=np.array(purchased, np.int32),
        ranked_rows=np.array(ranked, np.int32),
        ranked_scores=np.arange(len(ranked), dtype=np.float32),
        ranked_sources=np.ones(len(ranked), np.uint8),
    )
    again = UserRecord.decode(record.encode())
    assert (again.user_row, again.tier) == (7, 3)
    for name in ("factors", "purchased_rows", "ranked_rows", "ranked_scores", "ranked_sources"):
        np.testing.assert_array_equal(getattr(again, name), getattr(record, name))


@given(st.text(max_size=20), st.integers(0, 5))
def test_a_forecast_record_survives_its_bytes(method: str, days: int) -> None:
    curve = np.arange(days, dtype=np.float32)
    again = ForecastRecord.decode(ForecastRecord(date(2024, 2, 29), method, curve, curve, curve + 1).encode())
    assert (again.first_day, again.method) == (date(2024, 2, 29), method)
    np.testing.assert_array_equal(again.q90, curve + 1)
