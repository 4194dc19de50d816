from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from training.forecast.choice import Choice
from training.forecast.config import ForecastConfig
from training.forecast.day_regression import Days, forecast_days, stamps_of
from training.forecast.learning import Group
from training.forecast.regular import BY_DAY, DAYS, SMOOTHED, regular_of, regular_rows
from training.forecast.smoothing import smoothed
from training.forecast.standing import Standing

CONFIG = ForecastConfig(processes=1, regression_trees=60, regression_day_rows=20_000)
N, ORIGIN, HORIZON = 40, 196, 28
WEEK = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 0.0])


def group(units: np.ndarray, promoted: np.ndarray | None = None) -> Group:
    n = len(units)
    kinds = {} if promoted is None else {"mailer": promoted}
    return Group(
        units=units,
        launched=np.zeros(n, dtype=np.int64),
        parent=np.zeros(n, dtype=np.int64),
        parents=units.sum(axis=0, keepdims=True),
        promoted=kinds,
        plan_ends=dict.fromkeys(kinds, 10_000),
        market=None,
        leaf_rows=20,
        step=7,
        stamps=12,
    )


def found_days(
    units: np.ndarray,
    off: np.ndarray | None = None,
    promoted: np.ndarray | None = None,
    config: ForecastConfig = CONFIG,
    horizon: int = HORIZON,
) -> np.ndarray:
    off = np.zeros(ORIGIN + 120, dtype=bool) if off is None else off
    first = (units > 0).argmax(axis=1)
    smooth = smoothed(units, first, off, {*stamps_of(ORIGIN), ORIGIN})
    found = forecast_days(group(units, promoted), Days(first, off, smooth), ORIGIN, horizon, config)
    assert found is not None
    return found


def busy(rng: np.random.Generator, factor: np.ndarray | float = 1.0) -> np.ndarray:
    """Forty series of forty days' levels, each day's sales by its weekday and the factor."""
    level = rng.uniform(10, 60, (N, 1))
    days = np.tile(WEEK, (ORIGIN + HORIZON) // 7)
    return rng.poisson(level * days * factor).astype(np.float64)


def test_smoothing_finds_level_and_weekdays_of_a_series_without_noise() -> None:
    units = 10 * np.tile(WEEK, 20)[None]
    found = smoothed(units, np.array([0]), np.zeros(140, dtype=bool), [70, 73])
    np.testing.assert_allclose(found[70][0], 10 * WEEK, atol=1e-9)
    np.testing.assert_allclose(found[73][0], 10 * np.roll(WEEK, -3), atol=1e-9)


def test_smoothing_follows_a_new_level_and_reads_nothing_later() -> None:
    units = np.concatenate([np.full(84, 10.0), np.full(56, 30.0)])[None]
    quiet = np.zeros(140, dtype=bool)
    found = smoothed(units, np.array([0]), quiet, [140])[140]
    np.testing.assert_allclose(found, 30.0, rtol=0.05)
    changed = units.copy()
    changed[:, 84:] = 999.0
    np.testing.assert_array_equal(
        smoothed(units, np.array([0]), quiet, [84])[84], smoothed(changed, np.array([0]), quiet, [84])[84]
    )


def test_a_holiday_teaches_the_smoothing_nothing_and_a_young_series_has_none() -> None:
    units = np.full((2, 70), 10.0)
    units[0, 60] = 500.0
    units[1, :50] = 0.0
    skipped = np.zeros(70, dtype=bool)
    skipped[60] = True
    found = smoothed(units, np.array([0, 50]), skipped, [70])[70]
    np.testing.assert_allclose(found[0], 10.0)
    assert np.isnan(found[1]).all()


def test_a_holiday_is_forecast_from_what_earlier_ones_did_to_all_series() -> None:
    off = np.zeros(ORIGIN + 120, dtype=bool)
    off[20::17] = True
    factor = np.where(off[: ORIGIN + HORIZON], 2.5, 1.0)
    units = busy(np.random.default_rng(3), factor)
    found = found_days(units[:, :ORIGIN], off)
    expected = units[:, :ORIGIN].reshape(N, -1, 7)
    usual = np.median(expected, axis=1)[:, np.arange(HORIZON) % 7]
    open_days = np.tile(WEEK > 0, HORIZON // 7)
    ahead = off[ORIGIN : ORIGIN + HORIZON]
    np.testing.assert_allclose(
        np.median((found / np.maximum(usual, 1))[:, open_days & ~ahead]), 1.0, rtol=0.1
    )
    assert np.median((found / np.maximum(usual, 1))[:, open_days & ahead]) > 1.7


def test_a_planned_promotion_of_a_day_is_forecast_unless_nobody_knew_of_it() -> None:
    rng = np.random.default_rng(4)
    promoted = (rng.random((N, ORIGIN + HORIZON)) < 0.15).astype(np.float64)
    units = busy(rng, 1 + 2 * promoted)
    found = found_days(units[:, :ORIGIN], promoted=promoted)
    open_days = np.tile(WEEK > 0, HORIZON // 7)[None]
    ahead = promoted[:, ORIGIN:] > 0
    ratio = found / np.maximum(units[:, :ORIGIN].mean(axis=1, keepdims=True), 1)
    lift = np.median(ratio[ahead & open_days]) / np.median(ratio[~ahead & open_days])
    assert 2.0 < lift < 4.0
    blind = replace(group(units[:, :ORIGIN], promoted), plan_ends={"mailer": ORIGIN})
    off = np.zeros(ORIGIN + 120, dtype=bool)
    first = np.zeros(N, dtype=np.int64)
    smooth = smoothed(units[:, :ORIGIN], first, off, {*stamps_of(ORIGIN), ORIGIN})
    cut = promoted.copy()
    cut[:, ORIGIN:] = 0.0
    unknown = [
        forecast_days(
            replace(blind, promoted={"mailer": table}), Days(first, off, smooth), ORIGIN, 28, CONFIG
        )
        for table in (promoted, cut)
    ]
    np.testing.assert_array_equal(unknown[0], unknown[1])


def test_sums_stay_right_where_rare_parties_pull_the_mean_from_the_middle() -> None:
    rng = np.random.default_rng(6)
    party = np.where(rng.random((N, ORIGIN + HORIZON)) < 0.06, 6.0, 1.0)
    units = busy(rng, party)
    found = found_days(units[:, :ORIGIN])
    truth = units[:, :ORIGIN].mean()
    np.testing.assert_allclose(found.mean(), truth, rtol=0.06)


def test_nothing_after_the_origin_is_read_and_the_same_input_gives_the_same_bytes() -> None:
    units = busy(np.random.default_rng(5))
    later = units.copy()
    later[:, ORIGIN:] *= 7
    found = [found_days(table) for table in (units, later, units)]
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


def test_a_far_horizon_stays_finite_and_near_the_fourth_week() -> None:
    units = busy(np.random.default_rng(7))[:, :ORIGIN]
    units[0, ORIGIN - 60 :] = 0.0
    found = found_days(units, horizon=90)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()
    assert (found[1:] >= 0).all()
    np.testing.assert_allclose(found[1:, 77:84], found[1:, 21:28])


def test_too_few_rows_teach_nothing() -> None:
    units = np.full((2, 35), 5.0)
    off = np.zeros(80, dtype=bool)
    smooth = smoothed(units, np.zeros(2, dtype=np.int64), off, {*stamps_of(35), 35})
    days = Days(np.zeros(2, dtype=np.int64), off, smooth)
    assert forecast_days(group(units), days, 35, 28, CONFIG) is None


def test_regular_is_what_sells_on_most_days_or_much_on_some() -> None:
    units = np.zeros((6, 112))
    units[0, ::2] = 1.0
    units[1, 5::7] = 40.0
    units[2, ::5] = 1.0
    units[3, 100:] = 9.0
    units[4] = -1.0
    assert regular_rows(units).tolist() == [0, 1]
    assert regular_rows(sparse.csc_matrix(units)).tolist() == [0, 1]
    assert regular_rows(units[:, :20]).tolist() == []


def test_weekly_methods_are_spread_and_every_regular_series_has_smoothing_and_days() -> None:
    units = busy(np.random.default_rng(8))[:, :ORIGIN]
    units[0] = 0.0
    standing = Standing(ORIGIN, 28, units, None, np.zeros(ORIGIN + 29, dtype=bool))
    weeks = {"flat": np.full((N, 4), 7.0)}
    profiles = np.tile(WEEK / WEEK.mean(), (N, 1))
    own = np.full((N, 28), np.nan)
    own[3] = 1.0
    found = regular_of(
        group(units),
        standing,
        np.full(N, "items", dtype=object),
        weeks=weeks | {"own": own[:, :4]},
        profiles=profiles,
        days={"own": own},
        factors=np.ones((N, 28)),
        config=CONFIG,
    )
    assert found.rows.tolist() == list(range(1, N))
    assert set(found.segments) == {f"items{BY_DAY}"}
    np.testing.assert_allclose(found.candidates["flat"][0, :7], 7 * WEEK / WEEK.mean())
    assert np.isfinite(found.candidates["own"]).all(axis=1).tolist() == [row == 3 for row in found.rows]
    for name in (SMOOTHED, DAYS):
        assert np.isfinite(found.candidates[name]).all()
        assert (found.candidates[name] >= 0).all()


@pytest.mark.parametrize("counts", [False, True])
def test_an_origin_at_which_everything_went_wrong_does_not_decide_alone(counts: bool) -> None:
    choice = Choice(("a",), counts=counts)
    segments = np.array(["x"], dtype=object)
    # At the first origin both are far off, b a little less; since then a has been right twice.
    choice.learn(segments, {"a": np.array([[1000.0]]), "b": np.array([[990.0]])}, np.array([[10.0]]))
    for _ in range(2):
        choice.learn(segments, {"a": np.array([[10.5]]), "b": np.array([[13.0]])}, np.array([[10.0]]))
    assert choice.best("x", ["a", "b"]) == ("a",)
