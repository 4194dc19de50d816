"""Asks how often a breakout lasts, at past origins, beside plain rules that flag as many items.

    python benchmarks/breakouts.py RUN_FOLDER [--first-week 20] [--step-days 28]

A breakout lasts when the orders of the 28 days after are again at least 1.5 times what the item's own level
before the rise lets expect, promotions and the shop's change allowed for, and at least 3.  The plain rules
flag the items with the greatest ratio of the last 7 days' units to the last 28 days', of all items old enough
to be asked and of those with 5 orders at least.  Needs a run whose stage `prepare` is done.
"""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from recdata.artefacts import read_artefact, scan_artefact
from recdata.sums import group_sums
from selection.breakout import Rates, chance_of, exposure, rates_of
from selection.config import FeaturesConfig, LifecycleConfig
from selection.score import Floats

Flags = NDArray[np.bool_]

LASTING, LEAST_ORDERS, ENOUGH_ORDERS = 1.5, 3.0, 5.0
SAMPLES = 10_000


def main() -> None:
    """Prints precision and recall of each rule over origins."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a run folder, home/runs/<run_id>")
    parser.add_argument("--first-week", type=int, default=20, help="no origin before this week of the data")
    parser.add_argument("--step-days", type=int, default=28, help="days between two origins")
    given = parser.parse_args()
    items = read_artefact(given.run / "items.parquet", "items")
    sales = scan_artefact(given.run / "daily_sales.parquet", "daily_sales").collect()
    promoted = scan_artefact(given.run / "promoted_days.parquet", "promoted_days")
    config = FeaturesConfig()
    first_day, last_day = sales.select(pl.col("day").min(), last=pl.col("day").max()).row(0)
    least = config.recent_days + config.trend_min_days
    earliest = first_day + timedelta(days=max(given.first_week * 7, least))
    origin, found = last_day + timedelta(days=1 - config.recent_days), []
    while origin >= earliest:
        found.append(at_origin(items, sales, promoted, origin, history_days=(origin - first_day).days))
        origin -= timedelta(days=given.step_days)
    if not found:
        raise SystemExit(f"{given.run}: no origin with history before and {config.recent_days} days after it")
    Console(width=110).print(table_of(found))


def at_origin(
    items: pl.DataFrame, sales: pl.DataFrame, promoted: pl.LazyFrame, origin: date, *, history_days: int
) -> dict[str, tuple[float, float, float]]:
    """Returns rule -> flags, precision and recall of one origin."""
    config, lifecycle = FeaturesConfig(), LifecycleConfig()
    ages = items.filter(pl.col("launched_on") < origin).select(
        "item_row", age_days=(pl.lit(origin) - pl.col("launched_on")).dt.total_days().cast(pl.Int32)
    )

    def windows(stood: pl.LazyFrame, ahead_days: int = 0) -> Rates:
        return rates_of(
            ages, sales, stood, origin, config=config, history_days=history_days, ahead_days=ahead_days
        )

    rates, blind, after = windows(promoted), windows(promoted.clear()), windows(promoted, config.recent_days)
    asked = rates.older_days > 0
    expected = after.older * exposure(after)
    lasts = asked & (after.newer >= LASTING * expected) & (after.newer >= LEAST_ORDERS)

    def broke(these: Rates) -> Flags:
        weight = exposure(these)
        rose = these.newer >= lifecycle.breakout_ratio * these.older * weight
        return np.asarray(rose & (chance_of(these, weight) <= lifecycle.breakout_level))

    flags = broke(rates)
    ratio = _ratio(ages, sales, origin, config)
    n = int(flags.sum())
    rules = {
        "breakout": flags,
        "promotions not allowed for": broke(blind),
        "last 7 / 28 days": _best(np.where(asked, ratio, -1.0), n),
        "last 7 / 28 days, 5 orders": _best(np.where(asked & (rates.newer >= ENOUGH_ORDERS), ratio, -1.0), n),
        "all that are asked": asked,
    }
    return {
        rule: (
            float(chosen.sum()),
            float(lasts[chosen].mean()) if chosen.any() else 0.0,
            float(lasts[chosen].sum()) / max(float(lasts.sum()), 1.0),
        )
        for rule, chosen in rules.items()
    }


def _ratio(ages: pl.DataFrame, sales: pl.DataFrame, origin: date, config: FeaturesConfig) -> Floats:
    """Returns `(n,)` units of the last 7 days over those of the recent window; -1 without any."""
    frame = ages.select("item_row")
    for name, days in (("last", 7), ("recent", config.recent_days)):
        inside = pl.col("day").is_between(origin - timedelta(days=days), origin, closed="left")
        sold = sales.filter(inside).select("item_row", pl.col("quantity").alias(name))
        part = group_sums(sold, ["item_row"], [name])
        frame = frame.join(part, on="item_row", how="left", maintain_order="left")
    last, recent = (frame.get_column(name).fill_null(0.0).to_numpy() for name in ("last", "recent"))
    return np.where(recent > 0, last / np.where(recent > 0, recent, 1.0), -1.0)


def _best(values: Floats, n: int) -> Flags:
    chosen = np.zeros(values.size, np.bool_)
    chosen[np.argsort(-values, kind="stable")[:n]] = True
    return chosen


def table_of(found: list[dict[str, tuple[float, float, float]]]) -> Table:
    """Returns the means over origins with 95% bootstrap intervals."""
    table = Table(title=f"breakouts that last: {len(found)} origins", title_justify="left", min_width=90)
    for column in ("rule", "flags", "precision", "95%", "recall"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    draws = np.random.default_rng(len(found)).integers(0, len(found), (SAMPLES, len(found)))
    for rule in found[0]:
        flags, precision, recall = (np.array([row[rule][at] for row in found]) for at in range(3))
        low, high = np.quantile(precision[draws].mean(axis=1), [0.025, 0.975])
        table.add_row(
            rule,
            f"{flags.mean():,.0f}",
            f"{precision.mean():.3f}",
            f"{low:.3f} .. {high:.3f}",
            f"{recall.mean():.3f}",
        )
    return table


if __name__ == "__main__":
    main()
