"""Next hits are announced so many days before they are one, and drops are right where nothing was lost."""

from dataclasses import replace
from datetime import date, timedelta
from io import StringIO

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from selection.backtest import run_backtest
from selection.backtest_lists import Listed, crossing_days, score_lists
from selection.backtest_table import print_backtest
from selection.candidates import Candidates
from selection.config import BacktestConfig, SelectionConfig
from selection.outcomes.config import OutcomesConfig
from selection.outcomes.facts import facts_of
from selection.summary import BACKTEST, strongest_plain, summarise
from selection.words import Days, method_label

FIRST = date(2024, 1, 1)
ORIGIN = FIRST + timedelta(days=12)
ITEMS = "abcx"
CONFIG = SelectionConfig(
    outcomes=OutcomesConfig(horizon_days=4, hit_ratio=2.0, keep_days=4, keep_share=0.5, drop_share=0.5),
    backtest=BacktestConfig(hits_top_k=1, bootstrap_samples=100),
)


def sold(item, day):
    """Everybody sells one a day; from the origin on a sells nothing, and x ten from the third day on."""
    after = day - 12
    if after >= 0 and item == "a":
        return 0
    return 10 if after >= 2 and item == "x" else 1


@pytest.fixture
def tables(make_tables):
    purchases = [
        (item, FIRST + timedelta(days=day), number, float(sold(item, day)), 2.0 * sold(item, day))
        for day in range(16)
        for number, item in enumerate(ITEMS)
        if sold(item, day)
    ]
    return make_tables(purchases, as_of=FIRST + timedelta(days=16))


def candidates_of(*, hit=(0.1, 0.2, 0.3, 0.9), keep=(0.1, 0.2, 0.8, 0.9)):
    return Candidates(
        item_ids=np.array(list(ITEMS), dtype=object),
        group=np.ones(4, np.int64),
        eligible=np.ones(4, bool),
        realised=np.zeros(4),
        scores={"bestsellers_units": np.array([4.0, 3.0, 2.0, 1.0])},
        rows=np.arange(4),
        chances={"hit": np.array(hit), "keep": np.array(keep)},
    )


def figures(tables, candidates, origin=ORIGIN, listed=None):
    facts = facts_of(tables, category_depth=2)
    rows = score_lists(candidates, facts, origin, CONFIG, Listed() if listed is None else listed)
    return {(row["scope"], row["method"], row["metric"]): row["value"] for row in rows}


def test_the_hit_level_is_crossed_when_a_look_back_would_call_it_a_hit(tables):
    """On its third day x has sold 1 + 1 + 1 + 10 in four days: twice the mean is less."""
    facts = facts_of(tables, category_depth=2)
    assert crossing_days(facts, np.array([3]), 12, CONFIG.outcomes).tolist() == [3]
    # One that never gets there has "crossed" by the end: only hits are asked about.
    assert crossing_days(facts, np.array([1]), 12, CONFIG.outcomes).tolist() == [4]


def test_a_hit_on_the_list_is_announced_so_many_days_before_it_crossed(tables):
    found = figures(tables, candidates_of())
    assert found["hits", "selection", "precision"] == 1.0
    assert found["hits", "selection", "announced"] == 1.0
    assert found["hits", "selection", "lead_days"] == 3.0
    assert found["hits", "bestsellers_units", "precision"] == 0.0
    assert ("hits", "bestsellers_units", "lead_days") not in found


def test_a_lead_begins_where_the_item_has_been_listed_without_a_break(tables):
    listed = Listed()
    listed.hits["selection"] = {3: 8, 0: 8}
    found = figures(tables, candidates_of(), listed=listed)
    assert found["hits", "selection", "lead_days"] == 15 - 8
    assert found["hits", "selection", "turnover"] == 0.0
    assert listed.hits["selection"] == {3: 8}
    broken = Listed()
    broken.hits["selection"] = {0: 8}
    found = figures(tables, candidates_of(), listed=broken)
    assert found["hits", "selection", "lead_days"] == 3.0
    assert found["hits", "selection", "turnover"] == 1.0


def test_an_item_that_is_a_hit_already_is_no_next_one(make_tables):
    purchases = [
        (item, FIRST + timedelta(days=day), 0, 10.0 if item == "x" else 1.0, 1.0)
        for day in range(16)
        for item in ITEMS
    ]
    found = figures(make_tables(purchases, as_of=FIRST + timedelta(days=16)), candidates_of())
    assert not [key for key in found if key[0] == "hits"]  # x alone is one, before and after


def test_a_drop_that_sold_on_is_a_false_kill(tables):
    found = figures(tables, candidates_of())
    # The engine drops a and b; a sold nothing after, b 4 units at 2: the mean item sold (0 + 8 + 8 + 44) / 4.
    assert found["drops", "selection", "false_kills"] == 0.5
    assert found["drops", "selection", "killed_value"] == 8.0
    # Fewest sales drops c and x, both of which went on.
    assert found["drops", "bestsellers_units", "false_kills"] == 1.0
    assert found["drops", "bestsellers_units", "killed_value"] == 8.0 + 44.0


def test_items_of_which_nothing_is_known_come_last_on_either_list(tables):
    nothing = float("nan")
    found = figures(tables, candidates_of(hit=(0.1, 0.2, 0.3, nothing), keep=(nothing, nothing, 0.8, 0.9)))
    assert found["hits", "selection", "precision"] == 0.0
    assert found["drops", "selection", "killed_value"] == 8.0 + 44.0


def test_lists_do_not_depend_on_what_they_are_scored_by(tables):
    seen, other = Listed(), Listed()
    changed = replace(
        tables,
        daily_sales=tables.daily_sales.with_columns(
            quantity=pl.when(pl.col("day") >= ORIGIN).then(pl.col("quantity") * 3).otherwise("quantity"),
            revenue=pl.when(pl.col("day") >= ORIGIN).then(0.0).otherwise("revenue"),
        ),
    )
    figures(tables, candidates_of(), listed=seen)
    figures(changed, candidates_of(), listed=other)
    for name in ("hits", "drops"):
        mine, theirs = getattr(seen, name), getattr(other, name)
        assert {key for key in mine if key != "oracle"} >= {"selection", "average", "buyers"}
        for method in mine.keys() - {"oracle"}:
            assert mine[method] == theirs[method], method


def test_origins_whose_days_are_not_over_say_nothing(tables):
    assert figures(tables, candidates_of(), origin=ORIGIN + timedelta(days=1)) == {}


def test_the_strongest_rule_for_drops_is_the_one_with_fewest_false_kills():
    rows = [
        {"part": "origin", "origin": FIRST, "scope": "drops", "segment": "", "method": method}
        | {"metric": "false_kills", "value": value, "n_origins": 1}
        for method, value in {
            "selection": 0.1,
            "bestsellers_units": 0.4,
            "buyers": 0.2,
            "random": 0.6,
        }.items()
    ]
    frame = pl.DataFrame(rows, schema=BACKTEST)
    frame = pl.concat([frame, summarise(frame, CONFIG.backtest)])
    assert strongest_plain(frame, "drops", "false_kills") == ("buyers", 0.2)
    lift = frame.filter((pl.col("part") == "all") & (pl.col("metric") == "lift_false_kills"))
    # Against fewest units of the last period, not against the bestsellers by revenue.
    assert dict(lift.select("method", "value").iter_rows())["selection"] == pytest.approx(0.1 / 0.4 - 1)


def test_the_printed_back_test_has_every_measure(busy_shop):
    """No model has spoken in this shop, so the lists are the plain rules' alone."""
    config = SelectionConfig(
        outcomes=OutcomesConfig(hit_ratio=1.2), backtest=BacktestConfig(top_k=10, bootstrap_samples=100)
    )
    frame = run_backtest(busy_shop, config=config).frame
    out = StringIO()
    print_backtest(Console(file=out, width=80), frame)
    text = out.getvalue()
    for name in ("hit rate", "capture", "lift", "regret", "NDCG", "lead days", "false kills", "turnover"):
        assert name in text, name
    assert "…" not in text
    lists = frame.filter(pl.col("scope").is_in(["hits", "drops"]))
    assert "selection" not in lists["method"].to_list()


def test_a_rule_is_named_by_the_days_that_it_looks_back():
    assert method_label("bestsellers_long", Days(long=365)) == "of 365 days"
    assert method_label("bestsellers_both", Days(7, 30, 90)) == "7+30 days"
