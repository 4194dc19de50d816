"""Owns the inner loops of the collaborative model's solver, which numba compiles.

They are written out number by number: numba makes such loops into the processor's vector instructions, while
it would make a new array of every array expression.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]


def conjugate_gradient(
    starts: Numbers,
    met: Numbers,
    confidences: Numbers,
    others: Numbers,
    gramian: Numbers,
    penalties: Numbers,
    x: Numbers,
    steps: int,
    rest: float,
) -> None:
    """Improves the vectors `x` in place.

    Preconditioned by the diagonal (Jacobi); the notation is that of Shewchuk (1994), B3.

    Args:
        starts: `(n + 1,)`, where each row's interactions begin in `met` and `confidences`.
        met: columns of the interactions.
        confidences: float32, one an interaction.
        others: `(n_others, f)`, turned so that their Gramian is a diagonal.
        gramian: `(f,)`, that diagonal.
        penalties: `(n,)`.
        x: `(n, f)`, of the type that is reckoned in, as all of the above but `confidences`.
        steps: taken at most.
        rest: share of the first step's squared residual at which a row is done.
    """
    f = x.shape[1]
    one = x.dtype.type(1)
    diagonal, scale = np.empty(f, x.dtype), np.empty(f, x.dtype)
    r, d, q = np.empty(f, x.dtype), np.empty(f, x.dtype), np.empty(f, x.dtype)
    for row in range(x.shape[0]):
        xs = x[row]
        if starts[row] == starts[row + 1]:
            xs[:] = 0
            continue
        for k in range(f):
            diagonal[k] = gramian[k] + penalties[row]
            scale[k] = diagonal[k]
            r[k] = -diagonal[k] * xs[k]
        for at in range(starts[row], starts[row + 1]):
            y = others[met[at]]
            score = x.dtype.type(0)
            for k in range(f):
                score += y[k] * xs[k]
            pull = confidences[at] * (one - score)
            for k in range(f):
                r[k] += pull * y[k]
                scale[k] += confidences[at] * y[k] * y[k]
        left = x.dtype.type(0)
        for k in range(f):
            # Where nothing is, nothing moves.
            scale[k] = one / scale[k] if scale[k] > 0 else x.dtype.type(0)
            d[k] = scale[k] * r[k]
            left += r[k] * d[k]
        enough = rest * left
        for _ in range(steps):
            if not (left > enough and left > 0):
                break
            for k in range(f):
                q[k] = diagonal[k] * d[k]
            for at in range(starts[row], starts[row + 1]):
                y = others[met[at]]
                score = x.dtype.type(0)
                for k in range(f):
                    score += y[k] * d[k]
                score *= confidences[at]
                for k in range(f):
                    q[k] += score * y[k]
            curvature = x.dtype.type(0)
            for k in range(f):
                curvature += d[k] * q[k]
            if not curvature > 0:
                break
            length = left / curvature
            before = left
            left = x.dtype.type(0)
            for k in range(f):
                xs[k] += length * d[k]
                r[k] -= length * q[k]
                left += r[k] * r[k] * scale[k]
            turn = left / before
            for k in range(f):
                d[k] = scale[k] * r[k] + turn * d[k]


def squared_error_of_met(
    starts: Numbers, met: Numbers, confidences: Numbers, rows: Numbers, others: Numbers
) -> float:
    """Returns what the pairs that were met add to the error beyond their squared score."""
    total = 0.0
    for row in range(rows.shape[0]):
        x = rows[row]
        for at in range(starts[row], starts[row + 1]):
            y = others[met[at]]
            score = np.float32(0.0)
            for k in range(x.shape[0]):
                score += x[k] * y[k]
            total += confidences[at] * (1.0 - score) * (1.0 - score)
    return total
