from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from recdata.training_artefacts import ITEMS
from training.content import PENALTY, content_vectors, item_traits, with_content


def items(*rows: tuple[str, str, str, float | None, str]) -> pl.DataFrame:
    """Rows of (title, category, brand, price, attributes)."""
    full = [
        (row, f"i{row}", title, category, brand, price, None, None, "active", None, attributes)
        for row, (title, category, brand, price, attributes) in enumerate(rows)
    ]
    return pl.DataFrame(full, schema=ITEMS, orient="row")


def test_items_share_the_levels_of_their_category_words_brand_and_attributes() -> None:
    found = item_traits(
        items(
            ("Green Tea", "Drinks > Tea", "A", None, '{"maker":"m1"}'),
            ("Black tea", "Drinks > Tea", "A", None, '{"maker":"m2"}'),
            ("Cola", "Drinks > Soda", "B", None, '{"maker":"m1","size":null}'),
        )
    )
    held = (found.toarray() > 0).sum(axis=1)
    # All and Drinks are shared by three; Tea, the word tea and brand A by the first two; m1 by two.
    assert held.tolist() == [6, 5, 3]
    assert np.linalg.norm(found.toarray(), axis=1) == pytest.approx(1)
    assert (found @ found.T).toarray()[0, 1] == pytest.approx(5 / np.sqrt(6 * 5))


def test_titles_without_spaces_are_compared_by_pairs_of_signs() -> None:
    found = item_traits(items(("龙井绿茶", "", "", None, "{}"), ("绿茶", "", "", None, "{}")))
    assert (found.toarray() > 0).sum(axis=1).tolist() == [2, 2]  # all, and 绿茶


def test_prices_near_each_other_share_a_band() -> None:
    rows = [("", "", "", float(price), "{}") for price in range(1, 41)]
    found = (item_traits(items(*rows)) > 0).toarray()
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[1], found[2])


def test_a_trait_speaks_for_the_mean_of_its_items_drawn_towards_zero() -> None:
    traits = item_traits(items(*(("", "", brand, None, "{}") for brand in "AAB"), ("", "", "B", None, "{}")))
    vectors = np.array([[3.0], [3.0], [-1.0], [0.0]], np.float32)
    found = content_vectors(traits, vectors, np.array([1e9, 1e9, 1e9, 0]))
    # Every row is (1, [A], [B]) / sqrt(2): the normal equations, weights of 1 and a penalty of 2.
    design = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1]]) / np.sqrt(2)
    solved = np.linalg.solve(design.T @ design + PENALTY * np.eye(3), design.T @ vectors[:3])
    assert found[2:, 0] == pytest.approx([(solved[0, 0] + solved[2, 0]) / np.sqrt(2)] * 2, abs=1e-5)


def test_an_items_own_vector_counts_the_more_the_more_have_bought_it() -> None:
    frame = items(*(("", "", "A", None, "{}") for _ in range(6)))
    vectors = np.array([[1, 0]] * 3 + [[0, 1], [0, 1], [0, 0]], np.float32)
    buyers = np.array([10**9, 10**9, 10**9, 1, 100, 0])
    found = with_content(item_traits(frame), vectors, buyers)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)
    own = found[:, 1]
    assert own[5] < 0.8  # what the brand speaks for
    assert own[3] < own[4] < 1
    assert own[4] > 0.9
    assert found[0, 0] == pytest.approx(1, abs=1e-5)


def test_without_any_vector_there_is_nothing_to_speak_for() -> None:
    frame = items(("Tea", "A", "", None, "{}"), ("Tea", "A", "", None, "{}"))
    assert not with_content(item_traits(frame), np.zeros((2, 3), np.float32), np.zeros(2, np.int64)).any()
