"""How an item's forecast falls on its places, on shops whose answer can be worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from rich.console import Console

from recdata.artefacts import read_artefact, write_artefact
from recdata.intervals import SIZES, count_bounds
from recdata.places import CATEGORY as OF_CATEGORY
from recdata.places import ITEM, PLACE, REGION, PlaceFigures
from recdata.runs import RunFolder
from recdata.training_artefacts import DAILY_SALES, FORECAST_TOTALS, ITEMS
from training.forecast import ForecastConfig
from training.places.config import PlacesConfig
from training.places.learning import learned_weights, taught_by
from training.places.opened import places_at
from training.places.sales import PlaceSales, load_sales
from training.places.shares import CATEGORY, OWN, SHOP, parts_at
from training.places.stage import places_stage
from training.places.walk import LocalOutcome, walk_places

FIRST = date(2024, 1, 1)
CONFIG = PlacesConfig()
Line = tuple[int, int, str, str, float]  # item row, day, channel, region, units


def write(folder: Path, lines: list[Line], categories: list[str]) -> None:
    frame = pl.DataFrame(
        [
            (row, FIRST + timedelta(days=day), channel, region, units)
            for row, day, channel, region, units in lines
        ],
        schema=["item_row", "day", "channel", "region", "quantity"],
        orient="row",
        schema_overrides={"day": pl.Date, "channel": pl.String, "region": pl.String},
    ).with_columns(revenue=pl.lit(3.0), buyers=1, orders=1)
    frame = frame.select(list(DAILY_SALES)).cast(DAILY_SALES).sort("item_row", "day", "channel", "region")
    write_artefact(frame, folder / "daily_sales.parquet", "daily_sales")
    items = pl.DataFrame(
        {"item_id": [f"item-{row}" for row in range(len(categories))], "category": categories},
        schema={"item_id": pl.String, "category": pl.String},
    ).with_row_index("item_row")
    items = items.with_columns(pl.lit(None).alias(name) for name in ITEMS if name not in items.columns)
    write_artefact(items.select(list(ITEMS)).cast(ITEMS), folder / "items.parquet", "items")


def sales_of(folder: Path, lines: list[Line], categories: list[str], days: int) -> PlaceSales:
    write(folder, lines, categories)
    return load_sales(
        items=folder / "items.parquet",
        daily_sales=folder / "daily_sales.parquet",
        as_of=FIRST + timedelta(days=days),
        history_days=1095,
        category_depth=2,
    )


def shares_of(outcome: LocalOutcome) -> np.ndarray:
    """Returns every item's share of every place."""
    above = np.concatenate([outcome.parts.category, outcome.parts.places.share[None]])
    return (
        outcome.weights[:, [OWN]] * outcome.parts.own.toarray()
        + outcome.weights[:, [CATEGORY]] * above[outcome.parts.item_category]
        + outcome.weights[:, [SHOP]] * outcome.parts.places.share
    )


def two_regions(days: int) -> list[Line]:
    """Item 0 sells 3 units a day in the north, 1 in the south; item 1 only in the south, every day."""
    found: list[Line] = []
    for day in range(days):
        found += [(0, day, "app", "north", 3.0), (0, day, "app", "south", 1.0), (1, day, "app", "south", 2.0)]
    return found


def test_shares_of_an_item_sum_to_one_and_its_own_sales_lead_where_they_are_many(tmp_path: Path) -> None:
    sales = sales_of(tmp_path, two_regions(140), ["tea", "tea", "tea"], 140)
    (outcome,) = walk_places(sales, {140: np.array([112.0, 56.0, 5.0])}, horizon=28, config=CONFIG)
    share = shares_of(outcome)
    assert share.sum(axis=1) == pytest.approx([1.0, 1.0, 1.0])
    assert share[0] == pytest.approx([0.75, 0.25], abs=0.04)
    assert share[1, 1] > 0.9
    # The third never sold: its category's share, half and half, is all there is.
    assert outcome.weights[2, OWN] == 0.0
    assert share[2] == pytest.approx([0.5, 0.5], abs=1e-6)
    assert outcome.pairs[ITEM][PLACE].mean.sum() == pytest.approx(
        share[0].sum() * 112 + share[1, 1] * 56, rel=1e-6
    )


def test_a_categorys_parts_are_what_its_items_parts_add_up_to(tmp_path: Path) -> None:
    sales = sales_of(tmp_path, two_regions(140), ["tea", "tea", "rice"], 140)
    (outcome,) = walk_places(sales, {140: np.array([112.0, 56.0, 5.0])}, horizon=28, config=CONFIG)
    categories = outcome.pairs[OF_CATEGORY][REGION]
    assert categories.row.tolist() == [0, 0, 1, 1]  # rice, that never sold, has the shop's shares
    parts = shares_of(outcome) * outcome.mean[:, None]
    assert categories.mean.tolist() == pytest.approx([*parts[2], *parts[:2].sum(axis=0)])
    assert outcome.demand.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert outcome.demand[0] == pytest.approx(outcome.parts.places.share)


def test_what_is_learned_knows_nothing_from_the_origin_on(tmp_path: Path) -> None:
    lines = two_regions(140)
    before = sales_of(tmp_path, lines, ["tea", "tea"], 168)
    told = learned_weights(before, 140, horizon=28, config=CONFIG), parts_at(before, 140, CONFIG)
    lines += [(1, day, "app", "west", 50.0) for day in range(140, 168)]
    after = sales_of(tmp_path, lines, ["tea", "tea"], 168)
    again = learned_weights(after, 140, horizon=28, config=CONFIG), parts_at(after, 140, CONFIG)
    np.testing.assert_array_equal(told[0], again[0])
    # The west is a place of the table now, and nothing falls on it.
    assert again[1].places.share.tolist() == [*told[1].places.share.tolist(), 0.0]
    np.testing.assert_array_equal(told[1].own.toarray(), again[1].own.toarray()[:, :2])


def test_own_sales_are_trusted_where_earlier_horizons_bore_them_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    loyal: list[Line] = []
    fickle: list[Line] = []
    for row in range(40):
        home = f"r{row % 4}"
        for day in range(0, 168, 2):
            loyal.append((row, day, "", home, 1.0))
            fickle.append((row, day, "", f"r{rng.integers(4)}", 1.0))
    trust = [
        parts_at(sales, 168, CONFIG)
        .usable(learned_weights(sales, 168, horizon=28, config=CONFIG))[:, OWN]
        .mean()
        for sales in (
            sales_of(tmp_path, loyal, ["tea"] * 40, 168),
            sales_of(tmp_path, fickle, ["tea"] * 40, 168),
        )
    ]
    assert trust[0] > 0.9
    assert trust[1] < 0.6  # by hand it would be 0.7; where own sales are chance they are drawn down


def test_origins_that_teach_had_ended_and_had_a_past() -> None:
    assert taught_by(140, 28, CONFIG) == [112, 84, 56, 28]
    assert taught_by(60, 28, CONFIG) == [32]
    assert taught_by(140, 28, PlacesConfig(learn_origins=0)) == []


def test_a_place_that_closed_gets_nothing_and_one_that_opened_gets_its_part(tmp_path: Path) -> None:
    lines = [line for line in two_regions(140) if line[3] != "north" or line[1] < 100]
    lines += [(1, day, "app", "west", 2.0) for day in range(120, 140)]
    sales = sales_of(tmp_path, lines, ["tea", "tea"], 140)
    assert list(sales.regions) == ["north", "south", "west"]
    places = places_at(sales, 140, CONFIG)
    assert places.share[0] == 0.0
    assert places.share.sum() == pytest.approx(1.0)
    assert places.share[2] > 0.2
    assert places.growth[2] > 1.5  # it is younger than the shares' memory
    (outcome,) = walk_places(sales, {140: np.array([28.0, 56.0])}, horizon=28, config=CONFIG)
    assert outcome.parts.own.toarray()[:, 0].tolist() == [0.0, 0.0]
    # The day before its silence was too long it was open.
    assert places_at(sales, 114, CONFIG).share[0] > 0.0


def test_a_day_off_for_all_closes_nobody(tmp_path: Path) -> None:
    sales = sales_of(tmp_path, two_regions(60), ["tea", "tea"], 140)
    assert (places_at(sales, 140, CONFIG).share > 0).all()


def test_returns_and_broken_units_never_make_a_share_negative(tmp_path: Path) -> None:
    lines = [*two_regions(60), (1, 30, "app", "north", -40.0), (0, 31, "app", "south", float("nan"))]
    sales = sales_of(tmp_path, lines, ["tea", "tea"], 60)
    parts = parts_at(sales, 60, CONFIG)
    assert (parts.own.toarray() >= 0).all()
    assert parts.own.toarray()[1].tolist() == [0.0, 1.0]
    assert (parts.category >= 0).all()


def test_count_bounds_hold_what_a_negative_binomial_says() -> None:
    rng = np.random.default_rng(5)
    for mean, ratio in ((0.05, 1.5), (0.7, 2.0), (3.0, 2.5), (20.0, 4.0), (300.0, 30.0)):
        sold = rng.negative_binomial(mean / (ratio - 1), 1 / ratio, 40_000)
        low, high = count_bounds(np.array([mean]), np.full(len(SIZES), ratio))
        assert (sold < low[0]).mean() <= 0.105
        assert (sold > high[0]).mean() <= 0.105
        if mean >= 20:  # where counts are fine enough to be held to both sides
            assert (sold < low[0]).mean() >= 0.06
            assert (sold > high[0]).mean() >= 0.06
        assert 0.0 <= low[0] <= mean <= high[0]
    assert count_bounds(np.zeros(1), np.ones(len(SIZES)))[1][0] == 0.0


def run_stage(
    folder: Path, lines: list[Line], categories: list[str], mean: list[float], days: int
) -> RunFolder:
    run = RunFolder(folder, "run", FIRST + timedelta(days=days), Console(file=StringIO()))
    run.path.mkdir(parents=True)
    write(run.path, lines, categories)
    rows = [
        (FIRST + timedelta(days=day), "item", f"item-{row}", 28, value, 0.0, 2 * value, "regression")
        for day in (days - 28, days)
        for row, value in enumerate(mean)
        if day > 0
    ]
    totals = pl.DataFrame(rows, schema=FORECAST_TOTALS, orient="row")
    write_artefact(totals, run.path / "forecast_totals.parquet", "forecast_totals")
    run.execute([places_stage(CONFIG, ForecastConfig())])
    return run


def test_the_stage_writes_what_any_local_forecast_follows_from(tmp_path: Path) -> None:
    run = run_stage(tmp_path, two_regions(140), ["tea", "tea", ""], [112.0, 56.0, 0.0], 140)
    places = read_artefact(run.path / "places.parquet", "places")
    assert places["region"].to_list() == ["north", "south"]
    assert places["share"].sum() == pytest.approx(1.0)
    shares = read_artefact(run.path / "place_shares.parquet", "place_shares")
    sums = shares.group_by("level", "row").agg(pl.col("share").sum())
    assert sums["share"].to_list() == pytest.approx([1.0] * 4)  # a category twice and two items
    weights = read_artefact(run.path / "place_weights.parquet", "place_weights")
    assert weights.select(pl.sum_horizontal("own", "category", "shop"))["own"].to_list() == pytest.approx(
        [1.0] * 3
    )
    assert weights["category_row"].to_list() == [0, 0, -1]
    assert weights.row(2)[2:] == (0.0, 0.0, 1.0)
    local = read_artefact(run.path / "local_forecasts.parquet", "local_forecasts")
    assert local.height == 3
    assert (local["q10"] <= local["mean"]).all()
    assert (local["mean"] <= local["q90"]).all()
    first = local.filter(pl.col("item_row") == 0)
    assert first["mean"].sum() == pytest.approx(112.0)
    figures = msgspec.json.decode((run.path / "places.json").read_bytes(), type=PlaceFigures)
    assert figures.horizon_days == 28
    assert sum(each.forecasts for each in figures.covered["item x region"]) == 3


@pytest.mark.parametrize(
    ("lines", "categories", "places"),
    [
        ([(0, day, "", "", 1.0) for day in range(60)], ["tea"], 1),  # the data tell of no place
        ([(0, 3, "app", "north", 1.0)], ["tea"], 1),
        ([], ["tea"], 0),
        ([], [], 0),
    ],
)
def test_the_stage_takes_shops_without_places_sales_or_items(
    tmp_path: Path, lines: list[Line], categories: list[str], places: int
) -> None:
    run = run_stage(tmp_path, lines, categories, [28.0] * len(categories), 60)
    assert read_artefact(run.path / "places.parquet", "places").height == places
    local = read_artefact(run.path / "local_forecasts.parquet", "local_forecasts")
    assert local["mean"].to_list() == pytest.approx([28.0] * places)


def test_the_same_sales_give_the_same_bytes(tmp_path: Path) -> None:
    runs = [run_stage(tmp_path / name, two_regions(90), ["tea", "tea"], [112.0, 56.0], 90) for name in "ab"]
    for name in ("places", "place_shares", "place_weights", "local_forecasts"):
        first, second = ((run.path / f"{name}.parquet").read_bytes() for run in runs)
        assert first == second
