"""Shares of places: what a part of a forecast is, and how they lie in a snapshot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recdata.errors import PublishError, SnapshotCorruptError
from recdata.intervals import SIZES, count_bounds
from recdata.places import (
    CATEGORY,
    CHANNEL,
    ITEM,
    PLACE,
    RATIOS_SHAPE,
    REGION,
    PlaceShares,
    part_of_days,
    part_of_total,
    view_of,
)
from recdata.snapshot import Snapshot, SnapshotWriter
from recdata.snapshot.local import KINDS
from recdata.snapshot.writer import SNAPSHOT_FILE
from tests.recdata.conftest import write_small

#: Three places; item 0 sold in two of them and has a category, item 1 has neither.
SHARES = PlaceShares(
    channels=("app", "app", "shop"),
    regions=("north", "south", "south"),
    shop=np.array([0.5, 0.25, 0.25], np.float32),
    categories=np.array([[0.2, 0.8, 0.0]], np.float32),
    names=("Tea",),
    demand=np.array([[0.5, 0.25, 0.25]], np.float32),
    starts=np.array([0, 2, 2], np.int64),
    places=np.array([0, 2], np.int32),
    own=np.array([0.75, 0.25], np.float32),
    weights=np.array([[0.5, 0.3, 0.2], [0.0, 0.0, 1.0]], np.float32),
    item_categories=np.array([0, -1], np.int32),
    ratios=np.full(RATIOS_SHAPE, 2.0, np.float32),
    horizon_days=2,
)


@pytest.mark.parametrize(
    ("channel", "region", "first", "second"),
    [
        ("", "", 1.0, 1.0),
        ("app", "", 0.5 * 0.75 + 0.3 * 1.0 + 0.2 * 0.75, 0.75),
        ("", "south", 0.5 * 0.25 + 0.3 * 0.8 + 0.2 * 0.5, 0.5),
        ("shop", "south", 0.5 * 0.25 + 0.2 * 0.25, 0.25),
        ("shop", "north", 0.0, 0.0),  # both are known, but nothing ever sold in both at once
    ],
)
def test_a_share_is_its_three_parts_weighed(channel: str, region: str, first: float, second: float) -> None:
    within = SHARES.within(channel, region)
    assert SHARES.share(0, within) == pytest.approx(first)
    assert SHARES.share(1, within) == pytest.approx(second)
    assert SHARES.shares(within) == pytest.approx([first, second])


def test_parts_of_a_forecast_are_the_forecast() -> None:
    mean = np.array([3.0, 5.0, 0.5], np.float32)
    parts = [
        part_of_days(SHARES, SHARES.share(0, SHARES.within(channel, region)), mean, level=ITEM, view=PLACE)[0]
        for channel, region in zip(SHARES.channels, SHARES.regions, strict=True)
    ]
    assert np.sum(parts, axis=0) == pytest.approx(mean, rel=1e-6)
    total = part_of_total(SHARES, 0.25, mean, level=ITEM, view=PLACE)
    assert total[0] == pytest.approx(2.0)  # of the horizon's two days


def test_a_categorys_share_is_its_items_and_one_that_is_not_known_has_the_shops() -> None:
    south = SHARES.within("", "south")
    assert SHARES.category_share("Tea", south) == 0.5
    assert SHARES.category_share("Rice", SHARES.within("app", "")) == 0.75


def test_an_interval_widens_past_the_horizon_and_holds_the_mean() -> None:
    mean = np.full(90, 400.0, np.float32)
    part, low, high = part_of_days(SHARES, 0.5, mean, level=CATEGORY, view=REGION)
    assert (low <= part).all()
    assert (part <= high).all()
    assert high[80] - low[80] > 1.5 * (high[0] - low[0])


@given(
    st.lists(st.floats(0, 1e7), min_size=1, max_size=30),
    st.floats(0.01, 1e5),
    st.floats(1, 10),
)
def test_bounds_of_counts_stand_on_their_sides_of_the_mean_whatever_it_is(
    means: list[float], ratio: float, widen: float
) -> None:
    mean = np.array(means)
    low, high = count_bounds(mean, np.full(len(SIZES), ratio), widen)
    assert ((low >= 0) & (low <= mean) & (mean <= high)).all()
    assert np.isfinite(high).all()
    # No more than a tenth of the cases can be above ten times the mean (Markov).
    assert (high <= 10 * mean + 1).all()


def test_places_are_looked_at_as_they_are_asked_for() -> None:
    assert view_of("app", "north") == PLACE
    assert view_of("app", "") == CHANNEL
    assert view_of("", "north") == REGION


def written(folder: Path, shares: PlaceShares) -> Snapshot:
    with SnapshotWriter(folder) as writer:
        write_small(writer, places=shares)
    return Snapshot.open(folder)


def test_a_snapshot_gives_back_the_shares_that_were_written(tmp_path: Path) -> None:
    snapshot = written(tmp_path / "made", SHARES)
    found = snapshot.places
    assert found is not None
    assert (found.channels, found.regions, found.horizon_days) == (SHARES.channels, SHARES.regions, 2)
    assert found.names == ("Tea",)
    for name in KINDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(SHARES, name))
    snapshot.close()


def test_a_snapshot_without_places_opens_and_tells_none(snapshot_folder: Path) -> None:
    snapshot = Snapshot.open(snapshot_folder)
    assert snapshot.places is None
    snapshot.close()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"places": np.array([0, 3], np.int32)}, "places go from 0 to 3, past 3"),
        ({"item_categories": np.array([1, -1], np.int32)}, "item_categories go from -1 to 1, past 1"),
        ({"own": np.array([0.5, np.nan], np.float32)}, "own is no share"),
        ({"own": np.array([0.5, -0.1], np.float32)}, "own is no share"),
        ({"starts": np.array([0, 2], np.int64)}, r"starts is \(2,\), not \(3,\)"),
        ({"starts": np.array([0, 2, 1], np.int64)}, "starts go from 0 to 1, over 2 shares"),
        ({"regions": ("north",)}, "3 channels, 1 regions"),
        ({"names": ()}, r"categories is \(1, 3\), not \(0, 3\)"),
        ({"demand": np.full((1, 3), -0.5, np.float32)}, "demand is no share"),
        ({"ratios": np.zeros(RATIOS_SHAPE, np.float32)}, "ratios are not all above 0"),
    ],
)
def test_shares_that_cannot_be_are_not_written(tmp_path: Path, change: dict[str, object], why: str) -> None:
    with pytest.raises(PublishError, match=why):
        written(tmp_path / "made", replace(SHARES, **change))


def test_shares_that_were_altered_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "made", replace(SHARES, own=np.array([0.8125, 0.1875], np.float32))).close()
    path = tmp_path / "made" / SNAPSHOT_FILE
    content = path.read_bytes()
    good = np.array([0.8125, 0.1875], np.float32).tobytes()
    assert content.count(good) == 1
    path.write_bytes(content.replace(good, np.array([0.8125, np.nan], np.float32).tobytes()))
    with pytest.raises(SnapshotCorruptError, match="own is no share"):
        Snapshot.open(tmp_path / "made", verify=False)
