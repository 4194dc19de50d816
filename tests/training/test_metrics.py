from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluate.metrics import CURVE_METRICS, catalogue_coverage, metric_curves, user_metrics
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
    assert (measured["revenue_captured"], measured["revenue_bought"]) == ([8.0], [10.0])
    assert measured["user_coverage"] == [1.0]


def test_a_perfect_list_has_an_ndcg_of_one_also_when_more_was_bought_than_it_holds() -> None:
    measured = user_metrics(np.array([[0, 1]], np.int32), relevance([{0: 1.0, 1: 1.0, 2: 1.0}]))
    assert measured["ndcg"] == pytest.approx([1.0])
    assert measured["recall"] == pytest.approx([2 / 3])


def test_an_empty_list_scores_nothing_and_covers_nobody() -> None:
    measured = user_metrics(np.full((1, 3), -1, np.int32), relevance([{0: 1.0}]))
    assert measured.pop("revenue_bought") == [1.0]
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


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(items, unique=True, max_size=6), st.dictionaries(items, st.floats(0, 9), max_size=8)
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_curve_at_k_is_the_mean_of_lists_cut_there(
    shoppers: list[tuple[list[int], dict[int, float]]],
) -> None:
    lists = np.array([shown + [-1] * (6 - len(shown)) for shown, _ in shoppers], np.int32)
    relevant = relevance([bought for _, bought in shoppers])
    curves = metric_curves(lists, relevant)
    for k in range(1, 7):
        cut = user_metrics(lists[:, :k], relevant)
        for metric in CURVE_METRICS:
            judged = cut[metric][np.isfinite(cut[metric])]
            expected = judged.mean() if judged.size else np.nan
            assert curves[metric][k - 1] == pytest.approx(expected, nan_ok=True), metric
