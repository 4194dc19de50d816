"""Worked out by hand: four shoppers, six items in three categories."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from recdata.training_artefacts import PURCHASES
from training.evaluate.beyond import (
    Ground,
    gini,
    group_codes,
    history_measures,
    list_measures,
    unit_vectors,
)
from training.history import pair_history

GROUPS = np.array([0, 0, 1, 1, 2, 2], np.int32)
# Shopper 0 bought item 0 on three days and item 2 on one; item 0 has four buyers, item 2 has two, item 4 one.
BOUGHT = [(0, 0), (1, 0), (2, 0), (3, 0), (0, 2), (1, 2), (3, 4)]
DAY = date(2024, 3, 1)


@pytest.fixture(scope="module")
def ground() -> Ground:
    lines = [(DAY, user, item, f"o{user}", 1.0, 1.0, "", "") for user, item in BOUGHT]
    lines += [(date(2024, 3, day), 0, 0, f"again{day}", 1.0, 1.0, "", "") for day in (2, 3)]
    purchases = pl.DataFrame(lines, schema=PURCHASES, orient="row")
    history = pair_history(purchases.lazy(), 5, np.zeros(6, np.int32), as_of=date(2024, 3, 9))
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 2], [-1, 0], [0, 0]], np.float32)
    return Ground(
        history=history,
        buyers=np.bincount(history.items, minlength=6),
        n_shoppers=4,
        head=np.array([1, 0, 0, 0, 0, 0], bool),
        groups=GROUPS,
        vectors=unit_vectors(vectors),
    )


def of_first(ground: Ground, items: list[int]) -> dict[str, float]:
    """Returns the measures of shopper 0's list; the others are shown nothing."""
    lists = np.full((5, 4), -1, np.int32)
    lists[0, : len(items)] = items
    return {name: float(values[0]) for name, values in list_measures(lists, ground).items()}


def test_novelty_is_the_mean_information_in_bits_and_the_unsold_count_as_bought_once(ground: Ground) -> None:
    # bought by 4, 2 and 1 of 4 shoppers, and by none
    assert of_first(ground, [0, 2, 4, 5])["novelty"] == pytest.approx((0 + 1 + 2 + 2) / 4)


def test_popularity_is_the_mean_share_of_buyers(ground: Ground) -> None:
    measured = of_first(ground, [0, 2, 4, 5])
    assert measured["popularity"] == pytest.approx((1 + 0.5 + 0.25 + 0) / 4)
    assert measured["head_share"] == pytest.approx(1 / 4)


def test_diversity_by_category_is_the_share_of_pairs_that_differ(ground: Ground) -> None:
    assert of_first(ground, [0, 1, 2, 4])["category_diversity"] == pytest.approx(5 / 6)
    assert of_first(ground, [2, 3])["category_diversity"] == 0.0


def test_diversity_by_vector_is_the_mean_distance_of_the_pairs(ground: Ground) -> None:
    # pairs: (0,1) alike 0, (0,2) 1, (1,2) 1, (0,4) opposite 2, (1,4) 2, (2,4) 1
    assert of_first(ground, [0, 1, 2, 4])["vector_diversity"] == pytest.approx(7 / 6)
    assert of_first(ground, [2, 3])["vector_diversity"] == pytest.approx(0.0)  # length does not count
    assert of_first(ground, [0, 5])["vector_diversity"] == 1.0  # no vector


def test_one_item_has_no_pairs_and_no_items_no_measures(ground: Ground) -> None:
    measured = of_first(ground, [0])
    assert np.isnan([measured["category_diversity"], measured["vector_diversity"]]).all()
    assert np.isnan(list(of_first(ground, []).values())).all()


def test_miscalibration_is_stecks_divergence_with_its_smoothing(ground: Ground) -> None:
    # days bought: three of four in category 0, one in category 1
    perfect = of_first(ground, [0, 0, 0, 2])["miscalibration"]
    assert perfect == pytest.approx(0.0)
    # shown: half category 0, half category 2; category 1 is missing
    missing = of_first(ground, [0, 4])["miscalibration"]
    expected = 0.75 * np.log(0.75 / (0.99 * 0.5 + 0.01 * 0.75)) + 0.25 * np.log(0.25 / (0.01 * 0.25))
    assert missing == pytest.approx(expected)


def test_a_shopper_without_history_cannot_be_miscalibrated(ground: Ground) -> None:
    lists = np.full((5, 2), 0, np.int32)
    assert np.isnan(list_measures(lists, ground)["miscalibration"]).tolist() == [False] * 4 + [True]


def test_a_history_is_measured_as_a_list_of_what_was_bought(ground: Ground) -> None:
    measured = history_measures(ground)
    assert measured["popularity"][:4] == pytest.approx([0.75, 0.75, 1.0, 0.625])
    assert measured["novelty"][:4] == pytest.approx([0.5, 0.5, 0.0, 1.0])
    assert np.isnan(measured["popularity"][4])


def test_gini_is_0_where_all_are_shown_alike_and_near_1_where_one_has_everything() -> None:
    catalogue = np.arange(4)
    assert gini(np.array([[0, 1], [2, 3]], np.int32), catalogue, 6) == pytest.approx(0.0)
    assert gini(np.array([[0, -1], [0, -1]], np.int32), catalogue, 6) == pytest.approx(3 / 4)
    # shown 0, 1, 1 and 2 times: mean absolute difference of all pairs over twice the mean
    shown = np.array([0, 1, 1, 2])
    expected = np.abs(shown[:, None] - shown).mean() / (2 * shown.mean())
    assert gini(np.array([[1, 3], [2, 3]], np.int32), catalogue, 6) == pytest.approx(expected)
    assert np.isnan(gini(np.full((2, 2), -1, np.int32), catalogue, 6))


def test_groups_are_the_first_levels_of_the_category() -> None:
    items = pl.DataFrame({"category": ["A > B > C", "A > B > D", "A > E", None, "A", "A > B"]})
    assert group_codes(items, 2).tolist() == [2, 2, 3, 0, 1, 2]
    assert group_codes(items, 1).tolist() == [1, 1, 1, 0, 1, 1]


def test_vectors_are_brought_to_length_one_and_zeros_stay() -> None:
    assert unit_vectors(np.array([[3, 4], [0, 0]], np.float32)).tolist() == [
        pytest.approx([0.6, 0.8]),
        [0.0, 0.0],
    ]
