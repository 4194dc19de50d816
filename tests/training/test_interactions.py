from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recdata.errors import RunError
from recdata.training_artefacts import BEHAVIOUR, PURCHASES
from training.interactions import InteractionsConfig, build_interactions, drop_rare

AS_OF = date(2024, 3, 1)
PLAIN = InteractionsConfig(half_life_days=10.0, min_item_users=1, min_user_items=1)


def purchases(*lines: tuple[int, int, int, float]) -> pl.DataFrame:
    """Lines of (days before AS_OF, user_row, item_row, quantity)."""
    rows = [
        (AS_OF - timedelta(days=age), user, item, f"o{age}", quantity, quantity * 2.0, "", "")
        for age, user, item, quantity in lines
    ]
    return pl.DataFrame(rows, schema=PURCHASES, orient="row")


def behaviour(*rows: tuple[int, int, str, int, int]) -> pl.DataFrame:
    """Rows of (user_row, item_row, event_type, events, days before AS_OF)."""
    return pl.DataFrame(
        [(user, item, kind, AS_OF - timedelta(days=age), events) for user, item, kind, events, age in rows],
        schema=BEHAVIOUR,
        orient="row",
    )


def build(lines: pl.DataFrame, acts: pl.DataFrame | None = None, config: InteractionsConfig = PLAIN):
    acts = behaviour() if acts is None else acts
    return build_interactions(lines, acts, 2, 3, as_of=AS_OF, config=config).toarray()


def test_an_interaction_counts_half_after_its_half_life() -> None:
    matrix = build(purchases((10, 0, 1, 1.0), (20, 1, 2, 1.0)))
    assert matrix == pytest.approx(np.array([[0, 0.5, 0], [0, 0, 0.25]]))


def test_lines_of_one_pair_add_up() -> None:
    assert build(purchases((10, 0, 0, 1.0), (10, 0, 0, 1.0)))[0, 0] == pytest.approx(1.0)


def test_quantities_are_damped_as_the_config_says() -> None:
    line = purchases((0 + 10, 0, 0, 3.0))
    log1p = InteractionsConfig(quantity_damping="log1p", half_life_days=10.0, min_item_users=1)
    units = InteractionsConfig(quantity_power=1.0, half_life_days=10.0, min_item_users=1)
    assert build(line, config=log1p)[0, 0] == pytest.approx(np.log2(4.0) / 2)
    assert build(line, config=units)[0, 0] == pytest.approx(1.5)


def test_a_full_return_cancels_however_old_the_purchase_is() -> None:
    assert build(purchases((300, 0, 0, 2.0), (1, 0, 0, -2.0), (10, 1, 0, 1.0)))[:, 0] == pytest.approx(
        [0, 0.5]
    )


def test_a_partial_return_takes_off_its_share() -> None:
    assert build(purchases((10, 0, 0, 4.0), (1, 0, 0, -1.0)))[0, 0] == pytest.approx(0.5 * 3 / 4)


def test_other_behaviour_counts_by_its_weight() -> None:
    matrix = build(purchases(), behaviour((0, 0, "view", 4, 10), (0, 0, "add_to_cart", 1, 10)))
    assert matrix[0, 0] == pytest.approx((0.1 + 0.5) / 2)


def test_events_of_several_days_count_together_from_the_last_of_them() -> None:
    squares = InteractionsConfig(quantity_power=0.5, half_life_days=10.0, min_item_users=1)
    apart = build(purchases(), behaviour((0, 0, "view", 3, 30), (0, 0, "view", 1, 10)), squares)
    assert apart[0, 0] == pytest.approx(0.1 * 2 / 2)


def test_a_look_after_the_day_hides_no_look_before_it() -> None:
    looked = behaviour((0, 1, "view", 1, 10))
    again = behaviour((0, 1, "view", 1, 10), (0, 1, "view", 5, -2))
    assert np.array_equal(build(purchases(), again), build(purchases(), looked))
    assert build(purchases(), again)[0, 1] > 0


def test_an_event_type_of_weight_zero_is_no_interaction() -> None:
    assert not build(purchases(), behaviour((0, 0, "impression", 9, 1))).any()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-5, 0), st.integers(0, 1), st.integers(0, 2), st.sampled_from([1.0, -1.0]))
    )
)
def test_nothing_on_or_after_the_day_reaches_the_matrix(later: list[tuple[int, int, int, float]]) -> None:
    before = [(3, 0, 1, 1.0), (5, 1, 2, 2.0)]
    acts = behaviour(*[(user, item, "click", 1, age) for age, user, item, _ in later])
    assert np.array_equal(build(purchases(*before, *later), acts), build(purchases(*before)))


def test_rare_items_and_then_poor_shoppers_keep_empty_places() -> None:
    lines = purchases((10, 0, 0, 1.0), (10, 0, 1, 1.0), (10, 1, 0, 1.0), (10, 1, 2, 1.0))
    matrix = build_interactions(
        lines,
        behaviour(),
        2,
        3,
        as_of=AS_OF,
        config=InteractionsConfig(half_life_days=10.0, min_item_users=2, min_user_items=1),
    )
    assert matrix.toarray() == pytest.approx(np.array([[0.5, 0, 0], [0.5, 0, 0]]))
    assert drop_rare(matrix, min_user_items=2, min_item_users=1).nnz == 0


def test_no_events_make_an_empty_matrix_of_the_right_shape() -> None:
    assert build(purchases()).shape == (2, 3)


def test_a_row_outside_the_tables_is_named() -> None:
    with pytest.raises(RunError, match=r"item_row 7 is not one of the 3 known rows"):
        build(purchases((1, 0, 7, 1.0)))
