"""More promotions are answered from what promoted days have brought, and nothing is written."""

import re
from datetime import date, timedelta
from io import StringIO

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from rich.console import Console

from recdata.artefacts import write_artefact
from recdata.cli import Door
from recdata.errors import RunError, TableError
from recdata.runs import RunFolder
from recdata.training_artefacts import FORECAST_DAILY, FORECAST_TOTALS
from selection.commands import select
from selection.config import FeaturesConfig
from selection.whatif.answer import answer
from selection.whatif.effects import effects_of, strata_of
from selection.whatif.plan import Asked, read_asked
from selection.whatif.show import show_whatif

TODAY = date(2024, 6, 1)
DAYS = 112
AHEAD = 28


def sold(number, day):
    """Item n sells n + 1 a day, and three times as much in its promoted week of each month."""
    on = (day // 7) % 4 == number % 4
    return float((number + 1) * (3 if on else 1)), on


@pytest.fixture
def run(make_tables, tmp_path):
    """Eight items, two categories, the plan of mailers ends with the run's day; forecasts of 10 a day."""
    start = TODAY - timedelta(days=DAYS)
    purchases, promoted = [], []
    for number in range(8):
        for day in range(DAYS):
            units, on = sold(number, day)
            purchases.append((f"i{number}", start + timedelta(days=day), number, units, 2.0 * units))
            if on:
                promoted.append((f"i{number}", start + timedelta(days=day)))
    items = {f"i{number}": {"category": f"{'AB'[number % 2]} > x"} for number in range(8)}
    tables = make_tables(purchases, as_of=TODAY, promoted=promoted, items=items)
    folder = RunFolder(tmp_path, "20240601-x", TODAY, Console(file=StringIO()))
    folder.path.mkdir(parents=True)
    write_artefact(tables.items, folder.path / "items.parquet", "items")
    for name in ("daily_sales", "promoted_days"):
        write_artefact(getattr(tables, name).collect(), folder.path / f"{name}.parquet", name)
    daily = [
        {"level": "item", "key": f"i{number}", "day": TODAY + timedelta(days=day), "mean": 10.0}
        | {"q10": 5.0, "q90": 15.0, "method": "m"}
        for number in range(8)
        for day in range(AHEAD)
    ]
    write_artefact(
        pl.DataFrame(daily, schema=FORECAST_DAILY), folder.path / "forecast_daily.parquet", "forecast_daily"
    )
    return folder


def week(item="i1", kind="mailer", first=7, days=7, discount=0.0):
    begins = TODAY + timedelta(days=first)
    return Asked(item, kind, begins, begins + timedelta(days=days - 1), discount)


def test_a_promoted_week_is_worth_what_promoted_weeks_have_brought(run):
    """Promoted days sold three times as much; a quarter of the days that make 10 on average is promoted."""
    found = answer(run, [week()], FeaturesConfig())
    row = found.frame.row(0, named=True)
    assert row["factor"] == pytest.approx(3.0, rel=0.01)
    assert row["factor_low"] < 3.0 < row["factor_high"]
    plain = 10.0 / (1 + 0.25 * 2)
    assert (row["days"], row["units"]) == (7, pytest.approx(280.0))
    assert row["more_units"] == pytest.approx(7 * (3 * plain - 10.0), rel=0.02)
    assert row["more_revenue"] == pytest.approx(2 * row["more_units"])
    assert row["more_units_low"] < row["more_units"] < row["more_units_high"]
    assert found.kinds == {"mailer": 8 * DAYS // 4}


def test_a_discount_comes_off_the_price_of_all_that_is_sold_then(run):
    full, off = (
        answer(run, [week(discount=d)], FeaturesConfig()).frame.row(0, named=True) for d in (0.0, 0.9)
    )
    assert off["more_units"] == full["more_units"]
    taken = 0.9 * 2.0 * (7 * 10.0 + full["more_units"])
    assert off["more_revenue"] == pytest.approx(full["more_revenue"] - taken)
    assert off["more_revenue"] < 0


def test_days_that_are_planned_already_add_nothing_and_overlaps_count_once(run):
    promoted = pl.read_parquet(run.path / "promoted_days.parquet")
    row = promoted.filter(pl.col("item_row") == 1).row(0, named=True)
    planned = [row | {"day": TODAY + timedelta(days=day)} for day in range(7, 10)]
    write_artefact(
        pl.concat([promoted, pl.DataFrame(planned, schema=promoted.schema)]),
        run.path / "promoted_days.parquet",
        "promoted_days",
    )
    once = answer(run, [week()], FeaturesConfig()).frame.row(0, named=True)
    twice = answer(run, [week(), week(first=9, days=5)], FeaturesConfig()).frame.row(0, named=True)
    assert once["days"] == 4
    assert once == twice
    nothing = answer(run, [week(days=3)], FeaturesConfig()).frame.row(0, named=True)
    assert (nothing["days"], nothing["more_units"], nothing["factor"]) == (0, 0.0, 1.0)


def test_where_the_plan_reaches_the_day_is_known_to_be_plain(run):
    promoted = pl.read_parquet(run.path / "promoted_days.parquet")
    other = promoted.row(0, named=True) | {"item_row": 5, "day": TODAY + timedelta(days=20)}
    write_artefact(
        pl.concat([promoted, pl.DataFrame([other], schema=promoted.schema)]),
        run.path / "promoted_days.parquet",
        "promoted_days",
    )
    row = answer(run, [week()], FeaturesConfig()).frame.row(0, named=True)
    assert row["more_units"] == pytest.approx(7 * 10.0 * (row["factor"] - 1))


def strata(*rows):
    names = ("item_row", "block", "units_on", "days_on", "units_off", "days_off")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Float64), orient="row").cast(
        {"item_row": pl.Int32}
    )


def test_an_item_of_few_sales_has_its_categorys_effect_and_is_unsure():
    group = np.array([0, 0, 0, 1])
    many = [(0, 0, 900.0, 28.0, 300.0, 28.0), (1, 0, 880.0, 28.0, 310.0, 28.0)]
    few = (2, 0, 1.0, 28.0, 1.0, 28.0)
    found = effects_of(strata(*many, few), group, size=1.0)
    assert found.factor[0] == pytest.approx(3.0, rel=0.1)
    assert found.factor[2] > 2.0  # its own sales say 1
    assert found.high[2] / found.low[2] >= found.high[0] / found.low[0]
    assert found.days.tolist() == [28.0, 28.0, 28.0, 0.0]
    assert found.factor[3] > 2.0  # nothing is known of its category: the shop's
    assert effects_of(strata((0, 0, 0.0, 28.0, 5.0, 28.0)), group, size=1.0) is None


def test_an_item_is_held_against_itself_in_the_same_weeks(make_tables):
    """Twice the demand in the block in which it is promoted half the time: that is no effect."""
    start = TODAY - timedelta(days=112)
    purchases = [("a", start + timedelta(days=day), 0, 1.0 if day < 56 else 2.0, 1.0) for day in range(112)]
    promoted = [("a", start + timedelta(days=day)) for day in range(84, 112)]
    tables = make_tables(purchases, as_of=TODAY, promoted=promoted)
    sales = tables.daily_sales.select("item_row", "day", "quantity").collect()
    found = strata_of(sales, tables.promoted_days.collect(), tables.items, "mailer", TODAY)
    assert found.rows() == [(0, 0, 56.0, 28.0, 56.0, 28.0)]
    assert effects_of(found, np.zeros(1, np.int64), size=1.0).factor[0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (week(item="nope"), "no forecast by day of this item"),
        (week(days=0), "ends before it begins"),
        (week(first=-3), "before 2024-06-01, the run's day"),
        (week(first=25), "forecasts end on 2024-06-28"),
        (week(discount=1.0), "no share of the price"),
        (week(kind="circus"), "no 'circus'; kinds with a past: mailer"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(run, asked, told):
    with pytest.raises(TableError, match=re.escape(told)):
        answer(run, [asked], FeaturesConfig())


def test_a_shop_that_never_promoted_is_told_so(run):
    empty = pl.read_parquet(run.path / "promoted_days.parquet").clear()
    write_artefact(empty, run.path / "promoted_days.parquet", "promoted_days")
    with pytest.raises(RunError, match="has had no promotion"):
        answer(run, [week()], FeaturesConfig())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("item_id,from\ni1,2024-06-02\n", "no column to"),
        ("item_id,from,to\ni1,2024-06-02,2024-06-31\n", "row 2"),
        ("item_id,from,to,discount\ni1,2024-06-02,2024-06-05,much\n", "row 2"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_row(tmp_path, text, told):
    path = tmp_path / "more.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TableError, match=told):
        read_asked(path)


def test_a_file_may_leave_out_kind_and_discount(tmp_path):
    path = tmp_path / "more.csv"
    path.write_text("item_id,from,to,discount\ni1,2024-06-02,2024-06-05,0.2\ni2,2024-06-02,2024-06-03,\n")
    assert read_asked(path) == [
        Asked("i1", "", date(2024, 6, 2), date(2024, 6, 5), 0.2),
        Asked("i2", "", date(2024, 6, 2), date(2024, 6, 3), 0.0),
    ]


def test_the_table_says_what_is_added_and_that_nothing_was_written(run):
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    found = answer(run, [week(kind=""), week(item="i2", kind="")], FeaturesConfig())
    out = StringIO()
    items = pl.read_parquet(run.path / "items.parquet")
    show_whatif(Console(file=out, width=140), found, items, currency="CNY", limit=5)
    text = out.getvalue()
    assert "title of i1 (i1)" not in text  # the title names it already
    assert "title of i1" in text
    assert "over 2 items" in text
    assert "nothing was written" in text
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


@pytest.mark.parametrize("given", [[], ["--item", "a", "--from", "2024-06-02"]])
def test_the_verb_asks_for_a_file_or_an_item_with_both_days(run, given):
    door = Door(run.home, None, Console(file=StringIO()), Console(file=StringIO()))
    write_artefact(
        pl.DataFrame(schema=FORECAST_TOTALS),
        run.path / "forecast_totals.parquet",
        "forecast_totals",
    )
    answered = CliRunner().invoke(select, ["whatif", *given], obj=door)
    assert answered.exit_code == 2
    assert "--promotion FILE.csv" in answered.output or "--from and --to" in answered.output
