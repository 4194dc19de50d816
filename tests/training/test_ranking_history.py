from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recdata.errors import RunError
from recdata.training_artefacts import ITEMS, PURCHASES
from training.affinity import AFFINITY_FEATURES
from training.counts import ITEM_FEATURES, USER_FEATURES
from training.history import category_codes, is_member, pair_history
from training.rhythm import PAIR_FEATURES, median_by

AS_OF = date(2024, 3, 1)
CATEGORIES = np.array([[0, 0], [0, 0], [1, 0]], np.int32)


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


def named(found) -> dict[str, float]:
    return dict(zip(PAIR_FEATURES, found.pair_features[0].tolist(), strict=True))


def test_frequency_counts_days_each_halved_by_its_half_life() -> None:
    found = history((14, 0, 0, 1), (14, 0, 0, 5), (28, 0, 0, 1))
    features = named(found)
    assert features["frequency_14"] == pytest.approx(0.5 + 0.25)
    assert features["frequency_56"] == pytest.approx(0.5**0.25 + 0.5**0.5)
    assert [features[name] for name in ("days_bought", "days_since", "days_known")] == [2, 14, 28]
    assert (found.days_bought.tolist(), found.days_since.tolist()) == ([2], [14])


def test_an_item_is_late_by_the_shoppers_own_gap_and_by_that_of_its_buyers() -> None:
    # own gaps 10, 20, 10: median 10; the other buyer's gap 4, so the item's is the median of 10 and 4
    features = named(history(*((age, 0, 0, 1) for age in (5, 15, 35, 45)), (1, 1, 0, 1), (5, 1, 0, 1)))
    assert features["median_gap"] == 10
    assert features["spread_of_gaps"] == pytest.approx(np.std([10, 20, 10], ddof=1))
    assert features["lateness"] == pytest.approx(0.5)
    assert features["lateness_for_item"] == pytest.approx(5 / 7)


def test_a_single_purchase_has_no_rhythm() -> None:
    features = named(history((9, 0, 0, 1)))
    for name in ("median_gap", "spread_of_gaps", "lateness", "lateness_for_item"):
        assert np.isnan(features[name])


def test_visits_count_days_of_any_purchase_since_the_last_and_since_the_first_of_this() -> None:
    features = named(
        history((20, 0, 0, 1), (10, 0, 0, 1), (30, 0, 1, 1), (5, 0, 1, 1), (5, 0, 2, 1), (1, 0, 1, 1))
    )
    assert features["visits_since"] == 2  # 5 and 1 days ago
    assert features["share_of_visits"] == pytest.approx(2 / 4)  # bought on 20 and 10 of 20, 10, 5, 1


def test_items_know_their_buyers_finders_and_repeat_share() -> None:
    found = history((1, 0, 0, 1), (2, 0, 0, 1), (28, 1, 0, 1), (29, 2, 0, 1))
    features = dict(zip(ITEM_FEATURES, found.item_features[0].tolist(), strict=True))
    assert found.recent_buyers.tolist() == [2, 0, 0]
    assert found.new_buyers.tolist() == [2, 0, 0]
    assert [features[name] for name in ("buyers_7", "buyers_28", "new_buyers_28", "buyers")] == [1, 2, 2, 3]
    assert features["growth"] == pytest.approx(np.log(5 / 4))
    assert features["repeat_share"] == pytest.approx((1 + 1) / (3 + 10))
    assert (features["days_unsold"], features["price"]) == (1, 1.0)
    assert found.item_features[1, ITEM_FEATURES.index("days_unsold")] == 999


def test_shoppers_know_their_visits_and_how_much_they_try() -> None:
    found = history((1, 0, 0, 1), (1, 0, 1, 1), (5, 0, 0, 2), (29, 0, 0, 1), (30, 1, 0, 1))
    features = dict(zip(USER_FEATURES, found.user_features.T.tolist(), strict=True))
    assert features["visits_28"] == [2, 0, 0]
    assert features["items_28"] == [2, 0, 0]
    assert features["finds_28"] == [1, 0, 0]  # item 1; item 0 was known 29 days ago
    assert features["share_of_finds"] == pytest.approx([2 / 3, 1 / 2, 0])
    assert features["price_of_user"] == pytest.approx([4 / 5, 1, 0])  # four lines of 1.0 for five units


def test_affinity_is_to_the_whole_category_also_for_items_never_bought() -> None:
    found = history((10, 0, 0, 1), (100, 0, 0, 1), (30, 0, 1, 2), (1, 1, 2, 1))
    between = found.features_between(np.array([0, 0, 1, 2]), np.array([1, 2, 2, 0]))
    names = found.between_names()
    assert between.shape == (4, len(names))
    table = {name: between[:, names.index(name)].tolist() for name in names}
    assert table["category_days"] == [3, 0, 1, 0]
    assert table["category_last"] == [10, 999, 1, 999]
    assert table["category_items"] == [2, 0, 1, 0]
    assert table["category_finds"] == [1, 0, 1, 0]  # item 0 was first bought a hundred days ago
    assert table["category_price_ratio"][0] == pytest.approx(0.5 / 0.75)  # item 1 costs 0.5, usual 3 for 4
    assert np.isnan(table["category_price_ratio"][1])
    assert table["parent_days"] == [3, 3, 1, 0]
    assert table["category_share_of_new"] == pytest.approx([0, 1, 1, 0])
    assert names[-len(AFFINITY_FEATURES)] == "parent_days"


def test_neighbours_are_items_that_the_same_shoppers_buy() -> None:
    found = history((1, 0, 0, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 1), (1, 2, 2, 1))
    assert found.neighbours.pool.tolist() == [0, 1, 2]
    # Gram matrix [[2, 2, 0], [2, 2, 0], [0, 0, 1]] + 2 * 5 / 3 on its diagonal; B = 2 / (2 + 10 / 3)
    weights = found.neighbours.weights
    assert weights[0, 1] == pytest.approx(2 / (2 + 10 / 3))
    assert np.count_nonzero(weights) == 2
    scores = found.neighbour_scores(0, 3)
    assert scores[0, 1] == pytest.approx(weights[0, 1] * np.sqrt(np.log1p(0.5 ** (1 / 112))))
    assert not scores[2].any()


def test_medians_leave_out_what_is_not_a_number() -> None:
    medians = median_by(np.array([0, 0, 2, 2, 2]), np.array([1.0, 4.0, np.nan, 9.0, 5.0]), 3)
    assert medians == pytest.approx([2.5, np.nan, 7.0], nan_ok=True)


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
    assert np.array_equal(part.features_between(np.array([0, 1]), np.array([1, 1])), both, equal_nan=True)


def test_an_unknown_row_is_named() -> None:
    with pytest.raises(RunError, match="user_row 9 is not one of the 3 known rows"):
        history((1, 9, 0, 1))


def test_equal_categories_share_a_code_and_so_do_those_of_one_parent() -> None:
    paths = ("B > Y", "A", "B > Y", "B > X")
    rows = [(row, f"i{row}", "T", category) for row, category in enumerate(paths)]
    items = pl.DataFrame(rows, schema=dict(list(ITEMS.items())[:4]), orient="row")
    codes = category_codes(items)
    assert codes[:, 0].tolist() == [2, 0, 2, 1]
    assert codes[:, 1].tolist() == [1, 0, 1, 1]


def test_membership_is_asked_of_sorted_keys() -> None:
    assert is_member(np.array([3, 4, 9]), np.array([1, 3, 9])).tolist() == [True, False, True]
    assert is_member(np.array([3]), np.empty(0, np.int64)).tolist() == [False]


def test_what_is_known_does_not_depend_on_the_size_of_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    lines = [
        (int(age), int(user), int(item), 1.0)
        for age, user, item in zip(
            rng.integers(1, 90, 300), rng.integers(0, 3, 300), rng.integers(0, 3, 300), strict=True
        )
    ]
    whole = history(*lines)
    monkeypatch.setattr("training.history.PART_LINES", 100)
    parts = history(*lines)
    for name in ("users", "items", "indptr", "pair_features", "user_features", "recent_buyers", "new_buyers"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name), equal_nan=True)
    # The sums of all money are added up in another order.
    assert parts.item_features == pytest.approx(whole.item_features, nan_ok=True)
    for one, two in zip(whole.affinities, parts.affinities, strict=True):
        assert np.array_equal(one.keys, two.keys)
        assert np.array_equal(one.kept, two.kept, equal_nan=True)


def test_a_sample_of_shoppers_stands_for_all() -> None:
    lines = ((1, 0, 0, 1.0), (2, 1, 0, 1.0))
    whole = pair_history(purchases(*lines), 3, CATEGORIES, as_of=AS_OF, scale=10.0)
    features = dict(zip(ITEM_FEATURES, whole.item_features[0].tolist(), strict=True))
    assert [features[name] for name in ("buyers_7", "buyers_28", "new_buyers_28", "buyers")] == [20] * 4
    assert features["repeat_share"] == pytest.approx(1 / 12)
