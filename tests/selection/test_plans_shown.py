"""Plans are shown so that nothing is cut off, limits and remedies in words."""

from io import StringIO

import polars as pl
import pytest
from rich.console import Console

from selection.assortment.config import AssortmentConfig
from selection.assortment.plan import plan_assortment
from selection.assortment.show import print_plan
from selection.config import SelectionConfig
from selection.pilot.config import PilotConfig
from selection.pilot.plan import plan_pilot
from selection.pilot.show import STATUS_WORDS, print_pilot
from selection.prices.config import PricesConfig
from selection.prices.show import print_prices
from selection.prices.stage import price_items
from tests.selection.shelves import nothing_alike, shelf
from tests.selection.test_pilot import made_regions
from tests.selection.test_prices import TODAY, weekly_shop


def console(width):
    return Console(file=StringIO(), width=width)


def shown_plan(config, width=100):
    frame = shelf([9, 8, 7, 1], categories=["A > B", "A > B", "D", "D"], now=[False, True, True, False])
    rows, plan = plan_assortment(frame, *nothing_alike(4), config)
    out = console(width)
    items = frame.select("item_row", "item_id", title="item_id")
    print_plan(out, plan, rows.join(frame.select("item_row", "sells_now"), on="item_row"), items,
               currency="CNY", limit=5)  # fmt: skip
    return out.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_an_assortment_tells_what_comes_in_and_what_one_more_place_would_bring(width):
    said = shown_plan(AssortmentConfig(), width)
    assert "…" not in said
    assert max(map(len, said.splitlines())) <= width
    for text in ("proven best", "i00", "i01", "¥16.00", "现有位置", "A > B", "¥8.00"):
        assert text in said


def test_an_impossible_one_tells_which_limit_to_change_to_what():
    said = shown_plan(AssortmentConfig(total_slots=1, least={"D": 2}, todays_slots=False))
    assert "互相矛盾" in said
    lines = [line for line in said.splitlines() if "items in all" in line or "at least: D" in line]
    assert [line.split()[-2:] for line in lines] == [["2", "1"], ["1", "2"]]


def test_a_pilot_plan_shows_its_regions_and_what_it_finds():
    out = console(90)
    plan = plan_pilot(made_regions(60), ["a", "b"], PilotConfig())
    print_pilot(out, plan, limit=3)
    said = out.file.getvalue()
    assert "…" not in said
    for text in (
        "试点",
        "10.0% more, found 80% of the time",
        plan.pairs[0].test,
        "rehearsed",
        "other lengths",
    ):
        assert text in said


def test_prices_show_the_categories_and_the_items_that_answer_most(make_tables):
    tables = weekly_shop(make_tables, a=(20, 40), b=(30, 45))
    made = price_items(tables, SelectionConfig(prices=PricesConfig(category_min_items=2)))
    out = console(80)
    rows = made.frame.join(tables.items.select("item_row", "item_id", "title"), on="item_row")
    print_prices(out, made.summary, rows, limit=1)
    said = out.file.getvalue()
    assert "title of a" in said
    assert "title of b" not in said
    for text in ("A > B", "可识别弹性 elasticity identified", "90% interval"):
        assert text in said


def test_a_shop_without_elasticities_is_told_so(make_tables):
    tables = make_tables(items={"a": {"price": 3.0}}, as_of=TODAY)
    made = price_items(tables, SelectionConfig())
    out = console(80)
    print_prices(out, made.summary, made.frame.with_columns(item_id=pl.lit("a"), title=pl.lit("")), limit=5)
    said = out.file.getvalue().split("\n")
    assert next(line for line in said if "可识别弹性" in line).split()[-1] == "0"
    assert next(line for line in said if "全店弹性" in line).split()[-1] == "–"
    assert not any("category" in line for line in said)


@pytest.mark.parametrize("status", ["no_picks", "no_regions", "one_region"])
def test_no_pilot_is_one_clear_line(status):
    regions = {"no_picks": made_regions(9), "no_regions": made_regions(0), "one_region": made_regions(1)}
    out = console(90)
    items = [] if status == "no_picks" else ["a"]
    print_pilot(out, plan_pilot(regions[status], items, PilotConfig()), limit=3)
    assert STATUS_WORDS[status] in " ".join(out.file.getvalue().split())
    assert "try in" not in out.file.getvalue()
