"""Times the selection stages on a part of a shop: its best-selling items, all sold in one region.

    python benchmarks/selection_scale.py HOME --out NEW_HOME [--items 20000] [--config FILE]

HOME holds checked tables (`recsvc import` or `recsvc demo`).  NEW_HOME gets those of the best-selling items,
in one region, and a run: what the selection needs of the training is made first (prepare, als, similar,
baskets, forecast, places), then each stage of the selection by itself.  Prints processor time of the stage
and its children, seconds by the clock, and the peak of the memory so far.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from recdata.runs import RunFolder, Stage
from selection.stages import selection_stages
from training.pipeline import NightlyConfig, nightly_stages, open_run

NEEDED = ("prepare", "als", "similar", "baskets", "forecast", "places")
REGION = "all"
WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def main() -> None:
    """Makes the home and prints one line a stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("home", type=Path, help="a home folder with tables")
    parser.add_argument("--out", type=Path, required=True, help="the home folder to make")
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--config", type=Path, help="a config file")
    given = parser.parse_args()
    console = Console(width=110)
    kept = part_of(given.home / "tables", given.out / "tables", given.items)
    config = NightlyConfig.load(given.config)
    run = open_run(given.out, config, as_of=None, console=Console(stderr=True))
    chain = nightly_stages(config)
    own = {stage.name for stage in selection_stages(config.selection, config.data)}
    table = Table(title=f"{kept:,} items in one region", title_justify="left", min_width=76)
    for column in ("stage", "processor s", "clock s", "peak MB so far"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    total = [0.0, 0.0]
    for stage in (stage for stage in chain if stage.name in NEEDED or stage.name in own):
        spent, clock = timed(run, stage)
        peak = max(resource.getrusage(who).ru_maxrss for who in WHO) / 1024
        table.add_row(stage.name, f"{spent:.1f}", f"{clock:.1f}", f"{peak:,.0f}")
        if stage.name in own:
            total = [total[0] + spent, total[1] + clock]
    table.add_section()
    table.add_row("the selection's stages", f"{total[0]:.1f}", f"{total[1]:.1f}", "")
    console.print(table)


def timed(run: RunFolder, stage: Stage) -> tuple[float, float]:
    """Returns processor time and seconds by the clock of one stage."""
    spent, clock = _spent(), time.monotonic()
    run.execute([stage])
    return _spent() - spent, time.monotonic() - clock


def _spent() -> float:
    used = [resource.getrusage(who) for who in WHO]
    return sum(each.ru_utime + each.ru_stime for each in used)


def part_of(source: Path, target: Path, items: int) -> int:
    """Writes the tables of the best-selling items, in one region, and returns how many there are."""
    target.mkdir(parents=True)
    events = pl.read_parquet(source / "events.parquet", glob=False)
    bought = (
        events.filter(pl.col("event_type") == "purchase").group_by("item_id").agg(pl.col("quantity").sum())
    )
    best = bought.sort("quantity", "item_id", descending=[True, False]).head(items).select("item_id")
    for path in sorted(source.glob("*.parquet")):
        table = pl.read_parquet(path, glob=False)
        if "item_id" in table.columns:
            table = table.join(best, on="item_id", how="semi", maintain_order="left")
        if "region" in table.columns:
            table = table.with_columns(region=pl.lit(REGION))
        table.write_parquet(target / path.name)
    return best.height


if __name__ == "__main__":
    main()
