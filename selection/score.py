"""Owns the score: signals scaled to components between 0 and 1, weighed and summed. Pure NumPy, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selection.config import WeightsConfig

Floats = NDArray[np.float64]

#: In the order in which they are shown; the keys of `WeightsConfig`.
COMPONENTS = (
    "demand",
    "value",
    "sales",
    "buyers",
    "trend",
    "hit",
    "repurchase",
    "order_value",
    "margin",
    "satisfaction",
    "tier",
    "novelty",
    "safety",
)
#: What a component is where nothing is known of any item: it moves nobody's place.
NEUTRAL = 0.5


@dataclass(frozen=True, slots=True)
class Signals:
    """What an item's score is computed from; each array is float64, (n_items,), NaN only where it says so.

    Attributes:
        demand_value: forecast demand of the horizon in money.
        expected_value: revenue of the horizon expected from all that is known, in money; NaN: not known.
        recent_revenue: revenue of the recent window a day, in money.
        base_revenue: revenue of the base window a day, in money.
        buyers: distinct buyers in the base window.
        trend: shrunk growth of the order rate, above -1.
        hit_probability: 0..1; NaN: not known.
        repurchase_rate: 0..1.
        order_value: mean value of the orders that contain the item, in money.
        margin: share of the price that its cost leaves, at most 1; NaN: not known.
        satisfaction: mean rating, 0..1; NaN: not known.
        tier_share: share of its buyers who are high-value customers, 0..1.
        overlap: share of its buyers who buy a stronger item of its category as well, 0..1; NaN: none.
        demand: forecast units of the horizon, with `demand_q10` and `demand_q90`.
    """

    demand_value: Floats
    expected_value: Floats
    recent_revenue: Floats
    base_revenue: Floats
    buyers: Floats
    trend: Floats
    hit_probability: Floats
    repurchase_rate: Floats
    order_value: Floats
    margin: Floats
    satisfaction: Floats
    tier_share: Floats
    overlap: Floats
    demand: Floats
    demand_q10: Floats
    demand_q90: Floats


def components(signals: Signals) -> dict[str, Floats]:
    """Returns component name -> (n_items,) float64 in 0..1.

    Scales are the shop's own, so a component compares items of one origin, not of two.

    - demand, value, sales, buyers: log(1 + x / mean) / log(1 + max / mean), the mean over items with any.
      The best of the shop has 1, an item without any 0, and ten times as much is about the same step
      everywhere. sales is the mean of the recent and the base window's daily revenue; value is the
      forecast's money where nothing else is known.
    - trend: r² / (1 + r²) with r = 1 + trend: 0.5 is flat, twice the rate 0.8, half the rate 0.2.
    - hit: the probability itself.
    - repurchase, order_value, tier: x over the shop's 95th percentile among sold items, at most 1.
    - margin, satisfaction: the share itself; an item of which it is not known has the shop's median.
    - novelty: the share of its buyers whom no stronger item of its category has already.
    - safety: 2 q10 / (q10 + q90) of the forecast: 1 is certain, 0 may sell nothing at all.
    """
    sold = signals.base_revenue > 0
    ratio_squared = np.square(np.maximum(1.0 + signals.trend, 0.0))
    value = np.where(np.isnan(signals.expected_value), signals.demand_value, signals.expected_value)
    ends = signals.demand_q10 + signals.demand_q90
    return {
        "demand": log_scaled(signals.demand_value),
        "value": log_scaled(value),
        "sales": log_scaled((signals.recent_revenue + signals.base_revenue) / 2),
        "buyers": log_scaled(signals.buyers),
        "trend": ratio_squared / (1.0 + ratio_squared),
        "hit": np.nan_to_num(signals.hit_probability, nan=0.0).clip(0.0, 1.0),
        "repurchase": _over_top(signals.repurchase_rate, sold),
        "order_value": _over_top(signals.order_value, sold),
        "margin": _known_or_usual(signals.margin),
        "satisfaction": _known_or_usual(signals.satisfaction),
        "tier": _over_top(signals.tier_share, sold),
        "novelty": 1.0 - np.nan_to_num(signals.overlap, nan=0.0).clip(0.0, 1.0),
        "safety": np.divide(2 * signals.demand_q10, ends, out=np.zeros(len(ends)), where=ends > 0).clip(0, 1),
    }


def weighted_score(parts: Mapping[str, Floats], weights: WeightsConfig) -> Floats:
    """Returns the score, (n_items,) float64 in 0..1: the components' mean under normalised weights."""
    shares = weights.normalised()
    total: Floats = np.sum([shares[name] * parts[name] for name in COMPONENTS], axis=0)
    return total.clip(0.0, 1.0)


def best_first(score: Floats, by_id: NDArray[np.intp]) -> NDArray[np.intp]:
    """Returns positions by score down, then item id up, (n_items,) intp.

    Args:
        score: (n_items,) float64.
        by_id: positions by item id up.
    """
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


def log_scaled(values: Floats) -> Floats:
    """Returns log(1 + x / mean) / log(1 + max / mean), (n_items,), the mean over items with any."""
    values = np.maximum(values, 0.0)
    positive = values[values > 0]
    if len(positive) == 0:
        return np.zeros(len(values))
    scaled: Floats = np.log1p(values / positive.mean())
    top: float = scaled.max()
    return scaled / top


def _known_or_usual(values: Floats) -> Floats:
    known = values[~np.isnan(values)]
    usual = float(np.median(known)) if len(known) else NEUTRAL
    return np.nan_to_num(values, nan=usual).clip(0.0, 1.0)


def _over_top(values: Floats, sold: NDArray[np.bool_]) -> Floats:
    known = values[sold]
    top = float(np.quantile(known, 0.95)) if len(known) else 0.0
    if top <= 0:
        return np.zeros(len(values))
    return np.clip(values, 0.0, top) / top  # clipped first: a tiny top would overflow
