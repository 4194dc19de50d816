"""What an item is worth beside its sales, counted by hand on shops of a few purchases."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from selection.appeal import overlaps, satisfaction, tier_shares
from selection.config import FeaturesConfig

TODAY = date(2024, 6, 1)
CONFIG = FeaturesConfig(rating_prior=1.0, tier_prior_buyers=2.0, overlap_prior_buyers=0.0)


def lines(*bought):
    """(item_row, user_row, revenue) or with the days before today as a fourth."""
    rows = [(*line, 1)[:4] for line in bought]
    return pl.LazyFrame(
        [
            {
                "item_row": item,
                "user_row": user,
                "quantity": 1.0 if revenue > 0 else -1.0,
                "revenue": float(revenue),
                "day": TODAY - timedelta(days=ago),
            }
            for item, user, revenue, ago in rows
        ],
        schema={
            "item_row": pl.Int32,
            "user_row": pl.Int32,
            "quantity": pl.Float64,
            "revenue": pl.Float64,
            "day": pl.Date,
        },
    )


def ratings(*given):
    rows = [{"item_id": item, "rated_at": at, "score": float(score)} for item, at, score in given]
    return pl.LazyFrame(
        rows, schema={"item_id": pl.String, "rated_at": pl.Datetime("us", "UTC"), "score": pl.Float64}
    )


def by(frame, key, value):
    return dict(frame.select(key, value).iter_rows())


def test_few_ratings_are_pulled_to_the_shops_mean():
    may = datetime(2024, 5, 1, tzinfo=UTC)
    given = ratings(*[("old", may, 8)] * 3, ("new", may, 4))
    found = by(satisfaction(given, TODAY, "UTC", CONFIG), "item_id", "satisfaction")
    assert found == pytest.approx({"old": (2.4 + 0.7) / 4, "new": (0.4 + 0.7) / 2})


def test_a_rating_counts_on_the_days_after_its_business_day():
    # 2024-05-31 17:00 UTC is 01:00 on June 1 in Shanghai: known on the morning of June 2, not of June 1.
    given = ratings(("a", datetime(2024, 5, 31, 17, tzinfo=UTC), 10))
    assert satisfaction(given, TODAY, "Asia/Shanghai", CONFIG).height == 0
    assert satisfaction(given, TODAY, "UTC", CONFIG).height == 1


def test_an_item_that_big_spenders_buy_stands_above_the_shops_share():
    config = FeaturesConfig(high_value_share=0.25, tier_prior_buyers=2.0)
    bought = lines((0, 0, 900), (1, 0, 50), (1, 1, 10), (2, 2, 10), (2, 3, 10))
    found = tier_shares(bought, TODAY, config)
    # One of four customers is of high value; two of the five buyers of an item are that customer.
    assert found.get_column("tier_usual").unique().to_list() == [pytest.approx(0.4)]
    assert by(found, "item_row", "tier_share") == pytest.approx(
        {0: (1 + 0.8) / 3, 1: (1 + 0.8) / 4, 2: 0.8 / 4}
    )


def test_what_a_customer_sent_back_is_not_spending():
    config = FeaturesConfig(high_value_share=0.5, tier_prior_buyers=0.0)
    bought = lines((0, 0, 900), (0, 0, -900), (1, 1, 10))
    assert by(tier_shares(bought, TODAY, config), "item_row", "tier_share") == {0: 0.0, 1: 1.0}


def of_one_group(*revenue):
    return pl.DataFrame(
        {"item_row": range(len(revenue)), "group": ["g"] * len(revenue), "revenue_base": revenue},
        schema={"item_row": pl.Int32, "group": pl.String, "revenue_base": pl.Float64},
    )


def test_an_item_shares_buyers_with_the_stronger_item_that_most_of_them_buy():
    bought = lines((0, 0, 9), (0, 1, 9), (1, 1, 5), (1, 2, 5), (2, 0, 1), (2, 1, 1), (2, 2, 1), (2, 3, 1))
    found = overlaps(bought, of_one_group(18.0, 10.0, 4.0), TODAY, CONFIG)
    assert sorted(found.iter_rows()) == [(1, 0.5, 0, 1), (2, 0.5, 0, 2)]


def test_an_item_of_another_category_takes_no_buyers_away():
    items = of_one_group(18.0, 10.0).with_columns(group=pl.Series(["g", "h"]))
    assert overlaps(lines((0, 0, 9), (1, 0, 5)), items, TODAY, CONFIG).height == 0


def test_one_shared_buyer_of_one_is_no_cannibal():
    config = FeaturesConfig(overlap_prior_buyers=4.0)
    found = overlaps(lines((0, 0, 9), (1, 0, 5)), of_one_group(9.0, 5.0), TODAY, config)
    assert found.rows() == [(1, 0.2, 0, 1)]


def test_purchases_before_the_base_window_are_no_buyers_of_now():
    bought = lines((0, 0, 9), (1, 0, 5, 200))
    assert overlaps(bought, of_one_group(9.0, 5.0), TODAY, CONFIG).height == 0


def test_a_shop_without_purchases_or_ratings_has_none_of_it():
    assert overlaps(lines(), of_one_group(), TODAY, CONFIG).height == 0
    assert tier_shares(lines(), TODAY, CONFIG).height == 0
    assert satisfaction(ratings(), TODAY, "UTC", CONFIG).height == 0
