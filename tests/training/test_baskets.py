"""What was bought together, on a table worked out by hand and against counting one pair after another."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from io import StringIO
from itertools import permutations
from pathlib import Path
from statistics import NormalDist

import msgspec
import numpy as np
import polars as pl
import pytest
from rich.console import Console

import training.baskets as baskets
from recdata.artefacts import write_artefact
from recdata.errors import RunError
from recdata.runs import RunFolder
from recdata.training_artefacts import ITEMS, PURCHASES
from training.baskets import BasketsConfig, Together, baskets_stage, bought_together

DAY = date(2024, 2, 1)
ANY = BasketsConfig(min_orders=1, min_shoppers=1, certainty=0.5, threads=1)


def purchases(lines: list[tuple[int, str, int, float]]) -> pl.LazyFrame:
    """Lines of (user_row, order_id, item_row, quantity)."""
    rows = [(DAY, user, item, order, quantity, 1.0, "", "") for user, order, item, quantity in lines]
    return pl.LazyFrame(rows, schema=PURCHASES, orient="row")


def orders(*held: tuple[int, ...]) -> pl.LazyFrame:
    """One order each, every one of another shopper."""
    return purchases([(user, f"o{user}", item, 1.0) for user, items in enumerate(held) for item in items])


def found(result: Together, item: int) -> list[tuple[int, float, int]]:
    real = result.rows[item] >= 0
    return list(
        zip(
            result.rows[item, real].tolist(),
            result.lifts[item, real].tolist(),
            result.orders[item, real].tolist(),
            strict=True,
        )
    )


def test_lifts_and_counts_are_those_worked_out_by_hand() -> None:
    # 0 in five orders, 1 in four, 2 in two of the eight; 3 alone.
    lines = orders((0, 1), (0, 1), (0, 1), (0, 2), (0,), (1,), (2,), (3,))
    result = bought_together(lines, np.ones(4, bool), ANY)
    assert (result.n_orders, result.n_left_out) == (8, 0)
    assert result.item_orders.tolist() == [5, 4, 2, 1]
    assert found(result, 0) == [(1, pytest.approx(3 * 8 / (5 * 4)), 3)]  # 0 with 2: 1 * 8 / (5 * 2) < 1
    assert found(result, 1) == [(0, pytest.approx(1.2), 3)]
    assert found(result, 2) == []
    assert found(result, 3) == []


def test_the_highest_lift_comes_first_and_ties_go_to_the_lower_row() -> None:
    lines = orders((0, 3), (0, 2), (0, 1, 4), (1, 4), (5,), (5,))
    result = bought_together(lines, np.ones(6, bool), ANY)
    assert [row for row, _, _ in found(result, 0)] == [2, 3]  # 0 with 1 or 4: 1 * 6 / (3 * 2) = 1
    assert found(result, 1) == [(4, pytest.approx(2 * 6 / 4), 2)]


def test_an_item_counts_once_in_an_order_and_a_return_not_at_all() -> None:
    lines = purchases([(0, "a", 0, 1.0), (0, "a", 0, 2.0), (0, "a", 1, 1.0), (1, "b", 0, 1.0),
                       (1, "b", 1, -1.0), (2, "c", 2, 1.0)])  # fmt: skip
    result = bought_together(lines, np.ones(3, bool), ANY)
    assert result.item_orders.tolist() == [2, 1, 1]
    assert found(result, 0) == [(1, pytest.approx(1 * 3 / 2), 1)]


def test_one_order_id_of_two_shoppers_is_two_orders() -> None:
    lines = purchases([(0, "a", 0, 1.0), (1, "a", 1, 1.0), (2, "b", 2, 1.0)])
    result = bought_together(lines, np.ones(3, bool), ANY)
    assert result.n_orders == 3
    assert not (result.rows >= 0).any()


def test_too_large_an_order_is_in_no_count() -> None:
    lines = orders((0, 1, 2), (0, 1), (2,), (3,))
    result = bought_together(lines, np.ones(4, bool), msgspec.structs.replace(ANY, max_order_items=2))
    assert (result.n_orders, result.n_left_out) == (3, 1)
    assert result.item_orders.tolist() == [1, 1, 1, 1]
    assert found(result, 0) == [(1, pytest.approx(3.0), 1)]


def test_the_habit_of_one_shopper_is_nobody_elses_list() -> None:
    lines = purchases(
        [(0, f"a{order}", item, 1.0) for order in range(9) for item in (0, 1)]
        + [(user, "b", item, 1.0) for user in range(1, 4) for item in (2, 3)]
        + [(5, f"c{order}", 4, 1.0) for order in range(9)]
    )
    result = bought_together(lines, np.ones(5, bool), msgspec.structs.replace(ANY, min_shoppers=2))
    assert found(result, 0) == []
    assert [(row, both) for row, _, both in found(result, 2)] == [(3, 3)]


def test_what_is_not_listed_stands_in_no_list_and_has_its_own() -> None:
    lines = orders((0, 1), (0, 1), (2,), (2,))
    result = bought_together(lines, np.array([True, False, True]), ANY)
    assert found(result, 0) == []
    assert [row for row, _, _ in found(result, 1)] == [0]


def test_without_orders_every_list_is_empty() -> None:
    result = bought_together(purchases([]), np.ones(3, bool), ANY)
    assert (result.n_orders, result.item_orders.tolist()) == (0, [0, 0, 0])
    assert (result.rows == -1).all()


def test_an_item_that_is_not_known_is_refused() -> None:
    with pytest.raises(RunError, match="item_row 7"):
        bought_together(orders((0, 7)), np.ones(3, bool), ANY)


@pytest.mark.parametrize("seed", [1, 2])
def test_it_finds_what_counting_one_pair_after_another_finds(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baskets, "LINES_AT_ONCE", 150)  # many parts, many blocks
    monkeypatch.setattr(baskets, "PAIRS_AT_ONCE", 200)
    rng = np.random.default_rng(seed)
    n_items = 25
    config = BasketsConfig(
        together_per_item=4, min_orders=2, min_shoppers=2, certainty=0.8, max_order_items=6, threads=2
    )
    held: dict[tuple[int, str], set[int]] = defaultdict(set)
    lines = []
    for order in range(400):
        user = int(rng.integers(40))
        for item in (rng.beta(1, 3, int(rng.integers(1, 9))) * n_items).astype(int).tolist():
            lines.append((user, f"o{order}", item, 1.0))
            held[user, f"o{order}"].add(item)
    kept = {key: items for key, items in held.items() if len(items) <= 6}
    single, pair, shoppers = defaultdict(int), defaultdict(int), defaultdict(set)
    for (user, _), items in kept.items():
        for item in items:
            single[item] += 1
        for both in permutations(items, 2):
            pair[both] += 1
            shoppers[both].add(user)
    z = NormalDist().inv_cdf(0.8)
    result = bought_together(purchases(lines), np.ones(n_items, bool), config)
    assert result.n_left_out == len(held) - len(kept) > 0
    some = 0
    for item in range(n_items):
        told = []
        for (one, other), both in pair.items():
            if one == item and both >= 2 and len(shoppers[one, other]) >= 2:
                lift = both * len(kept) / (single[one] * single[other])
                bound = lift * np.exp(-z / np.sqrt(len(shoppers[one, other])))
                if bound > 1:
                    told.append((bound, other, lift, both))
        best = sorted(told, key=lambda entry: (-entry[0], entry[1]))[:4]
        expected = sorted(best, key=lambda entry: (-np.float32(entry[2]), entry[1]))
        assert found(result, item) == [
            (other, pytest.approx(lift, rel=1e-6), both) for _, other, lift, both in expected
        ]
        some += len(expected)
    assert some > 20


def test_the_stage_writes_what_the_snapshot_needs(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, "r1", date(2024, 3, 1), Console(file=StringIO()))
    run.path.mkdir(parents=True)
    items = [(row, f"i{row}", "T", "A", "", 1.0, None, DAY, "active", None, "{}") for row in range(3)]
    write_artefact(pl.DataFrame(items, schema=ITEMS, orient="row"), run.path / "items.parquet", "items")
    write_artefact(orders((0, 1), (2,)).collect(), run.path / "purchases.parquet", "purchases")
    run.execute([baskets_stage(msgspec.structs.replace(ANY, together_per_item=2))])
    assert np.load(run.path / "together_rows.npy").tolist() == [[1, -1], [0, -1], [-1, -1]]
    assert np.load(run.path / "together_lifts.npy").tolist() == [[2.0, 0.0], [2.0, 0.0], [0.0, 0.0]]
    assert np.load(run.path / "together_orders.npy").tolist() == [[1, 0], [1, 0], [0, 0]]
    assert np.load(run.path / "item_orders.npy").tolist() == [1, 1, 1]
    assert int(np.load(run.path / "order_count.npy")) == 2
