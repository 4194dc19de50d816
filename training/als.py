"""Owns the collaborative model: implicit-feedback alternating least squares, and the stage `als`.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008), equations 4 and 5,
solved by implicit's conjugate gradient, the shoppers exactly in the end.  The weights may first be put
through BM25, so that neither heavy shoppers nor items that everybody buys own the factors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from implicit.cpu.als import AlternatingLeastSquares, calculate_loss
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from recdata.artefacts import read_artefact, scan_artefact
from recdata.config import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig, Share
from recdata.runs import Stage, StageContext
from recdata.snapshot.records import FoldIn
from training.exact import exact_user_factors
from training.interactions import InteractionsConfig, build_interactions

Matrix = sparse.csr_array[np.float32, tuple[int, int]]
Factors = NDArray[np.float32]


class AlsConfig(RoomConfig, frozen=True):
    """`[training.als]`: the collaborative model."""

    # Length of each shopper's and item's vector; 16 to 256 is usual.
    factors: PositiveInt = 96
    # Penalty on the squared length of the vectors, in mean confidences of a vector, so that it means the same
    # in a shop of any size; 0 or more, and from 2 on it can leave nothing.
    regularization: NonNegativeFloat = 1.0
    # Confidence of an interaction is alpha times its weight, against 1 for a pair that never met; above 0.
    alpha: PositiveFloat = 0.2
    # Sweeps over all shoppers and all items; 1 to 100.
    iterations: PositiveInt = 10
    # bm25 damps heavy shoppers, and by bm25_b common items, before the fit; none takes weights as they are.
    weighting: Literal["bm25", "none"] = "bm25"
    # BM25's saturation: the weight at which repeating an interaction stops counting; above 0.
    bm25_k1: PositiveFloat = 100.0
    # BM25's length normalisation, 0 (none) to 1 (full).
    bm25_b: Share = 0.0
    # Seed of the starting vectors.
    seed: NonNegativeInt = 7
    # Threads of the fit; 0 means every core.  The factors do not depend on it.
    threads: NonNegativeInt = 0


@dataclass(frozen=True, slots=True)
class AlsModel:
    """A fitted model; a shopper's score for an item is the dot product of their vectors.

    Attributes:
        user_factors: `(n_users, factors)` float32, exact for `item_factors`; zeros for shoppers without
            interactions.
        item_factors: `(n_items, factors)` float32; zeros for items without interactions.
        losses: weighted squared error after each sweep, a pair's mean; empty unless asked for.
    """

    user_factors: Factors
    item_factors: Factors
    losses: tuple[float, ...]


def bm25(matrix: Matrix, *, k1: float, b: float) -> Matrix:
    """Returns the weights by BM25, items as documents and shoppers as terms; always above zero.

    Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), equation 3.15, with the inverse
    document frequency log(1 + (n - n_t + 0.5) / (n_t + 0.5)), which stays positive for a shopper of every
    item.
    """
    if matrix.nnz == 0:
        return matrix.copy()
    pairs = matrix.tocoo()
    users, items = pairs.coords
    n_sold = np.count_nonzero(np.bincount(items, minlength=matrix.shape[1]))
    user_items = np.bincount(users, minlength=matrix.shape[0])
    rarity = np.log1p((n_sold - user_items + 0.5) / (user_items + 0.5))
    item_weight = np.bincount(items, weights=pairs.data, minlength=matrix.shape[1])
    length = 1.0 - b + b * item_weight / (item_weight.sum() / n_sold)
    saturated = pairs.data * (k1 + 1.0) / (k1 * length[items] + pairs.data)
    weighted = (saturated * rarity[users]).astype(np.float32)
    return sparse.csr_array((weighted, (users, items)), shape=matrix.shape)


def fit_als(
    matrix: Matrix,
    config: AlsConfig,
    *,
    on_sweep: Callable[[int], None] | None = None,
    with_losses: bool = False,
) -> AlsModel:
    """Returns the model fitted to `(n_users, n_items)` weights; equal input gives equal factors.

    An empty matrix gives zero factors and no losses.

    Args:
        matrix: weights above zero; empty rows and columns get zero vectors.
        config: size, strength and seed.
        on_sweep: called with 1 after every sweep.
        with_losses: True computes the loss after every sweep, which takes a fifth of the time.
    """
    n_users, n_items = matrix.shape
    if matrix.nnz == 0:
        return AlsModel(
            np.zeros((n_users, config.factors), np.float32),
            np.zeros((n_items, config.factors), np.float32),
            (),
        )
    confidences = confidences_of(matrix, config)
    confidence = sparse.csr_matrix(confidences)
    penalty = config.regularization * mean_confidence(confidence)
    losses: list[float] = []
    # BLAS threads inside the solver's own threads slow the fit tenfold:
    # https://github.com/benfred/implicit/issues/649
    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=penalty,
            alpha=1.0,
            iterations=config.iterations,
            random_state=config.seed,
            num_threads=config.threads,
        )

        def swept(_sweep: int, _seconds: float, _loss: float | None) -> None:
            # One thread: the parallel sum's order, and so its last digits, would change from run to run.
            if with_losses:
                loss = calculate_loss(
                    confidence, model.user_factors, model.item_factors, penalty, num_threads=1
                )
                losses.append(float(f"{loss:.6g}"))
            if on_sweep is not None:
                on_sweep(1)

        model.fit(confidence, show_progress=False, callback=swept)
    item_factors = np.asarray(model.item_factors)
    user_factors = exact_user_factors(confidences, item_factors, penalty=penalty, threads=config.threads)
    return AlsModel(user_factors, item_factors, tuple(losses))


def confidences_of(matrix: Matrix, config: AlsConfig) -> Matrix:
    """Returns the confidence of each of the `(n_users, n_items)` weights, columns ascending."""
    if config.weighting == "bm25":
        matrix = bm25(matrix, k1=config.bm25_k1, b=config.bm25_b)
    confidences = sparse.csr_array(matrix * np.float32(config.alpha))
    confidences.sort_indices()
    return confidences


def fold_in_of(confidences: Matrix, interactions: InteractionsConfig, config: AlsConfig) -> FoldIn | None:
    """Returns what it takes to solve a shopper's vector anew with events of today; None without a model.

    BM25's length normalisation is not in it: it needs the item's whole weight, so with `bm25_b` above 0 an
    event of today counts as one of an item of mean weight.
    """
    if confidences.nnz == 0:
        return None
    weights = {"purchase": interactions.purchase_weight, **interactions.event_weights()}
    return FoldIn(
        penalty=config.regularization * mean_confidence(sparse.csr_matrix(confidences)),
        alpha=config.alpha,
        event_weights={kind: weight for kind, weight in weights.items() if weight > 0},
        bm25_k1=config.bm25_k1 if config.weighting == "bm25" else 0.0,
        n_sold=int(np.unique(confidences.indices).size),
    )


def mean_confidence(confidence: sparse.csr_matrix[np.float32]) -> float:
    """Returns the sum of all confidences over the number of shoppers and items that have any."""
    vectors = np.count_nonzero(np.diff(confidence.indptr)) + np.unique(confidence.indices).size
    return float(confidence.data.sum(dtype=np.float64) / vectors)


def convergence(losses: Sequence[float]) -> str:
    """Returns in words how far the loss came down and whether it still falls."""
    if not losses:
        return "nothing to fit"
    said = f"loss {losses[0]:.6g} -> {losses[-1]:.6g} in {len(losses)} sweeps"
    if len(losses) > 1 and losses[-2]:
        said += f"; the last one changed it by {losses[-1] / losses[-2] - 1:+.2%}"
    return said


def als_stage(interactions: InteractionsConfig, als: AlsConfig) -> Stage:
    """Returns the stage that fits the model on everything before the run's `as_of`."""

    def work(ctx: StageContext) -> dict[str, object]:
        matrix = build_interactions(
            scan_artefact(ctx.source("purchases.parquet"), "purchases"),
            scan_artefact(ctx.source("behaviour.parquet"), "behaviour"),
            read_artefact(ctx.source("users.parquet"), "users").height,
            read_artefact(ctx.source("items.parquet"), "items").height,
            as_of=ctx.run.as_of,
            config=interactions,
        )
        with ctx.bar("alternating least squares", total=als.iterations) as advance:
            model = fit_als(matrix, als, on_sweep=advance, with_losses=True)
        np.save(ctx.target("user_factors.npy"), model.user_factors)
        np.save(ctx.target("item_factors.npy"), model.item_factors)
        confidences = confidences_of(matrix, als)
        np.save(ctx.target("interacted_starts.npy"), confidences.indptr.astype(np.int64))
        np.save(ctx.target("interacted_rows.npy"), confidences.indices.astype(np.int32))
        np.save(ctx.target("confidences.npy"), confidences.data)
        summary = {
            "interactions": int(matrix.nnz),
            "users_with_factors": int(np.count_nonzero(model.user_factors.any(axis=1))),
            "items_with_factors": int(np.count_nonzero(model.item_factors.any(axis=1))),
            "losses": list(model.losses),
            "fold_in": msgspec.to_builtins(fold_in_of(confidences, interactions, als)),
        }
        ctx.target("als.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary)))
        ctx.console.print(f"   {convergence(model.losses)}", style="dim")
        return summary

    return Stage(
        name="als",
        version=3,
        inputs=("users.parquet", "items.parquet", "purchases.parquet", "behaviour.parquet"),
        outputs=(
            "user_factors.npy",
            "item_factors.npy",
            "interacted_starts.npy",
            "interacted_rows.npy",
            "confidences.npy",
            "als.json",
        ),
        work=work,
        config={"interactions": interactions, "als": als},
    )
