"""Owns the breakout: orders of an item above its own expectation, promotions allowed for, by no chance.

What was sold before says what to expect: the orders of the older window, an item on promotion counting its
promoted days as so many more, times the change of the whole shop.  Given all orders of both windows, those
of the newer one are binomial if nothing happened (the exact conditional test of two Poisson rates of
Przyborowski and Wilenski, 1940); the chance of as many or more is the test's p.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from scipy import stats

from recdata.sums import group_sums
from selection.config import FeaturesConfig, LifecycleConfig
from selection.score import Floats

#: How many days without a promotion a promoted day counts as, at least and at most.
UPLIFTS = (1.0, 10.0)

#: Columns that `breakouts` gives.
BREAKOUTS = {
    "item_row": pl.Int32,
    "breakout": pl.Boolean,
    "breakout_orders": pl.Float64,  # orders of the recent window
    "breakout_expected": pl.Float64,  # orders that were to be expected in it; 0 where the item is too young
}


@dataclass(frozen=True, slots=True)
class Rates:
    """Orders and days of the two windows that are compared; arrays are `(n,)` float64.

    Attributes:
        newer, older: orders of the recent window, and of the one before it.
        newer_days, older_days: lengths of the windows; older_days 0 for an item too young to be asked.
        newer_promoted, older_promoted: days of them that the item stood in a promotion.
        older_promoted_orders: orders on such days of the older window.
    """

    newer: Floats
    older: Floats
    newer_days: Floats
    older_days: Floats
    newer_promoted: Floats
    older_promoted: Floats
    older_promoted_orders: Floats


def breakouts(
    ages: pl.DataFrame,
    sales: pl.DataFrame,
    promoted: pl.LazyFrame,
    origin: date,
    *,
    config: FeaturesConfig,
    lifecycle: LifecycleConfig,
    history_days: int,
) -> pl.DataFrame:
    """Returns `BREAKOUTS`, one row an item of `ages`, in its order; arguments as of `rates_of`.

    An item breaks out where p is at most `breakout_level` and its orders are at least `breakout_ratio` times
    what was to be expected.
    """
    rates = rates_of(ages, sales, promoted, origin, config=config, history_days=history_days)
    weight = exposure(rates)
    expected = rates.older * weight
    chance = chance_of(rates, weight)
    broke = (chance <= lifecycle.breakout_level) & (rates.newer >= lifecycle.breakout_ratio * expected)
    return ages.select(
        "item_row",
        pl.Series("breakout", broke, dtype=pl.Boolean),
        pl.Series("breakout_orders", rates.newer, dtype=pl.Float64),
        pl.Series("breakout_expected", expected, dtype=pl.Float64),
    ).select(pl.col(name).cast(dtype) for name, dtype in BREAKOUTS.items())


def rates_of(
    ages: pl.DataFrame,
    sales: pl.DataFrame,
    promoted: pl.LazyFrame,
    origin: date,
    *,
    config: FeaturesConfig,
    history_days: int,
    ahead_days: int = 0,
) -> Rates:
    """Returns orders and days of the recent window and of the one before it, in the order of `ages`.

    Args:
        ages: item_row and age_days at the origin, null where not known.
        sales: DAILY_SALES of both windows at least.
        promoted: PROMOTED_DAYS of both windows at least.
        origin: the day that is not known yet.
        config: lengths of the windows.
        history_days: how long the shop's sales go back.
        ahead_days: how far behind the origin the newer window ends; above 0 for asking, when it is over,
            what came of a breakout.
    """
    recent, base = config.recent_days, config.base_days
    middle = origin - timedelta(days=recent)
    stop = origin + timedelta(days=ahead_days)
    day = pl.col("day")
    newer = day.is_between(stop - timedelta(days=recent), stop, closed="left")
    older = day.is_between(middle - timedelta(days=base), middle, closed="left")
    sold = sales.filter(newer | older).select("item_row", "day", "orders")
    stood = promoted.filter(newer | older).select("item_row", "day").unique().collect()
    on = sold.filter(older).join(stood, on=["item_row", "day"], how="semi", maintain_order="left")
    parts = (
        group_sums(
            sold.select(
                "item_row",
                newer=pl.when(newer).then("orders").otherwise(0),
                older=pl.when(older).then("orders").otherwise(0),
            ),
            ["item_row"],
            ["newer", "older"],
        ),
        group_sums(
            on.select("item_row", older_promoted_orders="orders"), ["item_row"], ["older_promoted_orders"]
        ),
        stood.group_by("item_row").agg(newer_promoted=newer.sum(), older_promoted=older.sum()),
    )
    frame = ages.select("item_row", "age_days")
    for part in parts:
        frame = frame.join(part, on="item_row", how="left", maintain_order="left")
    age = pl.col("age_days").fill_null(history_days).clip(upper_bound=history_days)
    before = (age - recent).clip(0, base)
    frame = frame.with_columns(pl.col("^(newer|older).*$").cast(pl.Float64).fill_null(0.0)).with_columns(
        newer_days=pl.lit(float(recent)),
        older_days=pl.when(before >= config.trend_min_days).then(before).otherwise(0).cast(pl.Float64),
    )
    return Rates(**{name: frame.get_column(name).to_numpy() for name in Rates.__dataclass_fields__})


def uplift(rates: Rates) -> float:
    """Returns how many unpromoted days' orders a promoted day brings: the rate ratio of Mantel and Haenszel.

    It is pooled over the items that had both in the older window, each against itself, and kept within
    `UPLIFTS`; 1 where no item had both.
    """
    promoted = np.minimum(rates.older_promoted, rates.older_days)
    plain = rates.older_days - promoted
    both = (promoted > 0) & (plain > 0)
    days = np.where(both, rates.older_days, 1.0)
    plain_orders = rates.older - rates.older_promoted_orders
    above = float((rates.older_promoted_orders * plain / days)[both].sum())
    below = float((plain_orders * promoted / days)[both].sum())
    return float(np.clip(above / below, *UPLIFTS)) if below > 0 else 1.0


def exposure(rates: Rates) -> Floats:
    """Returns `(n,)` orders to be expected in the newer window for one of the older; 0: too young."""
    factor = uplift(rates)
    asked = rates.older_days > 0

    def weighed(days: Floats, promoted: Floats) -> Floats:
        promoted = np.minimum(promoted, days)
        return days - promoted + factor * promoted

    newer = weighed(rates.newer_days, rates.newer_promoted)
    older = weighed(rates.older_days, rates.older_promoted)
    own = np.where(asked, newer / np.where(asked, older, 1.0), 0.0)
    total = float((rates.older * own).sum())
    shop = float(rates.newer[asked].sum()) / total if total > 0 else 1.0
    return own * (shop if shop > 0 else 1.0)


def chance_of(rates: Rates, weight: Floats) -> Floats:
    """Returns `(n,)` p: the chance of as many orders or more if nothing happened; 1 where it is not asked.

    Args:
        rates: orders of both windows.
        weight: see `exposure`.
    """
    asked = (weight > 0) & (rates.newer > 0)
    share = weight / (1.0 + weight)
    chance: Floats = np.where(asked, stats.binom.sf(rates.newer - 1.0, rates.newer + rates.older, share), 1.0)
    return chance
