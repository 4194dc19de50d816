"""Owns the stage `ledger`: past nights' picks against what was sold since."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import polars as pl

from recdata.artefacts import read_artefact, scan_artefact, write_artefact
from recdata.config import DataConfig
from recdata.reviews import REVIEWS_NAME, load_reviews
from recdata.runs import Stage, StageContext
from recdata.selection_artefacts import PICKS
from selection.config import SelectionConfig
from selection.ledger.books import PAST_NAME
from selection.ledger.scoring import score_nights, summary_of

DEFAULT_DATA = DataConfig()


def ledger_stage(config: SelectionConfig, data: DataConfig = DEFAULT_DATA) -> Stage:
    """Returns the stage that writes ledger.parquet, and ledger.json: its sums over finished nights."""

    def work(ctx: StageContext) -> Mapping[str, object]:
        past = ctx.source(PAST_NAME)
        picks = read_artefact(past, "picks") if past.is_file() else pl.DataFrame(schema=PICKS)
        frame = score_nights(
            picks,
            read_artefact(ctx.source("items.parquet"), "items"),
            scan_artefact(ctx.source("daily_sales.parquet"), "daily_sales"),
            load_reviews(ctx.source(REVIEWS_NAME)),
            as_of=ctx.run.as_of,
            category_depth=config.features.category_depth,
            keep_share=config.outcomes.keep_share,
            keep_days=config.outcomes.keep_days,
            launch_days=config.lifecycle.launch_days,
            zone=data.business_timezone,
        )
        write_artefact(frame, ctx.target("ledger.parquet"), "ledger")
        rows = list(summary_of(frame))
        ctx.target("ledger.json").write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
        nights = frame.get_column("night")
        return {"nights": nights.n_unique(), "finished": frame.filter("finished")["night"].n_unique()}

    return Stage(
        name="ledger",
        version=3,
        inputs=("items.parquet", "daily_sales.parquet", PAST_NAME, REVIEWS_NAME),
        outputs=("ledger.parquet", "ledger.json"),
        work=work,
        config={
            "depth": config.features.category_depth,
            "keep_share": config.outcomes.keep_share,
            "keep_days": config.outcomes.keep_days,
            "launch_days": config.lifecycle.launch_days,
            "zone": data.business_timezone,
        },
    )
