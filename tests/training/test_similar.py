from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.blocks import GROUP_COLUMNS, in_threads, top_k
from training.similar import SimilarConfig, similar_items

TWO = SimilarConfig(similar_per_item=2)


def test_the_nearest_by_angle_come_first_and_never_the_item_itself() -> None:
    factors = np.array([[1, 0], [10, 1], [0, 3], [1, 1]], np.float32)
    rows, cosines = similar_items(factors, TWO)
    assert rows.tolist() == [[1, 3], [0, 3], [3, 1], [1, 0]]
    assert cosines[0] == pytest.approx([10 / np.sqrt(101), np.sqrt(0.5)], rel=1e-6)


def test_items_without_a_vector_have_no_list_and_stand_in_none() -> None:
    factors = np.array([[1, 0], [0, 0], [1, 1]], np.float32)
    rows, cosines = similar_items(factors, TWO)
    assert rows.tolist() == [[2, -1], [-1, -1], [0, -1]]
    assert cosines[:, 1].tolist() == [0, 0, 0]


def test_equally_similar_items_stand_in_order_of_their_rows() -> None:
    factors = np.array([[1, 0], [1, 1], [1, -1], [2, 2]], np.float32)
    rows, _ = similar_items(factors, SimilarConfig(similar_per_item=3))
    assert rows[0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("n_items", [0, 1])
def test_a_catalogue_of_no_or_one_item_has_empty_lists(n_items: int) -> None:
    rows, _ = similar_items(np.ones((n_items, 4), np.float32), TWO)
    assert rows.shape == (n_items, 2)
    assert (rows == -1).all()


def test_the_lists_do_not_depend_on_the_threads() -> None:
    factors = np.random.default_rng(3).normal(size=(500, 6)).astype(np.float32)
    one = similar_items(factors, SimilarConfig(similar_per_item=7, threads=1))
    two = similar_items(factors, SimilarConfig(similar_per_item=7, threads=2))
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 12 * GROUP_COLUMNS)),
        elements=st.integers(-3, 3).map(float) | st.just(-np.inf),
    ),
    st.integers(1, 20),
)
def test_the_best_k_are_those_of_a_full_stable_sort(scores: np.ndarray, k: int) -> None:
    places, values = top_k(scores, k)
    full = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert np.array_equal(places, full)
    assert np.array_equal(values, np.take_along_axis(scores, full, axis=1))


def test_blocks_come_back_in_order_whatever_finishes_first() -> None:
    assert list(in_threads(lambda start: start * 2, range(0, 50, 5), threads=3)) == list(range(0, 100, 10))


def test_an_error_inside_a_block_reaches_the_caller() -> None:
    def broken(start: int) -> int:
        raise ValueError(f"block {start}")

    with pytest.raises(ValueError, match="block 0"):
        list(in_threads(broken, range(3), threads=2))
