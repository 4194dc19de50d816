"""Every array that a snapshot holds, with plain values where a test does not say otherwise."""

from __future__ import annotations

import numpy as np


def snapshot_arrays(n_items: int, **given: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the arrays of items of which nothing is known but that they can be sold; `given` replaces."""
    factors = given.get("item_factors", np.zeros((n_items, 2), np.float32))
    plain = {
        "item_factors": factors,
        "item_gramian": factors.T @ factors,
        "similar_rows": np.full((n_items, 1), -1, np.int32),
        "similar_scores": np.zeros((n_items, 1), np.float32),
        "together_rows": np.full((n_items, 1), -1, np.int32),
        "together_lifts": np.zeros((n_items, 1), np.float32),
        "together_orders": np.zeros((n_items, 1), np.int32),
        "item_orders": np.zeros(n_items, np.int32),
        "active": np.ones(n_items, np.bool_),
        "sellable": np.ones(n_items, np.bool_),
        "price": np.full(n_items, np.nan),
        "unit_cost": np.full(n_items, np.nan),
        "stock": np.full(n_items, -1, np.int64),
        "daily_demand": np.full(n_items, np.nan, np.float32),
        "category_codes": np.full(n_items, -1, np.int32),
    }
    return plain | given
