"""Owns what a promoted day has brought: by kind, an item's units a day over those of its plain days.

Each item is held against itself inside blocks of weeks, so that neither who is promoted nor the season is
taken for the effect (the rate ratio of Mantel and Haenszel, with the variance of Greenland and Robins, 1985).
One item's days say little, so its effect is drawn to its category's and that to the shop's, by how much
effects have differed beyond chance (random effects, DerSimonian and Laird, 1986).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from recdata.sums import group_sums
from selection.outcomes.facts import Floats, Ints

#: Days of a block inside which an item is held against itself, and how many blocks are looked at.
BLOCK_DAYS = 56
BLOCKS = 7
#: An effect is kept within these, times the units of a plain day.
LEAST, MOST = 0.2, 20.0
#: Half-width of an 80% interval in standard deviations.
Z80 = 1.2816

#: One row an item and block that had days of both sorts: units and days, promoted and plain.
STRATA = {
    "item_row": pl.Int32,
    "block": pl.Int64,
    "units_on": pl.Float64,
    "days_on": pl.Float64,
    "units_off": pl.Float64,
    "days_off": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class Effects:
    """Effects of one kind of promotion on every item; arrays are `(n_items,)` float64.

    Attributes:
        factor: units of a promoted day over those of a plain one.
        low, high: bounds of its 80% interval.
        days: the item's own promoted days that taught it.
    """

    factor: Floats
    low: Floats
    high: Floats
    days: Floats


def strata_of(
    sales: pl.DataFrame, promoted: pl.DataFrame, born: pl.DataFrame, kind: str, as_of: date
) -> pl.DataFrame:
    """Returns `STRATA` of a kind of promotion; plain days are those without a promotion of any kind.

    Args:
        sales: item_row, day and quantity before `as_of`.
        promoted: PROMOTED_DAYS.
        born: item_row and `launched_on`; days before it are nobody's.
        kind: of the promotion.
        as_of: the first day that is not known.
    """
    first = as_of - timedelta(days=BLOCK_DAYS * BLOCKS)
    earliest = sales.get_column("day").min()
    start = max(first, earliest) if isinstance(earliest, date) else as_of
    inside = pl.col("day").is_between(start, as_of, closed="left")
    stood = (
        promoted.filter(inside).group_by("item_row", "day").agg((pl.col("kind") == kind).any().alias("on"))
    )
    block = (pl.lit(as_of) - pl.col("day")).dt.total_days().sub(1).floordiv(BLOCK_DAYS).alias("block")
    sold = group_sums(sales.filter(inside), ["item_row", "day"], ["quantity"]).join(
        stood, on=["item_row", "day"], how="left", maintain_order="left"
    )
    on = pl.col("on").fill_null(value=False)
    units = group_sums(
        sold.select(
            "item_row",
            block,
            units_on=pl.when(on).then("quantity").otherwise(0.0),
            units_off=pl.when(pl.col("on").is_null()).then("quantity").otherwise(0.0),
        ),
        ["item_row", "block"],
        ["units_on", "units_off"],
    )
    days = stood.group_by("item_row", block).agg(
        days_on=pl.col("on").sum().cast(pl.Float64), stood=pl.len().cast(pl.Float64)
    )
    # How many days of a block the item was there for: since its launch, and since the data begin.
    seen = (pl.lit(as_of) - pl.max_horizontal("launched_on", pl.lit(start))).dt.total_days()
    there = (seen - pl.col("block") * BLOCK_DAYS).clip(0, BLOCK_DAYS).cast(pl.Float64)
    off = there - pl.col("stood")
    return (
        days.filter(pl.col("days_on") > 0)
        .join(born.select("item_row", "launched_on"), on="item_row", how="left")
        .join(units, on=["item_row", "block"], how="left")
        .with_columns(days_off=off, units_on=pl.col("units_on").fill_null(0.0))
        .with_columns(units_off=pl.col("units_off").fill_null(0.0))
        .filter(pl.col("days_off") > 0)
        .sort("item_row", "block")
        .select(pl.col(name).cast(dtype) for name, dtype in STRATA.items())
    )


def effects_of(strata: pl.DataFrame, group: Ints, *, size: float) -> Effects | None:
    """Returns the effects on every item; None where nothing was sold on either sort of days.

    Args:
        strata: `STRATA`.
        group: `(n_items,)` int64 code of an item's category.
        size: units of an order, by which single sales vary more than single orders do.
    """
    item = strata.get_column("item_row").to_numpy().astype(np.int64)
    parts = _terms(strata)
    shop, shop_variance = _pooled(np.array([[part.sum()] for part in parts]), size)
    if not np.isfinite(shop[0]):
        return None
    n_groups = int(group.max(initial=0)) + 1
    by_group = np.array([np.bincount(group[item], part, minlength=n_groups) for part in parts])
    category, category_variance = _drawn(*_pooled(by_group, size), shop[0], float(shop_variance[0]))
    by_item = np.array([np.bincount(item, part, minlength=group.size) for part in parts])
    mean, variance = _drawn(*_pooled(by_item, size), category[group], category_variance[group])
    spread = Z80 * np.sqrt(variance)
    days = strata.get_column("days_on").to_numpy()
    return Effects(
        factor=_kept(mean),
        low=_kept(mean - spread),
        high=_kept(mean + spread),
        days=np.bincount(item, days, minlength=group.size).astype(np.float64),
    )


def _kept(logarithm: Floats) -> Floats:
    kept: Floats = np.exp(np.clip(logarithm, np.log(LEAST), np.log(MOST)))
    return kept


def _terms(strata: pl.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Returns both halves of the ratio of each stratum, and its part of the variance."""
    on, days_on, off, days_off = (
        np.maximum(strata.get_column(name).to_numpy(), 0.0)
        for name in ("units_on", "days_on", "units_off", "days_off")
    )
    days = days_on + days_off
    return on * days_off / days, off * days_on / days, (on + off) * days_on * days_off / days**2


def _pooled(parts: Floats, size: float) -> tuple[Floats, Floats]:
    """Returns logarithms of rate ratios and their variance, `(n,)`; NaN where a side sold nothing."""
    above, below, spread = parts
    known = (above > 0) & (below > 0)
    above, below = np.where(known, above, 1.0), np.where(known, below, 1.0)
    mean = np.where(known, np.log(above / below), np.nan)
    return mean, np.where(known, size * spread / (above * below), np.nan)


def _drawn(
    mean: Floats, variance: Floats, prior: Floats | float, prior_variance: Floats | float
) -> tuple[Floats, Floats]:
    """Returns means drawn to their prior by how much they differ from it beyond chance, and what is unsure.

    Who is not known has the prior, as unsure as the prior and the differences together.
    """
    known = np.isfinite(mean)
    prior_means = np.broadcast_to(prior, mean.shape)
    prior_variances = np.broadcast_to(prior_variance, mean.shape)
    weight = 1.0 / variance[known]
    off = float((weight * (mean[known] - prior_means[known]) ** 2).sum())
    total = float(weight.sum())
    spare = total - float((weight**2).sum()) / total if total > 0 else 0.0
    between = max((off - (int(known.sum()) - 1)) / spare, 0.0) if spare > 0 else 0.0
    own = np.where(known, variance, np.inf)
    around = between + prior_variances
    share = around / (around + own)
    drawn = np.where(known, share * np.nan_to_num(mean) + (1 - share) * prior_means, prior_means)
    unsure = np.where(known, share * np.where(known, own, 0.0), around)
    return drawn, unsure
