"""Another order of what is served, and the prices and demand that it is made by."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.training.test_evaluate import N_ITEMS, START, shop
from training.evaluate.orders import Goods, goods_before, order_values, reordered
from training.evaluate.split import Relevance


def test_another_order_is_the_served_list_by_score_times_weight_and_padding_stays_last() -> None:
    rows = np.array([[0, 1, 2], [2, 0, -1]], np.int32)
    scores = np.array([[0.5, 0.375, 0.25], [0.5, 0.25, 0.0]], np.float32)
    weights = np.array([1.0, 2.0, 2.0], np.float32)
    assert reordered(rows, scores, weights).tolist() == [[1, 0, 2], [2, 0, -1]]  # 0.75 and twice 0.5
    assert reordered(rows, scores, np.ones(3, np.float32)).tolist() == rows.tolist()


def test_prices_and_demand_are_those_before_the_test_period() -> None:
    before = goods_before(shop().lazy(), N_ITEMS + 1, START)
    assert before.price[:3].tolist() == [1.0, 2.0, 3.0]
    assert before.daily_demand[0] == pytest.approx(2 * 4 / 28)  # two shoppers in each of four weeks
    assert np.isnan(before.price[N_ITEMS])
    dearer = shop().with_columns(
        revenue=pl.when(pl.col("day") < START).then("revenue").otherwise(pl.col("revenue") * 9)
    )
    assert goods_before(dearer.lazy(), N_ITEMS, START).price.tolist() == before.price[:N_ITEMS].tolist()


def test_an_order_by_value_captures_the_dearer_of_two_equal_chances() -> None:
    # Two of four items are shown; all are as likely, the last two cost nine times as much, each buys 0 and 3.
    rows, scores = np.tile(np.arange(4, dtype=np.int32), (5, 1)), np.full((5, 4), 0.5, np.float32)
    keys = np.sort(np.concatenate([np.arange(5) * 4, np.arange(5) * 4 + 3]))
    relevant = Relevance(keys, np.tile([1.0, 9.0], 5), 5, 4)
    found = order_values(
        (rows, scores),
        np.full((5, 2), -1, np.int32),
        relevant,
        Goods(np.array([1.0, 1.0, 9.0, 9.0]), np.ones(4, np.float32)),
        catalogue=np.arange(4),
        k=2,
    )
    assert found["served+value 0.5", "revenue_captured"].tolist() == [9.0] * 5
    assert found["served+demand 0.5", "revenue_captured"].tolist() == [1.0] * 5
    second = (1 / np.log2(3)) / (1 + 1 / np.log2(3))  # the hit stands second now
    assert found["served+value 0.5", "ndcg"] == pytest.approx(np.full(5, second))
    assert found["served+demand 0.5", "ndcg"] == pytest.approx(np.full(5, 1 / (1 + 1 / np.log2(3))))
