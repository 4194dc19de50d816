"""Owns the check of elasticities out of time: `python -m selection.prices.check RUN_FOLDER`.

Elasticities of the earlier half of the history are held against what the later half's weeks say by
themselves of the same items. The later estimate is noisy, but its noise is known and has nothing to do with
the earlier weeks, so the squared distance less that noise tells how far from the truth each guess is.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from rich.console import Console

from recdata.runs import RunFolder
from selection.commands import run_day
from selection.config import FeaturesConfig
from selection.history import Tables, tables_of
from selection.prices.config import PricesConfig
from selection.prices.elasticity import Z90, own_estimates, pool
from selection.prices.panel import Floats, weekly_panel


@dataclass(frozen=True, slots=True)
class Check:
    """How near guesses come to the later half's elasticities.

    Attributes:
        items: how many items could be compared.
        error: guess -> root of the mean squared distance, less the later half's own noise (negative: that
            noise is more than the distance).
        coverage: share of items whose later estimate lies in the shrunk estimate's 90% interval, widened
            by the later one's noise; 0.9 is right.
    """

    items: int
    error: dict[str, float]
    coverage: float


def check_elasticities(tables: Tables, config: PricesConfig, *, category_depth: int) -> Check:
    """Returns the check; each half must have what the config asks of the whole, over half the weeks."""
    first = tables.daily_sales.select(pl.col("day").min()).collect().item()
    weeks = min(config.weeks, (tables.as_of - first).days // 7) // 2
    half = msgspec.structs.replace(config, weeks=weeks, min_weeks=max(config.min_weeks // 2, 8))
    earlier_panel = weekly_panel(tables, half, until=tables.as_of - timedelta(days=7 * weeks))
    later_panel = weekly_panel(tables, half)
    path = pl.col("category").fill_null("").str.split(" > ").list.head(category_depth).list.join(" > ")
    codes = tables.items.select(path.rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()
    earlier, later = own_estimates(earlier_panel), own_estimates(later_panel)
    group = codes[earlier_panel.item_row]
    pooled = pool(earlier, group, int(codes.max()) + 1)
    known = earlier.error <= config.max_error
    _, one, two = np.intersect1d(earlier_panel.item_row, later_panel.item_row, return_indices=True)
    both = known[one] & (later.error[two] <= 2 * config.max_error)
    one, two = one[both], two[both]
    truth, noise = later.slope[two], np.square(later.error[two])
    guesses = {
        "no effect": np.zeros(len(one)),
        "the shop's": np.full(len(one), pooled.shop),
        "the category's": pooled.group[group[one]],
        "the item's own": earlier.slope[one],
        "shrunk": pooled.item[one],
    }
    sd = np.sqrt(np.square(pooled.item_sd[one]) + noise)
    inside = np.abs(truth - pooled.item[one]) <= Z90 * sd
    return Check(
        items=len(one),
        error={name: _distance(truth, guess, noise) for name, guess in guesses.items()},
        coverage=float(inside.mean()) if len(one) else float("nan"),
    )


def _distance(truth: Floats, guess: Floats, noise: Floats) -> float:
    if len(truth) == 0:
        return float("nan")
    weight = 1 / noise
    net = float((weight * (np.square(truth - guess) - noise)).sum() / weight.sum())
    return float(np.copysign(np.sqrt(abs(net)), net))


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    run = RunFolder(folder.parent.parent, folder.name, run_day(folder))
    out = Console()
    depth = FeaturesConfig().category_depth
    found = check_elasticities(tables_of(run), PricesConfig(), category_depth=depth)
    out.print(f"{found.items} items; distance from the later half's elasticity, net of its noise:")
    for name, error in found.error.items():
        out.print(f"  {name:15} {error:6.2f}")
    out.print(f"90% intervals hold {found.coverage:.1%} of the later estimates")
