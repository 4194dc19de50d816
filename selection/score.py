"""Owns the score: signals scaled to components between 0 and 1, weighed and summed. Pure NumPy, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selection.config import WeightsConfig

Floats = NDArray[np.float64]

#: In the order in which they are shown; the keys of `WeightsConfig`.
COMPONENTS = ("demand", "sales", "buyers", "trend", "repurchase", "order_value")


@dataclass(frozen=True, slots=True)
class Signals:
    """What an item's score is computed from; each array is float64, (n_items,), finite.

    Attributes:
        demand_value: forecast demand of the horizon in money.
        recent_revenue: revenue of the recent window a day, in money.
        base_revenue: revenue of the base window a day, in money.
        buyers: distinct buyers in the base window.
        trend: shrunk growth of the order rate, above -1.
        repurchase_rate: 0..1.
        order_value: mean value of the orders that contain the item, in money.
    """

    demand_value: Floats
    recent_revenue: Floats
    base_revenue: Floats
    buyers: Floats
    trend: Floats
    repurchase_rate: Floats
    order_value: Floats


def components(signals: Signals) -> dict[str, Floats]:
    """Returns component name -> (n_items,) float64 in 0..1.

    Scales are the shop's own, so a component compares items of one origin, not of two.

    - demand, sales, buyers: log(1 + x / mean) / log(1 + max / mean), the mean over items with any. The
      best of the shop has 1, an item without any 0, and ten times as much is about the same step
      everywhere. sales is the mean of the recent and the base window's daily revenue.
    - trend: r² / (1 + r²) with r = 1 + trend: 0.5 is flat, twice the rate 0.8, half the rate 0.2.
    - repurchase, order_value: x over the shop's 95th percentile among sold items, at most 1.
    """
    sold = signals.base_revenue > 0
    ratio_squared = np.square(np.maximum(1.0 + signals.trend, 0.0))
    return {
        "demand": _log_scaled(signals.demand_value),
        "sales": _log_scaled((signals.recent_revenue + signals.base_revenue) / 2),
        "buyers": _log_scaled(signals.buyers),
        "trend": ratio_squared / (1.0 + ratio_squared),
        "repurchase": _over_top(signals.repurchase_rate, sold),
        "order_value": _over_top(signals.order_value, sold),
    }


def weighted_score(parts: Mapping[str, Floats], weights: WeightsConfig) -> Floats:
    """Returns the score, (n_items,) float64 in 0..1: the components' mean under normalised weights."""
    shares = weights.normalised()
    total: Floats = np.sum([shares[name] * parts[name] for name in COMPONENTS], axis=0)
    return total.clip(0.0, 1.0)


def best_first(score: Floats, item_ids: NDArray[np.object_]) -> NDArray[np.intp]:
    """Returns positions by score down, then item id up, (n_items,) intp."""
    by_id = np.argsort(item_ids, kind="stable")
    order: NDArray[np.intp] = by_id[np.argsort(-score[by_id], kind="stable")]
    return order


def quantile_in_group(score: Floats, group: NDArray[np.int64], counted: NDArray[np.bool_]) -> Floats:
    """Returns the share of its group's counted items that an item's score beats or equals, (n_items,).

    The best item of a group has 1; items that are not counted (and groups without any) have 0.

    Args:
        score: (n_items,) float64.
        group: (n_items,) int64 codes.
        counted: (n_items,) bool.
    """
    result = np.zeros(len(score))
    rows = np.flatnonzero(counted)
    order = rows[np.lexsort((score[rows], group[rows]))]
    if len(order) == 0:
        return result
    _, starts, sizes = np.unique(group[order], return_index=True, return_counts=True)
    for start, size in zip(starts, sizes, strict=True):
        members = order[start : start + size]
        ranks = np.searchsorted(score[members], score[members], side="right")
        result[members] = ranks / size
    return result


def _log_scaled(values: Floats) -> Floats:
    values = np.maximum(values, 0.0)
    positive = values[values > 0]
    if len(positive) == 0:
        return np.zeros(len(values))
    scaled: Floats = np.log1p(values / positive.mean())
    top: float = scaled.max()
    return scaled / top


def _over_top(values: Floats, sold: NDArray[np.bool_]) -> Floats:
    known = values[sold]
    top = float(np.quantile(known, 0.95)) if len(known) else 0.0
    if top <= 0:
        return np.zeros(len(values))
    return np.clip(values, 0.0, top) / top  # clipped first: a tiny top would overflow
