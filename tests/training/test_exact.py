"""The shoppers' vectors, those of training and those folded in by the server, against implicit's own."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

import training.exact as exact
from recdata.foldin import FoldedIn, confidence
from training.als import AlsConfig, confidences_of, fit_als, fold_in_of, mean_confidence
from training.exact import exact_user_factors
from training.interactions import InteractionsConfig

PENALTY = 0.3


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
    return FoldedIn(items.T @ items, items[confidences.indices[met]], confidences.data[met], penalty=PENALTY)


def test_vectors_are_those_that_implicit_solves_for(shop, reference) -> None:
    confidences, items = shop
    assert confidences.data.min() < 1 < confidences.data.max()
    ours = exact_user_factors(confidences, items, penalty=PENALTY)
    theirs = reference.recalculate_user(np.arange(60), sparse.csr_matrix(confidences))
    assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert not ours[0].any()


def test_a_vector_folded_in_is_the_one_that_training_stores(shop, reference) -> None:
    confidences, items = shop
    stored = exact_user_factors(confidences, items, penalty=PENALTY)
    for user in range(60):
        assert np.allclose(folded(shop, user).vector, stored[user], rtol=1e-4, atol=1e-5)
        theirs = reference.recalculate_user(user, sparse.csr_matrix(confidences[[user]]))
        assert np.allclose(folded(shop, user).vector, theirs, rtol=1e-4, atol=1e-5)


def test_contributions_are_those_that_implicit_explains(shop, reference) -> None:
    confidences, items = shop
    for user in (1, 7, 30):
        met = confidences.indices[confidences.indptr[user] : confidences.indptr[user + 1]]
        ours = folded(shop, user).contributions(items[[5, 9]])
        for place, item in enumerate((5, 9)):
            total, top, _ = reference.explain(user, sparse.csr_matrix(confidences), item, N=100)
            assert ours[place].sum() == pytest.approx(total, rel=1e-3, abs=1e-5)
            told = dict(top)
            assert ours[place] == pytest.approx([told[row] for row in met.tolist()], rel=1e-3, abs=1e-5)


def test_the_size_of_the_parts_does_not_show(shop, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = exact_user_factors(*shop, penalty=PENALTY, threads=1)
    monkeypatch.setattr(exact, "BLOCK_CELLS", 500)
    assert np.allclose(exact_user_factors(*shop, penalty=PENALTY, threads=2), whole, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("weighting", ["bm25", "none"])
def test_a_fitted_models_shoppers_are_exact_for_its_items(weighting: str, shop) -> None:
    config = AlsConfig(factors=8, alpha=0.7, weighting=weighting, iterations=3)
    weights = shop[0]
    model = fit_als(weights, config)
    confidences = confidences_of(weights, config)
    penalty = config.regularization * mean_confidence(sparse.csr_matrix(confidences))
    assert np.array_equal(
        model.user_factors, exact_user_factors(confidences, model.item_factors, penalty=penalty)
    )
    fold_in = fold_in_of(confidences, InteractionsConfig(), config)
    assert fold_in is not None
    assert fold_in.penalty == pytest.approx(penalty)
    assert fold_in.event_weights == {"purchase": 1.0, "add_to_cart": 0.5, "view": 0.1, "click": 0.1}


@pytest.mark.parametrize("weighting", ["bm25", "none"])
def test_the_confidence_of_an_event_is_that_of_the_same_weight_in_training(weighting: str) -> None:
    # shopper 0 met two of three items sold; shopper 1 one
    weights = sparse.csr_array(np.array([[1.0, 0.1, 0.0, 0.0], [0.0, 0.0, 2.5, 0.0]], np.float32))
    config = AlsConfig(weighting=weighting, alpha=0.2)
    confidences = confidences_of(weights, config).toarray()
    fold_in = fold_in_of(confidences_of(weights, config), InteractionsConfig(), config)
    assert fold_in is not None
    both = [confidence(fold_in.event_weights[kind], 2, fold_in) for kind in ("purchase", "view")]
    assert both == pytest.approx(confidences[0, :2], rel=1e-6)
    assert confidence(2.5, 1, fold_in) == pytest.approx(confidences[1, 2], rel=1e-6)


def test_without_interactions_nothing_can_be_folded_in() -> None:
    nothing = sparse.csr_array((3, 4), dtype=np.float32)
    config = msgspec.structs.replace(AlsConfig(), factors=4)
    assert fold_in_of(confidences_of(nothing, config), InteractionsConfig(), config) is None
