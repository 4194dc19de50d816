"""Owns one side of alternating least squares: each row's vector from the other side's, on every core.

The equation is that of Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets"
(2008), equation 4, with two changes of Rendle, Krichene, Zhang and Koren, "Revisiting the Performance of
iALS on Item Recommendation Benchmarks" (2022): a pair that met counts its confidence towards a score of 1
on top of the 1 that every pair counts towards a score of 0, and every row has a penalty of its own
(`training.weights`).  It is solved by the conjugate gradient: Takács, Pilászy and Tikk, "Applications of the
Conjugate Gradient Method for Implicit Feedback Collaborative Filtering" (2011).

What makes it cheap: all rows share the Gramian of the other side, so the space is first turned by its
eigenvectors.  There the Gramian is a diagonal: multiplying by it costs `f` instead of `f * f` for each row
and step, and it is at once a good preconditioner.  What is left is the row's own interactions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recdata.machine_code import compiled
from training.blocks import in_threads
from training.kernels import conjugate_gradient, squared_error_of_met

Matrix = sparse.csr_array[np.float32, tuple[int, int]] | sparse.csr_matrix[np.float32]
Factors = NDArray[np.float32]
Float64s = NDArray[np.float64]

BLOCK_PAIRS = 1 << 16  # interactions that one thread works through at once
TURN_ROWS = 1 << 13  # rows that one thread turns or multiplies at once
EXACT_STEPS = 1000  # more than any row needs; heavy ones take about a hundred
#: What is left of the squared residual of an exact solution: its error is under a millionth.
EXACT_RESIDUAL = 1e-18


def improve_rows(
    confidences: Matrix, rows: Factors, others: Factors, *, penalties: Float64s, steps: int, threads: int = 0
) -> None:
    """Takes every row's vector some steps of conjugate gradient nearer to its solution, in place.

    The vectors do not depend on the number of threads; a row without interactions gets zeros.

    Args:
        confidences: `(n, n_others)`, above 0 where a row met one of the others.
        rows: `(n, f)`, where to start from, and what is overwritten.
        others: `(n_others, f)`.
        penalties: `(n,)`, on the squared length of each row's vector.
        steps: 1 or more; 3 are enough where every sweep starts from the last one's vectors.
        threads: 0 means every core.
    """
    strengths, axes = _turned_axes(others, threads=threads)
    axes = axes.astype(np.float32)
    turned = np.empty_like(others)
    for _ in in_threads(
        lambda start: np.matmul(_part(others, start), axes, out=_part(turned, start)),
        range(0, len(others), TURN_ROWS),
        threads=threads,
    ):
        pass
    gramian, own = strengths.astype(np.float32), penalties.astype(np.float32)
    kernel = compiled(conjugate_gradient)
    blocks = _blocks(confidences)

    def work(at: int) -> None:
        part = slice(*blocks[at : at + 2].tolist())
        vectors = rows[part] @ axes
        starts = confidences.indptr[part.start : part.stop + 1]
        kernel(starts, confidences.indices, confidences.data, turned, gramian, own[part], vectors, steps, 0.0)
        rows[part] = vectors @ axes.T

    for _ in in_threads(work, range(blocks.size - 1), threads=threads):
        pass


def solve_rows(confidences: Matrix, others: Factors, *, penalties: Float64s, threads: int = 0) -> Factors:
    """Returns every row's vector, `(n, f)` float32, solved in float64; zeros without interactions.

    It is what `recdata.foldin.FoldedIn` solves when the server takes in an event of today, for all rows at
    once, and takes 8 bytes of memory a factor of the others.

    Args:
        confidences: `(n, n_others)`, above 0 where a row met one of the others.
        others: `(n_others, f)`.
        penalties: `(n,)`, on the squared length of each row's vector; above 0 unless the others span all of
            their space.
        threads: 0 means every core.
    """
    strengths, axes = _turned_axes(others, threads=threads)
    turned = np.empty(others.shape)
    for _ in in_threads(
        lambda start: np.matmul(_part(others, start).astype(np.float64), axes, out=_part(turned, start)),
        range(0, len(others), TURN_ROWS),
        threads=threads,
    ):
        pass
    kernel = compiled(conjugate_gradient)
    blocks = _blocks(confidences)
    solved = np.empty((confidences.shape[0], others.shape[1]), np.float32)

    def work(at: int) -> None:
        part = slice(*blocks[at : at + 2].tolist())
        vectors = np.zeros(solved[part].shape)
        starts = confidences.indptr[part.start : part.stop + 1]
        kernel(
            starts,
            confidences.indices,
            confidences.data,
            turned,
            strengths,
            penalties[part],
            vectors,
            EXACT_STEPS,
            EXACT_RESIDUAL,
        )
        solved[part] = vectors @ axes.T

    for _ in in_threads(work, range(blocks.size - 1), threads=threads):
        pass
    return solved


def gramian_of(factors: Factors, *, threads: int = 0) -> Float64s:
    """Returns the factors' transpose times themselves, `(f, f)` float64, the same with any threads."""
    gramian = np.zeros((factors.shape[1], factors.shape[1]))
    for part in in_threads(
        lambda start: _part(factors, start).T @ _part(factors, start),
        range(0, len(factors), TURN_ROWS),
        threads=threads,
    ):
        gramian += part
    return gramian


def squared_error(confidences: Matrix, rows: Factors, others: Factors, *, threads: int = 0) -> float:
    """Returns the weighted squared error, summed over all pairs.

    Without the penalties: every pair counts 1 towards a score of 0, and one that met its confidence towards a
    score of 1 besides.
    """
    kernel = compiled(squared_error_of_met)
    blocks = _blocks(confidences)

    def work(at: int) -> float:
        part = slice(*blocks[at : at + 2].tolist())
        starts = confidences.indptr[part.start : part.stop + 1]
        return float(kernel(starts, confidences.indices, confidences.data, rows[part], others))

    met = sum(in_threads(work, range(blocks.size - 1), threads=threads))
    return met + float((gramian_of(rows, threads=threads) * gramian_of(others, threads=threads)).sum())


def _part(factors: NDArray[Any], start: int) -> NDArray[Any]:
    return factors[start : start + TURN_ROWS]


def _turned_axes(others: Factors, *, threads: int) -> tuple[Float64s, Float64s]:
    """Returns the Gramian's eigenvalues `(f,)`, 0 or more, and its eigenvectors `(f, f)`, by column."""
    strengths, axes = np.linalg.eigh(gramian_of(others, threads=threads))
    return np.maximum(strengths, 0.0), axes


def _blocks(confidences: Matrix) -> NDArray[np.int64]:
    """Returns where blocks of rows of about `BLOCK_PAIRS` interactions begin, and where the last one ends."""
    wanted = np.arange(0, confidences.nnz, BLOCK_PAIRS)
    inner = np.searchsorted(confidences.indptr, wanted)
    return np.unique(np.concatenate([[0], inner, [confidences.shape[0]]])).astype(np.int64)
