"""Owns what an item's place in a list owes to the shop: a weight for stock, margin, value and demand.

The weight is a product of one factor a rule, each a ratio raised to a strength; scores are multiplied by
it.  A strength of 0 makes a rule's factor exactly 1, and so does not knowing what the rule asks for, which
sets such an item beside an ordinary one.  Scores that are chances of a purchase, times the price to the
power of 1, order a list by the revenue that is expected of each item.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recdata.config import NonNegativeFloat, PositiveFloat, RoomConfig

#: How far from an ordinary item one rule sees another one, before its strength.
LOWEST_RATIO, HIGHEST_RATIO = 0.1, 10.0

Floats = NDArray[np.float64]


class OrderConfig(RoomConfig, frozen=True):
    """`[serving.order]`: what the shop wants of the order of lists, beside what shoppers want."""

    # How strongly an item steps back whose stock lasts for less than `cover_days`: the share of them that it
    # lasts for, to this power; 0 off, 1 proportional, 0 or more.
    runs_out: NonNegativeFloat = 0.0
    # Days of expected demand that the stock of an item should last for; above 0.
    cover_days: PositiveFloat = 7.0
    # How strongly a high margin comes forward: the share of the price that is left after the unit cost, over
    # the median one, to this power; 0 off, 1 proportional, 0 or more.
    margin: NonNegativeFloat = 0.0
    # How strongly a high price comes forward: the price over the median one, to this power; 0 off, 1 orders
    # by expected revenue, 0 or more.
    value: NonNegativeFloat = 0.0
    # How strongly what the shop sells much of comes forward: the daily demand over the median one, to this
    # power; 0 off, 1 proportional, 0 or more.
    demand: NonNegativeFloat = 0.0

    @property
    def is_off(self) -> bool:
        """Returns whether no rule has any strength."""
        return not (self.runs_out or self.margin or self.value or self.demand)


@dataclass(frozen=True, slots=True)
class Ordinary:
    """An ordinary item of the shop: medians of what is known and above 0, NaN where nothing is."""

    margin_share: float
    price: float
    daily_demand: float


def ordinary_item(price: Floats, unit_cost: Floats, daily_demand: NDArray[np.float32]) -> Ordinary:
    """Returns the shop's ordinary item; the arguments as for `order_weights`."""
    return Ordinary(
        _median(_margin_share(price, unit_cost)), _median(price), _median(daily_demand.astype(np.float64))
    )


def order_weights(
    price: Floats,
    unit_cost: Floats,
    stock: NDArray[np.int64],
    daily_demand: NDArray[np.float32],
    config: OrderConfig,
    ordinary: Ordinary | None = None,
) -> NDArray[np.float32]:
    """Returns what each item's score is multiplied by, `(n_items,)` float32, above 0; ones where all is off.

    Ratios are held between 0.1 and 10 before their strength, so that no rule alone decides.

    Args:
        price: `(n_items,)`, NaN where not known.
        unit_cost: `(n_items,)`, NaN where not known.
        stock: `(n_items,)` units, below 0 where not tracked.
        daily_demand: `(n_items,)` units a day, NaN where the item was never sold.
        config: the strengths.
        ordinary: what items are measured by; of the given items where left out.
    """
    if ordinary is None:
        ordinary = ordinary_item(price, unit_cost, daily_demand)
    weights = np.ones(price.shape)
    if config.runs_out:
        weights *= _cover(stock, daily_demand, config.cover_days) ** config.runs_out
    if config.margin:
        weights *= _over(_margin_share(price, unit_cost), ordinary.margin_share) ** config.margin
    if config.value:
        weights *= _over(price, ordinary.price) ** config.value
    if config.demand:
        weights *= _over(daily_demand.astype(np.float64), ordinary.daily_demand) ** config.demand
    return weights.astype(np.float32)


def _cover(stock: NDArray[np.int64], daily_demand: NDArray[np.float32], cover_days: float) -> Floats:
    """Returns the share of the days to cover that the stock lasts for; 1 where either is not known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = stock / (daily_demand.astype(np.float64) * cover_days)
    known = (stock >= 0) & (daily_demand > 0)
    return np.where(known, np.clip(share, LOWEST_RATIO, 1.0), 1.0)


def _margin_share(price: Floats, unit_cost: Floats) -> Floats:
    """Returns the share of each price that is left after the cost, NaN where either is not known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(price > 0, (price - unit_cost) / price, np.nan)


def _median(values: Floats) -> float:
    """Returns the median of the values above 0, NaN without any."""
    usable = values[values > 0]
    return float(np.median(usable)) if usable.size else np.nan


def _over(values: Floats, ordinary: float) -> Floats:
    """Returns each value over an ordinary one; 1 where either is not known."""
    if not np.isfinite(ordinary):
        return np.ones(values.shape)
    ratio = np.clip(values / ordinary, LOWEST_RATIO, HIGHEST_RATIO)
    return np.where(np.isfinite(values), ratio, 1.0)
