"""Owns which series are fitted at which origins, and the tasks that say so to the workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.forecast.config import ForecastConfig
from training.forecast.fits import PROPHET, Floats, SeriesTask, choose_method, since_first_sale
from training.forecast.history import History, promotion_shares
from training.forecast.holidays import recurring_holidays

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


def plan_series(history: History, origins: list[int], config: ForecastConfig) -> list[Series]:
    """Returns every series to fit: total and categories at each origin, the rest only at the last one."""
    far = max(config.horizon_days, config.daily_horizon_days)
    holidays = recurring_holidays(config.country, history.first, history.day(history.n_days + far))
    categories = history.category_units()
    total = np.asarray(history.units.sum(axis=0), dtype=np.float64).ravel()
    planned: list[Series] = []
    for origin in origins:
        final = origin == history.n_days
        horizon = far if final else config.horizon_days
        category_shares, shop_shares = promotion_shares(history, origin, horizon, config)

        def series(
            level: str,
            key: str,
            values: Floats,
            shares: Mapping[str, Floats],
            *,
            origin: int = origin,
            horizon: int = horizon,
        ) -> Series:
            task = SeriesTask(history.first, values[:origin], horizon, config, shares, holidays)
            return Series(origin, level, key, task)

        planned.append(series("total", "", total, shop_shares))
        for position, path in enumerate(history.categories):
            values = categories[position]
            if (values[:origin] > 0).any() or final:
                own = {kind: share[position] for kind, share in category_shares.items()}
                planned.append(series("category", path, values, own))
        if final:
            planned += [
                series("channel", key, values, shop_shares) for key, values in history.channels.items()
            ]
            planned += [series("region", key, values, shop_shares) for key, values in history.regions.items()]
            for row in top_items(history, config):
                item_shares = _item_promotions(history, row, horizon, config)
                planned.append(series("item", history.item_ids[row], item_units(history, row), item_shares))
    return planned


def top_items(history: History, config: ForecastConfig) -> list[int]:
    """Returns the rows of those of the `prophet_items` with most revenue whose history suits Prophet.

    Most revenue first; ties go to the lower row. The part of its category serves an intermittent item
    better than a fit of its own does.
    """
    revenue = np.asarray(history.revenue.sum(axis=1), dtype=np.float64).ravel()
    order = np.lexsort((np.arange(len(revenue)), -revenue))[: config.prophet_items]
    return [
        int(row)
        for row in order
        if choose_method(since_first_sale(item_units(history, int(row))), config) == PROPHET
    ]


def item_units(history: History, row: int) -> Floats:
    """Returns an item's net units a day, float64 `(n_days,)`."""
    return np.asarray(history.units[[row]].toarray(), dtype=np.float64).ravel()


def _item_promotions(history: History, row: int, horizon: int, config: ForecastConfig) -> dict[str, Floats]:
    width = history.n_days + horizon
    shares = {}
    for kind, promoted in history.promoted.items():
        share = promoted[[row], :width].toarray().ravel()
        planned = min(history.n_days + config.plan_lead_days, history.plan_ends[kind])
        known = max(history.n_days, planned)
        usual = share[: history.n_days][-config.recent_days :].mean()
        share[known:] = usual
        shares[kind] = share
    return shares
