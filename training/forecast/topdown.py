"""Owns the items' part of a category forecast: rates from decayed sales, shares, daily shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.forecast.config import ForecastConfig
from training.forecast.fits import NOTHING
from training.forecast.history import History

Floats = npt.NDArray[np.float64]

TOP_DOWN = "top-down"
OWN_RATE = "own-rate"


@dataclass(frozen=True, slots=True)
class ItemForecasts:
    """Every item's demand over a horizon at one origin.

    Attributes:
        known: whether the item had been launched or sold before the origin, bool `(n_items,)`.
        share: of its category's demand, float64 `(n_items,)`; 0 for items without a category.
        rate: own units a day, float64 `(n_items,)`.
        mean: units of the whole horizon, float64 `(n_items,)`.
        method: `(n_items,)` strings.
    """

    known: npt.NDArray[np.bool_]
    share: Floats
    rate: Floats
    mean: Floats
    method: npt.NDArray[np.object_]


def forecast_items(
    history: History, origin: int, category_totals: Floats, config: ForecastConfig
) -> ItemForecasts:
    """Returns every item's share of what its category is forecast to sell in the horizon.

    Args:
        history: only days before `origin` are looked at.
        origin: day number.
        category_totals: units of the horizon by category, float64 `(n_categories,)`.
        config: decay, launch floor and horizon.
    """
    known = history.launched < origin
    rate = item_rates(history, origin, config)
    category = history.item_category
    has = category >= 0
    sums = np.bincount(category[has], weights=rate[has], minlength=len(history.categories))
    share = np.zeros(len(rate))
    share[has] = rate[has] / np.maximum(sums, 1e-300)[category[has]]
    mean = np.where(has, 0.0, rate * config.horizon_days)
    mean[has] = share[has] * category_totals[category[has]]
    method = np.where(has, TOP_DOWN, OWN_RATE).astype(object)
    method[rate <= 0] = NOTHING
    return ItemForecasts(known, share, rate, mean, method)


def item_rates(history: History, origin: int, config: ForecastConfig) -> Floats:
    """Returns units a day by item, float64 `(n_items,)`, older sales counting less.

    With w(d) = 0.5 ** (days before the origin / half-life), the rate is the sum of w(d) units(d) over the
    sum of w(d) since launch. A first sale launches an item in most data, so a young item's rate since
    launch is too high by that very sale: the exposure is at least that of `launch_floor_days`.
    Net returns count as no sales; an item that was not launched before the origin has rate 0.
    """
    if origin <= 0:
        return np.zeros(len(history.item_ids))
    weights = 0.5 ** (np.arange(origin - 1, -1, -1) / config.share_half_life_days)
    units = np.asarray(history.units[:, :origin] @ weights).ravel()
    exposure = np.cumsum(weights[::-1])
    age = np.clip(np.maximum(origin - history.launched, config.launch_floor_days), 1, origin)
    rate = np.maximum(units, 0.0) / exposure[age - 1]
    return np.where(history.launched < origin, rate, 0.0)
