"""Owns which series Prophet and statsforecast are asked for at which origins, and the tasks that say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.forecast.config import ForecastConfig
from training.forecast.fits import PROPHET, Floats, SeriesTask, choose_method, needs_fit, since_first_sale
from training.forecast.history import History, promotion_shares
from training.forecast.standing import Level, Standing, cleaned_items

#: An origin with less history than this is not forecast, in days (the run's own day always is).
MIN_ORIGIN_DAYS = 28


@dataclass(frozen=True, slots=True)
class Series:
    """A series at an origin: day number, level and key as in the artefacts, and what the fit is told."""

    origin: int
    level: str
    key: str
    task: SeriesTask


def plan_origins(history: History, config: ForecastConfig) -> list[int]:
    """Returns the day numbers of all origins, oldest first, the last one being `as_of`."""
    steps = range(config.back_test_origins + config.warm_up_origins, 0, -1)
    past = [history.n_days - step * config.step_days for step in steps]
    return [origin for origin in past if origin >= MIN_ORIGIN_DAYS] + [history.n_days]


def plan_series(
    history: History, level: Level, standings: Sequence[Standing], config: ForecastConfig
) -> list[Series]:
    """Returns every fit, origin by origin.

    These are the shop, the categories and items with most revenue before the origin, and every category
    that is intermittent or short; channels and regions only at the last origin.
    """
    planned: list[Series] = []
    for standing in standings:
        origin, horizon = standing.origin, standing.horizon
        category_shares, shop_shares = promotion_shares(history, origin, horizon, config)
        heads = _top_categories(history, origin, config)
        for row, (name, key) in enumerate(level.names):
            shares: Mapping[str, Floats] = shop_shares
            if name == "category":
                shares = {kind: share[row - 1] for kind, share in category_shares.items()}
            elif name in ("channel", "region") and origin < history.n_days:
                continue
            task = SeriesTask(history.first, standing.series[row], horizon, config, shares)
            method = choose_method(since_first_sale(task.values), config)
            if needs_fit(task) and (name != "category" or method != PROPHET or row - 1 in heads):
                planned.append(Series(origin, name, key, task))
        top = top_items(history, origin, config)
        units = cleaned_items(history, standing)
        for row in top:
            values = np.asarray(units[[row]].toarray(), dtype=np.float64).ravel()
            task = SeriesTask(
                history.first,
                values,
                horizon,
                config,
                _item_promotions(history, row, origin, horizon, config),
            )
            planned.append(Series(origin, "item", history.item_ids[row], task))
    return planned


def _top_categories(history: History, origin: int, config: ForecastConfig) -> set[int]:
    revenue = np.asarray((history.category_matrix() @ history.revenue[:, :origin]).sum(axis=1)).ravel()
    order = np.lexsort((np.arange(len(revenue)), -revenue))
    return {int(row) for row in order[: config.prophet_categories]}


def top_items(history: History, origin: int, config: ForecastConfig) -> list[int]:
    """Returns the rows of those of the `prophet_items` with most revenue whose history suits Prophet.

    Most revenue before the origin first; ties go to the lower row. The part of its category serves an
    intermittent item better than a fit of its own does.
    """
    revenue = np.asarray(history.revenue[:, :origin].sum(axis=1), dtype=np.float64).ravel()
    order = np.lexsort((np.arange(len(revenue)), -revenue))[: config.prophet_items]
    return [
        int(row)
        for row in order
        if choose_method(since_first_sale(item_units(history, int(row))[:origin]), config) == PROPHET
    ]


def item_units(history: History, row: int) -> Floats:
    """Returns an item's net units a day, float64 `(n_days,)`."""
    return np.asarray(history.units[[row]].toarray(), dtype=np.float64).ravel()


def _item_promotions(
    history: History, row: int, origin: int, horizon: int, config: ForecastConfig
) -> dict[str, Floats]:
    width = origin + horizon
    shares = {}
    for kind, promoted in history.promoted.items():
        share = np.asarray(promoted[[row], :width].toarray(), dtype=np.float64).ravel()
        known = max(origin, min(origin + config.plan_lead_days, history.plan_ends[kind]))
        share[known:] = share[:origin][-config.recent_days :].mean()
        shares[kind] = share
    return shares
