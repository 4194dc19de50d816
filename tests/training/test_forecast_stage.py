from __future__ import annotations

from datetime import date, timedelta
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from rich.console import Console

from recdata.artefacts import DAILY_SALES, ITEMS, PROMOTED_DAYS, read_artefact, write_artefact
from recdata.runs import RunFolder
from training.forecast import ForecastConfig, forecast_stage

FIRST = date(2024, 1, 1)
SMALL = ForecastConfig(
    back_test_origins=2,
    warm_up_origins=0,
    step_days=28,
    daily_horizon_days=35,
    prophet_items=1,
    min_revenue_share=0.3,
    processes=1,
)
Line = tuple[int, date, float, str, str]


def lines(days: int) -> list[Line]:
    """Item 0 sells every day in two regions, item 1 every third day, item 2 on the last ten days."""
    found = []
    for number in range(days):
        day = FIRST + timedelta(days=number)
        found.append((0, day, 10.0 + 5 * (number % 7 >= 5), "app", "north"))
        found.append((0, day, 4.0, "shop", "south"))
        if number % 3 == 0:
            found.append((1, day, 2.0, "app", "north"))
        if number >= days - 10:
            found.append((2, day, 1.0, "shop", "north"))
    return found


def shop(
    home: Path, sales: list[Line], as_of: date, categories: list[str], promoted: list[date] | None = None
) -> RunFolder:
    run = RunFolder(home, "run", as_of, Console(file=StringIO()))
    run.path.mkdir(parents=True)
    frame = pl.DataFrame(
        sales, schema=["item_row", "day", "quantity", "channel", "region"], orient="row"
    ).with_columns(revenue=pl.col("quantity") * 3.0, buyers=1, orders=1)
    write_artefact(
        frame.select(list(DAILY_SALES)).cast(DAILY_SALES).sort("item_row", "day"),
        run.path / "daily_sales.parquet",
        "daily_sales",
    )
    first_sale = {
        row: min(line[1] for line in sales if line[0] == row) for row in {line[0] for line in sales}
    }
    items = pl.DataFrame(
        {
            "item_row": range(len(categories)),
            "item_id": [f"item-{row}" for row in range(len(categories))],
            "category": categories,
            "launched_on": [first_sale.get(row) for row in range(len(categories))],
        },
        schema_overrides={"launched_on": pl.Date, "item_row": pl.Int32, "item_id": pl.String},
    ).with_columns(
        pl.lit(None).alias(name)
        for name in ITEMS
        if name not in ("item_row", "item_id", "category", "launched_on")
    )
    write_artefact(items.select(list(ITEMS)).cast(ITEMS), run.path / "items.parquet", "items")
    days = [(0, day, "mailer", None) for day in promoted or []]
    write_artefact(
        pl.DataFrame(days, schema=PROMOTED_DAYS, orient="row"),
        run.path / "promoted_days.parquet",
        "promoted_days",
    )
    return run


def forecast(
    run: RunFolder, config: ForecastConfig = SMALL
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, object]]:
    record = run.execute([forecast_stage(config)])[0]
    daily = read_artefact(run.path / "forecast_daily.parquet", "forecast_daily")
    totals = read_artefact(run.path / "forecast_totals.parquet", "forecast_totals")
    for frame in (daily, totals):
        assert frame.select(pl.all_horizontal(pl.col("mean", "q10", "q90").is_finite()).all()).item()
        assert frame.select(((pl.col("q10") >= 0) & (pl.col("q10") <= pl.col("q90"))).all()).item()
    assert totals.select((pl.col("mean").is_between("q10", "q90")).all()).item()
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []
    return daily, totals, record.summary


CATEGORIES = ["饮料 > 茶", "饮料 > 茶", "饮料 > 茶", "Käse > Été"]
AS_OF = FIRST + timedelta(days=120)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, object]]:
    promoted = [FIRST + timedelta(days=number) for number in range(150) if number % 20 < 5]
    return forecast(shop(tmp_path_factory.mktemp("usual"), lines(120), AS_OF, CATEGORIES, promoted))


def test_every_level_is_forecast_and_every_item_has_a_total(usual) -> None:
    daily, totals, summary = usual
    last = totals.filter(pl.col("origin") == AS_OF)
    assert last.filter(pl.col("level") == "item")["key"].to_list() == ["item-0", "item-1", "item-2", "item-3"]
    assert set(last.filter(pl.col("level") == "category")["key"]) == {"饮料 > 茶", "Käse > Été"}
    assert set(last.filter(pl.col("level") == "region")["key"]) == {"north"}
    assert set(last.filter(pl.col("level") == "channel")["key"]) == {"app"}
    methods = dict(last.filter(pl.col("level") == "item").select("key", "method").iter_rows())
    assert methods == {
        "item-0": "prophet",
        "item-1": "top-down",
        "item-2": "top-down",
        "item-3": "no-history",
    }
    assert daily.group_by("level", "key").len()["len"].unique().to_list() == [35]
    assert daily["day"].min() == AS_OF
    assert "item-3" not in set(daily["key"])
    assert summary["failed_fits"] == {}


def test_past_origins_hold_the_items_that_were_there_then(usual) -> None:
    _, totals, _ = usual
    items = totals.filter(pl.col("level") == "item")
    by_origin = {day: set(part["key"]) for (day,), part in items.group_by("origin")}
    assert by_origin[AS_OF - timedelta(days=28)] == {"item-0", "item-1"}
    assert sorted(by_origin) == [AS_OF - timedelta(days=56), AS_OF - timedelta(days=28), AS_OF]


def test_a_regular_shop_is_forecast_well(usual) -> None:
    _, totals, summary = usual
    total = totals.filter(pl.col("level") == "total", pl.col("origin") < AS_OF)["mean"]
    np.testing.assert_allclose(total, 28 * (14 + 10 / 7 + 2 / 3), rtol=0.05)
    accuracy = {(row["level"], row["rule"]): row["wape"] for row in summary["accuracy"]}
    assert accuracy["category", "forecast"] < accuracy["category", "seasonal naive (last week)"] + 0.05


def test_what_was_sold_after_an_origin_changes_nothing_of_its_forecast(usual, tmp_path: Path) -> None:
    cut = AS_OF - timedelta(days=28)
    changed = [(row, day, units * (9 if day >= cut else 1), *rest) for row, day, units, *rest in lines(120)]
    promoted = [FIRST + timedelta(days=number) for number in range(150) if number % 20 < 5]
    _, totals, _ = forecast(shop(tmp_path, changed, AS_OF, CATEGORIES, promoted))
    past = pl.col("origin") <= cut
    assert_frame_equal(totals.filter(past), usual[1].filter(past))


def test_the_same_input_gives_the_same_bytes_with_any_number_of_processes(usual, tmp_path: Path) -> None:
    promoted = [FIRST + timedelta(days=number) for number in range(150) if number % 20 < 5]
    run = shop(tmp_path, lines(120), AS_OF, CATEGORIES, promoted)
    daily, totals, _ = forecast(run, msgspec.structs.replace(SMALL, processes=2))
    assert_frame_equal(totals, usual[1])
    assert_frame_equal(daily, usual[0])


def test_a_fit_that_runs_over_its_time_falls_back_and_is_counted(tmp_path: Path) -> None:
    run = shop(tmp_path, lines(90), FIRST + timedelta(days=90), CATEGORIES)
    hasty = msgspec.structs.replace(SMALL, back_test_origins=0, prophet_items=0, fit_seconds=1e-4)
    _, totals, summary = forecast(run, hasty)
    # A quick fit may end before its timer is heard, so of the four not every one need fail.
    fallen = totals.filter(pl.col("method") == "recent-average").height
    assert summary["failed_fits"] == {"time limit": fallen}
    assert 1 <= fallen <= 4


def test_nothing_ever_sold_is_a_forecast_of_nothing(tmp_path: Path) -> None:
    daily, totals, _ = forecast(shop(tmp_path, [], AS_OF, CATEGORIES))
    assert totals["mean"].sum() == 0
    assert totals["method"].unique().to_list() == ["no-history"]
    assert set(daily["level"]) == {"total", "category"}


def test_an_empty_catalogue_has_a_total_of_nothing(tmp_path: Path) -> None:
    _, totals, _ = forecast(shop(tmp_path, [], AS_OF, []))
    assert totals["level"].to_list() == ["total"]


@pytest.mark.parametrize("days", [1, 4])
def test_one_item_with_days_fewer_than_the_horizon_gets_its_average(tmp_path: Path, days: int) -> None:
    sales = [(0, FIRST + timedelta(days=number), 6.0, "", "") for number in range(days)]
    daily, totals, _ = forecast(shop(tmp_path, sales, FIRST + timedelta(days=days), ["Tea"]))
    means = dict(totals.select("level", "mean").iter_rows())
    assert means == {"total": 168.0, "category": 168.0, "item": 168.0}
    assert daily.filter(pl.col("level") == "item")["mean"].to_list() == [6.0] * 35


def test_items_without_category_and_a_shop_that_has_stopped_selling_do_not_break_it(tmp_path: Path) -> None:
    sales = [(row, FIRST + timedelta(days=number), 5.0, "", "") for row in (0, 1) for number in range(20)]
    _, totals, _ = forecast(shop(tmp_path, sales, FIRST + timedelta(days=27), ["", "Tea"]))
    items = {
        key: (mean, method)
        for key, mean, method in totals.filter(pl.col("level") == "item")
        .select("key", "mean", "method")
        .iter_rows()
    }
    assert items["item-0"][1] == "own-rate"
    assert items["item-1"][1] == "top-down"
    assert 0 < items["item-0"][0] < 28 * 5
