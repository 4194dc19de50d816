"""Fusing lists and judging the rest of a basket, on lists short enough to work out by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from recdata.training_artefacts import BEHAVIOUR
from tests.training.test_evaluate import ALS, AS_OF, CATEGORIES, INTERACTIONS, N_USERS, RANKING, START, shop
from training.baskets import BasketsConfig
from training.evaluate.context import FUSIONS, Baskets, draw_baskets, fused, judge_context, measure_context
from training.evaluate.split import Split

SPLIT = Split(START, AS_OF)


def rows(*items: int) -> np.ndarray:
    return np.array(items, np.int32)


def test_what_stands_in_both_lists_comes_first_and_the_context_is_left_out() -> None:
    joined = [(rows(1, 2, 3, -1), 1.0), (rows(9, 3, 4), 1.0)]
    # 3: 1/63 + 1/62; then 1 and 9 at 1/61 each, of which 9 is left out; 2 at 1/62, 4 at 1/63
    assert fused(joined, rows(9), 10).tolist() == [3, 1, 2, 4]
    assert fused(joined, rows(9), 2).tolist() == [3, 1]


def test_a_lists_weight_says_how_much_it_moves() -> None:
    joined = [(rows(1, 2), 1.0), (rows(3, 4), 0.25)]
    assert fused(joined, rows(), 4).tolist() == [1, 2, 3, 4]


def test_only_the_rest_of_the_basket_is_a_hit() -> None:
    baskets = Baskets(np.array([7]), [rows(0, 5, 6)])
    beside = {"similar": np.full((8, 2), -1, np.int32), "together": np.tile(rows(6, 1), (8, 1))}
    found = judge_context(baskets, {7: rows(0, 1, 2)}, beside, context=1, k=2)
    assert set(found) == set(FUSIONS)
    assert found["no context"] == (0.0, 0.0)
    ideal = 1 + 1 / np.log2(3)
    assert found["together alone"] == (1.0, pytest.approx(1 / ideal))
    assert found["+ together"] == (1.0, pytest.approx((1 / np.log2(3)) / ideal))  # 1 stands in both lists


def test_small_orders_are_not_drawn_and_the_draw_is_repeatable() -> None:
    drawn, again = (
        draw_baskets(shop().lazy(), SPLIT, count=4, rng=np.random.default_rng(1)) for _ in range(2)
    )
    assert [sorted(items.tolist()) for items in drawn.items] == [
        sorted({user, (user + 1) % 30, (user + 5) % 30}) for user in drawn.users.tolist()
    ]
    assert all(np.array_equal(*pair) for pair in zip(drawn.items, again.items, strict=True))


def test_every_fusion_is_measured_for_shoppers_and_for_visitors() -> None:
    found = measure_context(
        shop().lazy(),
        pl.LazyFrame(schema=BEHAVIOUR),
        N_USERS,
        CATEGORIES,
        split=SPLIT,
        interactions=INTERACTIONS,
        als=ALS,
        ranking=RANKING,
        baskets=BasketsConfig(min_orders=2, min_shoppers=1),
        count=20,
        k=3,
        rng=np.random.default_rng(1),
    )
    assert found.select("who", "context").unique().height == 4
    assert found.height == 4 * len(FUSIONS)
    assert found["hit_rate"].is_between(0, 1).all()
