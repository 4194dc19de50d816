"""Owns the collaborative model: implicit-feedback alternating least squares, and the stage `als`.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008), in implicit's loop
with a solver of our own (`training.solver`), the shoppers exactly in the end.  It differs from implicit's
model in two things, both as in Rendle, Krichene, Zhang and Koren, "Revisiting the Performance of iALS on Item
Recommendation Benchmarks" (2022): a weak interaction is aimed at a low score instead of counting little
towards a high one, and the penalty of a vector may grow with what is known of the shopper or item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from recdata.artefacts import read_artefact, scan_artefact
from recdata.config import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig, Share
from recdata.runs import Stage, StageContext
from recdata.snapshot.records import FoldIn
from training.interactions import InteractionsConfig, build_interactions
from training.solver import improve_rows, solve_rows, squared_error
from training.weights import Penalties, bm25, penalties_of

Matrix = sparse.csr_array[np.float32, tuple[int, int]]
Factors = NDArray[np.float32]

#: Steps of conjugate gradient in each half sweep; each starts from the last sweep's vectors.
STEPS = 3


class AlsConfig(RoomConfig, frozen=True):
    """`[training.als]`: the collaborative model."""

    # Length of each shopper's and item's vector; 16 to 256 is usual.
    factors: PositiveInt = 128
    # Mean penalty on the squared length of the vectors, in mean confidences of a vector, so that it means the
    # same in a shop of any size; 0 or more, and from 2 on it can leave nothing.
    regularization: NonNegativeFloat = 1.0
    # How a vector's penalty grows with the weight of all its pairs, 1 each and the confidence of those that
    # met: its power, from 0 (one penalty for all) to 1 (in proportion).
    frequency_scaling: Share = 0.0
    # Confidence of an interaction is alpha times its weight: it counts so much towards a score of 1, while
    # every pair, also one that never met, counts 1 towards a score of 0; above 0.
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
    penalties = penalties_of(
        confidences, regularization=config.regularization, frequency_scaling=config.frequency_scaling
    )
    losses: list[float] = []

    def swept(_sweep: int, _seconds: float, _loss: float | None) -> None:
        if with_losses:
            losses.append(float(f"{model.loss(confidences):.6g}"))
        if on_sweep is not None:
            on_sweep(1)

    # BLAS threads inside our own slow the fit: https://github.com/benfred/implicit/issues/649
    with threadpool_limits(limits=1, user_api="blas"):
        model = PenalisedAls(config, penalties)
        model.fit(sparse.csr_matrix(confidences), show_progress=False, callback=swept)
    item_factors = np.asarray(model.item_factors)
    user_factors = solve_rows(confidences, item_factors, penalties=penalties.users, threads=config.threads)
    return AlsModel(user_factors, item_factors, tuple(losses))


class PenalisedAls(AlternatingLeastSquares):  # type: ignore[misc] # implicit has no types
    """implicit's start vectors and sweeps, with a solver that knows a penalty for every row."""

    def __init__(self, config: AlsConfig, penalties: Penalties) -> None:
        super().__init__(
            factors=config.factors,
            iterations=config.iterations,
            random_state=config.seed,
            num_threads=config.threads,
        )
        self._penalties = penalties

    @property
    def solver(self) -> Callable[..., None]:
        """Returns what improves one side's vectors in place; it heeds no scalar penalty."""
        return self._improve

    def loss(self, confidences: Matrix) -> float:
        """Returns the mean of all pairs' weighted squared error, penalties included."""
        loss = squared_error(confidences, self.user_factors, self.item_factors, threads=self.num_threads)
        for vectors, penalties in (
            (self.user_factors, self._penalties.users),
            (self.item_factors, self._penalties.items),
        ):
            loss += float(penalties @ np.einsum("nf,nf->n", vectors, vectors))
        n_users, n_items = confidences.shape
        return loss / (float(confidences.sum(dtype=np.float64)) + n_users * n_items)

    def _improve(
        self,
        confidences: sparse.csr_matrix[np.float32],
        rows: Factors,
        others: Factors,
        _regularization: float,
        *,
        num_threads: int,
    ) -> None:
        penalties = self._penalties.users if rows is self.user_factors else self._penalties.items
        improve_rows(confidences, rows, others, penalties=penalties, steps=STEPS, threads=num_threads)


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
    penalties = penalties_of(
        confidences, regularization=config.regularization, frequency_scaling=config.frequency_scaling
    )
    return FoldIn(
        penalty=penalties.scale,
        alpha=config.alpha,
        event_weights={kind: weight for kind, weight in weights.items() if weight > 0},
        bm25_k1=config.bm25_k1 if config.weighting == "bm25" else 0.0,
        n_sold=int(np.count_nonzero(np.bincount(confidences.indices))),
        frequency_scaling=config.frequency_scaling,
    )


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
        version=4,
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
