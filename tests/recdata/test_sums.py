"""Sums by group."""

import numpy as np
import polars as pl
import pytest

from recdata.sums import group_sums


def test_every_group_is_summed_and_groups_are_sorted():
    frame = pl.DataFrame({"a": [2, 1, 2], "b": ["x", "y", "x"], "v": [1.0, 2.0, 4.0], "n": [1, 1, 1]})
    sums = group_sums(frame, ["a", "b"], ["v", "n"])
    assert sums.rows() == [(1, "y", 2.0, 1.0), (2, "x", 5.0, 2.0)]


def test_null_is_a_group_of_its_own():
    frame = pl.DataFrame({"a": [None, 1, None], "b": [None, None, None], "v": [1.0, 2.0, 4.0]})
    assert group_sums(frame, ["a", "b"], ["v"]).rows() == [(None, None, 5.0), (1, None, 2.0)]


def test_nothing_has_no_groups():
    empty = pl.DataFrame(schema={"a": pl.Int32, "v": pl.Float64})
    assert group_sums(empty, ["a"], ["v"]).schema == {"a": pl.Int32, "v": pl.Float64}
    assert group_sums(empty, ["a"], ["v"]).is_empty()


@pytest.mark.parametrize("n_groups", [2, 5_000])
def test_sums_are_the_same_to_the_last_digit_in_every_run(n_groups):
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"a": rng.integers(0, n_groups, 200_000), "v": rng.random(200_000)})
    first = group_sums(frame, ["a"], ["v"])
    assert all(group_sums(frame, ["a"], ["v"]).equals(first) for _ in range(5))
