"""What an item's place owes to the shop, on four items whose weights can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from recdata.ordering import OrderConfig, order_weights

NAN = float("nan")
PRICE = np.array([1.0, 2.0, 4.0, NAN])
COST = np.array([0.5, 0.5, NAN, 1.0])  # margins 0.5 and 0.75, then not known
STOCK = np.array([70, 7, 0, -1])
DEMAND = np.array([2.0, 2.0, 1.0, NAN], np.float32)


def weights(**strengths: float) -> list[float]:
    return order_weights(PRICE, COST, STOCK, DEMAND, OrderConfig(**strengths)).tolist()


def test_with_everything_off_every_weight_is_exactly_one() -> None:
    assert OrderConfig().is_off
    assert weights() == [1.0, 1.0, 1.0, 1.0]
    assert weights(cover_days=30.0) == [1.0, 1.0, 1.0, 1.0]


def test_stock_that_runs_out_steps_back_in_proportion_and_never_to_nothing() -> None:
    # 35, 3.5 and 0 days of demand; the last one's stock is not tracked
    assert weights(runs_out=1.0, cover_days=7.0) == pytest.approx([1.0, 0.5, 0.1, 1.0])
    assert weights(runs_out=2.0, cover_days=7.0) == pytest.approx([1.0, 0.25, 0.01, 1.0])
    assert weights(runs_out=1.0, cover_days=70.0) == pytest.approx([0.5, 0.1, 0.1, 1.0])


def test_margin_value_and_demand_are_ratios_to_the_median() -> None:
    assert weights(margin=1.0) == pytest.approx([0.5 / 0.625, 0.75 / 0.625, 1.0, 1.0])
    assert weights(value=0.5) == pytest.approx([0.5**0.5, 1.0, 2**0.5, 1.0])
    assert weights(demand=1.0) == pytest.approx([1.0, 1.0, 0.5, 1.0])


def test_rules_multiply() -> None:
    assert weights(value=1.0, runs_out=1.0) == pytest.approx([0.5, 0.5, 0.2, 1.0])


def test_one_rule_alone_reaches_ten_times_at_most() -> None:
    price = np.array([1.0, 1.0, 1.0, 5000.0, 0.0])
    unknown = np.full(5, NAN)
    made = order_weights(price, unknown, np.full(5, -1), unknown.astype(np.float32), OrderConfig(value=1.0))
    assert made.tolist() == pytest.approx([1.0, 1.0, 1.0, 10.0, 0.1])


def test_where_nothing_is_known_nothing_changes() -> None:
    unknown = np.full(3, NAN)
    all_on = OrderConfig(runs_out=1.0, margin=1.0, value=1.0, demand=1.0)
    made = order_weights(unknown, unknown, np.full(3, -1), unknown.astype(np.float32), all_on)
    assert made.tolist() == [1.0, 1.0, 1.0]
    assert made.dtype == np.float32


def test_a_loss_is_the_lowest_margin_and_no_negative_weight() -> None:
    made = order_weights(
        np.array([2.0, 2.0]), np.array([1.0, 3.0]), np.array([-1, -1]), np.array([1, 1], np.float32),
        OrderConfig(margin=1.0),
    )  # fmt: skip
    assert made.tolist() == pytest.approx([1.0, 0.1])
