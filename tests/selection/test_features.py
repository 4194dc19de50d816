"""Features count what they say, shrink what is thin, and never see their own future."""

from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

from recdata.selection_artefacts import LAUNCHES
from selection.config import FeaturesConfig, LifecycleConfig
from selection.features import FEATURES, OPINIONS, build_features
from selection.history import Tables

TODAY = date(2024, 6, 1)


def features_of(tables, origin=TODAY, **config):
    frame = build_features(tables, origin, config=FeaturesConfig(**config), lifecycle=LifecycleConfig())
    return {row["item_id"]: row for row in frame.iter_rows(named=True)}


def days_ago(days):
    return TODAY - timedelta(days=days)


def test_windows_count_the_days_before_the_origin_and_no_other(make_tables):
    tables = make_tables(
        [
            ("a", days_ago(1), 0, 2.0, 20.0),
            ("a", days_ago(28), 1, 1.0, 10.0),
            ("a", days_ago(29), 1, 1.0, 10.0),
            ("a", days_ago(84), 2, 1.0, 10.0),
            ("a", days_ago(85), 3, 1.0, 10.0),
            ("a", days_ago(0), 4, 99.0, 990.0),
        ],
        as_of=TODAY + timedelta(days=1),
    )
    found = features_of(tables)["a"]
    assert (found["units_recent"], found["revenue_recent"], found["orders_recent"]) == (3.0, 30.0, 2.0)
    assert (found["units_base"], found["revenue_base"], found["revenue_long"]) == (5.0, 50.0, 60.0)
    assert found["buyers"] == 3
    assert found["days_since_sale"] == 1
    assert found["age_days"] == 85
    assert found["price"] == 10.0


def test_a_sale_of_years_ago_is_remembered(make_tables):
    found = features_of(make_tables([("a", days_ago(900), 0, 1.0, 1.0)], as_of=TODAY))["a"]
    assert (found["days_since_sale"], found["revenue_long"], found["stage"]) == (900, 0.0, "dead")


def test_the_same_weeks_a_year_ago_tell_the_season(make_tables):
    season = [("tree", days_ago(364 - day), day, 1.0, 1.0) for day in range(28)]
    rest = [("tree", days_ago(day), 0, 1.0, 1.0) for day in range(10, 300, 30)]
    edge = [("tree", days_ago(365), 0, 1.0, 1.0)]
    found = features_of(make_tables([*season, *rest, *edge], as_of=TODAY))["tree"]
    # 39 orders in the 365 days looked at, 28 of them in the season, which has 28 of the days.
    assert (found["season_orders"], found["stage"]) == (28.0, "seasonal")
    assert found["season_ratio"] == pytest.approx(28 / (39 * 28 / 365))


def test_returns_are_netted_and_make_no_buyers(make_tables):
    tables = make_tables([("a", days_ago(9), 0, 3.0, 30.0), ("a", days_ago(5), 1, -1.0, -10.0)], as_of=TODAY)
    found = features_of(tables)["a"]
    assert (found["units_recent"], found["revenue_recent"], found["buyers"]) == (2.0, 20.0, 1)
    assert found["days_since_sale"] == 9


@pytest.mark.parametrize("table", ["sales", "catalogue", "forecasts"])
def test_changing_the_future_changes_nothing(busy_shop, table):
    origin = busy_shop.as_of - timedelta(days=56)
    before = build_features(busy_shop, origin, config=FeaturesConfig(), lifecycle=LifecycleConfig())
    later = pl.col("day") >= origin
    changed = {name: getattr(busy_shop, name) for name in Tables.__dataclass_fields__}
    if table == "sales":
        for name in ("daily_sales", "purchases"):
            changed[name] = changed[name].with_columns(
                pl.when(later).then(pl.col(column) * 1000).otherwise(column).alias(column)
                for column in ("quantity", "revenue")
            )
        new = changed["purchases"].collect().filter(pl.col("day") >= origin)
        changed["purchases"] = pl.concat([changed["purchases"].collect(), new]).lazy()
        changed["promoted_days"] = new.lazy().select(
            "item_row", "day", pl.lit("flash").alias("kind"), pl.lit(0.5).alias("discount")
        )
    elif table == "catalogue":
        unborn = busy_shop.items.head(1).with_columns(
            pl.lit(999, dtype=pl.Int32).alias("item_row"),
            pl.lit("unborn").alias("item_id"),
            pl.lit(origin).alias("launched_on"),
        )
        changed["items"] = pl.concat([busy_shop.items, unborn]).with_columns(
            pl.lit(1e6).alias("price"),
            pl.lit(2.0).alias("unit_cost"),
            pl.lit("discontinued").alias("status"),
            pl.lit(0, dtype=pl.Int64).alias("stock"),
        )
    else:
        changed["forecast_totals"] = busy_shop.forecast_totals.with_columns(
            pl.when(pl.col("origin") > origin).then(1e6).otherwise("mean").alias("mean")
        )
    after = build_features(Tables(**changed), origin, config=FeaturesConfig(), lifecycle=LifecycleConfig())
    assert after.equals(before)
    assert before.height == 80


def test_a_past_change_is_seen(busy_shop):
    origin = busy_shop.as_of - timedelta(days=56)
    doubled = busy_shop.daily_sales.with_columns(
        pl.when(pl.col("day") == origin - timedelta(days=1))
        .then(pl.col("quantity") * 2)
        .otherwise("quantity")
        .alias("quantity")
    )
    changed = {name: getattr(busy_shop, name) for name in Tables.__dataclass_fields__}
    arguments = {"config": FeaturesConfig(), "lifecycle": LifecycleConfig()}
    after = build_features(Tables(**{**changed, "daily_sales": doubled}), origin, **arguments)
    assert not after.equals(build_features(busy_shop, origin, **arguments))


def test_the_trend_is_the_change_of_the_order_rate_net_of_the_shop(make_tables):
    steady = [("steady", days_ago(day), 0, 1.0, 1.0) for day in range(1, 113)]
    rising = [("rising", days_ago(day), 1, 1.0, 1.0) for day in range(1, 29)]
    rising += [("rising", days_ago(day), 1, 1.0, 1.0) for day in range(30, 113, 2)]
    found = features_of(make_tables([*steady, *rising], as_of=TODAY), trend_prior_orders=1.0)
    # 28 + 28 orders in the recent window; 84 + 42 in the older: the shop's daily rate is 2 / 1.5 of before.
    change = 2 / 1.5
    assert found["steady"]["trend"] == pytest.approx(29 / (28 * change + 1) - 1)
    assert found["rising"]["trend"] == pytest.approx(29 / (14 * change + 1) - 1)
    assert found["steady"]["trend_z"] < 0 < found["rising"]["trend_z"]
    assert (found["rising"]["trend_newer_days"], found["rising"]["trend_older_days"]) == (28, 84)


def test_a_young_item_is_compared_with_its_own_first_weeks_and_a_newborn_with_nothing(make_tables):
    old = [("old", days_ago(day), 0, 1.0, 1.0) for day in range(1, 120)]
    young = [("young", days_ago(day), 1, 1.0, 1.0) for day in range(15, 31)]
    born = [("born", days_ago(3), 1, 1.0, 1.0)]
    found = features_of(make_tables([*old, *young, *born], as_of=TODAY))
    assert (found["young"]["trend_newer_days"], found["young"]["trend_older_days"]) == (14, 14)
    assert found["young"]["trend_z"] < -2.5
    assert (found["born"]["trend"], found["born"]["trend_z"]) == (0.0, 0.0)


def test_repurchase_counts_only_buyers_whose_window_is_over(make_tables):
    purchases = [
        ("a", days_ago(100), 0, 1.0, 1.0),
        ("a", days_ago(90), 0, 1.0, 1.0),  # came back after 10 days
        ("a", days_ago(100), 1, 1.0, 1.0),
        ("a", days_ago(20), 1, 1.0, 1.0),  # came back too late
        ("a", days_ago(10), 2, 1.0, 1.0),  # may still come back: not counted
        ("a", days_ago(9), 2, 1.0, 1.0),
    ]
    found = features_of(make_tables(purchases, as_of=TODAY), repurchase_days=56, repurchase_prior_buyers=0.0)
    assert found["a"]["repurchase_rate"] == pytest.approx(0.5)


def test_a_thin_repurchase_rate_is_pulled_to_its_category(make_tables):
    many = [
        ("many", days_ago(day), user, 1.0, 1.0)
        for user in range(50)
        for day in ((120, 110) if user < 10 else (120,))
    ]
    one = [("one", days_ago(120), 99, 1.0, 1.0), ("one", days_ago(119), 99, 1.0, 1.0)]
    found = features_of(make_tables([*many, *one], as_of=TODAY), repurchase_prior_buyers=20.0)
    assert found["many"]["repurchase_rate"] == pytest.approx(0.2, abs=0.01)
    assert found["one"]["repurchase_rate"] == pytest.approx((1 + 20 * found["one"]["repurchase_usual"]) / 21)


def test_order_value_is_the_mean_of_the_orders_that_contain_the_item(make_tables):
    purchases = [
        ("a", days_ago(5), 0, 1.0, 10.0),
        ("b", days_ago(5), 0, 1.0, 90.0),  # one order of 100
        ("a", days_ago(4), 0, 1.0, 10.0),  # one order of 10
    ]
    found = features_of(make_tables(purchases, as_of=TODAY), order_value_prior_orders=0.0)
    assert (found["a"]["order_value"], found["b"]["order_value"]) == (55.0, 100.0)
    assert found["a"]["order_value_usual"] == 55.0


def test_orders_without_an_id_are_a_shoppers_day(make_tables):
    tables = make_tables(
        [
            ("a", days_ago(5), 0, 1.0, 10.0),
            ("b", days_ago(5), 0, 1.0, 90.0),
            ("a", days_ago(5), 1, 1.0, 10.0),
        ],
        as_of=TODAY,
    )
    nameless = tables.purchases.with_columns(pl.lit("").alias("order_id"))
    changed = {name: getattr(tables, name) for name in Tables.__dataclass_fields__}
    found = features_of(Tables(**{**changed, "purchases": nameless}), order_value_prior_orders=0.0)
    assert (found["a"]["order_value"], found["b"]["order_value"]) == (55.0, 100.0)


def test_promotion_share_is_of_units(make_tables):
    tables = make_tables(
        [("a", days_ago(5), 0, 3.0, 3.0), ("a", days_ago(4), 0, 1.0, 1.0)],
        as_of=TODAY,
        promoted=[("a", days_ago(5)), ("a", days_ago(5)), ("a", days_ago(50))],
    )
    assert features_of(tables)["a"]["promotion_share"] == 0.75


def test_a_dear_return_makes_no_price_below_zero(make_tables):
    day = days_ago(3)
    tables = make_tables([("a", day, 0, 2.0, 10.0), ("a", day, 1, -1.0, -20.0)], as_of=TODAY)
    found = features_of(tables)["a"]
    assert (found["units_base"], found["revenue_base"]) == (1.0, -10.0)
    assert (found["price"], found["price_band"], found["demand_value"]) == (None, "", 0.0)


def test_price_bands_are_quantiles_inside_the_category(make_tables):
    purchases = [(f"i{n}", days_ago(3), 0, 1.0, 1.0 + n) for n in range(10)]
    found = features_of(make_tables(purchases, as_of=TODAY))
    bands = [found[f"i{n}"]["price_band"] for n in range(10)]
    assert bands == ["value"] * 3 + ["mid"] * 3 + ["high"] * 2 + ["premium"] * 2


def test_a_small_category_has_one_band_and_an_item_without_price_none(make_tables):
    tables = make_tables(
        [("a", days_ago(3), 0, 1.0, 1.0), ("b", days_ago(3), 0, 1.0, 100.0)],
        as_of=TODAY,
        items={"unsold": {}},
    )
    found = features_of(tables)
    assert [found[item]["price_band"] for item in ("a", "b", "unsold")] == ["mid", "mid", ""]


def test_an_item_without_a_forecast_is_given_its_base_rate(make_tables):
    purchases = [("a", days_ago(day), 0, 3.0, 3.0) for day in range(1, 85)] + [
        ("b", days_ago(200), 0, 1.0, 1.0)
    ]
    found = features_of(make_tables(purchases, as_of=TODAY, forecasts=[(TODAY, "b", 7.0)]))
    assert found["a"]["demand"] == pytest.approx(84.0)
    assert found["a"]["forecast_method"] == ""
    assert found["a"]["demand_q10"] < 84 < found["a"]["demand_q90"]
    assert (found["b"]["demand"], found["b"]["forecast_method"]) == (7.0, "given")


def test_a_young_item_that_has_sold_is_expected_to_sell_the_mean_of_its_launch_and_its_forecast(make_tables):
    items = {"unsold": {"launched_on": days_ago(3)}, "listed": {"launched_on": days_ago(300)}}
    sold = [(item, days_ago(10), 0, 1.0, 1.0) for item in ("new", "late", "old")]
    forecasts = [(TODAY, "new", 4.0), (TODAY, "unsold", 0.0), (TODAY, "listed", 2.0), (TODAY, "old", 7.0)]
    tables = make_tables(sold, as_of=TODAY, items=items, forecasts=forecasts)
    rows = dict(tables.items.select("item_id", "item_row").iter_rows())
    launches = pl.DataFrame(
        [
            {"origin": TODAY, "item_row": rows[item], "mean": 10.0, "q10": 6.0, "q90": 20.0}
            for item in ("new", "late", "unsold")
        ],
        schema=LAUNCHES,
    )
    found = features_of(replace(tables, launches=launches))
    told = {
        item: tuple(row[name] for name in ("demand", "demand_q10", "demand_q90", "forecast_method"))
        for item, row in found.items()
    }
    # Forecasts of the fixture have q10 = mean / 2 and q90 = mean * 2.
    assert told == {
        "new": (7.0, 4.0, 14.0, "launch + given"),
        "late": (10.0, 6.0, 20.0, "launch"),  # no forecast was made for it
        "unsold": (10.0, 6.0, 20.0, "launch"),  # its forecast of nothing is no opinion
        "listed": (2.0, 1.0, 4.0, "given"),  # not young
        "old": (7.0, 3.5, 14.0, "given"),
    }


def test_forecast_money_is_at_the_price_really_paid(make_tables):
    purchases = [("a", days_ago(5), 0, 1.0, 10.0), ("a", days_ago(4), 1, 3.0, 6.0)]
    items = {"a": {"price": 10.0}, "unsold": {"price": 8.0}}
    forecasts = [(TODAY, "a", 5.0), (TODAY, "unsold", 2.0)]
    found = features_of(make_tables(purchases, as_of=TODAY, items=items, forecasts=forecasts))
    assert found["a"]["demand_value"] == pytest.approx(5 * 16 / 4)
    assert found["unsold"]["demand_value"] == 16.0


def test_today_the_catalogue_decides_who_is_sellable(make_tables):
    tables = make_tables(
        [("sold", days_ago(3), 0, 1.0, 1.0)],
        as_of=TODAY,
        items={
            "gone": {"status": "discontinued"},
            "coming": {"launched_on": TODAY + timedelta(days=9)},
            "never_sold": {"price": 5.0},
        },
    )
    found = features_of(tables)
    assert sorted(found) == ["never_sold", "sold"]
    assert found["never_sold"]["price"] == 5.0


#: Features that nothing is known of where nobody told.
UNTOLD = (
    "margin",
    "satisfaction",
    "rating_mean",
    "overlap",
    "overlap_with",
    "early_buyers",
    "look_alikes",
    *OPINIONS,
)


@pytest.mark.parametrize("days", [0, 1])
def test_a_shop_with_hardly_any_data_has_finite_features(make_tables, days):
    purchases = [("a", days_ago(1), 0, 1.0, 1.0)] if days else []
    tables = make_tables(purchases, as_of=TODAY, items={"b": {"category": ""}})
    frame = build_features(tables, TODAY, config=FeaturesConfig(), lifecycle=LifecycleConfig())
    assert dict(frame.schema) == FEATURES
    nullable = {"price", "age_days", "days_since_sale", "season_ratio", *UNTOLD}
    for name, dtype in FEATURES.items():
        column = frame.get_column(name)
        assert name in nullable or column.null_count() == 0, name
        if dtype == pl.Float64:
            assert column.drop_nulls().is_finite().all(), name
