"""Young items get a forecast from look-alikes and their own first days, and nothing of it looks ahead."""

import dataclasses
import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recdata.artefacts import read_artefact, write_artefact
from recdata.runs import RunFolder
from recdata.selection_artefacts import LAUNCHES
from selection.launches.config import LaunchesConfig
from selection.launches.stage import foretell, launches_stage, origins_of

START = date(2024, 1, 1)
AS_OF = START + timedelta(days=252)
CONFIG = LaunchesConfig(min_pool=10, band_min_launches=30)


def day(number):
    return START + timedelta(days=number)


def shop_purchases():
    """120 launches, one a day from day 85 on, by turns of a strong and of a weak category."""
    rng = np.random.default_rng(11)
    sales = [(f"old{n}", day(t), n, 1.0, 5.0) for n in range(5) for t in range(0, 252, 3)]
    for number in range(120):
        start, rate = 85 + number, 0.5 if number % 2 else 0.05
        item = f"{'strong' if number % 2 else 'weak'}{number:03d}"
        sales.append((item, day(start), number % 40, 1.0, 4.0))
        sales += [
            (item, day(t), int(rng.integers(40)), 1.0, 4.0)
            for t in range(start + 1, 252)
            if rng.random() < rate
        ]
    return sales


def described(extra=()):
    items = {f"old{n}": {"category": "Old > things"} for n in range(5)}
    for number in range(120):
        kind = "strong" if number % 2 else "weak"
        items[f"{kind}{number:03d}"] = {
            "category": f"{kind} > all",
            "title": f"a {kind} thing",
            "brand": kind,
        }
    return items | dict(extra)


@pytest.fixture
def shop(make_tables):
    origins = [AS_OF - timedelta(days=28 * step) for step in range(3)]
    extra = {
        "new-strong": {
            "category": "strong > all",
            "title": "a strong thing",
            "launched_on": AS_OF,
            "price": 4.0,
        },
        "new-weak": {"category": "weak > all", "title": "a weak thing", "launched_on": AS_OF, "price": 4.0},
        "waits": {"category": "strong > all", "title": "a strong thing", "launched_on": None, "price": 4.0},
    }
    return make_tables(
        shop_purchases(),
        as_of=AS_OF,
        items=described(extra.items()),
        forecasts=[(origin, "old0", 9.0) for origin in origins],
    )


def rows_of(tables, origin, config=CONFIG):
    ((frame, figures),) = foretell(tables, [origin], config)
    ids = tables.items.select("item_row", "item_id")
    rows = frame.join(ids, on="item_row").to_dicts()
    return {row["item_id"]: row | {"look_alikes": json.loads(row["look_alikes"])} for row in rows}, figures


def test_an_item_that_has_never_sold_is_expected_to_sell_as_its_look_alikes_did(shop):
    rows, figures = rows_of(shop, AS_OF)
    strong, weak = rows["new-strong"], rows["new-weak"]
    # 1 on the first day and 27 days at .5 and .05 a day.
    assert strong["mean"] == pytest.approx(14.5, rel=0.15)
    assert weak["mean"] == pytest.approx(2.35, rel=0.2)
    assert strong["q10"] < strong["mean"] < strong["q90"]
    assert weak["q90"] < strong["q10"]
    assert strong["early_buyers"] is None
    assert {item[:6] for item, _ in strong["look_alikes"]} == {"strong"}
    assert len(strong["look_alikes"]) == 5
    similarities = [similarity for _, similarity in strong["look_alikes"]]
    assert similarities == sorted(similarities, reverse=True)
    assert all(0.0 <= similarity <= 1.0 for similarity in similarities)
    assert figures["finished_launches"] == 120


def test_an_item_without_launch_day_or_sale_waits_and_counts_by_how_many_begin(shop):
    rows, figures = rows_of(shop, AS_OF)
    # Nobody has sold for the first time in the last 28 days, so nobody is expected to.
    assert figures["waiting"] == 1
    assert figures["start_share"] == 0.0
    assert rows["waits"]["mean"] == 0.0
    assert len(rows["waits"]["look_alikes"]) == 5


def test_those_that_wait_begin_as_others_did_lately(make_tables):
    # The last launches are on day 204; from day 210 one of them is 6 days old.
    items = described({"waits": {"category": "strong > all", "launched_on": None}}.items())
    tables = make_tables(shop_purchases(), as_of=day(210), items=items)
    rows, figures = rows_of(tables, day(210))
    assert figures["start_share"] == pytest.approx(23 / 24)
    assert 4.0 < rows["waits"]["mean"] < 14.5
    assert rows["waits"]["q10"] <= rows["waits"]["mean"] <= rows["waits"]["q90"]


def test_own_sales_move_the_forecast_from_the_first_days(make_tables):
    launched = [("quick", day(245), 1, 1.0, 4.0), ("slow", day(245), 2, 1.0, 4.0)]
    launched += [("quick", day(246 + n), 3 + n, 1.0, 4.0) for n in range(6)]
    items = {name: {"category": "strong > all", "title": "a strong thing"} for name in ("quick", "slow")}
    tables = make_tables(shop_purchases() + launched, as_of=AS_OF, items=described(items.items()))
    rows, _ = rows_of(tables, AS_OF)
    assert rows["quick"]["mean"] > 1.3 * rows["slow"]["mean"] > 0


def test_nothing_from_the_origin_on_changes_what_was_said_at_it(shop, make_tables):
    origin = AS_OF - timedelta(days=56)
    early = [sale for sale in shop_purchases() if sale[1] < origin]
    late = [(f"fad{n}", origin + timedelta(days=n % 9), n % 40, 50.0, 1.0) for n in range(60)]
    late += [("strong001", origin + timedelta(days=n), n, 99.0, 1.0) for n in range(30)]
    fads = {f"fad{n}": {"category": "strong > all", "title": "a strong thing"} for n in range(60)}
    other = make_tables(early + late, as_of=AS_OF, items=described(fads.items()))
    expected, figures = rows_of(shop, origin)
    found, _ = rows_of(other, origin)
    # Items that first sold later have other row numbers, and no row.
    assert len(expected) == figures["young"] > 20
    assert {k: {**v, "item_row": 0} for k, v in found.items()} == {
        k: {**v, "item_row": 0} for k, v in expected.items()
    }


def test_who_waits_at_an_origin_does_not_depend_on_who_sells_after_it(make_tables):
    origin = AS_OF - timedelta(days=28)
    extra = {"waits": {"category": "strong > all", "title": "a strong thing", "launched_on": day(-90)}}
    never = make_tables(shop_purchases(), as_of=AS_OF, items=described(extra.items()))
    first_sale = [("waits", origin + timedelta(days=5), 1, 1.0, 4.0)]
    later = make_tables(shop_purchases() + first_sale, as_of=AS_OF, items=described(extra.items()))
    (expected, figures), (found, _) = rows_of(never, origin), rows_of(later, origin)
    assert figures["waiting"] == 1
    assert found == expected


def test_past_origins_say_how_the_forecasts_fared(shop):
    answers = foretell(shop, origins_of(shop), CONFIG)
    assert [figures["origin"] for _, figures in answers] == origins_of(shop)
    outcome = answers[0][1]["outcome"]
    assert outcome["wape"] < 0.5
    assert outcome["inside"] > 0.7
    assert abs(outcome["bias"]) < 0.25
    assert "outcome" not in answers[-1][1]


def test_discontinued_items_teach_but_are_not_foretold(shop, make_tables):
    gone = {f"weak{n:03d}": {"category": "weak > all", "status": "discontinued"} for n in range(100, 120, 2)}
    tables = make_tables(shop_purchases(), as_of=AS_OF, items=described(gone.items()))
    rows, figures = rows_of(tables, AS_OF)
    assert figures["finished_launches"] == 120
    assert not set(gone) & set(rows)


def test_nobody_young_gives_no_rows_and_says_so(make_tables):
    tables = make_tables(shop_purchases(), as_of=day(300), items=described())
    rows, figures = rows_of(tables, day(300))
    assert rows == {}
    assert (figures["young"], figures["waiting"]) == (0, 0)
    assert figures["finished_launches"] == 120


@pytest.mark.parametrize("sales", [[], [("only", day(251), 1, 1.0, 1.0)], [("only", day(3), 1, -2.0, -1.0)]])
def test_too_little_to_learn_from_gives_no_rows_and_the_reason(make_tables, sales):
    tables = make_tables(sales, as_of=AS_OF, items={"other": {"launched_on": AS_OF}})
    rows, figures = rows_of(tables, AS_OF)
    assert rows == {}
    assert "fewer than 20 finished launches" in figures["why_none"]


def test_without_categories_titles_brands_or_prices_all_launches_are_alike(make_tables):
    bare = {name: {"category": None, "title": "", "brand": None, "attributes": None} for name in described()}
    bare["new"] = bare["old0"] | {"launched_on": AS_OF}
    sales = [(item, when, user, units, 0.0) for item, when, user, units, _ in shop_purchases()]
    rows, _ = rows_of(make_tables(sales, as_of=AS_OF, items=bare), AS_OF)
    # Half the launches sell 14.5 and half 2.35.
    assert rows["new"]["mean"] == pytest.approx(8.4, rel=0.2)
    assert {similarity for _, similarity in rows["new"]["look_alikes"]} == {0.0}


def test_launches_that_sell_nothing_are_foretold_to_sell_nothing(make_tables):
    items = {f"i{n:02d}": {"launched_on": day(90 + n), "category": "A > B"} for n in range(60)}
    items["new"] = {"launched_on": AS_OF, "category": "A > B"}
    tables = make_tables([("old", day(0), 1, 1.0, 1.0)], as_of=AS_OF, items=items)
    rows, _ = rows_of(tables, AS_OF)
    assert rows["new"]["mean"] == rows["new"]["q10"] == rows["new"]["q90"] == 0.0


def test_chinese_titles_find_their_look_alikes(make_tables):
    names = {f"strong{n:03d}": "有机纯牛奶 250ml" for n in range(1, 120, 2)}
    names |= {f"weak{n:03d}": "男士去屑洗发水" for n in range(0, 120, 2)}
    items = {item: {"category": None, "title": title, "brand": None} for item, title in names.items()}
    items["new"] = {"category": None, "title": "纯牛奶 1L 装", "brand": None, "launched_on": AS_OF}
    rows, _ = rows_of(make_tables(shop_purchases(), as_of=AS_OF, items=items), AS_OF)
    assert {item[:6] for item, _ in rows["new"]["look_alikes"]} == {"strong"}
    assert rows["new"]["mean"] > 10


def write_run(tables, home):
    run = RunFolder(home, "20240909-abc", tables.as_of)
    run.path.mkdir(parents=True)
    for name in ("purchases", "daily_sales", "promoted_days"):
        write_artefact(getattr(tables, name).collect(), run.path / f"{name}.parquet", name)
    for name in ("items", "forecast_totals"):
        write_artefact(getattr(tables, name), run.path / f"{name}.parquet", name)
    return run


def test_the_stage_writes_every_origin_and_the_same_bytes_again(shop, tmp_path):
    stage = launches_stage(CONFIG)
    records = [write_run(shop, tmp_path / home).execute([stage])[0] for home in ("one", "two")]
    assert {n: o.digest for n, o in records[0].outputs.items()} == {
        n: o.digest for n, o in records[1].outputs.items()
    }
    run = RunFolder(tmp_path / "one", "20240909-abc", AS_OF)
    frame = read_artefact(run.resolve("launches.parquet"), "launches")
    assert frame.columns == list(LAUNCHES)
    assert frame["origin"].unique().sort().to_list() == origins_of(shop)
    assert frame.filter(pl.col("mean").is_nan() | (pl.col("mean") < 0)).is_empty()
    assert frame.filter(~pl.col("mean").is_between(pl.col("q10"), pl.col("q90"))).is_empty()
    assert frame.select("origin", "item_row").is_unique().all()
    figures = json.loads(run.resolve("launches.json").read_text())
    assert len(figures["origins"]) == 3
    assert figures["origins"][-1]["prior_strength_buyers"] > 0


def test_items_may_be_young_for_a_week_only(shop):
    rows, figures = rows_of(shop, AS_OF - timedelta(days=48), LaunchesConfig(min_pool=10, young_days=7))
    # One launch a day, the last on day 204: those of days 198 to 203 are 1 to 6 days old.
    assert figures["young"] == len(rows) == 6


def test_a_horizon_of_a_day_is_one(shop):
    tables = dataclasses.replace(
        shop, forecast_totals=shop.forecast_totals.with_columns(horizon_days=pl.lit(1, pl.Int32))
    )
    rows, _ = rows_of(tables, AS_OF - timedelta(days=56))
    strong = [row["mean"] for item, row in rows.items() if item.startswith("strong")]
    assert sum(strong) / len(strong) == pytest.approx(0.5, rel=0.3)


def test_a_longer_horizon_sells_more(shop):
    longer = dataclasses.replace(
        shop, forecast_totals=shop.forecast_totals.with_columns(horizon_days=pl.lit(42, pl.Int32))
    )
    assert rows_of(longer, AS_OF)[0]["new-strong"]["mean"] > rows_of(shop, AS_OF)[0]["new-strong"]["mean"] + 5
