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

from recdata.artefacts import read_artefact, write_artefact
from recdata.runs import RunFolder
from recdata.tables import TABLES, scan_table
from recdata.training_artefacts import DAILY_SALES, ITEMS, PROMOTED_DAYS
from training.forecast import ForecastConfig, forecast_stage
from training.forecast.history import load_history

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
    assert methods["item-3"] == "no-history"
    parts = {part for method in methods.values() for part in method.split(" + ")}
    assert parts <= {"no-history", "prophet", "top-down", "recent-average", "smoothing"}
    # The shop and its large category at three origins, at the last one the channel, the region and an item.
    assert summary["fits"] >= 2 * 3 + 3
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


def test_a_fit_that_runs_over_its_time_is_counted_and_its_series_gets_another_method(tmp_path: Path) -> None:
    run = shop(tmp_path, lines(90), FIRST + timedelta(days=90), CATEGORIES)
    hasty = msgspec.structs.replace(SMALL, back_test_origins=0, prophet_items=0, fit_seconds=1e-4)
    _, totals, summary = forecast(run, hasty)
    # A quick fit may end before its timer is heard, so not every one need fail.
    fallen = totals.filter(pl.col("level") != "item", ~pl.col("method").str.contains("prophet|no-history"))
    assert 1 <= summary["failed_fits"]["time limit"] <= 4
    assert fallen["mean"].min() > 0


def parts_add_up(totals: pl.DataFrame, categories: list[str]) -> None:
    """Asserts that at every origin items add up to their categories and to the shop."""
    of_item = {f"item-{row}": category for row, category in enumerate(categories)}
    for (_,), part in totals.group_by("origin"):
        by_level = {level: part.filter(pl.col("level") == level) for level in ("item", "category", "total")}
        sums: dict[str, float] = {}
        for key, mean in by_level["item"].select("key", "mean").iter_rows():
            sums[of_item[key]] = sums.get(of_item[key], 0.0) + mean
        assert by_level["total"]["mean"].item() == pytest.approx(sum(sums.values()))
        for key, mean in by_level["category"].select("key", "mean").iter_rows():
            assert mean == pytest.approx(sums.get(key, 0.0))


def test_items_add_up_to_their_categories_and_the_shop_at_every_origin_and_day(usual) -> None:
    daily, totals, _ = usual
    parts_add_up(totals, CATEGORIES)
    by_day = {
        level: daily.filter(pl.col("level") == level)
        .group_by("day")
        .agg(pl.col("mean").sum())
        .sort("day")["mean"]
        for level in ("total", "category", "item")
    }
    np.testing.assert_allclose(by_day["total"], by_day["category"], rtol=1e-4)
    np.testing.assert_allclose(by_day["total"], by_day["item"], rtol=1e-4)


def test_nothing_ever_sold_is_a_forecast_of_nothing(tmp_path: Path) -> None:
    daily, totals, _ = forecast(shop(tmp_path, [], AS_OF, CATEGORIES))
    assert totals["mean"].sum() == 0
    assert totals["method"].unique().to_list() == ["no-history"]
    assert set(daily["level"]) == {"total", "category"}


def test_an_empty_catalogue_has_a_total_of_nothing(tmp_path: Path) -> None:
    _, totals, _ = forecast(shop(tmp_path, [], AS_OF, []))
    assert totals["level"].to_list() == ["total"]


@pytest.mark.parametrize(("days", "expected"), [(1, 72.0), (4, 168.0)])
def test_one_item_with_days_fewer_than_the_horizon_gets_its_average_held_by_its_cap(
    tmp_path: Path, days: int, expected: float
) -> None:
    sales = [(0, FIRST + timedelta(days=number), 6.0, "", "") for number in range(days)]
    daily, totals, _ = forecast(shop(tmp_path, sales, FIRST + timedelta(days=days), ["Tea"]))
    # Six units on the only day are at most three times six in a week.
    means = dict(totals.select("level", "mean").iter_rows())
    assert means == pytest.approx({"total": expected, "category": expected, "item": expected})
    np.testing.assert_allclose(daily.filter(pl.col("level") == "item")["mean"], expected / 28, rtol=1e-6)


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


def test_all_zeros_no_numbers_and_a_single_sale_do_not_spoil_the_rest_of_a_category(
    tmp_path: Path,
) -> None:
    sales = [(0, FIRST + timedelta(days=number), 5.0, "", "") for number in range(60)]
    sales += [(1, FIRST + timedelta(days=number), 0.0, "", "") for number in range(60)]
    sales += [(2, FIRST + timedelta(days=number), float("nan"), "", "") for number in range(60)]
    sales += [(3, FIRST + timedelta(days=59), 1.0, "", "")]
    _, totals, summary = forecast(shop(tmp_path, sales, FIRST + timedelta(days=60), ["Tea"] * 4))
    assert summary["broken_cells"] == 60
    last = totals.filter(pl.col("origin") == FIRST + timedelta(days=60), pl.col("level") == "item")
    means = dict(last.select("key", "mean").iter_rows())
    assert means["item-1"] == means["item-2"] == 0.0
    assert means["item-0"] == pytest.approx(140, rel=0.1)
    # One sale yesterday is not one every day.
    assert 0 < means["item-3"] < 14
    parts_add_up(totals, ["Tea"] * 4)


def test_a_single_day_of_a_hundredfold_sales_is_not_carried_on(tmp_path: Path) -> None:
    sales = [
        (0, FIRST + timedelta(days=number), 5.0 if number < 99 else 500.0, "", "") for number in range(100)
    ]
    _, totals, _ = forecast(shop(tmp_path, sales, FIRST + timedelta(days=100), ["Tea"]))
    best = 27 * 5 + 500
    last = totals.filter(pl.col("origin") == pl.col("origin").max())
    assert last["mean"].max() <= SMALL.cap_multiple * best
    assert last["mean"].max() < 2 * best


def test_past_and_overlapping_promotions_and_a_horizon_beyond_the_history_are_fine(
    tmp_path: Path,
) -> None:
    days = 40
    promoted = [FIRST - timedelta(days=9), *(FIRST + timedelta(days=number) for number in range(10))]
    run = shop(tmp_path, lines(days), FIRST + timedelta(days=days), CATEGORIES, promoted * 2)
    config = msgspec.structs.replace(SMALL, horizon_days=60, daily_horizon_days=35)
    daily, totals, _ = forecast(run, config)
    assert totals["horizon_days"].unique().to_list() == [60]
    assert daily.group_by("level", "key").len()["len"].unique().to_list() == [60]
    usual = sum(line[2] for line in lines(days)) / days * 60
    last = totals.filter(pl.col("origin") == pl.col("origin").max(), pl.col("level") == "total")
    assert last["mean"].item() == pytest.approx(usual, rel=0.25)


def test_kinds_of_promotion_that_overlap_are_kept_apart_each_with_its_plan(tmp_path: Path) -> None:
    run = shop(tmp_path, lines(40), FIRST + timedelta(days=40), CATEGORIES)
    told = [(0, number, "mailer") for number in (3, 4, 41, 42)]
    told += [(0, number, "display") for number in (4, 5, 41)] + [(1, 4, "display")] * 2
    days = [(row, FIRST + timedelta(days=number), kind, None) for row, number, kind in told]
    table = pl.DataFrame(days, schema=PROMOTED_DAYS, orient="row")
    write_artefact(table, run.path / "promoted_days.parquet", "promoted_days")
    paths = {name: run.path / f"{name}.parquet" for name in ("items", "daily_sales", "promoted_days")}
    found = load_history(**paths, as_of=run.as_of, config=SMALL)
    assert found.plan_ends == {"display": 42, "mailer": 43}
    shown = {kind: list(zip(*table.nonzero(), strict=True)) for kind, table in found.promoted.items()}
    assert sorted(shown["mailer"]) == [(0, 3), (0, 4), (0, 41), (0, 42)]
    assert sorted(shown["display"]) == [(0, 4), (0, 5), (0, 41), (1, 4)]
    assert found.promoted["display"].max() == 1
    forecast(run)


def market(home: Path, rows: list[tuple[str, date, float]]) -> None:
    path = home / "tables" / "market.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=TABLES["market"].schema, orient="row").write_parquet(path)


def test_a_market_index_is_taken_by_category_or_the_path_above_it_and_missed_by_none(tmp_path: Path) -> None:
    run = shop(tmp_path, lines(120), AS_OF, CATEGORIES)
    days = [FIRST + timedelta(days=7 * week) for week in range(20)]
    market(tmp_path, [("饮料", day, 100.0 + number) for number, day in enumerate(days)])
    paths = {name: run.path / f"{name}.parquet" for name in ("items", "daily_sales", "promoted_days")}
    table = scan_table(tmp_path, "market")
    found = load_history(**paths, as_of=AS_OF, config=SMALL, market=table).market
    assert found is not None
    assert list(found[1, [0, 6, 7]]) == [100.0, 100.0, 101.0]
    assert np.isnan(found[0]).all()
    # Weeks without an index, and one that is no number, keep the one before.
    gaps = [("饮料", day, 100.0 + number) for number, day in enumerate(days) if number not in (3, 4, 5)]
    market(tmp_path, [*gaps, ("饮料", days[3], float("nan"))])
    found = load_history(**paths, as_of=AS_OF, config=SMALL, market=scan_table(tmp_path, "market")).market
    assert found is not None
    assert list(found[1, [20, 21, 41, 42]]) == [102.0, 102.0, 102.0, 106.0]
    nothing = load_history(**paths, as_of=AS_OF, config=SMALL, market=table.clear()).market
    assert nothing is None
    forecast(run)
