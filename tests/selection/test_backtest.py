"""The back-test's figures are the ones counted by hand, and its intervals are paired and seeded."""

from dataclasses import replace
from datetime import date, timedelta
from io import StringIO

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from selection.backtest import Walk, backtest_origins, run_backtest, score_picks, told_apart, turnover
from selection.backtest_table import print_backtest
from selection.candidates import Candidates, candidates_at, revenue_between
from selection.config import BacktestConfig, LearningConfig, SelectionConfig, WeightsConfig
from selection.picking import pick
from selection.score import COMPONENTS
from selection.summary import (
    BACKTEST,
    METHODS,
    added_by_component,
    headline,
    held_out_parts,
    strongest_plain,
    summarise,
    verdict,
)

DAY = date(2024, 6, 1)


def hand_made():
    """Six items, three a category; what sold: 60, 50, 40 | 30, 20, 10."""
    realised = np.array([60.0, 50.0, 40.0, 30.0, 20.0, 10.0])
    scores = {method: np.zeros(6) for method in METHODS}
    scores["oracle"] = realised
    scores["selection"] = np.array([9.0, 1.0, 8.0, 0.0, 7.0, 6.0])  # shop: 0, 2; categories: 0 2 | 4 5
    scores["bestsellers"] = np.array([0.0, 0.0, 9.0, 8.0, 0.0, 0.0])  # shop: 2, 3; ties: item id up
    return Candidates(
        item_ids=np.array(list("abcdef"), dtype=object),
        group=np.array([1, 1, 1, 2, 2, 2]),
        eligible=np.ones(6, bool),
        realised=realised,
        scores=scores,
    )


def figures(rows):
    return {(row["scope"], row["method"], row["metric"]): row["value"] for row in rows}


def test_precision_and_capture_are_as_counted_by_hand():
    found = figures(score_picks(hand_made(), BacktestConfig(top_k=2, category_top_k=2)))
    assert found["shop", "selection", "precision"] == 0.5
    assert found["shop", "selection", "capture"] == pytest.approx(100 / 110)
    assert found["shop", "bestsellers", "precision"] == 0.0
    assert found["shop", "bestsellers", "capture"] == pytest.approx(70 / 110)
    # Categories: truth a b | d e; selection a c | e f; bestsellers c a | d e.
    assert found["category", "selection", "precision"] == 0.5
    assert found["category", "selection", "capture"] == pytest.approx((60 + 40 + 20 + 10) / 160)
    assert found["category", "bestsellers", "precision"] == 0.75
    assert found["shop", "oracle", "capture"] == found["category", "oracle", "precision"] == 1.0


def test_small_categories_are_left_out_of_the_category_picks():
    candidates = hand_made()
    part = Candidates(
        candidates.item_ids,
        candidates.group,
        np.array([True] * 3 + [False] * 3),
        candidates.realised,
        candidates.scores,
    )
    found = figures(score_picks(part, BacktestConfig(category_top_k=2)))
    assert found["category", "selection", "capture"] == pytest.approx(100 / 110)
    nobody = Candidates(
        candidates.item_ids, candidates.group, np.zeros(6, bool), candidates.realised, candidates.scores
    )
    assert {row["scope"] for row in score_picks(nobody, BacktestConfig())} == {"shop"}


def test_a_horizon_without_sales_captures_nothing():
    candidates = hand_made()
    silent = Candidates(
        candidates.item_ids, candidates.group, candidates.eligible, np.zeros(6), candidates.scores
    )
    found = figures(score_picks(silent, BacktestConfig()))
    assert found["shop", "selection", "capture"] == 0.0


def test_only_origins_whose_horizon_is_over_are_stood_on(busy_shop):
    found = backtest_origins(busy_shop, BacktestConfig())
    assert found == [busy_shop.as_of - timedelta(days=28 * step) for step in (4, 3, 2, 1)]
    assert backtest_origins(busy_shop, BacktestConfig(min_history_days=120)) == found[2:]


def test_realised_revenue_is_of_the_horizon_alone(make_tables):
    purchases = [
        ("a", DAY + timedelta(days=offset), 0, 1.0, 10.0**position)
        for position, offset in enumerate((-1, 0, 6, 7))
    ]
    tables = make_tables(purchases, as_of=DAY + timedelta(days=30))
    assert revenue_between(tables, DAY, 7, "realised").get_column("realised").to_list() == [110.0]


def test_picks_do_not_depend_on_what_they_are_scored_by(busy_shop):
    origin = busy_shop.as_of - timedelta(days=56)
    blind = busy_shop.daily_sales.filter(pl.col("day") < origin)
    fields = {name: getattr(busy_shop, name) for name in busy_shop.__dataclass_fields__}
    seeing = candidates_at(busy_shop, origin, SelectionConfig())
    unseeing = candidates_at(type(busy_shop)(**{**fields, "daily_sales": blind}), origin, SelectionConfig())
    assert unseeing.realised.sum() == 0 < seeing.realised.sum()
    assert {"selection", "last_year"}.isdisjoint(seeing.scores)
    for method in seeing.scores.keys() - {"oracle"}:
        np.testing.assert_array_equal(seeing.scores[method], unseeing.scores[method])


def test_a_run_has_every_origin_and_both_summaries_and_is_repeatable(busy_shop):
    config = SelectionConfig(backtest=BacktestConfig(top_k=10, bootstrap_samples=200))
    steps = []
    frame = run_backtest(busy_shop, config=config, advance=steps.append).frame
    assert dict(frame.schema) == BACKTEST
    assert steps == [1] * 4
    assert frame.filter(pl.col("part") == "origin").get_column("origin").n_unique() == 4
    summary = frame.filter((pl.col("part") != "origin") & (pl.col("metric") == "capture"))
    counts = summary.group_by("part").agg(pl.col("n_origins").max())
    assert dict(counts.iter_rows()) == {"held_out": 2, "all": 4}
    assert run_backtest(busy_shop, config=config).frame.equals(frame)
    # Demand grows with the item's number in every period, so that hindsight and plain rules agree.
    sales = frame.filter((pl.col("part") == "all") & (pl.col("method") == "bestsellers_base"))
    assert sales.filter(pl.col("metric") == "capture").get_column("value").min() > 0.8


def test_a_lift_is_the_ratio_to_last_periods_bestsellers_with_a_paired_interval():
    rows = [
        {
            "part": "origin",
            "origin": DAY + timedelta(days=number),
            "scope": "shop",
            "segment": "",
            "method": method,
            "metric": "capture",
            "value": value,
            "n_origins": 1,
        }
        for number, base in enumerate((0.4, 0.6, 0.8, 0.2))
        for method, value in (("bestsellers", base), ("selection", base * 1.25))
    ]
    summary = summarise(pl.DataFrame(rows, schema=BACKTEST), BacktestConfig(bootstrap_samples=500))
    lift = summary.filter((pl.col("part") == "all") & (pl.col("metric") == "lift_capture")).row(0, named=True)
    # Every origin is lifted by the same quarter, so pairing leaves no uncertainty although origins differ.
    assert (lift["value"], lift["low"], lift["high"]) == pytest.approx((0.25, 0.25, 0.25))
    mean = summary.filter((pl.col("part") == "all") & (pl.col("method") == "selection")).row(0, named=True)
    assert mean["low"] < mean["value"] < mean["high"]


def test_the_latest_origins_are_held_out():
    days = [DAY + timedelta(days=number) for number in range(5)]
    assert held_out_parts(days, BacktestConfig())["held_out"] == days[-2:]
    assert held_out_parts(days[:1], BacktestConfig())["held_out"] == days[:1]
    assert held_out_parts([], BacktestConfig()) == {}


def test_the_verdict_is_even_unless_the_interval_excludes_zero():
    assert [verdict(0.01, 0.2), verdict(-0.2, -0.01), verdict(-0.1, 0.1)] == ["better", "worse", "even"]


def test_no_origin_is_said_and_not_crashed_on(make_tables):
    tables = make_tables(
        [("a", DAY - timedelta(days=1), 0, 1.0, 1.0)], as_of=DAY, forecasts=[(DAY, "a", 1.0)]
    )
    frame = run_backtest(tables, config=SelectionConfig()).frame
    assert frame.is_empty()
    assert headline(frame, BacktestConfig())["figures"] == {}
    out = StringIO()
    print_backtest(Console(file=out, width=100), frame)
    assert "no origin" in out.getvalue()


def test_the_printed_table_says_who_won_and_how_surely(busy_shop):
    config = SelectionConfig(backtest=BacktestConfig(top_k=10, bootstrap_samples=200))
    out = StringIO()
    print_backtest(Console(file=out, width=80), run_backtest(busy_shop, config=config).frame)
    text = out.getvalue()
    assert "latest 2 of 4 origins" in text
    assert "…" not in text
    assert all(label in text for label in ("selection", "bestsellers", "oracle", "random"))


def test_origins_are_counted_also_where_a_category_was_too_small_at_first():
    days = [DAY + timedelta(days=28 * step) for step in range(4)]
    rows = [
        {"part": "origin", "origin": day, "scope": scope, "segment": "", "method": method, "value": 0.5}
        | {"metric": metric, "n_origins": 1}
        for scope, since in {"shop": 0, "category": 3}.items()
        for day in days[since:]
        for method in ("selection", "bestsellers")
        for metric in ("capture", "precision")
    ]
    frame = pl.DataFrame(rows, schema=BACKTEST)
    out = StringIO()
    print_backtest(Console(file=out, width=80), pl.concat([frame, summarise(frame, BacktestConfig())]))
    assert "latest 2 of 4 origins" in out.getvalue()


def test_order_counts_in_ndcg_and_regret_is_money():
    found = figures(score_picks(hand_made(), BacktestConfig(top_k=2)))
    ideal = 60 + 50 / np.log2(3)
    assert found["shop", "selection", "ndcg"] == pytest.approx((60 + 40 / np.log2(3)) / ideal)
    assert found["shop", "bestsellers", "ndcg"] == pytest.approx((40 + 30 / np.log2(3)) / ideal)
    assert found["shop", "selection", "regret"] == 10.0
    assert found["shop", "oracle", "regret"] == 0.0


def test_what_was_promised_is_held_against_what_came():
    promised = np.array([90.0, 0.0, 60.0, 0.0, 0.0, 0.0])
    candidates = replace(hand_made(), expected={"selection": promised})
    found = figures(score_picks(candidates, BacktestConfig(top_k=2)))
    assert found["shop", "selection", "expected_ratio"] == 1.5
    silent = replace(hand_made(), expected={"selection": np.full(6, np.nan)})
    assert ("shop", "selection", "expected_ratio") not in figures(
        score_picks(silent, BacktestConfig(top_k=2))
    )


def test_figures_are_told_apart_by_category_and_stage():
    candidates = replace(
        hand_made(), group_names=("", "left", "right"), stage=np.array(["mature"] * 5 + ["launch"])
    )
    rows = list(told_apart(candidates, BacktestConfig(category_top_k=1)))
    found = {(r["scope"], r["segment"], r["method"], r["metric"]): r["value"] for r in rows}
    assert found["category", "left", "selection", "capture"] == 1.0  # picks a, which sold most
    assert found["category", "left", "bestsellers", "capture"] == pytest.approx(40 / 60)  # picks c
    assert found["category", "right", "selection", "capture"] == pytest.approx(20 / 30)
    # One in ten of five mature items is none: such a stage has no figures.
    assert not [key for key in found if key[0] == "stage"]
    many = Candidates(
        item_ids=np.array([f"{n:02d}" for n in range(20)], dtype=object),
        group=np.ones(20, np.int64),
        eligible=np.ones(20, bool),
        realised=np.arange(20.0),
        scores={"oracle": np.arange(20.0), "selection": np.arange(20.0), "bestsellers": -np.arange(20.0)},
        group_names=("", "g"),
        stage=np.array(["growth"] * 20),
    )
    stages = {
        (r["segment"], r["method"]): r["value"]
        for r in told_apart(many, BacktestConfig())
        if r["scope"] == "stage" and r["metric"] == "precision"
    }
    assert stages == {("growth", "selection"): 1.0, ("growth", "bestsellers"): 0.0}


def test_turnover_is_the_share_of_new_picks_and_needs_an_origin_before():
    walk, config = Walk(), BacktestConfig(top_k=2, category_top_k=1)
    assert list(turnover(hand_made(), config, walk)) == []
    other = hand_made()
    other.scores["selection"] = np.array([9.0, 8.0, 0.0, 0.0, 0.0, 0.0])  # shop: a b instead of a c
    found = figures(turnover(other, config, walk))
    assert found["shop", "selection", "turnover"] == 0.5
    assert found["shop", "bestsellers", "turnover"] == 0.0


def test_last_year_is_a_rule_only_where_there_was_one(make_tables):
    purchases = [("a", DAY - timedelta(days=back), 0, 1.0, 5.0) for back in (10, 350)]
    tables = make_tables(purchases, as_of=DAY + timedelta(days=28), forecasts=[(DAY, "a", 1.0)])
    assert candidates_at(tables, DAY, SelectionConfig()).scores["last_year"].tolist() == [5.0]
    young = make_tables(purchases[:1], as_of=DAY + timedelta(days=28), forecasts=[(DAY, "a", 1.0)])
    assert "last_year" not in candidates_at(young, DAY, SelectionConfig()).scores


def test_weights_are_learned_only_from_horizons_that_are_over(busy_shop):
    config = SelectionConfig(backtest=BacktestConfig(bootstrap_samples=200))
    found = run_backtest(busy_shop, config=config)
    assert found.taught_by == 4
    assert found.weights != config.weights
    changed = busy_shop.daily_sales.with_columns(
        revenue=pl.when(pl.col("day") >= busy_shop.as_of - timedelta(days=28))
        .then(pl.col("revenue").shuffle(seed=1))
        .otherwise("revenue")
    )
    other = run_backtest(replace(busy_shop, daily_sales=changed), config=config)
    chosen = [
        frame.filter(
            (pl.col("origin") == busy_shop.as_of - timedelta(days=28))
            & (pl.col("metric") == "turnover")
            & (pl.col("method") != "oracle")
        )
        for frame in (found.frame, other.frame)
    ]
    # The last origin's picks do not know its own horizon; the run's own day does.
    assert chosen[0].equals(chosen[1])
    assert found.weights != other.weights


def test_a_lesson_teaches_from_the_day_on_which_its_horizon_is_over(busy_shop):
    config = SelectionConfig()
    origins = backtest_origins(busy_shop, config.backtest)
    lessons = [candidates_at(busy_shop, origin, config).lesson() for origin in origins]
    ends = [origin + timedelta(days=28) for origin in origins]
    walk = Walk(lessons=list(zip(ends, lessons, strict=True)))
    _, before = walk.weights(ends[2] - timedelta(days=1), config)
    _, after = walk.weights(ends[2], config)
    assert (before, after) == (2, 3)
    alone = Walk(lessons=walk.lessons[:3])
    assert walk.weights(ends[2], config) == alone.weights(ends[2], config)


def test_nobody_is_said_to_have_taught_weights_that_are_as_people_set_them(busy_shop):
    for learning in (LearningConfig(enabled=False), LearningConfig(min_origins=5)):
        found = run_backtest(busy_shop, config=SelectionConfig(learning=learning))
        assert found.weights.normalised() == pytest.approx(WeightsConfig().normalised())
        assert found.taught_by == 0


def test_the_summary_names_the_strongest_plain_rule_and_what_a_component_adds(busy_shop):
    config = SelectionConfig(backtest=BacktestConfig(top_k=10, bootstrap_samples=200))
    frame = run_backtest(busy_shop, config=config).frame
    method, value = strongest_plain(frame, "shop", "capture")
    plain = frame.filter(
        (pl.col("part") == "all") & (pl.col("scope") == "shop") & (pl.col("metric") == "capture")
    )
    assert value == plain.filter(pl.col("method").str.starts_with("bestsellers"))["value"].max()
    assert method.startswith("bestsellers")
    added = added_by_component(frame, "shop", "capture")
    assert set(added) <= set(COMPONENTS)
    assert list(added.values()) == sorted(added.values(), reverse=True)


def test_no_more_than_a_tenth_of_what_sells_is_picked_in_a_small_shop() -> None:
    scores = np.arange(60.0)
    part = Candidates(
        item_ids=np.array([f"i{at:02}" for at in range(60)], object),
        group=np.zeros(60, np.int64),
        eligible=np.ones(60, bool),
        realised=scores,
        scores={"oracle": scores},
        shop_most=6,
    )
    assert pick(part, "oracle", "shop", BacktestConfig()).rows.tolist() == [59, 58, 57, 56, 55, 54]
