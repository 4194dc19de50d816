"""A selection has every sellable item, best first, each with an action and reasons in two languages."""

import json
from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

from recdata.selection_artefacts import SELECTION
from selection.actions import ACTIONS, STAGES
from selection.config import SelectionConfig, WeightsConfig
from selection.features import OPINIONS
from selection.outcomes.config import OutcomesConfig
from selection.reasons import Facts, Windows, explain
from selection.score import COMPONENTS
from selection.select import select
from selection.words import count, money, percent, signed_percent

TODAY = date(2024, 6, 1)
WINDOWS = Windows(recent=28, base=84, repurchase=56, horizon=28)
STEADY = Facts(
    action="keep",
    stage="mature",
    age_days=300,
    days_since_sale=2,
    buyers=40,
    trend=0.0,
    trend_z=0.0,
    trend_newer_days=28,
    trend_older_days=84,
    trend_orders=20.0,
    trend_expected=20.0,
    orders_recent=20.0,
    units_recent=30.0,
    season_ratio=1.0,
    repurchase_rate=0.2,
    repurchase_usual=0.2,
    watched=30,
    came_back=6,
    order_value=30.0,
    order_value_usual=30.0,
    value_orders=50,
    value_mean=30.0,
    promotion_share=0.0,
    demand=31.0,
    demand_q10=20.0,
    demand_q90=40.0,
    demand_value=310.0,
    forecast_method="prophet",
    place=9,
    place_of=90,
)


def sentences(**changes):
    reasons = explain(STEADY._replace(**changes), WINDOWS, "CNY").supporting
    assert [reason.strength for reason in reasons] == sorted((r.strength for r in reasons), reverse=True)
    return [reason.zh for reason in reasons], [reason.en for reason in reasons]


def test_reasons_carry_the_numbers_they_speak_of():
    zh, en = sentences(action="push", place=1)
    assert zh[0] == "综合得分在本品类 90 个在售商品中排第 1"
    assert "预计未来 28 天售出 31 件（80% 区间 20–40），约 ¥310" in zh
    assert "Forecast for the next 28 days: 31 units (80% interval 20–40), about ¥310" in en


def test_what_decided_the_action_comes_first():
    assert sentences(action="drop", stage="dead", days_since_sale=130)[0][0] == "已 130 天没有售出"
    assert "从未售出" in sentences(action="drop", stage="dead", days_since_sale=None)[0][0]
    fell = {"trend": -0.4, "trend_z": -3.0, "trend_orders": 20.0, "trend_expected": 36.7}
    zh, en = sentences(action="discount", stage="decline", **fell)
    assert zh[0] == "近 28 天有 20 个订单，按此前 84 天的速度、计入全店变化应有 37 个（相差 3.0 个标准误）"
    assert en[0] == (
        "20 orders in the last 28 days; the rate of the 84 days before, moved with the shop, made 37 "
        "(3.0 standard errors apart)"
    )
    assert "23" in sentences(action="launch", stage="launch", age_days=23)[0][0]
    assert "3.1 倍" in sentences(stage="seasonal", season_ratio=3.1)[0][0]


def against(**changes):
    return [reason.en for reason in explain(STEADY._replace(**changes), WINDOWS, "CNY").against]


def test_what_speaks_against_the_action_is_said_too():
    falling = {"trend": -0.4, "trend_z": -3.0, "trend_expected": 36.7}
    assert against(action="push", **falling)[0].startswith("20 orders in the last 28 days")
    assert against(action="discount", **falling) == [
        "Score ranks 9 of 90 live items in its category",
        "40 distinct buyers in the last 84 days",
    ]
    assert against(action="drop", keep_probability=0.9)[0] == (
        "90% chance that it sells something worth keeping in the next 84 days"
    )
    assert against(action="push", margin=-0.1)[0] == "Sold below cost: margin -10%"
    crowded = {"overlap": 0.4, "overlap_buyers": 18, "overlap_name": "Rival"}
    assert against(action="keep", **crowded) == [
        "18 of its 40 buyers also buy “Rival”, which sells better in its category"
    ]


def test_what_is_pushed_for_its_chance_of_a_hit_is_not_pushed_for_its_poor_place():
    facts = {"action": "push", "place": 60, "hit_probability": 0.6}
    told = explain(STEADY._replace(**facts), WINDOWS, "CNY")
    assert told.supporting[0].en.startswith("60% chance of a hit")
    assert "Score ranks 60 of 90 live items in its category" in [reason.en for reason in told.against]
    assert not any("Score ranks" in reason.en for reason in told.supporting)


def test_no_more_than_three_speak_against_and_none_on_both_sides():
    facts = STEADY._replace(
        action="push",
        trend=-0.4,
        trend_z=-3.0,
        margin=-0.1,
        satisfaction=0.2,
        rating_mean=0.1,
        ratings=9,
        promotion_share=0.9,
        overlap=0.9,
    )
    reasons = explain(facts._replace(overlap_name="Rival"), WINDOWS, "CNY")
    assert len(reasons.against) == 3
    assert not set(reasons.supporting) & set(reasons.against)
    assert all(reason.zh and reason.en for reason in reasons.against)


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        ({"hit_probability": 0.4}, "40% chance of a hit: 4 times its category's mean sales in 28 days"),
        ({"top_probability": 0.8}, "80% chance of being among the best of its category by revenue"),
        ({"satisfaction": 0.9, "rating_mean": 0.93, "ratings": 7}, "Rated 9.3 of 10 on average (7 ratings)"),
        ({"margin": 0.65}, "Margin 65% of its price"),
        (
            {"tier_share": 0.6, "tier_usual": 0.3, "tier_buyers": 28},
            "28 of its 40 buyers are high-value customers (shop: 30%)",
        ),
        (
            {"early_buyers": 0.8},
            "Its first buyers' record is an estimated 80% (50% is usual: how the new items that they bought "
            "early fared)",
        ),
    ],
)
def test_what_other_stages_know_is_said(known, sentence):
    assert sentence in sentences(action="push", place=1, **known)[1]


def test_a_discount_names_its_elasticity_or_that_it_is_not_identifiable():
    known = {"elasticity": -1.8, "elasticity_low": -2.4, "elasticity_high": -1.2}
    declining = {"action": "discount", "stage": "decline", "discount": 0.15}
    assert (
        "Suggested discount 15%: price elasticity an estimated -1.8 (90% interval -2.4…-1.2)"
        in sentences(**declining, **known)[1]
    )
    assert "Suggested discount 15%; its price elasticity is not identifiable" in sentences(**declining)[1]


def test_a_missing_forecast_is_owned_up_to():
    zh, en = sentences(forecast_method="")
    assert any("没有预测" in sentence for sentence in zh)
    assert any("no forecast" in sentence for sentence in en)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("stage", STAGES)
def test_there_are_always_two_to_four_reasons_in_both_languages(action, stage):
    for since in (2, 40, 200, None):
        for trend in (-0.5, 0.0, 0.5):
            changes = {"action": action, "stage": stage, "days_since_sale": since}
            zh, en = sentences(**changes, trend=trend, trend_z=trend * 5, buyers=0, place=0, place_of=0)
            assert 2 <= len(zh) == len(en) <= 4
            assert all(zh)
            assert all(en)


def test_a_selection_has_every_item_once_with_what_the_schema_promises(busy_shop):
    frame = select(busy_shop, busy_shop.as_of, config=SelectionConfig(), currency="CNY")
    assert dict(frame.schema) == SELECTION
    assert frame.drop(OPINIONS).null_count().sum_horizontal().item() == 0
    assert frame.get_column("rank").to_list() == list(range(1, 81))
    assert frame.get_column("item_id").n_unique() == 80
    assert frame.get_column("score").is_sorted(descending=True)
    assert set(frame.get_column("action")) <= set(ACTIONS)
    for row in frame.iter_rows(named=True):
        parts = json.loads(row["components"])
        assert tuple(parts) == COMPONENTS
        assert 2 <= len(json.loads(row["reasons_zh"])) == len(json.loads(row["reasons_en"])) <= 4


def test_the_same_input_gives_the_same_selection(busy_shop):
    config = SelectionConfig()
    first = select(busy_shop, busy_shop.as_of, config=config, currency="CNY")
    assert select(busy_shop, busy_shop.as_of, config=config, currency="CNY").equals(first)


def test_items_that_are_alike_in_everything_stand_in_the_order_of_their_ids(make_tables):
    day = TODAY - timedelta(days=3)
    tables = make_tables([(item, day, 0, 1.0, 1.0) for item in ("c", "a", "b")], as_of=TODAY)
    frame = select(tables, TODAY, config=SelectionConfig(), currency="CNY")
    assert frame.get_column("item_id").to_list() == ["a", "b", "c"]


def test_items_with_equal_scores_share_their_place_as_they_share_their_quantile(make_tables):
    days = [TODAY - timedelta(days=day) for day in range(3, 200, 3)]
    items = [f"item {number}" for number in range(20)]
    purchases = [(item, day, user, 1.0, 1.0) for item in items for user, day in enumerate(days)]
    tables = make_tables(purchases, as_of=TODAY)
    config = SelectionConfig(weights=WeightsConfig(**dict.fromkeys(COMPONENTS, 0.0) | {"sales": 1.0}))
    frame = select(tables, TODAY, config=config, currency="CNY")
    assert frame.get_column("action").to_list() == ["push"] * 20
    for row in frame.iter_rows(named=True):
        assert "Score ranks 1 of 20 live items in its category" in json.loads(row["reasons_en"])
        assert "Would be kept if it fell below place 3 (now 1)" in json.loads(row["changes_en"])


def test_a_shop_of_one_unsold_item_without_a_category_is_selected(make_tables):
    tables = make_tables(as_of=TODAY, items={"only": {"category": "", "title": "<b>唯一</b>"}})
    row = select(tables, TODAY, config=SelectionConfig(), currency="CNY").row(0, named=True)
    assert (row["demand"], row["recent_sales"], row["revenue_at_stake"]) == (0.0, 0.0, 0.0)
    assert row["action"] == "keep"


def test_a_chance_of_a_hit_is_told_with_its_own_days_not_the_forecasts(busy_shop):
    config = SelectionConfig(outcomes=OutcomesConfig(horizon_days=42))
    rows = busy_shop.items.select(
        pl.lit(busy_shop.as_of).alias("origin"), "item_row", hit_probability=pl.lit(0.4)
    )
    outcomes = pl.concat([busy_shop.outcomes, rows], how="diagonal")
    frame = select(replace(busy_shop, outcomes=outcomes), busy_shop.as_of, config=config, currency="CNY")
    told = [json.loads(row) for row in frame.get_column("reasons_en")]
    assert any("40% chance of a hit: 4 times its category's mean sales in 42 days" in each for each in told)


def test_a_shop_without_items_has_an_empty_selection(make_tables):
    frame = select(make_tables(as_of=TODAY), TODAY, config=SelectionConfig(), currency="CNY")
    assert frame.height == 0
    assert dict(frame.schema) == SELECTION


def test_numbers_are_written_for_people():
    assert [money(value, "CNY") for value in (3.5, 1234.4, -2.0, 0.0)] == [
        "¥3.50",
        "¥1,234",
        "-¥2.00",
        "¥0.00",
    ]
    assert money(5.0, "XYZ") == "XYZ 5.00"
    assert [count(value) for value in (0.25, 3.0, 9.96, 1234.4)] == ["0.2", "3", "10", "1,234"]
    assert [signed_percent(value) for value in (0.254, -0.001)] == ["+25%", "+0%"]
    assert [percent(value) for value in (0.254, -0.001, -0.1)] == ["25%", "0%", "-10%"]
