"""A breakout is a rise above an item's own level that promotions, the shop and chance do not explain."""

from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from selection.breakout import UPLIFTS, Rates, chance_of, exposure, uplift
from selection.config import FeaturesConfig, LifecycleConfig, SelectionConfig
from selection.features import build_features
from selection.select import select

TODAY = date(2024, 6, 1)
DAYS = 112


def rates(**given):
    """Two items over windows of 28 and 84 days, without promotions where nothing else is said."""
    plain = {
        "newer": (0.0, 0.0),
        "older": (0.0, 0.0),
        "newer_days": (28.0, 28.0),
        "older_days": (84.0, 84.0),
        "newer_promoted": (0.0, 0.0),
        "older_promoted": (0.0, 0.0),
        "older_promoted_orders": (0.0, 0.0),
    }
    return Rates(**{name: np.array(values, float) for name, values in (plain | given).items()})


def test_a_promoted_day_counts_as_many_as_it_has_brought():
    # Each item sold 20 on 20 promoted days and 32 on 64 others: twice as much a day.
    both = rates(older=(52, 52), older_promoted=(20, 20), older_promoted_orders=(20, 20))
    assert uplift(both) == pytest.approx(2.0)
    assert uplift(rates(older=(52, 52))) == 1.0  # nobody was promoted
    wild = rates(older=(21, 21), older_promoted=(20, 20), older_promoted_orders=(20.9, 20.9))
    assert uplift(wild) == UPLIFTS[1]
    harmful = rates(older=(64, 64), older_promoted=(20, 20), older_promoted_orders=(0, 0))
    assert uplift(harmful) == UPLIFTS[0]


def test_what_is_expected_follows_the_promotions_and_the_shop():
    # The uplift is 2, as above. In the newer window the first item is on promotion throughout.
    sold = rates(
        newer=(28, 14),
        older=(52, 52),
        older_promoted=(20, 20),
        older_promoted_orders=(20, 20),
        newer_promoted=(28, 0),
    )
    expected = sold.older * exposure(sold)
    assert expected[0] == pytest.approx(2 * expected[1])
    assert expected.sum() == pytest.approx(42)  # the shop as a whole sells what it sells


def test_the_chance_is_the_exact_one_of_two_rates():
    weight = np.array([1 / 3, 1 / 3])
    sold = rates(newer=(6, 0), older=(6, 6))
    # Of 12 orders 6 or more in the quarter of the time.
    by_hand = sum(stats.binom.pmf(k, 12, 0.25) for k in range(6, 13))
    assert chance_of(sold, weight) == pytest.approx([by_hand, 1.0])
    # Nothing before and five now: a quarter to the power of five.
    assert chance_of(rates(newer=(5, 5)), weight)[0] == pytest.approx(0.25**5)
    assert chance_of(rates(newer=(5, 5)), np.zeros(2)).tolist() == [1.0, 1.0]  # too young to be asked


def shop(make_tables, *, promoted=()):
    """Twenty items sell every fourth day; "up" sells so until 28 days ago and daily since."""
    start = TODAY - timedelta(days=DAYS + 30)
    purchases = []
    for number in range(20):
        item = "up" if number == 0 else f"i{number:02d}"
        for day in range(DAYS + 30):
            late = start + timedelta(days=day) >= TODAY - timedelta(days=28)
            if (late and item == "up") or (day + number) % 4 == 0:
                purchases.append((item, start + timedelta(days=day), number, 1.0, 5.0))
    return make_tables(purchases, as_of=TODAY, promoted=promoted)


def broken(tables, **lifecycle):
    config = SelectionConfig(lifecycle=LifecycleConfig(**lifecycle))
    frame = build_features(tables, TODAY, config=config.features, lifecycle=config.lifecycle)
    return frame.filter("breakout").get_column("item_id").to_list()


def test_the_item_that_rose_breaks_out_and_no_other(make_tables):
    tables = shop(make_tables)
    assert broken(tables) == ["up"]
    assert broken(tables, breakout_ratio=4.0) == []
    assert broken(tables, breakout_level=0.0) == []
    row = (
        select(tables, TODAY, config=SelectionConfig(), currency="CNY").filter("breakout").row(0, named=True)
    )
    assert row["item_id"] == "up"
    assert row["reasons_zh"].startswith('["突破：近 28 天有 28 个订单')


def test_a_rise_that_a_promotion_explains_is_none(make_tables):
    """Promoted weeks bring all items five times the sales, and "up" is on promotion all the 28 days."""
    start = TODAY - timedelta(days=DAYS)
    purchases, promoted = [], []
    for number in range(20):
        item = "up" if number == 0 else f"i{number:02d}"
        for day in range(DAYS):
            week = day // 7
            on = week >= 12 if item == "up" else week % 5 == number % 5 and week < 12
            on = on or (item == "up" and week == 3)
            if on:
                promoted.append((item, start + timedelta(days=day)))
            if on or day % 5 == number % 5:
                purchases.append((item, start + timedelta(days=day), number, 1.0, 5.0))
    as_it_is = make_tables(purchases, as_of=TODAY, promoted=promoted)
    assert "up" not in broken(as_it_is)
    assert "up" in broken(make_tables(purchases, as_of=TODAY))


def test_a_shop_that_grows_as_one_has_no_breakout(make_tables):
    start = TODAY - timedelta(days=DAYS + 30)
    purchases = [
        (f"i{number:02d}", start + timedelta(days=day), number, 1.0, 5.0)
        for number in range(20)
        for day in range(DAYS + 30)
        if day >= DAYS + 2 or (day + number) % 4 == 0
    ]
    assert broken(make_tables(purchases, as_of=TODAY)) == []


@pytest.mark.parametrize("age", [3, 27, 41])
def test_an_item_too_young_to_have_a_level_of_its_own_does_not_break_out(make_tables, age):
    purchases = [("new", TODAY - timedelta(days=day), day, 5.0, 5.0) for day in range(1, age + 1)]
    purchases += [("old", TODAY - timedelta(days=day), 1, 1.0, 5.0) for day in range(1, 140)]
    assert FeaturesConfig().trend_min_days == 14
    assert broken(make_tables(purchases, as_of=TODAY)) == []


def test_shops_of_nothing_are_answers(make_tables):
    assert broken(make_tables(as_of=TODAY, items={"only": {}})) == []
    one = make_tables([("a", TODAY - timedelta(days=1), 0, 1.0, 1.0)], as_of=TODAY)
    assert broken(one) == []
