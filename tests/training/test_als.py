from __future__ import annotations

from datetime import date
from io import StringIO
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from rich.console import Console
from scipy import sparse
from threadpoolctl import threadpool_limits

from recdata.artefacts import write_artefact
from recdata.runs import RunFolder
from recdata.training_artefacts import BEHAVIOUR, ITEMS, PURCHASES, USERS
from training.als import AlsConfig, PenalisedAls, als_stage, confidences_of, fit_als
from training.interactions import InteractionsConfig
from training.weights import bm25, penalties_of

SMALL = AlsConfig(factors=8, regularization=0.1, alpha=2.0, iterations=12)


def checkerboard(size: int) -> sparse.csr_array:
    """Shoppers like the items of their own colour, but have not met the item of their own number."""
    rows, columns = np.indices((size, size))
    liked = ((rows + columns) % 2 == 0) & (rows != columns)
    return sparse.csr_array(liked.astype(np.float32))


@pytest.mark.parametrize("weighting", ["none", "bm25"])
def test_on_a_checkerboard_everybody_is_given_the_one_item_of_their_colour_they_miss(weighting: str) -> None:
    board = checkerboard(40)
    # Two factors hold two colours and nothing else, so the missing item cannot be told from its colour.
    model = fit_als(board, msgspec.structs.replace(SMALL, weighting=weighting, factors=2))
    scores = model.user_factors @ model.item_factors.T
    scores[board.toarray() > 0] = -np.inf
    assert scores.argmax(axis=1).tolist() == list(range(40))


@pytest.mark.parametrize("frequency_scaling", [0.0, 0.7])
def test_the_loss_falls_with_every_sweep(frequency_scaling: float) -> None:
    config = msgspec.structs.replace(SMALL, frequency_scaling=frequency_scaling)
    losses = fit_als(checkerboard(40), config, with_losses=True).losses
    assert len(losses) == SMALL.iterations
    assert all(later <= earlier for earlier, later in pairwise(losses))


def test_the_same_input_gives_the_same_bits_whatever_the_threads() -> None:
    rng = np.random.default_rng(1)
    matrix = sparse.csr_array(rng.random((300, 200), np.float32) * (rng.random((300, 200)) < 0.05))
    one, again = (fit_als(matrix, msgspec.structs.replace(SMALL, threads=threads)) for threads in (1, 2))
    assert np.array_equal(one.user_factors, again.user_factors)
    assert np.array_equal(one.item_factors, again.item_factors)


def test_another_seed_gives_another_model() -> None:
    seeds = (fit_als(checkerboard(10), msgspec.structs.replace(SMALL, seed=seed)) for seed in (1, 2))
    first, second = seeds
    assert not np.array_equal(first.user_factors, second.user_factors)


def test_an_empty_matrix_gives_zero_factors() -> None:
    model = fit_als(sparse.csr_array((3, 4), dtype=np.float32), SMALL, with_losses=True)
    assert (model.user_factors.shape, model.item_factors.shape, model.losses) == ((3, 8), (4, 8), ())
    assert not model.user_factors.any()


@pytest.mark.parametrize("weighting", ["none", "bm25"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_one_shopper_or_one_item_is_enough(shape: tuple[int, int], weighting: str) -> None:
    model = fit_als(
        sparse.csr_array(np.ones(shape, np.float32)), msgspec.structs.replace(SMALL, weighting=weighting)
    )
    assert np.isfinite(model.user_factors).all()
    assert ((model.user_factors @ model.item_factors.T) > 0).all()


def test_shoppers_and_items_without_interactions_have_zero_vectors() -> None:
    matrix = checkerboard(6).toarray()
    matrix[2], matrix[:, 3] = 0, 0
    model = fit_als(sparse.csr_array(matrix), SMALL)
    assert not model.user_factors[2].any()
    assert not model.item_factors[3].any()
    assert model.user_factors[[0, 1, 3, 4, 5]].any(axis=1).all()


def test_bm25_is_what_its_formula_says_by_hand() -> None:
    weighted = bm25(sparse.csr_array(np.array([[1.0, 3.0], [0.0, 4.0]], np.float32)), k1=2.0, b=0.5).toarray()
    # two items sold; shopper 0 has both, shopper 1 one; item weights 1 and 7, mean 4
    both, one = np.log1p(0.5 / 2.5), np.log1p(1.5 / 1.5)
    light, heavy = 0.5 + 0.5 * 1 / 4, 0.5 + 0.5 * 7 / 4
    by_hand = [
        [1 * 3 / (2 * light + 1) * both, 3 * 3 / (2 * heavy + 3) * both],
        [0.0, 4 * 3 / (2 * heavy + 4) * one],
    ]
    assert weighted == pytest.approx(np.array(by_hand), rel=1e-6)
    assert both > 0  # also a shopper of every item keeps positive weights


def test_the_stage_writes_factors_and_the_loss_by_sweep(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, "r1", date(2024, 3, 1), Console(file=StringIO()))
    run.path.mkdir(parents=True)
    day = date(2024, 2, 1)
    users = [(row, f"u{row}", "", day, day, 1) for row in range(2)]
    items = [(row, f"i{row}", "T", "A", "", 1.0, None, day, "active", None, "{}") for row in range(3)]
    lines = [(day, user, item, f"o{user}", 1.0, 1.0, "", "") for user in range(2) for item in range(2)]
    for name, rows, schema in (
        ("users", users, USERS),
        ("items", items, ITEMS),
        ("purchases", lines, PURCHASES),
        ("behaviour", [], BEHAVIOUR),
    ):
        write_artefact(pl.DataFrame(rows, schema=schema, orient="row"), run.path / f"{name}.parquet", name)
    run.execute([als_stage(InteractionsConfig(min_item_users=2), SMALL)])
    assert np.load(run.path / "user_factors.npy").shape == (2, 8)
    assert np.load(run.path / "item_factors.npy").any(axis=1).tolist() == [True, True, False]
    assert len(msgspec.json.decode((run.path / "als.json").read_bytes())["losses"]) == SMALL.iterations


@pytest.mark.parametrize("size", [2, 10, 200])
@pytest.mark.parametrize("frequency_scaling", [0.0, 1.0])
def test_the_penalty_leaves_something_in_a_shop_of_any_size(size: int, frequency_scaling: float) -> None:
    # Everybody met everything: the best one factor for it scores c / (1 + c), and a penalty of one mean
    # confidence on both sides takes half of that away, two would take all.
    config = AlsConfig(
        factors=4,
        regularization=1.0,
        alpha=3.0,
        weighting="none",
        frequency_scaling=frequency_scaling,
        iterations=30,
    )
    model = fit_als(sparse.csr_array(np.ones((size, size), np.float32)), config)
    assert model.user_factors @ model.item_factors.T == pytest.approx(0.375, rel=1e-3)


def test_the_last_loss_is_what_the_formula_says_of_the_factors() -> None:
    rng = np.random.default_rng(5)
    weights = rng.random((12, 9), np.float32) * (rng.random((12, 9)) < 0.4)
    weights[0, 0] = 1.0
    config = msgspec.structs.replace(SMALL, weighting="none", frequency_scaling=0.5, alpha=3.0)
    confidences = confidences_of(sparse.csr_array(weights), config)
    penalties = penalties_of(confidences, regularization=0.1, frequency_scaling=0.5)
    with threadpool_limits(limits=1, user_api="blas"):  # implicit warns of more
        model = PenalisedAls(config, penalties)
    model.user_factors = rng.normal(size=(12, 8)).astype(np.float32)
    model.item_factors = rng.normal(size=(9, 8)).astype(np.float32)
    held = confidences.toarray()
    scores = model.user_factors @ model.item_factors.T
    error = scores**2 + held * (1.0 - scores) ** 2
    lengths = penalties.users @ (model.user_factors**2).sum(axis=1)
    lengths += penalties.items @ (model.item_factors**2).sum(axis=1)
    by_hand = (error.sum() + lengths) / (1.0 + held).sum()
    assert model.loss(confidences) == pytest.approx(by_hand, rel=1e-5)
