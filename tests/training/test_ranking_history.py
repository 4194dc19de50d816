from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recdata.artefacts import ITEMS, PURCHASES
from recdata.errors import RunError
from training.history import ITEM_FEATURES, PAIR_FEATURES, category_codes, is_member, pair_history

AS_OF = date(2024, 3, 1)
CATEGORIES = np.array([0, 0, 1], np.int32)


def purchases(*lines: tuple[int, int, int, float]) -> pl.LazyFrame:
    """Lines of (days before AS_OF, user_row, item_row, quantity)."""
    rows = [
        (AS_OF - timedelta(days=age), user, item, f"o{age}", quantity, 1.0, "", "")
        for age, user, item, quantity in lines
    ]
    return pl.DataFrame(rows, schema=PURCHASES, orient="row").lazy()


def history(*lines: tuple[int, int, int, float]):
    return pair_history(purchases(*lines), 3, CATEGORIES, as_of=AS_OF)


def test_pairs_are_sorted_and_start_where_indptr_says() -> None:
    found = history((1, 2, 1, 1), (1, 0, 2, 1), (1, 0, 1, 1))
    assert found.users.tolist() == [0, 0, 2]
    assert found.items.tolist() == [1, 2, 1]
    assert found.indptr.tolist() == [0, 2, 2, 3]


def test_frequency_counts_days_each_halved_by_its_half_life() -> None:
    found = history((14, 0, 0, 1), (14, 0, 0, 5), (28, 0, 0, 1))
    features = dict(zip(PAIR_FEATURES, found.pair_features[0], strict=True))
    assert features["log_frequency_14"] == pytest.approx(np.log1p(0.5 + 0.25))
    assert features["log_frequency_56"] == pytest.approx(np.log1p(0.5**0.25 + 0.5**0.5))
    assert features["log_days_bought"] == pytest.approx(np.log(3))
    assert features["log_days_since"] == pytest.approx(np.log(15))
    assert features["log_lateness"] == pytest.approx(0.0)  # 14 days since, 14 days between
    assert (found.days_bought.tolist(), found.days_since.tolist()) == ([2], [14])


def test_a_single_purchase_is_neither_early_nor_late() -> None:
    assert history((9, 0, 0, 1)).pair_features[0][PAIR_FEATURES.index("log_lateness")] == 0


def test_items_know_their_recent_buyers_all_buyers_and_repeat_share() -> None:
    found = history((1, 0, 0, 1), (2, 0, 0, 1), (28, 1, 0, 1), (29, 2, 0, 1))
    features = dict(zip(ITEM_FEATURES, found.item_features[0], strict=True))
    assert found.recent_buyers.tolist() == [2, 0, 0]
    assert features["log_recent_buyers"] == pytest.approx(np.log(3))
    assert features["log_buyers"] == pytest.approx(np.log(4))
    assert features["log_repeat_share"] == pytest.approx(np.log((1 + 1) / (3 + 10)))


def test_activity_is_the_days_with_a_purchase_among_the_last_28() -> None:
    found = history((1, 0, 0, 1), (1, 0, 1, 1), (5, 0, 0, 1), (29, 0, 0, 1), (30, 1, 0, 1))
    assert found.user_features[:, 0] == pytest.approx(np.log1p([2, 0, 0]))


def test_affinity_counts_days_of_the_whole_category_also_for_items_never_bought() -> None:
    found = history((1, 0, 0, 1), (2, 0, 0, 1), (1, 1, 2, 1))
    between = found.features_between(np.array([0, 0, 1, 2]), np.array([1, 2, 2, 0]))
    assert between[:, -1] == pytest.approx(np.log1p([2, 0, 1, 0]))


def test_what_was_returned_was_not_bought() -> None:
    assert history((5, 0, 0, 2), (1, 0, 0, -2), (1, 1, 1, 1)).items.tolist() == [1]


def test_nothing_on_or_after_the_day_is_known() -> None:
    assert history((0, 0, 0, 1), (-3, 1, 1, 1)).users.size == 0


def test_a_choice_of_shoppers_keeps_theirs_under_new_rows() -> None:
    found = history((1, 0, 0, 1), (1, 1, 1, 1), (1, 2, 2, 1), (1, 2, 0, 1))
    part = found.of_users(np.array([0, 2]))
    assert part.users.tolist() == [0, 1, 1]
    assert part.items.tolist() == [0, 0, 2]
    assert part.indptr.tolist() == [0, 1, 3]
    both = found.features_between(np.array([0, 2]), np.array([1, 1]))
    assert np.array_equal(part.features_between(np.array([0, 1]), np.array([1, 1])), both)


def test_an_unknown_row_is_named() -> None:
    with pytest.raises(RunError, match="user_row 9 is not one of the 3 known rows"):
        history((1, 9, 0, 1))


def test_equal_categories_share_a_code() -> None:
    rows = [(row, f"i{row}", "T", category) for row, category in enumerate(("B", "A", "B"))]
    items = pl.DataFrame(rows, schema=dict(list(ITEMS.items())[:4]), orient="row")
    assert category_codes(items).tolist() == [1, 0, 1]


def test_membership_is_asked_of_sorted_keys() -> None:
    assert is_member(np.array([3, 4, 9]), np.array([1, 3, 9])).tolist() == [True, False, True]
    assert is_member(np.array([3]), np.empty(0, np.int64)).tolist() == [False]
