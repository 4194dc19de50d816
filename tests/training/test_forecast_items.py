from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from recdata.training_artefacts import DAILY_SALES, FORECAST_TOTALS
from training.forecast.accuracy import measure_accuracy
from training.forecast.candidates import top_down
from training.forecast.config import ForecastConfig
from training.forecast.history import NEVER, History, promotion_shares
from training.forecast.intervals import (
    FIRST_Z,
    Errors,
    add_item_errors,
    item_bounds,
    series_bounds,
    widening,
)
from training.forecast.learning import usual_rate

# A half-life so long that every day counts the same.
FLAT = ForecastConfig(share_half_life_days=1e9, launch_floor_days=1, horizon_days=10, recent_days=4)
FIRST = date(2024, 1, 1)


def history(units: list[list[float]], categories: list[int], launched: list[int], **more: object) -> History:
    table = sparse.csc_matrix(np.array(units, dtype=np.float64))
    n_days = table.shape[1]
    settings: dict[str, object] = {
        "first": FIRST,
        "as_of": FIRST + timedelta(days=n_days),
        "n_days": n_days,
        "item_ids": [f"i{row}" for row in range(len(units))],
        "item_category": np.array(categories),
        "launched": np.array(launched),
        "categories": ["A", "B"],
        "units": table,
        "revenue": table,
        "channels": {},
        "regions": {},
        "promoted": {},
        "plan_ends": {},
    }
    return History(**settings | more)


def rates(shop: History, origin: int, config: ForecastConfig = FLAT) -> np.ndarray:
    return usual_rate(shop.units, shop.launched, origin, config)


def shared(shop: History, origin: int, categories: list[float]) -> list[float]:
    weeks = np.array(categories, dtype=np.float64)[:, None]
    return top_down(rates(shop, origin), shop.item_category, weeks).ravel().tolist()


def test_a_category_is_shared_out_by_what_its_items_sold() -> None:
    shop = history([[3, 3, 3, 3], [1, 1, 1, 1], [0, 0, 0, 0]], [0, 0, 0], [0, 0, NEVER])
    assert shared(shop, 4, [8.0, 0.0]) == pytest.approx([6.0, 2.0, 0.0])


def test_an_item_launched_within_the_window_is_rated_since_its_launch() -> None:
    shop = history([[2, 2, 2, 2], [0, 0, 2, 2]], [0, 0], [0, 2])
    np.testing.assert_allclose(rates(shop, 4), [2.0, 2.0])
    floored = ForecastConfig(share_half_life_days=1e9, launch_floor_days=4)
    np.testing.assert_allclose(rates(shop, 4, floored), [2.0, 1.0])


def test_a_sale_one_half_life_ago_counts_half() -> None:
    shop = history([[0, 0, 6], [0, 6, 0]], [0, 0], [0, 0])
    found = rates(shop, 3, ForecastConfig(share_half_life_days=1.0))
    np.testing.assert_allclose(found[1] / found[0], 0.5)


def test_an_item_without_category_keeps_its_own_rate() -> None:
    assert shared(history([[1, 3, 1, 3]], [-1], [0]), 4, [0.0, 0.0]) == pytest.approx([2.0])


def test_the_future_of_an_origin_does_not_reach_its_rates() -> None:
    before = history([[2, 2, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]], [0, 0, 0], [0, 0, NEVER])
    after = history([[2, 2, 0, 0], [1, 1, 99, 99], [0, 0, 50, 0]], [0, 0, 0], [0, 0, 2])
    found = [shared(shop, 2, [3.0, 0.0]) for shop in (before, after)]
    assert found[0] == found[1] == pytest.approx([2.0, 1.0, 0.0])


def test_returns_do_not_make_a_share_negative() -> None:
    shop = history([[5, -9], [4, 0]], [0, 0], [0, 0])
    assert shared(shop, 2, [8.0, 0.0]) == pytest.approx([0.0, 8.0])


def test_a_promotion_counts_by_the_revenue_of_its_items_and_only_as_far_as_it_is_planned() -> None:
    promoted = sparse.csc_matrix(np.array([[0, 1, 0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0.0]]))
    shop = history(
        [[3, 3, 3, 3], [1, 1, 1, 1]], [0, 0], [0, 0], promoted={"mailer": promoted}, plan_ends={"mailer": 8}
    )
    config = ForecastConfig(plan_lead_days=2, recent_days=4)
    categories, whole = promotion_shares(shop, 4, 4, config)
    # Item 0 makes three quarters of revenue; beyond the lead stands the mean of the four known days.
    expected = [0, 0.75, 0, 0.75, 0.75, 0.75, 0.375, 0.375]
    np.testing.assert_allclose(categories["mailer"][0], expected)
    np.testing.assert_allclose(whole["mailer"], expected)


def test_a_kind_of_promotion_that_has_ended_keeps_its_past() -> None:
    promoted = sparse.csc_matrix(np.array([[1, 0, 0, 0, 0, 0, 0, 0.0]]))
    shop = history([[1, 1, 1, 1]], [0], [0], promoted={"fair": promoted}, plan_ends={"fair": 1})
    _, whole = promotion_shares(shop, 4, 4, ForecastConfig(recent_days=2))
    assert whole["fair"].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]


def test_quantiles_of_many_errors_are_theirs_and_of_few_their_largest() -> None:
    errors = Errors()
    errors.add("many", np.linspace(-1, 3, 101))
    errors.add("few", np.array([-2.0, 0.5, 1.0]))
    assert errors.points("none") is None
    assert errors.points("few") == (-2.0, 2.0)
    np.testing.assert_allclose(errors.points("many"), (-0.6, 2.6))


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=20),
    st.lists(st.floats(-50, 50), min_size=1, max_size=80),
)
def test_quantiles_are_ordered_and_never_negative(means: list[float], z: list[float]) -> None:
    errors = Errors()
    mean = np.array(means)
    size = min(len(means), len(z))
    add_item_errors(errors, mean[:size], np.maximum(mean[:size] + np.array(z[:size]), 0))
    low, high = item_bounds(errors, mean)
    assert (low >= 0).all()
    assert (low <= mean).all()
    assert (mean <= high).all()


def test_the_interval_widens_only_beyond_the_horizon() -> None:
    assert widening(4, 4).tolist() == [1.0] * 4
    np.testing.assert_allclose(widening(12, 4)[-1], np.sqrt(2))
    low, high = series_bounds(np.array([10.0, 1.0]), np.array([2.0, 2.0]), FIRST_Z)
    np.testing.assert_allclose(low, [10 - 1.92 * 2, 0])
    np.testing.assert_allclose(high, [10 + 1.92 * 2, 1 + 1.92 * 2])


def test_accuracy_is_what_the_hand_computes() -> None:
    origin, as_of = date(2024, 2, 1), date(2024, 3, 1)
    sales = pl.DataFrame(
        [
            (0, date(2024, 1, 30), 7.0),  # two days before the origin: last week and last 28 days
            (0, date(2024, 1, 10), 21.0),  # last 28 days only
            (0, date(2024, 2, 3), 10.0),
            (1, date(2024, 2, 28), 30.0),  # the last day of the horizon
            (1, date(2024, 2, 29), 99.0),  # the day after it
        ],
        schema=["item_row", "day", "quantity"],
        orient="row",
    ).cast({"item_row": DAILY_SALES["item_row"]})
    items = pl.DataFrame(
        {"item_row": [0, 1], "item_id": ["a", "b"], "category": ["X > Y", "X > Z"]},
        schema_overrides={"item_row": pl.Int32},
    )
    rows = [
        (origin, "item", "a", 28, 12.0, 8.0, 15.0, "m"),
        (origin, "item", "b", 28, 20.0, 15.0, 25.0, "m"),
        (origin, "category", "X", 28, 44.0, 30.0, 50.0, "m"),
        (as_of, "item", "a", 28, 1.0, 1.0, 1.0, "m"),
    ]
    totals = pl.DataFrame(rows, schema=FORECAST_TOTALS, orient="row")
    found = measure_accuracy(totals, sales.lazy(), items, as_of=as_of, category_depth=1)
    overall = found.filter(pl.col("origin").is_null())

    def figure(level: str, rule: str, name: str) -> float:
        return overall.filter(pl.col("level") == level, pl.col("rule") == rule)[name].item()

    assert figure("item", "forecast", "wape") == pytest.approx((2 + 10) / 40)
    assert figure("item", "forecast", "bias") == pytest.approx((2 - 10) / 40)
    assert figure("item", "forecast", "coverage") == 0.5
    assert figure("category", "forecast", "wape") == pytest.approx(4 / 40)
    assert figure("category", "forecast", "coverage") == 1.0
    assert figure("item", "last 28 days", "wape") == pytest.approx((18 + 30) / 40)
    assert figure("item", "seasonal naive (last week)", "wape") == pytest.approx((18 + 30) / 40)
    assert figure("category", "last 28 days", "wape") == pytest.approx(12 / 40)
