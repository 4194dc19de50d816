from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from training.forecast.choice import Choice, mixtures
from training.forecast.config import ForecastConfig
from training.forecast.learning import Group
from training.forecast.reconcile import CAP_FLOOR, caps, reconciled
from training.forecast.regression import forecast_group
from training.forecast.standing import by_week, spread, weekday_profiles

CONFIG = ForecastConfig(processes=1)
DAYS, N = 196, 60


def group(units: np.ndarray, promoted: np.ndarray | None = None, market: np.ndarray | None = None) -> Group:
    n = len(units)
    kinds = {} if promoted is None else {"mailer": sparse.csc_matrix(promoted)}
    return Group(
        units=sparse.csc_matrix(units),
        launched=np.zeros(n, dtype=np.int64),
        parent=np.zeros(n, dtype=np.int64),
        parents=units.sum(axis=0, keepdims=True),
        promoted=kinds,
        plan_ends=dict.fromkeys(kinds, 10_000),
        market=market,
        leaf_rows=20,
        step=7,
        stamps=12,
    )


def promoted_shop() -> tuple[np.ndarray, np.ndarray]:
    """Sixty items; a week in the mailer, one in six by chance, triples an item's sales."""
    rng = np.random.default_rng(11)
    weeks = rng.random((N, (DAYS + 28) // 7)) < 1 / 6
    promoted = np.repeat(weeks, 7, axis=1).astype(np.float64)
    level = rng.uniform(2, 20, (N, 1))
    return rng.poisson(level * (1 + 2 * promoted)).astype(np.float64), promoted


def test_a_planned_promotion_of_one_item_is_forecast_from_what_promotions_did_to_all() -> None:
    units, promoted = promoted_shop()
    found = forecast_group(group(units[:, :DAYS], promoted), DAYS, 4, CONFIG)
    assert found is not None
    coming = promoted[:, DAYS : DAYS + 28].reshape(N, 4, 7).mean(axis=2) > 0
    truth = units.mean(axis=1, keepdims=True) / (1 + 2 * promoted.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(np.median((found / truth)[coming]), 3.0, rtol=0.2)
    np.testing.assert_allclose(np.median((found / truth)[~coming]), 1.0, rtol=0.2)


def test_two_kinds_of_promotion_on_the_same_days_each_do_their_part() -> None:
    units, mailer = promoted_shop()
    weeks = np.random.default_rng(5).random((N, (DAYS + 28) // 7)) < 1 / 4
    display = np.repeat(weeks, 7, axis=1).astype(np.float64)
    units = np.round(units * (1 + display))
    shop = group(units[:, :DAYS], mailer)
    promoted = {"display": sparse.csc_matrix(display), **shop.promoted}
    both = replace(shop, promoted=promoted, plan_ends=dict.fromkeys(promoted, 10_000))
    found = forecast_group(both, DAYS, 4, CONFIG)
    assert found is not None
    in_mailer, on_display = (
        table[:, DAYS : DAYS + 28].reshape(N, 4, 7).mean(axis=2) > 0 for table in (mailer, display)
    )
    usual = (units / ((1 + 2 * mailer) * (1 + display))).mean(axis=1, keepdims=True)
    for weeks_of, factor in (
        (~in_mailer & ~on_display, 1.0),
        (in_mailer & ~on_display, 3.0),
        (~in_mailer & on_display, 2.0),
        (in_mailer & on_display, 6.0),
    ):
        assert weeks_of.sum() > 5
        np.testing.assert_allclose(np.median((found / usual)[weeks_of]), factor, rtol=0.25)


def test_a_promotion_that_nobody_knew_of_yet_is_not_forecast() -> None:
    units, promoted = promoted_shop()
    config = ForecastConfig(processes=1, plan_lead_days=0)
    cut = promoted.copy()
    cut[:, DAYS:] = 0.0
    found = [forecast_group(group(units[:, :DAYS], table), DAYS, 4, config) for table in (promoted, cut)]
    np.testing.assert_array_equal(found[0], found[1])


def test_what_is_sold_after_the_origin_changes_nothing() -> None:
    units, promoted = promoted_shop()
    later = units.copy()
    later[:, DAYS:] *= 7
    found = [forecast_group(group(table, promoted), DAYS, 4, CONFIG) for table in (units, later)]
    np.testing.assert_array_equal(found[0], found[1])


def test_too_few_rows_or_no_sales_teach_nothing() -> None:
    assert forecast_group(group(np.ones((1, 60))), 60, 4, CONFIG) is None
    assert forecast_group(group(np.zeros((80, 200))), 200, 4, CONFIG) is None


def test_an_item_that_never_sold_gets_nothing_and_far_weeks_stay_near_the_last_learned_one() -> None:
    units, _ = promoted_shop()
    units[0] = 0.0
    found = forecast_group(group(units[:, :DAYS]), DAYS, 13, CONFIG)
    assert found is not None
    assert found[0].max() == 0
    np.testing.assert_allclose(found[:, 12], found[:, 3])


def test_the_market_is_a_feature_that_can_be_learned() -> None:
    rng = np.random.default_rng(5)
    # Each category's demand of a week follows its market of the week before.
    index = np.repeat(rng.uniform(0.4, 1.6, (N, DAYS // 7)), 7, axis=1)
    moved = np.concatenate([index[:, :7], index[:, :-7]], axis=1)
    units = rng.poisson(30 * moved).astype(np.float64)
    origin = DAYS - 28
    truth = units[:, origin : origin + 7].mean(axis=1)
    error = []
    for market in (None, index):
        found = forecast_group(group(units[:, :origin], market=market), origin, 1, CONFIG)
        assert found is not None
        error.append(np.abs(found[:, 0] - truth).mean())
    assert error[1] < 0.7 * error[0]


def test_a_segment_gets_the_method_that_erred_least_and_its_neighbour_another() -> None:
    choice = Choice(("a", "b"))
    segments = np.array(["x", "x", "y"], dtype=object)
    candidates = {"a": np.array([[1.0], [1.0], [9.0]]), "b": np.array([[5.0], [5.0], [3.0]])}
    before, method = choice.choose(segments, candidates)
    assert method.tolist() == ["a + b"] * 3
    assert before.ravel().tolist() == [3.0, 3.0, 6.0]
    choice.learn(segments, candidates, np.array([[1.0], [1.0], [3.0]]))
    after, method = choice.choose(segments, candidates)
    assert method.tolist() == ["a", "a", "b"]
    assert after.ravel().tolist() == [1.0, 1.0, 3.0]


def test_a_mean_wins_where_the_errors_of_two_methods_cancel() -> None:
    choice = Choice(("a",))
    segments = np.array(["x"], dtype=object)
    choice.learn(segments, {"a": np.array([[2.0]]), "b": np.array([[4.0]])}, np.array([[3.0]]))
    assert choice.best("x", ["a", "b"]) == ("a", "b")
    assert mixtures(["a", "b", "c"])[-1] == ("a", "b", "c")


def test_a_method_that_some_series_lack_is_not_chosen_for_their_segment() -> None:
    choice = Choice(("a", "b"))
    segments = np.array(["x", "x"], dtype=object)
    candidates = {"a": np.ones((2, 1)), "b": np.array([[2.0], [np.nan]])}
    choice.learn(segments, candidates, np.full((2, 1), 2.0))
    found, method = choice.choose(segments, candidates)
    assert method.tolist() == ["a", "a"]
    assert np.isfinite(found).all()


def test_counts_are_judged_by_their_mean_not_by_how_often_they_are_nothing() -> None:
    segments = np.full(10, "slow", dtype=object)
    candidates = {"mean": np.full((10, 1), 0.2), "zero": np.zeros((10, 1))}
    sold = np.zeros((10, 1))
    sold[:2] = 1.0
    for counts, best in ((False, "zero"), (True, "mean")):
        choice = Choice(("mean",), counts=counts)
        choice.learn(segments, candidates, sold)
        assert choice.best("slow", ["mean", "zero"]) == (best,)


amounts = st.floats(0, 1e5)


@given(
    st.lists(st.tuples(amounts, amounts, st.integers(-1, 2)), max_size=12),
    st.lists(amounts, min_size=3, max_size=3),
    amounts,
)
def test_items_add_up_to_categories_and_these_to_the_shop_and_nothing_passes_its_cap(
    items: list[tuple[float, float, int]], categories: list[float], shop: float
) -> None:
    days = np.array([[a, b] for a, b, _ in items], dtype=np.float64).reshape(-1, 2)
    category = np.array([c for _, _, c in items], dtype=np.int64)
    cap = np.full(len(items), 50.0)
    found, sums, whole = reconciled(
        days, category, np.repeat(np.array(categories)[:, None], 2, axis=1), np.full(2, shop), cap
    )
    assert (found >= 0).all()
    assert (found.mean(axis=1) <= 50.0 * (1 + 1e-9)).all()
    for number in range(3):
        np.testing.assert_allclose(sums[number], found[category == number].sum(axis=0), rtol=1e-9)
    np.testing.assert_allclose(whole, found.sum(axis=0), rtol=1e-9, atol=1e-12)


def test_the_shop_scales_its_categories_and_they_their_items() -> None:
    items = np.array([[1.0], [3.0], [2.0], [4.0]])
    found, sums, whole = reconciled(
        items, np.array([0, 0, 1, -1]), np.array([[8.0], [4.0]]), np.array([32.0]), np.full(4, 1e9)
    )
    # Wanted: 8, 4 and the 4 of the item without a category, all times 32 / 16.
    assert found.ravel().tolist() == [4.0, 12.0, 8.0, 8.0]
    assert sums.ravel().tolist() == [16.0, 8.0]
    assert whole.tolist() == [32.0]


def test_a_cap_is_a_multiple_of_the_best_four_weeks_and_leaves_room_for_the_first_sale() -> None:
    units = np.zeros((3, 100))
    units[0, 40:68] = 2.0
    units[1, 97:] = 14.0
    found = caps(sparse.csc_matrix(units), np.array([0, 97, 0]), 3.0)
    np.testing.assert_allclose(found[1:], [3 * 42 / 7, CAP_FLOOR])
    # Windows are two weeks apart, so the best one may be missed by a week at most.
    assert 3 * 2 * 0.75 <= found[0] <= 6.0


def test_weekdays_lean_on_the_category_until_a_series_has_sold_enough() -> None:
    units = np.zeros((2, 70))
    units[0] = np.where(np.arange(70) % 7 == 5, 700.0, 100.0)
    units[1, 68] = 1.0
    parents = np.full((1, 7), 1.0)
    parents[0, 2], parents[0, 3] = 1.9, 0.1
    found = weekday_profiles(units, np.array([0, 0]), parents)
    np.testing.assert_allclose(found.mean(axis=1), 1.0)
    assert found[0, 5] == pytest.approx(7 / (13 / 7), rel=0.05)
    assert found[1, 2] > 1.5


def test_weeks_become_days_and_back() -> None:
    weeks = np.array([[1.0, 2.0]])
    days = spread(weeks, np.array([[0.5, 1.5, 1, 1, 1, 1, 1.0]]), np.ones((1, 10)), 0)
    assert days[0, :2].tolist() == [0.5, 1.5]
    np.testing.assert_allclose(by_week(days)[0], [1.0, 2.0])
