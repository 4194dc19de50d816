"""The shoppers' vectors, those of training and those folded in by the server, against implicit's own."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

import training.solver as solver
from recdata.foldin import FoldedIn, fold_in
from recdata.machine_code import compiled
from recdata.snapshot.records import FoldIn
from training.als import AlsConfig, confidences_of, fit_als, fold_in_of
from training.interactions import InteractionsConfig
from training.solver import gramian_of, improve_rows, solve_rows, squared_error
from training.weights import penalties_of

PENALTY = 0.3
ONE_PENALTY = np.full(60, PENALTY)


@pytest.fixture(scope="module")
def shop() -> tuple[sparse.csr_array, np.ndarray]:
    """Confidences from 0.1 to 6, so on both sides of 1, of 60 shoppers of whom the first met nothing."""
    rng = np.random.default_rng(3)
    held = (rng.random((60, 40)) < rng.random((60, 1)) * 0.5) * (0.1 + 5.9 * rng.random((60, 40)) ** 3)
    held[0] = 0
    return sparse.csr_array(held.astype(np.float32)), rng.normal(0, 0.3, (40, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def reference(shop: tuple[sparse.csr_array, np.ndarray]) -> AlternatingLeastSquares:
    with threadpool_limits(limits=1, user_api="blas"):  # it warns of more
        model = AlternatingLeastSquares(factors=8, regularization=PENALTY, alpha=1.0, num_threads=1)
    model.item_factors = shop[1]
    return model


def folded(shop: tuple[sparse.csr_array, np.ndarray], user: int) -> FoldedIn:
    confidences, items = shop
    met = slice(confidences.indptr[user], confidences.indptr[user + 1])
    settings = FoldIn(penalty=PENALTY, alpha=1.0, event_weights={})
    rows, held = confidences.indices[met], confidences.data[met]
    return fold_in(rows, held, {}, settings, gramian=items.T @ items, factors=items)


def test_vectors_solve_the_equations_with_a_penalty_for_every_row(shop) -> None:
    confidences, items = shop
    assert confidences.data.min() < 1 < confidences.data.max()
    penalties = np.linspace(0.01, 5.0, 60)
    ours = solve_rows(confidences, items, penalties=penalties)
    assert not ours[0].any()
    for user in range(1, 60):
        held = confidences[[user]].toarray()[0].astype(np.float64)
        left = items.T @ ((1.0 + held)[:, None] * items) + penalties[user] * np.eye(8)
        assert np.allclose(ours[user], np.linalg.solve(left, held @ items), rtol=1e-5, atol=1e-7)


def test_with_one_confidence_for_all_vectors_are_those_of_implicit_but_for_their_length(
    shop, reference
) -> None:
    confidences, items = shop
    even = sparse.csr_array((confidences > 0).astype(np.float32) * np.float32(3.0))
    ours = solve_rows(even, items, penalties=ONE_PENALTY)
    # implicit's confidence is the whole weight of a pair that met, and all of it counts towards 1
    theirs = reference.recalculate_user(np.arange(60), sparse.csr_matrix(even + (even > 0)))
    assert np.allclose(ours, theirs * (3.0 / 4.0), rtol=1e-4, atol=1e-5)


def test_a_vector_folded_in_is_the_one_that_training_stores(shop) -> None:
    confidences, items = shop
    stored = solve_rows(confidences, items, penalties=ONE_PENALTY)
    for user in range(60):
        assert np.allclose(folded(shop, user).vector, stored[user], rtol=1e-4, atol=1e-5)


def test_contributions_are_those_that_implicit_explains(shop, reference) -> None:
    confidences, items = shop
    whole = sparse.csr_matrix(confidences)
    whole.data = whole.data + 1
    for user in (1, 7, 30):
        met = slice(confidences.indptr[user], confidences.indptr[user + 1])
        ours = folded(shop, user).contributions(np.array([5, 9]))
        assert ours.sum(axis=1) == pytest.approx(
            items[[5, 9]] @ folded(shop, user).vector, rel=1e-4, abs=1e-6
        )
        for place, item in enumerate((5, 9)):
            _, top, _ = reference.explain(user, whole, item, N=100)
            told = dict(top)  # which counts each pair's whole weight
            parts = [
                told[row] * held / (1 + held)
                for row, held in zip(
                    confidences.indices[met].tolist(), confidences.data[met].tolist(), strict=True
                )
            ]
            assert ours[place] == pytest.approx(parts, rel=1e-3, abs=1e-5)


def test_sweeps_come_nearer_to_the_solution_with_every_step(shop) -> None:
    confidences, items = shop
    solution = solve_rows(confidences, items, penalties=ONE_PENALTY)
    away = []
    for steps in (1, 3, 6, 12):
        rows = np.random.default_rng(1).normal(size=(60, 8)).astype(np.float32)
        improve_rows(confidences, rows, items, penalties=ONE_PENALTY, steps=steps)
        assert not rows[0].any()
        away.append(np.abs(rows - solution).max())
    assert away == sorted(away, reverse=True)
    assert away[-1] < 1e-5


def test_neither_the_size_of_the_blocks_nor_the_threads_show(shop, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = solve_rows(*shop, penalties=ONE_PENALTY, threads=1)
    monkeypatch.setattr(solver, "BLOCK_PAIRS", 50)
    monkeypatch.setattr(solver, "TURN_ROWS", 7)
    split, again = (solve_rows(*shop, penalties=ONE_PENALTY, threads=threads) for threads in (1, 2))
    assert np.array_equal(split, again)
    assert np.allclose(split, whole, rtol=1e-5, atol=1e-7)
    assert np.allclose(gramian_of(shop[1]), shop[1].T @ shop[1], rtol=1e-5)


def test_the_squared_error_is_that_of_all_pairs(shop) -> None:
    confidences, items = shop
    rows = np.random.default_rng(2).normal(size=(60, 8)).astype(np.float32)
    held = confidences.toarray()
    scores = rows @ items.T
    by_hand = (scores**2 + held * (1.0 - scores) ** 2).sum()
    assert squared_error(confidences, rows, items) == pytest.approx(by_hand, rel=1e-5)


def test_more_factors_than_items_and_no_penalty_leave_finite_vectors(shop) -> None:
    confidences = shop[0]
    items = np.random.default_rng(4).normal(size=(40, 64)).astype(np.float32)
    rows = np.zeros((60, 64), np.float32)
    improve_rows(confidences, rows, items, penalties=np.zeros(60), steps=3)
    assert np.isfinite(rows).all()
    assert np.isfinite(solve_rows(confidences, items, penalties=np.zeros(60))).all()


def test_a_function_without_a_file_is_compiled_though_nothing_can_be_kept() -> None:
    names: dict[str, object] = {}
    exec("def double(x):\n    return 2 * x", names)
    assert compiled(names["double"])(21) == 42


def test_penalties_grow_with_the_weight_of_all_pairs() -> None:
    # shoppers 0 and 1 met two items and one of the two sold; shopper 2 and item 2 met nothing
    confidences = sparse.csr_array(np.array([[3.0, 2.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]], np.float32))
    mass = np.array([3 + 2 + 2, 0.5 + 2, 3 + 0.5 + 2, 2 + 2])
    for power in (0.0, 0.5, 1.0):
        found = penalties_of(confidences, regularization=0.3, frequency_scaling=power)
        expected = 0.3 * (5.5 / 4) * mass**power / (mass**power).mean()
        assert [*found.users[:2], *found.items[:2]] == pytest.approx(expected.tolist())


@pytest.mark.parametrize("weighting", ["bm25", "none"])
@pytest.mark.parametrize("frequency_scaling", [0.0, 0.6])
def test_a_fitted_models_shoppers_are_those_that_the_server_folds_in(
    weighting: str, frequency_scaling: float, shop
) -> None:
    config = AlsConfig(
        factors=8, alpha=0.7, weighting=weighting, iterations=3, frequency_scaling=frequency_scaling
    )
    weights = shop[0]
    model = fit_als(weights, config)
    confidences = confidences_of(weights, config)
    settings = fold_in_of(confidences, InteractionsConfig(), config)
    assert settings is not None
    assert settings.event_weights == {"purchase": 1.0, "add_to_cart": 0.5, "view": 0.1, "click": 0.1}
    gramian = model.item_factors.T @ model.item_factors
    largest = np.abs(model.user_factors).max()
    for user in range(1, 60):
        met = slice(confidences.indptr[user], confidences.indptr[user + 1])
        held = confidences.data[met]
        rows, items = confidences.indices[met], model.item_factors
        vector = fold_in(rows, held, {}, settings, gramian=gramian, factors=items).vector
        assert np.allclose(vector, model.user_factors[user], rtol=1e-4, atol=1e-5 * largest)


def test_the_penalty_of_today_counts_the_events_of_today(shop) -> None:
    config = AlsConfig(factors=8, weighting="none", frequency_scaling=1.0)
    settings = fold_in_of(confidences_of(shop[0], config), InteractionsConfig(), config)
    assert settings is not None
    assert settings.n_sold == 40
    one, two = np.array([3.0], np.float32), np.array([3.0, 2.0], np.float32)
    gramian, items = shop[1].T @ shop[1], shop[1]
    for rows, held, mass in (([7], one, 3 + 40), ([7, 9], two, 5 + 40)):
        met = np.array(rows, np.int32)
        folded = fold_in(met, held, {}, settings, gramian=gramian, factors=items)
        assert folded.penalty == pytest.approx(settings.penalty * mass)
    # What came since counts in the penalty as what was known does.
    since = fold_in(
        np.array([7], np.int32), one, {9: 2.0 / settings.alpha}, settings, gramian=gramian, factors=items
    )
    assert since.rows.tolist() == [7, 9]
    assert since.penalty == pytest.approx(settings.penalty * (5 + 40))
    again = fold_in(
        np.array([7], np.int32), one, {7: 2.0 / settings.alpha}, settings, gramian=gramian, factors=items
    )
    assert again.confidences.tolist() == pytest.approx([5.0])


@pytest.mark.parametrize("weighting", ["bm25", "none"])
def test_the_confidence_of_an_event_is_that_of_the_same_weight_in_training(weighting: str) -> None:
    # shopper 0 met two of three items sold; shopper 1 one
    weights = sparse.csr_array(np.array([[1.0, 0.1, 0.0, 0.0], [0.0, 0.0, 2.5, 0.0]], np.float32))
    config = AlsConfig(weighting=weighting, alpha=0.2)
    confidences = confidences_of(weights, config).toarray()
    settings = fold_in_of(confidences_of(weights, config), InteractionsConfig(), config)
    assert settings is not None
    items = np.random.default_rng(5).normal(0, 0.3, (4, 32)).astype(np.float32)

    def of(events: dict[int, float]) -> list[float]:
        none = np.empty(0, np.int32), np.empty(0, np.float32)
        return fold_in(*none, events, settings, gramian=items.T @ items, factors=items).confidences.tolist()

    today = settings.event_weights
    assert of({0: today["purchase"], 1: today["view"]}) == pytest.approx(confidences[0, :2], rel=1e-6)
    assert of({2: 2.5}) == pytest.approx([confidences[1, 2]], rel=1e-6)


def test_without_interactions_nothing_can_be_folded_in() -> None:
    nothing = sparse.csr_array((3, 4), dtype=np.float32)
    config = msgspec.structs.replace(AlsConfig(), factors=4)
    assert fold_in_of(confidences_of(nothing, config), InteractionsConfig(), config) is None


@pytest.mark.parametrize("row", [-1, 40])
def test_a_row_that_is_no_item_is_an_error_and_no_crash(row: int, shop) -> None:
    items = shop[1]
    settings = FoldIn(penalty=PENALTY, alpha=1.0, event_weights={})
    one = np.ones(1, np.float32)
    with pytest.raises(IndexError):
        fold_in(np.array([row], np.int32), one, {}, settings, gramian=items.T @ items, factors=items)
