from __future__ import annotations

from datetime import date
from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rich.console import Console

from recdata.artefacts import write_artefact
from recdata.runs import RunFolder
from recdata.training_artefacts import ITEMS
from training.blocks import GROUP_COLUMNS, in_threads, top_k
from training.content import new_items
from training.similar import SimilarConfig, similar_items, similar_stage

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


def test_an_item_that_may_not_be_listed_has_a_list_and_stands_in_none() -> None:
    factors = np.array([[1, 0], [10, 1], [0, 3], [1, 1]], np.float32)
    rows, _ = similar_items(factors, TWO, listed=np.array([True, False, True, True]))
    assert rows.tolist() == [[3, 2], [0, 3], [3, 0], [0, 2]]


def test_items_that_stand_in_no_list_and_are_alike_share_one_and_all_are_counted() -> None:
    rng = np.random.default_rng(3)
    factors = rng.normal(size=(60, 4)).astype(np.float32)
    factors[40:] = np.repeat(factors[40:45], 4, axis=0)[rng.permutation(20)]  # five kinds of four
    factors[7] = 0
    listed = np.arange(60) < 40
    done: list[int] = []
    rows, cosines = similar_items(factors, TWO, listed=listed, on_items=done.append)
    units = factors / np.maximum(np.linalg.norm(factors, axis=1, keepdims=True), 1e-9)
    full = np.where(listed & factors.any(axis=1), units @ units.T, -np.inf)
    np.fill_diagonal(full, -np.inf)
    others = np.arange(60) != 7
    assert np.array_equal(rows[others], np.argsort(-full, axis=1, kind="stable")[others, :2])
    assert cosines[others] == pytest.approx(-np.sort(-full, axis=1)[others, :2], abs=1e-6)
    assert sum(done) == 59


def test_an_item_is_new_from_its_launch_on_for_so_many_days() -> None:
    days = (date(2024, 2, 2), date(2024, 2, 1), date(2024, 3, 1), None)
    items = pl.DataFrame({"launched_on": days}, schema={"launched_on": pl.Date})
    assert new_items(items, as_of=date(2024, 3, 1), days=28).tolist() == [True, False, False, False]


def test_a_new_item_is_like_those_of_its_category_and_an_old_one_without_buyers_in_no_list(
    tmp_path: Path,
) -> None:
    run = RunFolder(tmp_path, "r1", date(2024, 3, 1), Console(file=StringIO()))
    run.path.mkdir(parents=True)
    categories = ["Tea", "Tea", "Tea", "Soap", "Soap", "Tea", "Soap"]
    launched = [date(2023, 1, 1)] * 5 + [date(2024, 2, 20), date(2023, 1, 1)]
    items = [
        (row, f"i{row}", category, category, "", 1.0, None, day, "active", None, "{}")
        for row, (category, day) in enumerate(zip(categories, launched, strict=True))
    ]
    write_artefact(pl.DataFrame(items, schema=ITEMS, orient="row"), run.path / "items.parquet", "items")
    factors = [[1, 0.1], [1, 0.2], [1, -0.1], [0.1, 1], [0, 1], [0, 0], [0, 0]]
    np.save(run.path / "item_factors.npy", np.array(factors, np.float32))
    np.save(run.path / "interacted_rows.npy", np.repeat(np.arange(5), 50).astype(np.int32))
    (record,) = run.execute([similar_stage(SimilarConfig(similar_per_item=3))])
    rows = np.load(run.path / "similar_rows.npy")
    assert set(rows[5]) == {0, 1, 2}
    assert 5 in rows[0]
    assert 6 not in rows
    assert set(rows[6][:2]) == {3, 4}
    assert record.summary == {"items_with_list": 7, "items_in_lists": 6}


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
