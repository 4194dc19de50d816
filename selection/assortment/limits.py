"""Owns the limits of an assortment: what the config asks for, as rows over the candidates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from selection.assortment.config import AssortmentConfig
from selection.assortment.problem import Floats, Limit, Rows


def limits_of(frame: pl.DataFrame, config: AssortmentConfig) -> tuple[Limit, ...]:
    """Returns every limit that the config sets on `CANDIDATES`, in a fixed order.

    A category of which nothing lives any more has limits without items: at most so many of it holds, at
    least so many cannot.
    """
    return tuple(_limits(frame, config))


def _limits(frame: pl.DataFrame, config: AssortmentConfig) -> Iterator[Limit]:
    every = np.arange(frame.height)
    ones = np.ones(frame.height)
    if config.budget is not None:
        cost = frame.get_column("cost").to_numpy()
        costly = np.flatnonzero(cost > 0)
        yield Limit("budget", "", "most", config.budget, costly, cost[costly])
    if config.total_slots is not None:
        yield Limit("total", "", "most", float(config.total_slots), every, ones)
    for path, slots in sorted(config.slots.items()):
        rows = _inside(frame, path)
        yield Limit("slots", path, "most", float(slots), rows, ones[rows])
    for path, least in sorted(config.least.items()):
        rows = _inside(frame, path)
        yield Limit("least", path, "least", float(least), rows, ones[rows])
    if config.todays_slots:
        yield from _todays_slots(frame, config)
    band = frame.get_column("price_band")
    for name, share in sorted(config.band_least.items()):
        if share > 0:
            weights = _share((band == name).to_numpy(), share)
            yield Limit("band_least", name, "least", 0.0, every, weights, share)
    for name, share in sorted(config.band_most.items()):
        if share < 1:
            weights = _share((band == name).to_numpy(), share)
            yield Limit("band_most", name, "most", 0.0, every, weights, share)
    if config.new_least > 0:
        weights = _share(frame.get_column("is_new").to_numpy(), config.new_least)
        yield Limit("new_least", "", "least", 0.0, every, weights, config.new_least)
    ids = frame.get_column("item_id")
    for item in sorted(config.always):
        rows = (ids == item).arg_true().to_numpy().astype(np.intp)
        yield Limit("always", item, "least", 1.0, rows, ones[rows])
    for item in sorted(config.never):
        rows = (ids == item).arg_true().to_numpy().astype(np.intp)
        if len(rows):
            yield Limit("never", item, "most", 0.0, rows, ones[rows])


def _todays_slots(frame: pl.DataFrame, config: AssortmentConfig) -> Iterator[Limit]:
    """As many slots as sell today, for each category that no configured path holds or is."""
    groups = frame.with_row_index("at").group_by("slot_category").agg("at", now=pl.col("sells_now").sum())
    for path, at, now in groups.sort("slot_category").iter_rows():
        if not any(path == given or path.startswith(f"{given} > ") for given in config.slots):
            rows = np.sort(np.array(at, np.intp))
            yield Limit("todays_slots", path, "most", float(now), rows, np.ones(len(rows)))


def is_inside(path: str) -> pl.Expr:
    """Returns whether `category` is a path or below it."""
    category = pl.col("category")
    return (category == path) | category.str.starts_with(f"{path} > ")


def _inside(frame: pl.DataFrame, path: str) -> Rows:
    return frame.select(is_inside(path)).to_series().arg_true().to_numpy().astype(np.intp)


def _share(member: np.ndarray[tuple[int], np.dtype[np.bool_]], share: float) -> Floats:
    weights: Floats = member.astype(np.float64) - share
    return weights
