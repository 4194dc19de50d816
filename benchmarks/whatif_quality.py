"""Asks whether the effects of promotions that a what-if rests on came true in the weeks after.

    python benchmarks/whatif_quality.py RUN_FOLDER [--category-depth 2] [--blocks 3]

At each past day effects are learned from what was known then.  In the 56 days after, an item's units of
promoted and plain days together are split as the effect says, and the promoted part held against what was
sold on promoted days.  Beside it one effect for all items, and no effect.  Needs a run whose stage `prepare`
is done.
"""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from recdata.artefacts import read_artefact, scan_artefact
from selection.outcomes.facts import Floats, Ints
from selection.whatif.effects import BLOCK_DAYS, effects_of, strata_of

THIRDS = ("least effect", "middle", "greatest effect")


def main() -> None:
    """Prints a table for each kind of promotion."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a run folder, home/runs/<run_id>")
    parser.add_argument("--category-depth", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=3, help="past days, 56 days apart")
    given = parser.parse_args()
    items = read_artefact(given.run / "items.parquet", "items").sort("item_row")
    sales = scan_artefact(given.run / "daily_sales.parquet", "daily_sales")
    sold = sales.select("item_row", "day", "quantity", "orders").collect()
    promoted = scan_artefact(given.run / "promoted_days.parquet", "promoted_days").collect()
    path = pl.col("category").fill_null("").str.split(" > ").list.head(given.category_depth)
    group = items.select(path.list.join(" > ").rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()
    last = sold.get_column("day").max()
    if not isinstance(last, date):
        raise SystemExit(f"{given.run}: nothing was sold, so there is nothing to ask")
    ends = [last + timedelta(days=1 - BLOCK_DAYS * number) for number in range(given.blocks)]
    console = Console(width=110)
    for kind in sorted(promoted.get_column("kind").unique()):
        parts = [part for end in ends if (part := after(sold, promoted, items, group, kind, end)) is not None]
        if parts:
            console.print(table_of(kind, parts))


def after(
    sold: pl.DataFrame, promoted: pl.DataFrame, items: pl.DataFrame, group: Ints, kind: str, end: date
) -> pl.DataFrame | None:
    """Returns factor, units of promoted days, and what each rule says of them, of the block that ends."""
    origin = end - timedelta(days=BLOCK_DAYS)
    before = sold.filter(pl.col("day") < origin)
    if before.is_empty():
        return None
    size = float(before.get_column("quantity").sum()) / max(float(before.get_column("orders").sum()), 1.0)
    known = strata_of(before, promoted.filter(pl.col("day") < origin), items, kind, origin)
    effects = effects_of(known, group, size=max(size, 1.0)) if known.height else None
    if effects is None:
        return None
    came = strata_of(sold.filter(pl.col("day") < end), promoted.filter(pl.col("day") < end), items, kind, end)
    came = came.filter(pl.col("block") == 0)
    at = came.get_column("item_row").to_numpy().astype(np.int64)
    on, off, days_on, days_off = (
        came.get_column(name).to_numpy() for name in ("units_on", "units_off", "days_on", "days_off")
    )
    one = effects_of(known, np.zeros_like(group), size=1e12)  # too unsure to be told apart: one for all

    def said(factor: Floats) -> Floats:
        share = factor * days_on / (factor * days_on + days_off)
        return np.maximum(on + off, 0.0) * share

    factor = effects.factor[at]
    shop = one.factor[at] if one is not None else np.ones(at.size)
    return pl.DataFrame(
        {
            "factor": factor,
            "came": np.maximum(on, 0.0),
            "effects": said(factor),
            "one for all": said(shop),
            "no effect": said(np.ones(at.size)),
        }
    )


def table_of(kind: str, parts: list[pl.DataFrame]) -> Table:
    """Returns said over sold of each rule by thirds of the effect, and the mean deviance of all."""
    frame = pl.concat(parts)
    bounds = np.quantile(frame.get_column("factor").to_numpy(), [1 / 3, 2 / 3])
    third = np.searchsorted(bounds, frame.get_column("factor").to_numpy(), side="right")
    rules = frame.columns[2:]
    table = Table(
        title=f"{kind}: units of promoted days, said / sold; {len(parts)} blocks, {frame.height:,} items",
        title_justify="left",
        min_width=76,
    )
    for column in ("items with", "effect", *rules):
        table.add_column(column, justify="left" if column == "items with" else "right")
    for number, name in enumerate(THIRDS):
        mine = frame.filter(third == number)
        came = max(float(mine.get_column("came").sum()), 1e-9)
        ratios = [f"{float(mine.get_column(rule).sum()) / came:.2f}" for rule in rules]
        effect = mine.get_column("factor").mean()
        table.add_row(name, f"{effect:.2f}" if isinstance(effect, float) else "–", *ratios)
    came = frame.get_column("came").to_numpy()
    table.add_row(
        "deviance", "", *(f"{_deviance(came, frame.get_column(rule).to_numpy()):.3f}" for rule in rules)
    )
    return table


def _deviance(came: Floats, said: Floats) -> float:
    told = np.maximum(said, 1e-9)
    part = np.where(came > 0, came * np.log(np.maximum(came, 1e-9) / told), 0.0)
    return float(2.0 * (part - came + told).mean())


if __name__ == "__main__":
    main()
