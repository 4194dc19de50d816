"""Owns the walk over the forecasts' origins, oldest first, knowing at each only what had ended by then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.places.config import PlacesConfig
from training.places.errors import LocalErrors, Told
from training.places.learning import learned_weights
from training.places.pairs import View, category_demand, category_pairs, item_pairs, views_of
from training.places.sales import PlaceSales
from training.places.shares import Parts, parts_at

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LocalOutcome:
    """The local forecasts of one origin.

    Attributes:
        origin: day number.
        parts: what shares are mixed from.
        learned: weights by band of an item's units, float64 `(bands, 3)`.
        weights: by item, float64 `(n_items, 3)`.
        mean: the items' own forecasts, units of the horizon, float64 `(n_items,)`.
        views: how places are looked at.
        demand: the categories' shares of their forecasts, float64 `(n_categories, n_places)`.
        pairs: local forecasts by level and view.
        ratios: variances divided by the mean, float64 `recdata.places.RATIOS_SHAPE`.
    """

    origin: int
    parts: Parts
    learned: Floats
    weights: Floats
    mean: Floats
    views: list[View]
    demand: Floats
    pairs: Told
    ratios: Floats


def walk_places(
    sales: PlaceSales, means: Mapping[int, Floats], *, horizon: int, config: PlacesConfig
) -> Iterator[LocalOutcome]:
    """Yields the local forecasts of each origin, oldest first.

    Args:
        sales: what sold where.
        means: the items' forecasts by origin, units of the horizon, float64 `(n_items,)`.
        horizon: days.
        config: memory and learning.
    """
    views = views_of(sales)
    errors = LocalErrors()
    waiting: list[tuple[int, Told]] = []
    cache: dict[int, Parts] = {}
    for origin in sorted(means):
        while waiting and waiting[0][0] + horizon <= origin:
            past, told = waiting.pop(0)
            errors.learn(sales, views, told, past, horizon)
        learned = learned_weights(sales, origin, horizon=horizon, config=config, cache=cache)
        parts = cache.setdefault(origin, parts_at(sales, origin, config))
        weights = parts.usable(learned)
        mean = means[origin]
        demand = category_demand(parts, weights, mean)
        pairs = [
            [item_pairs(parts, weights, mean, view) for view in views],
            [category_pairs(parts, demand, mean, view) for view in views],
        ]
        yield LocalOutcome(origin, parts, learned, weights, mean, views, demand, pairs, errors.ratios())
        waiting.append((origin, pairs))
        oldest = origin - (config.learn_origins + 1) * horizon
        for past in [day for day in cache if day < oldest]:
            del cache[past]
