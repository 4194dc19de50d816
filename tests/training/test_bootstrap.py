from __future__ import annotations

import numpy as np
import pytest

from training.evaluate.bootstrap import bootstrap_means, compare, interval


def test_resampled_means_lie_around_the_mean_as_theory_says() -> None:
    values = np.random.default_rng(5).normal(3.0, 2.0, (400, 1))
    samples = bootstrap_means(values, resamples=2000, rng=np.random.default_rng(1))
    assert samples.mean() == pytest.approx(values.mean(), abs=0.02)
    assert samples.std() == pytest.approx(values.std() / np.sqrt(400), rel=0.1)
    low, high = interval(samples, confidence=0.95)
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_two_columns_see_the_same_draws() -> None:
    values = np.random.default_rng(5).random((50, 1))
    samples = bootstrap_means(np.hstack([values, values + 1.0]), resamples=100, rng=np.random.default_rng(1))
    assert samples[:, 1] - samples[:, 0] == pytest.approx(np.ones(100))


def test_the_same_seed_gives_the_same_interval_however_the_work_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.random.default_rng(5).random((20, 2))
    whole = bootstrap_means(values, resamples=50, rng=np.random.default_rng(1))
    monkeypatch.setattr("training.evaluate.bootstrap.RESAMPLE_CELLS", 60)
    assert bootstrap_means(values, resamples=50, rng=np.random.default_rng(1)) == pytest.approx(whole)


def test_who_does_not_count_for_a_column_does_not_move_its_mean() -> None:
    values = np.array([[1.0], [np.nan], [1.0], [np.nan]])
    samples = bootstrap_means(values, resamples=200, rng=np.random.default_rng(0))
    assert set(samples[np.isfinite(samples)]) == {1.0}
    low, high = interval(samples, confidence=0.9)
    assert (low[0], high[0]) == (1.0, 1.0)


def test_a_column_that_nobody_counts_for_has_no_interval() -> None:
    samples = bootstrap_means(np.full((3, 1), np.nan), resamples=10, rng=np.random.default_rng(0))
    low, high = interval(samples, confidence=0.9)
    assert np.isnan([low[0], high[0]]).all()


def compared(first: np.ndarray, second: np.ndarray, resamples: int = 999):
    return compare(
        first[:, None], second[:, None], resamples=resamples, confidence=0.95, rng=np.random.default_rng(3)
    )[0]


def test_a_model_that_is_always_better_by_one_differs_by_exactly_one() -> None:
    base = np.random.default_rng(2).uniform(1, 5, 60)
    found = compared(base + 1.0, base)
    assert (found.difference, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))
    assert found.ratio == pytest.approx(1 + 1 / base.mean())
    assert found.p_value == pytest.approx(2 / 1000)  # no resample of 999 says otherwise
    assert found.n_users == 60


def test_the_same_values_do_not_differ_and_the_p_value_says_so() -> None:
    values = np.random.default_rng(2).uniform(1, 5, 60)
    found = compared(values, values)
    assert (found.difference, found.ratio, found.p_value) == (0.0, 1.0, 1.0)


def test_a_paired_difference_is_surer_than_two_intervals_are() -> None:
    rng = np.random.default_rng(5)
    base = rng.normal(10.0, 4.0, 300)
    better = base + rng.normal(0.3, 1.0, 300)
    found = compared(better, base)
    low, high = interval(
        bootstrap_means(np.column_stack([better, base]), resamples=999, rng=np.random.default_rng(3)),
        confidence=0.95,
    )
    assert high[1] > low[0]  # by themselves they overlap
    assert found.low > 0
    assert found.p_value < 0.05


def test_the_p_value_of_a_mean_of_normal_differences_is_that_of_theory() -> None:
    rng = np.random.default_rng(11)
    noise = rng.normal(0.0, 1.0, 400)
    noise = (noise - noise.mean()) / noise.std()
    found = compared(noise + 1.5 / np.sqrt(400), np.zeros(400), resamples=9999)  # 1.5 standard errors
    assert found.p_value == pytest.approx(0.1336, abs=0.015)


def test_only_shoppers_who_count_for_both_are_compared() -> None:
    found = compared(np.array([1.0, np.nan, 3.0]), np.array([0.0, 9.0, np.nan]))
    assert (found.difference, found.n_users) == (1.0, 1)
    nobody = compared(np.array([np.nan]), np.array([1.0]))
    assert np.isnan(nobody.difference)
    assert (nobody.p_value, nobody.n_users) == (1.0, 0)


def test_against_nothing_there_is_a_difference_but_no_ratio() -> None:
    found = compared(np.array([1.0, 2.0]), np.zeros(2))
    assert found.difference == 1.5
    assert np.isnan(found.ratio)
