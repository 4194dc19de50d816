from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recdata.errors import (
    PublishError,
    SnapshotCorruptError,
    SnapshotError,
    SnapshotFormatError,
    SnapshotNotFoundError,
)
from recdata.snapshot import ForecastRecord, Snapshot, SnapshotWriter, UserRecord, UserView
from recdata.snapshot.writer import MANIFEST_FILE, SNAPSHOT_FILE
from tests.arrays import snapshot_arrays
from tests.recdata.conftest import LONG_ID, write_small


def finish(writer: SnapshotWriter) -> None:
    writer.finish(as_of=date(2024, 3, 1), created_at=datetime.now(UTC), currency="", metrics={}, lineage={})


def test_everything_written_is_read_back(snapshot_folder: Path) -> None:
    snapshot = Snapshot.open(snapshot_folder)
    assert snapshot.manifest.counts == {
        "items": 2, "users": 2, "lists": 2, "forecasts": 1, "candidates": 1, "categories": 3,
        "facets": 1, "orders": 0,
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
    with pytest.raises(SnapshotFormatError, match="format_version is 99, this version reads 4; upgrade"):
        Snapshot.open(snapshot_folder)


def test_a_garbled_manifest_is_refused(snapshot_folder: Path) -> None:
    (snapshot_folder / MANIFEST_FILE).write_text('{"format_version": 4, "snapshot_id": 5}')
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
    none, no_rows = np.zeros(0, np.float32), np.zeros(0, np.int32)
    user = UserRecord(0, 0, none, no_rows, no_rows, no_rows, none, no_rows.view(np.uint8), no_rows, none)
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
        purchased_days=np.arange(len(purchased), dtype=np.int32),
        ranked_rows=np.array(ranked, np.int32),
        ranked_scores=np.arange(len(ranked), dtype=np.float32),
        ranked_sources=np.ones(len(ranked), np.uint8),
        interacted_rows=np.array(purchased, np.int32),
        confidences=np.arange(1, len(purchased) + 1, dtype=np.float32),
    )
    again = UserView(record.encode())
    assert (again.user_row, again.tier) == (7, 3)
    for name in UserRecord.__struct_fields__[2:]:
        np.testing.assert_array_equal(getattr(again, name), getattr(record, name))
    assert again.ranked_fresh.tolist() == [row not in purchased for row in ranked]


@given(st.text(max_size=20), st.integers(0, 5))
def test_a_forecast_record_survives_its_bytes(method: str, days: int) -> None:
    curve = np.arange(days, dtype=np.float32)
    again = ForecastRecord.decode(ForecastRecord(date(2024, 2, 29), method, curve, curve, curve + 1).encode())
    assert (again.first_day, again.method) == (date(2024, 2, 29), method)
    np.testing.assert_array_equal(again.q90, curve + 1)


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"item_factors": np.ones((1, 3), np.float32)}, "item_factors is float32"),
        ({"item_factors": np.ones((2, 3), np.float64)}, "item_factors is float64"),
        ({"item_factors": np.ones(2, np.float32)}, "item_factors is float32"),
        ({"similar_rows": np.zeros((1, 1), np.int32)}, "similar_rows is int32"),
        ({"similar_rows": np.zeros((2, 2), np.int32)}, "differ in shape"),
        ({"sellable": np.ones(3, np.bool_)}, "sellable is bool"),
    ],
)
def test_an_array_that_does_not_cover_the_items_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], why: str
) -> None:
    with SnapshotWriter(tmp_path / "made") as writer:
        write_small(writer, **arrays)
    with pytest.raises(SnapshotCorruptError, match=why):
        Snapshot.open(tmp_path / "made")


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"similar_rows": np.array([[2], [-1]], np.int32)}, "similar_rows names item row 2, .* only 2 items"),
        ({"similar_rows": np.array([[-2], [-1]], np.int32)}, "similar_rows names item row -2"),
        ({"similar_scores": np.array([[1], [np.nan]], np.float32)}, r"similar_scores\[1, 0\] is nan"),
        ({"item_factors": np.array([[1], [np.inf]], np.float32)}, r"item_factors\[1, 0\] is inf"),
    ],
)
def test_an_array_with_values_that_cannot_be_is_not_written(
    tmp_path: Path, arrays: dict[str, np.ndarray], why: str
) -> None:
    with SnapshotWriter(tmp_path / "made") as writer, pytest.raises(PublishError, match=why):
        write_small(writer, **arrays)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ranked_rows": [0, 5]}, "user 'u' names item row 5, but there are only 0 items"),
        ({"purchased_rows": [-1], "purchased_days": [0]}, "user 'u' names item row -1"),
        ({"ranked_rows": [0]}, "different lengths"),
        ({"ranked_scores": [np.nan, 1]}, r"user 'u' ranked_scores\[0\] is nan"),
        ({"factors": [np.inf]}, r"user 'u' factors\[0\] is inf"),
    ],
)
def test_a_user_who_cannot_be_is_not_written(
    tmp_path: Path, change: dict[str, list[float]], why: str
) -> None:
    arrays: dict[str, list[float]] = {
        "factors": [],
        "purchased_rows": [],
        "purchased_days": [],
        "interacted_rows": [],
        "confidences": [],
        "ranked_rows": [0, 1],
        "ranked_scores": [1, 0],
        "ranked_sources": [1, 1],
    }
    floats = ("factors", "ranked_scores", "confidences")
    dtypes = dict.fromkeys(floats, np.float32) | {"ranked_sources": np.uint8}
    made = {name: np.array(each, dtypes.get(name, np.int32)) for name, each in (arrays | change).items()}

    def write(writer: SnapshotWriter) -> None:
        writer.write_users([("u", UserRecord(0, 0, **made))])
        finish(writer)

    with SnapshotWriter(tmp_path / "made") as writer, pytest.raises(PublishError, match=why):
        write(writer)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("counts", {}, "says None items, the file holds 2"),
        ("counts", {"items": -2}, "says -2 items, the file holds 2"),
        ("counts", {"candidates": 10**12}, "says 1000000000000 candidates, the file holds 1"),
        ("windows", {"best": [10**9]}, "window of 1000000000 days of 'best'"),
    ],
)
def test_a_manifest_that_was_edited_by_hand_is_refused(
    snapshot_folder: Path, key: str, value: dict[str, object], why: str
) -> None:
    path = snapshot_folder / MANIFEST_FILE
    manifest = json.loads(path.read_text())
    manifest[key] = (manifest[key] | value) if value else {}
    path.write_text(json.dumps(manifest))
    with pytest.raises(SnapshotCorruptError, match=why):
        Snapshot.open(snapshot_folder)


def test_a_shop_without_items_and_users_is_a_snapshot(tmp_path: Path) -> None:
    with SnapshotWriter(tmp_path / "made") as writer:
        writer.write_arrays(
            snapshot_arrays(
                0,
                item_factors=np.empty((0, 0), np.float32),
                similar_rows=np.empty((0, 5), np.int32),
                similar_scores=np.empty((0, 5), np.float32),
            )
        )
        writer.write_items([])
        writer.write_categories({})
        writer.write_facets({})
        writer.write_users([])
        writer.write_lists({})
        writer.write_forecasts({})
        writer.write_candidates([])
        finish(writer)
    snapshot = Snapshot.open(tmp_path / "made")
    assert snapshot.item_factors.shape == (0, 0)
    assert snapshot.similar_rows.shape == (0, 5)
    assert snapshot.user("anybody") is None
    snapshot.close()


def test_a_manifest_that_is_a_folder_is_an_error_with_a_remedy(snapshot_folder: Path) -> None:
    (snapshot_folder / MANIFEST_FILE).unlink()
    (snapshot_folder / MANIFEST_FILE).mkdir()
    with pytest.raises(SnapshotError, match="mend its rights"):
        Snapshot.open(snapshot_folder)
