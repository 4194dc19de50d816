from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from recdata.training_artefacts import ITEMS, POPULARITY, PURCHASES
from training.popularity import PopularityConfig, category_paths, popularity_lists

AS_OF = date(2024, 3, 1)
WEEK = PopularityConfig(windows_days=(7,), min_list_buyers=1, trend_prior_buyers=2.0, min_trend_buyers=1)
CATEGORIES = ("Tea > Green", "Tea > Black", "Coffee")


def items(*, launched: tuple[int | None, ...] = (400, 400, 400), status: str = "active") -> pl.DataFrame:
    """Items 0, 1 and 2 of `CATEGORIES`, launched so many days before AS_OF; item 2 may be another status."""
    rows = [
        (row, f"i{row}", "T", category, "", 1.0, None, None, status if row == 2 else "active", None, "{}")
        for row, category in enumerate(CATEGORIES)
    ]
    days = [None if age is None else AS_OF - timedelta(days=age) for age in launched]
    return pl.DataFrame(rows, schema=ITEMS, orient="row").with_columns(
        launched_on=pl.Series(days, dtype=pl.Date)
    )


def purchases(*lines: tuple[int, int, int, str, str]) -> pl.LazyFrame:
    """Lines of (days before AS_OF, user_row, item_row, channel, region)."""
    rows = [
        (AS_OF - timedelta(days=age), user, item, "o", 1.0, 1.0, channel, region)
        for age, user, item, channel, region in lines
    ]
    return pl.DataFrame(rows, schema=PURCHASES, orient="row").lazy()


def listed(frame: pl.DataFrame, kind: str, **where: object) -> list[tuple[int, int]]:
    """The (item_row, buyers) of one list, best first; what is not named is the whole shop."""
    scope: dict[str, object] = {"category": "", "channel": "", "region": ""} | where
    return frame.filter(kind=kind, **scope).sort("rank").select("item_row", "buyers").rows()


def lists(lines: pl.LazyFrame, catalogue: pl.DataFrame | None = None, config: PopularityConfig = WEEK):
    return popularity_lists(lines, items() if catalogue is None else catalogue, as_of=AS_OF, config=config)


def test_bestsellers_count_buyers_not_lines() -> None:
    one_buyer_ten_times = [(1, 0, 0, "", "")] * 10
    frame = lists(purchases(*one_buyer_ten_times, (1, 1, 1, "", ""), (2, 2, 1, "", "")))
    assert listed(frame, "best") == [(1, 2), (0, 1)]


def test_a_window_holds_its_own_days_only() -> None:
    frame = lists(purchases((7, 0, 0, "", ""), (8, 1, 1, "", ""), (0, 2, 2, "", "")))
    assert listed(frame, "best") == [(0, 1)]


def test_ties_go_to_the_lower_item_row() -> None:
    frame = lists(purchases((1, 0, 2, "", ""), (1, 0, 1, "", ""), (1, 0, 0, "", "")))
    assert [row for row, _ in listed(frame, "best")] == [0, 1, 2]


def test_every_path_of_a_category_has_its_list() -> None:
    frame = lists(purchases((1, 0, 0, "", ""), (1, 1, 1, "", ""), (1, 2, 1, "", ""), (1, 0, 2, "", "")))
    assert listed(frame, "best", category="Tea") == [(1, 2), (0, 1)]
    assert listed(frame, "best", category="Tea > Green") == [(0, 1)]
    assert listed(frame, "best", category="Coffee") == [(2, 1)]


def test_category_paths_are_all_the_prefixes() -> None:
    paths = category_paths(items()).filter(item_row=0)["category"].to_list()
    assert paths == ["", "Tea", "Tea > Green"]


def test_channel_and_region_have_lists_alone_and_together() -> None:
    lines = [
        (1, 0, 0, "app", "north"),
        (1, 0, 0, "shop", "north"),
        (1, 1, 0, "app", "south"),
        (1, 2, 1, "app", ""),
    ]
    frame = lists(purchases(*lines))
    assert listed(frame, "best") == [(0, 2), (1, 1)]
    assert listed(frame, "best", channel="app") == [(0, 2), (1, 1)]
    assert listed(frame, "best", region="north") == [(0, 1)]
    assert listed(frame, "best", channel="app", region="south") == [(0, 1)]


def test_a_trend_is_growth_beyond_the_whole_shop_s_shrunk_by_the_prior() -> None:
    before = [(10, user, 0, "", "") for user in range(3)] + [(10, 9, 1, "", "")]
    now = [(1, user, 0, "", "") for user in range(3)] + [(1, user, 1, "", "") for user in range(4)]
    frame = lists(purchases(*before, *now))
    # 4 buyers in the shop in each window, so item 0 is expected to keep 3 and item 1 to keep 1
    trending = frame.filter(kind="trending", category="")
    assert trending["item_row"].to_list() == [1]
    assert trending["score"].to_list() == pytest.approx([1.0])  # log2((4 + 2) / (1 + 2))


def test_few_buyers_do_not_win_a_trend() -> None:
    before = [(10, user, 0, "", "") for user in range(10)]
    now = [(1, user, 0, "", "") for user in range(30)] + [(1, 0, 1, "", "")]
    frame = lists(purchases(*before, *now), config=PopularityConfig(windows_days=(7,), min_trend_buyers=1))
    # thirty buyers are what the shop's own growth makes of ten, and one buyer is hardly a trend
    scores = dict(frame.filter(kind="trending", category="").select("item_row", "score").rows())
    assert scores.get(1, 0.0) < 0.2


def test_without_an_earlier_window_there_is_no_trend() -> None:
    assert listed(lists(purchases((1, 0, 0, "", ""), (2, 1, 0, "", ""))), "trending") == []


def test_new_items_are_those_launched_inside_the_window() -> None:
    lines = purchases((30, 0, 0, "", ""), (1, 0, 0, "", ""), (1, 0, 1, "", ""), (1, 1, 2, "", ""))
    assert listed(lists(lines, items(launched=(30, 3, None))), "new") == [(1, 1)]


def test_an_item_launched_with_the_data_s_first_day_is_not_called_new() -> None:
    assert listed(lists(purchases((5, 0, 0, "", "")), items(launched=(5, 5, 5))), "new") == []


def test_discontinued_items_stand_in_no_list() -> None:
    frame = lists(purchases((1, 0, 2, "", ""), (1, 0, 1, "", "")), items(status="discontinued"))
    assert set(frame["item_row"]) == {1}


def test_a_thin_list_is_left_out_but_never_the_whole_shop_s() -> None:
    config = PopularityConfig(windows_days=(7,), min_list_buyers=2)
    frame = lists(purchases((1, 0, 0, "app", "")), config=config)
    assert listed(frame, "best") == [(0, 1)]
    assert frame.select("category", "channel").unique().rows() == [("", "")]


def test_lists_end_at_their_length() -> None:
    config = PopularityConfig(windows_days=(7,), min_list_buyers=1, items_per_list=1)
    frame = lists(purchases((1, 0, 0, "", ""), (1, 1, 0, "", ""), (1, 0, 1, "", "")), config=config)
    assert listed(frame, "best") == [(0, 2)]


def test_returns_are_no_purchases() -> None:
    returned = purchases((1, 0, 0, "", "")).with_columns(quantity=pl.lit(-1.0))
    assert lists(returned).is_empty()


def test_no_purchases_make_an_empty_table_with_its_schema() -> None:
    frame = lists(purchases())
    assert frame.is_empty()
    assert dict(frame.schema) == {name: kind() for name, kind in POPULARITY.items()}
