"""Owns that the parts are the whole: items add up to their category, categories to the shop, day by day.

What is above decides: the shop's forecast scales the categories', theirs scale the items'. Then every item is
held below a multiple of the most it ever sold in four weeks, and the sums are taken from the items up, so
that they agree exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CAP_DAYS, CAP_STRIDE, CAP_MIN_AGE = 28, 14, 7
#: Below this many units a day nothing is held down: one sale a month is nothing explosive.
CAP_FLOOR = 1.0 / 28


def caps(units: Floats | sparse.csc_matrix, launched: Ints, multiple: float) -> Floats:
    """Returns the most units a day that a series may be forecast on average, float64 `(n,)`.

    Args:
        units: a day up to the origin, `(n, origin)`.
        launched: day of launch, int64 `(n,)`; a series younger than four weeks is judged by its own days.
        multiple: of the highest rate in any four weeks.
    """
    n, origin = units.shape
    if origin == 0:
        return np.full(n, CAP_FLOOR)
    ends = np.arange(origin, 0, -CAP_STRIDE)
    number = np.arange(origin)[:, None]
    window = ((number < ends) & (number >= ends - CAP_DAYS)).astype(np.float64)
    highest = np.asarray(units @ window).max(axis=1)
    days = np.clip(origin - launched, CAP_MIN_AGE, CAP_DAYS)
    return np.asarray(np.maximum(multiple * np.maximum(highest, 0.0) / days, CAP_FLOOR), dtype=np.float64)


def held(days: Floats, cap: Floats) -> Floats:
    """Returns forecasts whose mean over the horizon is at most their cap, float64 `(n, horizon)`."""
    mean = days.mean(axis=1)
    factor = np.minimum(1.0, cap / np.maximum(mean, 1e-300))
    return np.asarray(days * factor[:, None], dtype=np.float64)


def reconciled(
    items: Floats, category: Ints, categories: Floats, shop: Floats, cap: Floats
) -> tuple[Floats, Floats, Floats]:
    """Returns items, categories and shop that agree, in the given shapes.

    Args:
        items: units by day, float64 `(n_items, horizon)`.
        category: row in `categories` by item, int64 `(n_items,)`, -1 for none.
        categories: float64 `(n_categories, horizon)`.
        shop: float64 `(horizon,)`.
        cap: by item, units a day on average.
    """
    n = len(categories)
    row = np.where(category < 0, n, category)
    into = sparse.csr_matrix((np.ones(len(row)), (row, np.arange(len(row)))), shape=(n + 1, len(row)))
    items = held(np.maximum(items, 0.0), cap)
    sums = np.asarray(into @ items)
    # What no item carries has nobody to sell it; what has no category stands for itself.
    wanted = np.where(sums > 0, np.concatenate([np.maximum(categories, 0.0), sums[-1:]]), 0.0)
    together = wanted.sum(axis=0)
    wanted = wanted * np.where(together > 0, np.maximum(shop, 0.0) / np.maximum(together, 1e-300), 0.0)
    factor = wanted / np.maximum(sums, 1e-300)
    items = held(items * factor[row], cap)
    sums = np.asarray(into @ items)
    return items, sums[:n], np.asarray(sums.sum(axis=0), dtype=np.float64)
