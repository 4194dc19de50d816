"""Owns the forecasts that compete at an origin: units a day by week, without the effect of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from training.forecast.config import ForecastConfig
from training.forecast.fits import INTERMITTENT, PROPHET, RECENT, SHORT, SeriesForecast
from training.forecast.history import History, promotion_shares
from training.forecast.learning import Group, usual_rate
from training.forecast.regression import forecast_group
from training.forecast.standing import Level, Standing, by_week

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Strings = npt.NDArray[np.object_]
Fits = Mapping[tuple[str, str], SeriesForecast]

REGRESSION, MARKET, TOP_DOWN, ITEMS = "regression", "regression with market", "top-down", "items"
#: Segments of items that have no fit of their own: by days since launch, share of days with a sale and rate.
YOUNG_DAYS, REGULAR_SHARE, STEADY_RATE, RECENT_DAYS = 56, 0.5, 1.0 / 7, 112


def series_candidates(
    history: History, level: Level, standing: Standing, fits: Fits, config: ForecastConfig
) -> dict[str, Floats]:
    """Returns each method's forecast of the series above the items; NaN where a method has none."""
    origin, weeks = standing.origin, standing.weeks
    launched = _first_sales(standing.series)
    found = {RECENT: _recent(standing.series, launched, weeks, config)}
    if config.regression_trees:
        group = series_group(history, level, standing, config)
        found |= _optional(REGRESSION, forecast_group(group, origin, weeks, config))
        if history.market is not None:
            index = np.concatenate([history.market, np.full((1, history.n_days), np.nan)])[level.category]
            found |= _optional(MARKET, forecast_group(replace(group, market=index), origin, weeks, config))
    for method in (PROPHET, INTERMITTENT, SHORT):
        own = fitted(method, level.names, fits, standing.horizon)
        if np.isfinite(own).any():
            found[method] = by_week(own)
    return found


def series_group(history: History, level: Level, standing: Standing, config: ForecastConfig) -> Group:
    """Returns the series above the items as those who learn from all of them see them."""
    categories, shop = promotion_shares(history, standing.origin, standing.horizon, config)
    promoted = {
        kind: np.concatenate([share, shop[kind][None]])[level.category] for kind, share in categories.items()
    }
    return Group(
        units=standing.series,
        launched=_first_sales(standing.series),
        parent=np.zeros(len(level.names), dtype=np.int64),
        parents=standing.series[:1],
        promoted=promoted,
        plan_ends=dict.fromkeys(promoted, standing.origin + standing.horizon),
        market=None,
        leaf_rows=50,
        step=7,
        stamps=16,
    )


def item_group(history: History, standing: Standing, units: sparse.csc_matrix) -> Group:
    """Returns the items, of cleaned units, likewise."""
    shop = standing.series[1 : 1 + len(history.categories)]
    rest = np.asarray(units[history.item_category < 0].sum(axis=0), dtype=np.float64).reshape(1, -1)
    return Group(
        units=units,
        launched=history.launched,
        parent=np.where(history.item_category < 0, len(shop), history.item_category),
        parents=np.concatenate([shop, rest]),
        promoted=history.promoted,
        plan_ends=history.plan_ends,
        market=None,
        leaf_rows=100,
        step=14,
        stamps=8,
    )


def series_segments(level: Level, candidates: Mapping[str, Floats]) -> Strings:
    """Returns which series are judged together: the shop, and the others by the fit that they have."""
    segments = np.full(len(level.names), "series", dtype=object)
    for method in (PROPHET, INTERMITTENT, SHORT):
        if method in candidates:
            segments[np.isfinite(candidates[method]).all(axis=1)] = f"series, {method}"
    segments[0] = "shop"
    return segments


def item_candidates(
    history: History,
    standing: Standing,
    units: sparse.csc_matrix,
    categories: Floats,
    fits: Fits,
    config: ForecastConfig,
) -> dict[str, Floats]:
    """Returns each method's forecast of the items; NaN where a method has none.

    Args:
        history: only days before the origin are looked at, and the plan.
        standing: what is known.
        units: the items' cleaned units, CSC `(n_items, origin)`.
        categories: units a day by category and week, to be shared out, float64 `(n_categories, weeks)`.
        fits: of single items.
        config: decay, launch floor and lengths.
    """
    weeks = standing.weeks
    rate = usual_rate(units, history.launched, standing.origin, config)
    found = {
        TOP_DOWN: top_down(rate, history.item_category, categories),
        RECENT: _recent(units, history.launched, weeks, config),
    }
    if config.regression_trees:
        group = item_group(history, standing, units)
        found |= _optional(REGRESSION, forecast_group(group, standing.origin, weeks, config))
    names = [("item", key) for key in history.item_ids] if fits else []
    own = fitted(PROPHET, names, fits, standing.horizon)
    if np.isfinite(own).any():
        found[PROPHET] = by_week(own)
    return found


def item_segments(
    history: History, standing: Standing, units: sparse.csc_matrix, candidates: Mapping[str, Floats]
) -> Strings:
    """Returns which items are judged together: by a fit of their own, age, and how regularly they sell."""
    origin = standing.origin
    latest = units[:, max(0, origin - RECENT_DAYS) :]
    days = np.clip(origin - history.launched, 1, RECENT_DAYS)
    sold = latest.copy()
    sold.data = (sold.data > 0).astype(np.float64)
    share = np.asarray(sold.sum(axis=1)).ravel() / days
    rate = np.asarray(latest.sum(axis=1)).ravel() / days
    segments = np.where(rate >= STEADY_RATE, "items, steady", "items, slow").astype(object)
    segments[share >= REGULAR_SHARE] = "items, regular"
    segments[origin - history.launched < YOUNG_DAYS] = "items, young"
    if PROPHET in candidates:
        segments[np.isfinite(candidates[PROPHET]).all(axis=1)] = "items, prophet"
    return segments


def top_down(rate: Floats, category: Ints, categories: Floats) -> Floats:
    """Returns each item's share of its category by its rate, `(n_items, weeks)`; its rate if it has none."""
    has = category >= 0
    sums = np.bincount(category[has], weights=rate[has], minlength=len(categories))
    share = np.zeros(len(rate))
    share[has] = rate[has] / np.maximum(sums, 1e-300)[category[has]]
    found = np.repeat(rate[:, None], categories.shape[1], axis=1)
    found[has] = share[has, None] * categories[category[has]]
    return found


def _recent(units: Floats | sparse.csc_matrix, launched: Ints, weeks: int, config: ForecastConfig) -> Floats:
    origin = units.shape[1]
    sold = np.asarray(units[:, max(0, origin - config.recent_days) :].sum(axis=1), dtype=np.float64).ravel()
    days = np.clip(origin - launched, 1, max(1, min(config.recent_days, origin)))
    return np.repeat(np.maximum(sold / days, 0.0)[:, None], weeks, axis=1)


def _first_sales(units: Floats) -> Ints:
    sold = units > 0
    if not units.shape[1]:
        return np.zeros(len(units), dtype=np.int64)
    return np.asarray(np.where(sold.any(axis=1), sold.argmax(axis=1), units.shape[1]), dtype=np.int64)


def _optional(name: str, forecast: Floats | None) -> dict[str, Floats]:
    return {} if forecast is None else {name: forecast}


def fitted(method: str, names: Sequence[tuple[str, str]], fits: Fits, horizon: int) -> Floats:
    """Returns the fits of a method by day, float64 `(n_names, horizon)`, NaN where there is none."""
    found = np.full((len(names), horizon), np.nan)
    for row, name in enumerate(names):
        fit = fits.get(name)
        if fit is not None and fit.method == method:
            found[row] = fit.mean
    return found
