"""What is known of an item and what became of it is as counted by hand, and the morning knows no evening."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from selection.outcomes.config import OutcomesConfig
from selection.outcomes.examples import answers, fresh_best, teach
from selection.outcomes.facts import NEVER, UNIT, facts_of
from selection.outcomes.labels import alive_at, is_hit, labels_at, top_of_group
from selection.outcomes.panel import nth_of_group, panel_at, rank_in_group
from selection.outcomes.plain import plain_chances, plain_rules

FIRST = date(2024, 1, 1)
CONFIG = OutcomesConfig()


def day(number):
    return FIRST + timedelta(days=number)


def facts(tables):
    return facts_of(tables, category_depth=2)


def three_items(make_tables, as_of=150):
    """a: 1 a day for 100 days by two shoppers in turn; b: 2 on day 0, 30 on day 120; c: 1 on day 90."""
    purchases = [("a", day(number), number % 2, 1.0, 2.0) for number in range(100)]
    purchases += [("b", day(0), 5, 2.0, 8.0), ("b", day(120), 6, 30.0, 120.0), ("c", day(90), 7, 1.0, 100.0)]
    return make_tables(purchases, as_of=day(as_of), promoted=[("a", day(99)), ("b", day(130))])


def test_windows_are_counted_exactly_and_end_before_their_last_day(make_tables):
    found = facts(three_items(make_tables))
    assert (found.sales.sums("units", 72, 100) / UNIT).tolist() == [28.0, 0.0, 1.0]
    assert (found.sales.sums("revenue", 0, 121) / UNIT).tolist() == [200.0, 128.0, 100.0]
    assert (found.sales.sums("promoted_units", 0, 150) / UNIT).tolist() == [1.0, 0.0, 0.0]
    assert found.sales.sums("days_sold", -50, 1000).tolist() == [100, 2, 1]
    assert found.distinct_buyers(98, 100).tolist() == [2.0, 0.0, 0.0]
    assert found.distinct_buyers(0, 99).tolist() == [2.0, 1.0, 1.0]
    assert found.firsts.sums("buyers", 0, 150).tolist() == [2, 2, 1]
    assert found.firsts.sums("repeaters", 0, 150).tolist() == [2, 0, 0]
    assert found.last_sale(90).tolist() == [89, 0, NEVER]
    assert found.born.tolist() == [0, 0, 90]


def test_a_hit_sells_four_times_the_mean_item_that_was_alive(make_tables):
    found = facts(three_items(make_tables))
    labels = labels_at(found, 110, CONFIG)
    # Alive: a, b, c; they sell 0, 30 and 0 from day 110 until before 138: 30 >= 4 x 10 is not so.
    assert labels.hit.tolist() == [False, False, False]
    assert labels_at(found, 110, OutcomesConfig(hit_ratio=3.0)).hit.tolist() == [False, True, False]
    assert labels.revenue.tolist() == [0.0, 120.0, 0.0]
    assert labels.top.tolist() == [False, True, False]
    assert labels_at(found, 80, OutcomesConfig(horizon_days=11)).top.tolist() == [True, False, False]
    # Worth keeping: at least a quarter of (20 x 2 + 120) / 2, the mean of the two that were alive on day 80.
    assert labels_at(found, 80, OutcomesConfig(keep_days=60)).keep.tolist() == [True, True, True]
    assert labels_at(found, 80, OutcomesConfig(keep_days=60, keep_share=0.6)).keep.tolist() == [
        False,
        True,
        True,
    ]
    assert alive_at(found, 120, OutcomesConfig(alive_days=30)).tolist() == [True, False, True]


def test_places_in_a_category_share_the_best_one_and_ties_go_by_row():
    values = np.array([5.0, 5.0, 1.0, 9.0, 0.0])
    group = np.array([0, 0, 0, 1, 1])
    every = np.ones(5, bool)
    assert rank_in_group(values, every, group).tolist() == [0.0, 0.0, 2.0, 0.0, 1.0]
    assert nth_of_group(values, every, group, 2).tolist() == [5.0, 5.0, 5.0, 0.0, 0.0]
    assert nth_of_group(values, every, group, 3).tolist() == [1.0, 1.0, 1.0, 0.0, 0.0]
    assert top_of_group(values, every, group, 1).tolist() == [True, False, False, True, False]


def later_changed(tables, number):
    """Returns the tables with everything from a day on multiplied, doubled in rows and promoted."""
    after = pl.col("day") >= day(number)
    changed = {
        name: getattr(tables, name).with_columns(
            pl.when(after).then(pl.col(column) * 1000).otherwise(column).alias(column)
            for column in ("quantity", "revenue")
        )
        for name in ("daily_sales", "purchases")
    }
    new = changed["purchases"].filter(after).collect()
    strangers = new.with_columns((pl.col("user_row") + 1000).cast(pl.Int32))
    changed["purchases"] = pl.concat([changed["purchases"].collect(), strangers]).lazy()
    promoted = new.select("item_row", "day", pl.lit("flash").alias("kind"), pl.lit(0.5).alias("discount"))
    return replace(
        tables,
        **changed,
        promoted_days=pl.concat([tables.promoted_days.collect(), promoted]).lazy(),
        items=tables.items.with_columns(price=pl.lit(1e6), stock=pl.lit(0, dtype=pl.Int64)),
    )


@pytest.mark.parametrize("origin", [60, 144])
def test_what_comes_later_changes_nothing_that_is_known(busy_shop, origin):
    before = facts(busy_shop)
    origin_day = (before.day(origin) - FIRST).days
    after = facts(later_changed(busy_shop, origin_day))
    old, new = (panel_at(each, origin, CONFIG) for each in (before, after))
    np.testing.assert_array_equal(old.matrix(), new.matrix())
    for name in ("hit", "keep", "top", "value"):
        known, still = (plain_chances(each, old, CONFIG) for each in (before, after))
        np.testing.assert_array_equal(getattr(known, name), getattr(still, name))
    assert not np.array_equal(
        labels_at(before, origin, CONFIG).revenue, labels_at(after, origin, CONFIG).revenue
    )
    seen = facts(later_changed(busy_shop, origin_day - 1))
    assert not np.array_equal(panel_at(seen, origin, CONFIG).matrix(), old.matrix(), equal_nan=True)


def test_a_panel_holds_only_items_that_existed(make_tables):
    found = facts(three_items(make_tables))
    assert panel_at(found, 90, CONFIG).rows.tolist() == [0, 1]
    panel = panel_at(found, 100, CONFIG)
    assert panel.rows.tolist() == [0, 1, 2]
    assert panel.columns["units_28"].tolist() == [28.0, 0.0, 1.0]
    assert panel.columns["since_sale"].tolist() == [1.0, 100.0, 10.0]
    assert panel.columns["promoted_share_28"][0] == pytest.approx(1 / 28)
    assert panel.columns["relative_28"][0] == pytest.approx(28 / (29 / 3))
    assert panel.columns["rank_revenue_28"].tolist() == [1.0, 2.0, 0.0]


def test_plain_rules_order_items_as_they_say(make_tables):
    panel = panel_at(facts(three_items(make_tables, as_of=150)), 130, CONFIG)
    units, money = plain_rules(panel, money=False), plain_rules(panel, money=True)
    assert units["last 28 days"].tolist() == [0.0, 30.0, 0.0]
    assert units["whole-history average"][0] == pytest.approx(100 / 130 * 28, rel=1e-6)
    assert money["last 84 days"].tolist() == [108.0, 120.0, 100.0]
    assert units["distinct buyers"].tolist() == [2.0, 1.0, 1.0]


def test_plain_chances_grow_with_sales_and_stay_chances(make_tables):
    purchases = [
        (f"i{rate:02d}", day(number), number % 7, float(rate), 3.0 * rate)
        for rate in range(1, 21)
        for number in range(0, 120, 10)
    ]
    found = facts(make_tables(purchases, as_of=day(120)))
    chances = plain_chances(found, panel_at(found, 120, CONFIG), CONFIG)
    for name in ("hit", "keep", "top"):
        values = getattr(chances, name)
        assert (np.diff(values) >= -1e-12).all()
        assert values.min() >= 0
        assert values.max() <= 1
    assert chances.top[-1] > 0.4 > 0.01 > chances.top[0]
    # 8 sales of 20 in the last 84 days and 4 in the 36 before, which count a quarter; 3 each, drawn a little
    # to the mean item.
    rate = (160 + 0.25 * 80) / (84 + 0.25 * 36)
    assert chances.value[-1] == pytest.approx(rate * 28 * 3, rel=0.01)


def test_examples_do_not_depend_on_how_items_fared_and_weigh_what_they_stand_for(busy_shop):
    found = facts(busy_shop)
    panel = panel_at(found, 140, CONFIG)
    fared = answers(found, panel, labels_at(found, 140, CONFIG), CONFIG)
    small = OutcomesConfig(sample_items=20)
    taught = teach(panel, fared, small)
    turned = teach(panel, {name: 1 - values for name, values in fared.items()}, small)
    np.testing.assert_array_equal(taught["hit"].features, turned["hit"].features)
    assert 8 <= taught["hit"].weight.size <= 35
    assert taught["hit"].weight.sum() == pytest.approx(panel.rows.size, rel=0.4)
    assert teach(panel, fared, CONFIG)["hit"].weight.size == panel.rows.size


def test_the_best_of_the_new_are_found_by_what_they_sell_later(make_tables):
    purchases = [("old", day(0), 0, 1.0, 1.0)]
    purchases += [(f"n{number:02d}", day(90 + number % 5), number, 1.0, 1.0) for number in range(40)]
    purchases += [("n07", day(120), 1, 50.0, 50.0), ("n30", day(150), 1, 9.0, 9.0)]
    purchases += [("old", day(130), 1, 99.0, 1.0)]
    found = facts(make_tables(purchases, as_of=day(200)))
    panel = panel_at(found, 100, CONFIG)
    best = fresh_best(found, panel, CONFIG)
    assert panel.rows[best].tolist() == [7, 30]  # 5% of 40 is two


def test_nothing_sold_at_all_makes_no_facts(make_tables):
    assert facts(make_tables([], as_of=day(0), items={"a": {}})) is None


def test_a_hit_needs_sales(make_tables):
    found = facts(three_items(make_tables))
    every = np.ones(3, bool)
    assert not is_hit(found, 101, 110, alive=every, ratio=1.0).any()
