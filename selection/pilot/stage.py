"""Owns the stage `pilot`: where to try the night's picks first."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import polars as pl

from recdata.artefacts import read_artefact, scan_artefact
from recdata.runs import Stage, StageContext
from selection.config import SelectionConfig
from selection.pilot.plan import plan_pilot
from selection.pilot.regions import regions_of

FILES = ("selection.parquet", "assortment.parquet", "items.parquet", "daily_sales.parquet")


def pilot_picks(selection: pl.DataFrame, assortment: pl.DataFrame, most: int) -> pl.DataFrame:
    """Returns the best picks to launch or push, SELECTION rows by rank.

    Where there is an assortment, those that it leaves out are no picks; where no assortment keeps every
    limit, all are.
    """
    picks = selection.filter(pl.col("action").is_in(["launch", "push"]))
    chosen = assortment.filter("chosen")
    if not chosen.is_empty():
        picks = picks.join(chosen, on="item_row", how="semi")
    return picks.sort("rank").head(most)


def pilot_stage(config: SelectionConfig) -> Stage:
    """Returns the stage that writes pilot.json."""

    def work(ctx: StageContext) -> Mapping[str, object]:
        picks = pilot_picks(
            read_artefact(ctx.source("selection.parquet"), "selection"),
            read_artefact(ctx.source("assortment.parquet"), "assortment"),
            config.pilot.items,
        )
        regions = regions_of(
            scan_artefact(ctx.source("daily_sales.parquet"), "daily_sales"),
            read_artefact(ctx.source("items.parquet"), "items"),
            picks.get_column("item_row").to_numpy(),
            ctx.run.as_of,
            measure=config.pilot.measure,
        )
        plan = plan_pilot(regions, picks.get_column("item_id").to_list(), config.pilot)
        ctx.target("pilot.json").write_bytes(msgspec.json.format(msgspec.json.encode(plan)))
        told = ("status", "regions", "eligible", "weeks", "least_rise")
        return {name: getattr(plan, name) for name in told} | {"pairs": len(plan.pairs)}

    return Stage(
        name="pilot",
        version=1,
        inputs=FILES,
        outputs=("pilot.json",),
        work=work,
        config={"pilot": config.pilot},
    )
