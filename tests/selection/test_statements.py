"""A reason tells what was counted, or says that it tells an estimate; shrunk rates decide its side."""

import json
from datetime import date, timedelta

import pytest

from selection.config import SelectionConfig
from selection.features import build_features
from selection.known import Facts
from selection.reasons import Windows
from selection.select import select
from selection.statements import statements
from tests.selection.test_select import STEADY, WINDOWS

TODAY = date(2024, 6, 1)


def said(**changes):
    return list(statements(STEADY._replace(**changes), WINDOWS, "CNY"))


#: A fact of few, shrunk on its way to a decision; what was counted; how the sentences tell it.
SHRUNK = [
    (
        {"repurchase_rate": 0.31, "repurchase_usual": 0.22, "watched": 4, "came_back": 3},
        "4 位买家中有 3 位在 56 天内再次购买（品类估计 22%）",
        "3 of 4 buyers bought it again within 56 days (category: an estimated 22%)",
    ),
    (
        {"order_value": 41.0, "order_value_usual": 30.0, "value_orders": 2, "value_mean": 96.0},
        "含该商品的 2 个订单平均 ¥96.00（全店平均 ¥30.00）",
        "The 2 orders with it were worth ¥96.00 on average (shop: ¥30.00)",
    ),
    (
        {"order_value": 31.0, "order_value_usual": 30.0, "value_orders": 1, "value_mean": 40.0},
        "含该商品的 1 个订单平均 ¥40.00（全店平均 ¥30.00）",
        "The one order that contains it was worth ¥40.00 (shop: ¥30.00)",
    ),
    (
        {"tier_share": 0.35, "tier_usual": 0.25, "tier_buyers": 3, "buyers": 4},
        "4 位买家中有 3 位高价值用户（全店 25%）",
        "3 of its 4 buyers are high-value customers (shop: 25%)",
    ),
    (
        {"satisfaction": 0.82, "rating_mean": 1.0, "ratings": 1},
        "1 个评分平均 10.0（满分 10）",
        "Rated 10.0 of 10 on average (1 rating)",
    ),
    (
        {"overlap": 0.3, "overlap_buyers": 4, "buyers": 5, "overlap_name": "Rival"},
        "5 位买家中有 4 位也购买同品类更畅销的「Rival」",
        "4 of its 5 buyers also buy “Rival”, which sells better in its category",
    ),
    (
        {"trend": 0.5, "trend_z": 2.0, "trend_orders": 9.0, "trend_expected": 4.0},
        "近 28 天有 9 个订单，按此前 84 天的速度、计入全店变化应有 4 个（相差 2.0 个标准误）",
        "9 orders in the last 28 days; the rate of the 84 days before, moved with the shop, made 4 "
        "(2.0 standard errors apart)",
    ),
]


@pytest.mark.parametrize(("facts", "zh", "en"), SHRUNK)
def test_what_was_counted_is_told_and_not_the_shrunk_rate(facts, zh, en):
    assert (zh, en) in [(reason.zh, reason.en) for reason in said(**facts)]


def test_a_rating_that_shrinking_takes_to_the_other_side_is_not_worth_saying():
    one = next(r for r in said(satisfaction=0.66, rating_mean=0.9, ratings=1) if "Rated" in r.en)
    assert (one.strength, one.good) == (0.0, True)


def test_nobody_watched_and_no_order_is_no_sentence():
    told = " ".join(reason.en for reason in said(watched=0, came_back=0, value_orders=0, value_mean=0.0))
    assert "again within" not in told
    assert "worth ¥" not in told


def test_a_model_s_figures_are_called_forecast_chance_expected_or_estimated():
    facts = {
        "hit_probability": 0.4,
        "top_probability": 0.5,
        "keep_probability": 0.9,
        "expected_value": 10.0,
        "expected_value_q10": 5.0,
        "expected_value_q90": 20.0,
        "early_buyers": 0.8,
        "discount": 0.1,
        "action": "discount",
        "elasticity": -2.0,
        "elasticity_low": -3.0,
        "elasticity_high": -1.0,
        "breakout": True,
        "breakout_orders": 9.0,
        "breakout_expected": 3.2,
    }
    modelled = [
        reason
        for reason in said(**facts)
        if any(
            word in reason.en for word in ("chance", "revenue", "record", "elasticity", "Forecast", "Breaks")
        )
    ]
    assert len(modelled) == 8
    for reason in modelled:
        assert any(word in reason.zh for word in ("概率", "预计", "预期", "估计")), reason.zh
        assert any(word in reason.en for word in ("chance", "Forecast", "Expected", "estimated")), reason.en


def test_a_breakout_is_said_first_with_its_level_and_instead_of_the_trend():
    told = said(breakout=True, breakout_orders=9.0, breakout_expected=3.2, trend=0.8, trend_z=3.0)
    best = max(told, key=lambda reason: reason.strength)
    assert best.zh == (
        "突破：近 28 天有 9 个订单，按其此前自身水平（已计入促销与全店变化）估计应有 3.2 个，"
        "偶然如此的概率不到 1%"
    )
    assert best.en.startswith("Breaks out: 9 orders in the last 28 days")
    assert "under 1%" in best.en
    assert best.good
    assert not any("standard errors" in reason.en for reason in told)
    level = Windows(recent=28, base=84, repurchase=56, horizon=28, level=0.001)
    assert any("0.1%" in reason.zh for reason in statements(STEADY._replace(breakout=True), level, "CNY"))


def test_the_counts_of_the_sentences_are_those_of_the_tables(make_tables):
    """Of a's four buyers three are back within 56 days; all orders are worth 10."""
    start = TODAY - timedelta(days=120)
    purchases = [("a", start + timedelta(days=user), user, 1.0, 10.0) for user in range(4)]
    purchases += [("a", start + timedelta(days=40 + user), user, 1.0, 10.0) for user in range(3)]
    purchases += [
        ("b", TODAY - timedelta(days=3), 9, 1.0, 50.0),
        ("b", start, 8, 1.0, 50.0),
        ("a", TODAY - timedelta(days=9), 9, 1.0, 10.0),
    ]
    tables = make_tables(purchases, as_of=TODAY)
    config = SelectionConfig()
    row = build_features(tables, TODAY, config=config.features, lifecycle=config.lifecycle).row(0, named=True)
    assert (row["watched"], row["came_back"]) == (4, 3)
    assert row["repurchase_rate"] < 0.75  # shrunk
    assert (row["value_orders"], row["value_mean"]) == (4, 10.0)
    facts = Facts(
        **{name: row[name] for name in Facts._fields if name in row}, action="keep", place=1, place_of=2
    )
    assert "3 of 4 buyers bought it again" in " ".join(r.en for r in statements(facts, WINDOWS, "CNY"))
    frame = select(tables, TODAY, config=config, currency="CNY")
    assert all(json.loads(text) for text in frame.get_column("reasons_zh"))
