from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluate.metrics import bootstrap_means, catalogue_coverage, interval, user_metrics
from training.evaluate.split import Relevance

N_ITEMS = 30


def relevance(bought: list[dict[int, float]]) -> Relevance:
    """What each shopper bought: item row -> revenue."""
    pairs = sorted(
        (place * N_ITEMS + item, money)
        for place, basket in enumerate(bought)
        for item, money in basket.items()
    )
    keys, money = zip(*pairs, strict=True) if pairs else ((), ())
    return Relevance(np.array(keys, np.int64), np.array(money, np.float64), len(bought), N_ITEMS)


def test_every_measure_of_one_list_is_what_a_hand_computes() -> None:
    lists = np.array([[7, 3, 9, -1]], np.int32)
    measured = user_metrics(lists, relevance([{3: 6.0, 5: 2.0, 9: 2.0}]))
    assert measured["precision"] == pytest.approx([2 / 4])
    assert measured["recall"] == pytest.approx([2 / 3])
    gained, ideal = 1 / np.log2(3) + 1 / np.log2(4), 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert measured["ndcg"] == pytest.approx([gained / ideal])
    assert measured["hit_rate"] == [1.0]
    assert measured["value_captured"] == pytest.approx([8 / 10])
    assert measured["user_coverage"] == [1.0]


def test_a_perfect_list_has_an_ndcg_of_one_also_when_more_was_bought_than_it_holds() -> None:
    measured = user_metrics(np.array([[0, 1]], np.int32), relevance([{0: 1.0, 1: 1.0, 2: 1.0}]))
    assert measured["ndcg"] == pytest.approx([1.0])
    assert measured["recall"] == pytest.approx([2 / 3])


def test_an_empty_list_scores_nothing_and_covers_nobody() -> None:
    measured = user_metrics(np.full((1, 3), -1, np.int32), relevance([{0: 1.0}]))
    assert all(values[0] == 0.0 for values in measured.values())


def test_padding_is_not_the_last_item_of_the_shopper_before() -> None:
    lists = np.array([[0, 1], [2, -1]], np.int32)
    measured = user_metrics(lists, relevance([{N_ITEMS - 1: 1.0}, {5: 1.0}]))
    assert measured["hit_rate"].tolist() == [0.0, 0.0]


def test_shoppers_without_relevant_items_do_not_count() -> None:
    measured = user_metrics(np.array([[0], [1]], np.int32), relevance([{}, {1: 1.0}]))
    for values in measured.values():
        assert np.isnan(values[0])
        assert values[1] == 1.0


def test_without_revenue_there_is_no_value_to_capture() -> None:
    measured = user_metrics(np.array([[4]], np.int32), relevance([{4: 0.0}]))
    assert np.isnan(measured["value_captured"][0])
    assert measured["hit_rate"].tolist() == [1.0]


items = st.integers(0, N_ITEMS - 1)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(items, unique=True, max_size=5), st.sets(items, min_size=1, max_size=12)),
        min_size=1,
        max_size=6,
    )
)
def test_the_measures_agree_with_trec_eval(shoppers: list[tuple[list[int], set[int]]]) -> None:
    lists = np.array([shown + [-1] * (5 - len(shown)) for shown, _ in shoppers], np.int32)
    measured = user_metrics(lists, relevance([dict.fromkeys(bought, 1.0) for _, bought in shoppers]))
    # trec_eval leaves queries without any answer out, and ranks by score
    qrels = {str(at): {f"i{item}": 1 for item in bought} for at, (_, bought) in enumerate(shoppers)}
    run = {
        str(at): {f"i{item}": float(len(shown) - place) for place, item in enumerate(shown)} or {"none": 1.0}
        for at, (shown, _) in enumerate(shoppers)
    }
    names = {"P_5": "precision", "recall_5": "recall", "ndcg_cut_5": "ndcg", "success_5": "hit_rate"}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"P.5", "recall.5", "ndcg_cut.5", "success.5"}).evaluate(
        run
    )
    for theirs, ours in names.items():
        expected = [found[str(at)][theirs] for at in range(len(shoppers))]
        assert measured[ours] == pytest.approx(expected), ours


def test_catalogue_coverage_counts_distinct_items_of_the_catalogue() -> None:
    assert catalogue_coverage(np.array([[1, 2], [2, 99], [-1, -1]], np.int32), np.arange(8)) == 2 / 8
    assert catalogue_coverage(np.array([[1]], np.int32), np.empty(0, np.int64)) == 0.0


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
    monkeypatch.setattr("training.evaluate.metrics.RESAMPLE_CELLS", 60)
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
