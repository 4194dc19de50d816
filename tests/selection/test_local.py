"""What sells next in one place: the night's selection seen from there."""

from __future__ import annotations

from io import StringIO

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from recdata.errors import RunError
from recdata.places import RATIOS_SHAPE, PlaceShares
from selection.local import local_picks, show_local
from tests.selection.shelves import places_of, selected

#: Tea sells all in the north, rice all in the south, which is a third of the shop; the west has closed.
PLACES = PlaceShares(
    channels=("app", "app", "shop"),
    regions=("north", "south", "west"),
    shop=np.array([2 / 3, 1 / 3, 0.0], np.float32),
    categories=np.zeros((0, 3), np.float32),
    names=(),
    demand=np.zeros((0, 3), np.float32),
    starts=np.array([0, 1, 2, 2], np.int64),
    places=np.array([0, 1], np.int32),
    own=np.ones(2, np.float32),
    weights=np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1]], np.float32),
    item_categories=np.full(3, -1, np.int32),
    ratios=np.ones(RATIOS_SHAPE, np.float32),
    horizon_days=28,
)
SELECTION = pl.DataFrame(
    {
        "item_row": [2, 0, 1],
        "item_id": ["salt", "tea", "rice"],
        "demand": [30.0, 50.0, 20.0],
        "expected_value": [float("nan"), 100.0, 40.0],
        "revenue_at_stake": [90.0, 1.0, 1.0],
    }
)


def test_picks_of_a_place_are_by_what_is_expected_of_them_there() -> None:
    picks = local_picks(SELECTION, PLACES, channel="", region="south")
    # Of the salt a third falls on the south, 30 of its 90; the tea sells nothing there.
    assert picks.get_column("item_id").to_list() == ["rice", "salt"]
    assert picks.get_column("local_value").to_list() == pytest.approx([40.0, 30.0])
    assert picks.get_column("local_demand").to_list() == pytest.approx([20.0, 10.0])
    assert picks.get_column("place_lift").to_list() == pytest.approx([3.0, 1.0])
    assert (picks.get_column("local_q10") < picks.get_column("local_demand")).all()
    assert (picks.get_column("local_q90") > picks.get_column("local_demand")).all()


def test_all_places_of_a_channel_count_together() -> None:
    picks = local_picks(SELECTION, PLACES, channel="app", region="")
    assert picks.get_column("item_id").to_list() == ["tea", "salt", "rice"]
    assert picks.get_column("place_share").to_list() == pytest.approx([1.0] * 3)


@pytest.mark.parametrize(
    ("channel", "region", "told"),
    [
        ("", "", "no place is given; say --channel, --region, or both"),
        ("", "moon", "nothing was sold in region 'moon'"),
        ("shop", "north", "nothing was sold in channel 'shop' and region 'north'"),
        ("", "west", "region 'west' has closed"),
    ],
)
def test_a_place_that_sells_nothing_is_an_error_that_names_it(channel: str, region: str, told: str) -> None:
    with pytest.raises(RunError, match=told):
        local_picks(SELECTION, PLACES, channel=channel, region=region)


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_speaks_both_languages_and_cuts_nothing_off(busy_shop, tmp_path, width) -> None:
    run, _ = selected(busy_shop, tmp_path)
    out = StringIO()
    with pytest.raises(RunError, match="no places artefact"):
        show_local(Console(file=out), run, channel="app", region="", currency="CNY", limit=3)
    places_of(run)
    show_local(Console(file=out, width=width), run, channel="app", region="", currency="CNY", limit=3)
    said = out.getvalue()
    assert "…" not in said
    for text in ("app：接下来卖什么 what sells there next", "提升", "lift", "×1.8", "90.0%"):
        assert text in said
