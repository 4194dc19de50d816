"""Forecasts of an item in one channel or region, and candidates ordered by them, over a real server."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import click
import grpc
import numpy as np
import pytest
from rich.console import Console

from recdata.cli import Door
from recdata.places import RATIOS_SHAPE, PlaceShares
from recdata.snapshot import ForecastRecord
from recsvc.calling import call
from recsvc.server import Server
from recsvc.v1.selection_service_pb2 import (
    CandidateFilter,
    Forecast,
    ForecastLevel,
    GetForecastRequest,
    ListCandidatesRequest,
)
from tests.recsvc.conftest import CONFIG, Stubs, refusal
from tests.recsvc.picks import shop
from tests.recsvc.tiny import AS_OF, ITEMS, ROWS

ITEM = ForecastLevel.FORECAST_LEVEL_ITEM
#: The pear sells half in the app, half on the web, all in the north; the wine nearly all on the web.
OWN = {"pear": {0: 0.5, 2: 0.5}, "wine": {1: 0.125, 2: 0.875}}
PLACES = PlaceShares(
    channels=("app", "app", "web", "web"),
    regions=("north", "south", "north", "west"),
    shop=np.array([0.5, 0.25, 0.25, 0.0], np.float32),  # the west has closed
    categories=np.zeros((1, 4), np.float32),
    names=("Food",),
    demand=np.array([[0.25, 0.75, 0.0, 0.0]], np.float32),
    starts=np.cumsum([0, *(len(OWN.get(item_id, {})) for item_id in ITEMS)]),
    places=np.array([place for item_id in ITEMS for place in OWN.get(item_id, {})], np.int32),
    own=np.array([share for item_id in ITEMS for share in OWN.get(item_id, {}).values()], np.float32),
    weights=np.array([[1, 0, 0] if item_id in OWN else [0, 0, 1] for item_id in ITEMS], np.float32),
    item_categories=np.full(len(ROWS), -1, np.int32),
    ratios=np.full(RATIOS_SHAPE, 2.0, np.float32),
    horizon_days=2,
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stubs, Server]]:
    home = tmp_path_factory.mktemp("home")
    curve = np.array([8, 4, 4], np.float32)
    record = ForecastRecord(AS_OF, "items", curve, curve / 2, curve * 2)
    made = shop(places=PLACES)
    made.forecasts["category", "Food"] = record
    made.publish(home)
    server = Server(home, CONFIG)
    server.start()
    with grpc.insecure_channel(server.address) as channel:
        yield Stubs(channel), server
    server.stop()


@pytest.fixture
def ask(told):
    def asking(channel: str = "", region: str = "", **fields) -> Forecast:
        asked = GetForecastRequest(level=ITEM, key="pear", channel=channel, region=region, **fields)
        return told[0].selection.GetForecast(asked).forecast

    return asking


def test_the_parts_of_an_items_forecast_add_up_to_it_every_day(ask):
    whole = [day.mean for day in ask().days]
    assert whole == [1, 2, 3]
    for parts in (
        [ask(channel="app"), ask(channel="web")],
        [ask(region="north"), ask(region="south"), ask(region="west")],
    ):
        assert [
            sum(days) for days in zip(*([d.mean for d in part.days] for part in parts), strict=True)
        ] == whole
        assert sum(part.share for part in parts) == 1
        assert sum(part.total.mean for part in parts) == 3  # of the horizon's two days


def test_a_part_says_what_it_is_of_and_how_sure_it_is(ask):
    part = ask(channel="app", region="north", days=2)
    assert (part.channel, part.region, part.share, part.method) == ("app", "north", 0.5, "croston")
    assert [day.mean for day in part.days] == [0.5, 1.0]
    assert all(day.q10 <= day.mean <= day.q90 for day in part.days)
    assert (part.total.days, part.total.mean) == (2, 1.5)
    assert part.total.q10 == 0 < part.total.mean < part.total.q90 <= 4
    # What sells all of it has the item's own interval, as if no place had been asked for.
    assert [(day.q10, day.q90) for day in ask(region="north").days] == [
        (day.q10, day.q90) for day in ask().days
    ]


def test_a_category_has_parts_too(told):
    asked = GetForecastRequest(level=ForecastLevel.FORECAST_LEVEL_CATEGORY, key="Food", region="south")
    part = told[0].selection.GetForecast(asked).forecast
    assert (part.share, part.method, part.total.mean) == (0.75, "items", 9.0)
    assert [day.mean for day in part.days] == [6.0, 3.0, 3.0]


def test_a_forecast_of_no_place_says_nothing_of_places(ask):
    plain = ask()
    assert not plain.HasField("share")
    assert not plain.HasField("total")


@pytest.mark.parametrize(
    ("channel", "region"), [("", "west"), ("app", "west"), ("web", "south"), ("", "south")]
)
def test_nothing_falls_on_a_place_that_closed_or_never_was(ask, channel, region):
    part = ask(channel=channel, region=region)
    assert part.share == 0
    assert [(day.mean, day.q10, day.q90) for day in part.days] == [(0, 0, 0)] * 3
    assert part.total.q90 == 0


@pytest.mark.parametrize(
    ("fields", "code", "reason", "named"),
    [
        (
            {"channel": "fax"},
            grpc.StatusCode.NOT_FOUND,
            "CHANNEL_NOT_FOUND",
            "channel 'fax' is not in snapshot",
        ),
        (
            {"region": "moon"},
            grpc.StatusCode.NOT_FOUND,
            "REGION_NOT_FOUND",
            "region 'moon' is not in snapshot",
        ),
        ({"channel": "app", "key": "beer"}, grpc.StatusCode.NOT_FOUND, "FORECAST_NOT_FOUND", "item 'beer'"),
        (
            {"region": "north", "level": ForecastLevel.FORECAST_LEVEL_TOTAL},
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_FIELD",
            "region is 'north' beside level TOTAL",
        ),
    ],
)
def test_what_cannot_be_asked_of_a_place_is_refused_by_name(told, fields, code, reason, named):
    asked = GetForecastRequest(**{"level": ITEM, "key": "pear"} | fields)
    refused = refusal(told[0].selection.GetForecast, asked)
    assert (refused.code, refused.reason) == (code, reason)
    assert named in refused.message


def test_a_snapshot_that_tells_of_no_places_knows_no_channel(stubs):
    asked = GetForecastRequest(level=ITEM, key="pear", channel="app")
    assert refusal(stubs.selection.GetForecast, asked).reason == "CHANNEL_NOT_FOUND"


def order(told, order_by: str, **fields) -> list[str]:
    asked = ListCandidatesRequest(order_by=order_by, filter=CandidateFilter(**fields))
    return [entry.item.item_id for entry in told[0].selection.ListCandidates(asked).results]


def test_candidates_are_ordered_by_what_they_sell_in_the_place_asked_for(told):
    # 40 pears, half of them in the app, are more than an eighth of 90 wines.
    assert order(told, "demand desc", sold_in_channel="app") == ["wine", "pear"]
    assert order(told, "local_demand desc", sold_in_channel="app") == ["pear", "wine"]
    assert order(told, "local_value desc", sold_in_channel="app") == ["pear", "wine"]  # 60.25 and 37.5
    assert order(told, "local_value", sold_in_channel="app") == ["wine", "pear"]


def test_an_order_by_a_place_needs_one(told):
    refused = refusal(told[0].selection.ListCandidates, ListCandidatesRequest(order_by="local_value desc"))
    assert refused.field == "order_by"
    assert "give filter.sold_in_channel or filter.sold_in_region" in refused.message


def test_an_order_by_a_place_leaves_ranks_where_nothing_is_told_of_places(start, tmp_path):
    shop().publish(tmp_path)
    with grpc.insecure_channel(start(tmp_path).address) as channel:
        assert order((Stubs(channel),), "local_value desc", sold_in_channel="app") == ["pear", "wine"]


def test_the_command_line_shows_a_part(told):
    out = StringIO()
    console = Console(file=out, width=100)
    door = Door(home=None, config=None, console=console, out=console)
    options = (
        "forecast",
        "--level",
        "item",
        "--key",
        "pear",
        "--channel",
        "app",
        "--address",
        told[1].address,
    )
    call.main(list(options), obj=door, standalone_mode=False)
    said = out.getvalue()
    assert "Forecast of item pear in channel app (croston): 3 days, 3 units in all" in said
    assert "50.00% of the demand; the first 2 days together 1.5 (0.0 – 4.0)" in said
    with pytest.raises(click.UsageError, match="--level item or category"):
        call.main(["forecast", "--region", "north", "--address", "x"], obj=door, standalone_mode=False)
