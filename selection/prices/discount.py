"""Owns how much to take off a price: enough to clear the excess, or to earn most, within the margin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selection.prices.config import PricesConfig

Floats = NDArray[np.float64]
EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a discount is reckoned from; arrays of (n_items,) float64, nan where not known.

    Attributes:
        price: today's price.
        unit_cost: what a unit costs the shop.
        supply: units to sell over the horizon: those at hand, or what the shop is taken to have.
        demand: units that sell over the horizon at today's price.
        elasticity: percent of units for a percent of price.
    """

    price: Floats
    unit_cost: Floats
    supply: Floats
    demand: Floats
    elasticity: Floats


def deepest_discount(shelf: Shelf, config: PricesConfig) -> Floats:
    """Returns the deepest discount that the margin allows, (n_items,) share of price, 0 or more.

    With a known cost c: 1 - c / (price (1 - min_margin)), at most `max_discount`; 0 for an item that
    already sells below that. Without one: `max_discount_unknown_cost`. nan without a price.
    """
    price = np.where(shelf.price > 0, shelf.price, np.nan)  # what is given away has no margin
    by_cost = 1 - shelf.unit_cost / (price * (1 - config.min_margin))
    unknown = np.full(len(shelf.price), min(config.max_discount_unknown_cost, config.max_discount))
    bound = np.where(np.isnan(shelf.unit_cost), unknown, np.minimum(by_cost, config.max_discount))
    return np.where(np.isnan(price), np.nan, np.maximum(bound, 0.0))


def advise(shelf: Shelf, config: PricesConfig) -> Floats:
    """Returns the discount to give, (n_items,) share of price; nan where none is advised.

    Units at a discount x are demand (1 - x)^elasticity. Where supply exceeds demand, the least step that
    sells it within the horizon, or the deepest allowed one if none does. Elsewhere, with a known cost, the
    step that earns most over cost, the shallower of two that earn the same; never more units than the
    supply, where that is known. No discount without a price, demand, or an elasticity below 0, and none that
    the margin forbids.
    """
    n = len(shelf.price)
    deepest = deepest_discount(shelf, config)
    usable = (shelf.price > 0) & (shelf.demand > 0) & (shelf.elasticity < 0)
    demand = np.where(usable, shelf.demand, 0.0)
    elasticity = np.where(usable, shelf.elasticity, 0.0)
    excess = usable & (shelf.supply > shelf.demand)
    earning = usable & ~excess & ~np.isnan(shelf.unit_cost)
    margin = np.where(earning, shelf.price - shelf.unit_cost, 0.0)
    best, best_worth, cleared = np.full(n, np.nan), margin * demand, np.zeros(n, np.bool_)
    for step in np.arange(config.discount_step, config.max_discount + EPSILON, config.discount_step):
        allowed = step <= deepest + EPSILON
        units = demand * np.power(1 - step, elasticity)
        clears = excess & allowed & ~cleared
        best[clears] = step
        cleared |= clears & (units >= shelf.supply * (1 - EPSILON))
        worth = (margin - step * np.where(earning, shelf.price, 0.0)) * np.fmin(units, shelf.supply)
        earns = earning & allowed & (worth > best_worth + EPSILON * np.abs(best_worth))
        best[earns], best_worth[earns] = step, worth[earns]
    return best
