"""Owns the stage `assortment`: what to carry, from the night's selection."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from recdata.artefacts import read_artefact, write_artefact
from recdata.runs import Stage, StageContext
from selection.assortment.asked import on_sale
from selection.assortment.candidates import candidates
from selection.assortment.plan import plan_assortment
from selection.config import SelectionConfig
from selection.places import PLACE_FILES, read_places

FILES = (
    "selection.parquet",
    "items.parquet",
    *PLACE_FILES,  # where a channel or region is asked for
    "similar_rows.npy",
    "similar_scores.npy",
    "together_rows.npy",
)


def assortment_stage(config: SelectionConfig) -> Stage:
    """Returns the stage that writes assortment.parquet and assortment.json."""

    def work(ctx: StageContext) -> Mapping[str, object]:
        selection = read_artefact(ctx.source("selection.parquet"), "selection")
        items = read_artefact(ctx.source("items.parquet"), "items")
        asked, remarks = on_sale(config.assortment, selection, items)
        for _, remark in remarks:
            ctx.console.print(remark, style="yellow", markup=False)
        frame = candidates(
            selection,
            items,
            read_places(ctx.run) if asked.channel or asked.region else None,
            config=asked,
            features=config.features,
        )
        similar = np.load(ctx.source("similar_rows.npy")), np.load(ctx.source("similar_scores.npy"))
        together = np.load(ctx.source("together_rows.npy"))
        rows, plan = plan_assortment(frame, similar, together, asked)
        plan = msgspec.structs.replace(plan, remarks=remarks)
        write_artefact(rows, ctx.target("assortment.parquet"), "assortment")
        ctx.target("assortment.json").write_bytes(msgspec.json.format(msgspec.json.encode(plan)))
        told = (
            "status",
            "candidates",
            "chosen",
            "today",
            "worth",
            "worth_today",
            "worth_greedy",
            "gap",
            "out_of_time",
        )
        return {name: getattr(plan, name) for name in told} | {"remarks": [en for _, en in remarks]}

    return Stage(
        name="assortment",
        version=4,
        inputs=FILES,
        outputs=("assortment.parquet", "assortment.json"),
        work=work,
        config={"assortment": config.assortment, "features": config.features},
    )
