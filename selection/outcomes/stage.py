"""Owns the link of the nightly chain that foretells: outcomes.parquet for later stages, figures in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import msgspec
import numpy as np
import polars as pl

from recdata.artefacts import write_artefact
from recdata.runs import Stage, StageContext
from recdata.selection_artefacts import OUTCOMES
from selection.config import SelectionConfig
from selection.history import TABLE_FILES, Tables, horizon_days, tables_of
from selection.outcomes.alarm import NO_DAY, first_alarms
from selection.outcomes.config import OutcomesConfig
from selection.outcomes.facts import Facts, facts_of
from selection.outcomes.figures import figures
from selection.outcomes.walk import Outlook, Walked, walk, walk_days


def outcomes_stage(selection: SelectionConfig) -> Stage:
    """Returns the stage that writes outcomes.parquet and outcomes.json."""
    config, category_depth = selection.outcomes, selection.features.category_depth

    def work(ctx: StageContext) -> Mapping[str, object]:
        tables = tables_of(ctx.run)
        facts = facts_of(tables, category_depth=category_depth)
        origins = outcome_origins(tables)
        walked = Walked({}, {})
        if facts is not None:
            numbers = [number for origin in origins if (number := facts.number(origin)) > 0]
            days, _ = walk_days(facts, numbers, config)
            with ctx.bar("days", total=len(days)) as advance:
                walked = walk(facts, numbers, config, advance=advance)
        frame = outcomes_frame(tables, facts, walked, config)
        write_artefact(frame, ctx.target("outcomes.parquet"), "outcomes")
        found = figures(facts, walked, origins, config)
        ctx.target("outcomes.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
        return found

    return Stage(
        name="outcomes",
        version=2,
        inputs=TABLE_FILES,
        outputs=("outcomes.parquet", "outcomes.json"),
        work=work,
        config={"outcomes": decisive(config), "category_depth": category_depth},
    )


def decisive(config: OutcomesConfig) -> dict[str, object]:
    """Returns what of the config decides the outcomes: all but the number of threads."""
    return {name: value for name, value in msgspec.structs.asdict(config).items() if name != "threads"}


def outcome_origins(tables: Tables) -> list[date]:
    """Returns the origins that forecasts exist for and `as_of`, oldest first."""
    found = tables.forecast_totals.get_column("origin").unique().to_list()
    return sorted({*(origin for origin in found if origin <= tables.as_of), tables.as_of})


def outcomes_frame(
    tables: Tables, facts: Facts | None, walked: Walked, config: OutcomesConfig
) -> pl.DataFrame:
    """Returns the `OUTCOMES` frame, by origin and item_row; null where nothing is known of an item.

    Revenue is foretold for the config's horizon and told for that of the forecasts, in proportion to the
    days: it stands beside the forecasts' money, and later nights hold it against what their horizon brought.
    """
    parts = []
    if facts is not None:
        origins = {facts.number(origin): origin for origin in outcome_origins(tables)}
        parts = [
            _of_origin(facts, walked, number, origin, config).with_columns(
                pl.col("^expected_value.*$")
                * (horizon_days(tables.forecast_totals, origin) / config.horizon_days)
            )
            for number, origin in origins.items()
            if number in walked.outlooks
        ]
    known = pl.concat([*parts, pl.DataFrame(schema=OUTCOMES)])
    return pl.concat([known.filter(pl.col("origin") < tables.as_of), _now(tables, known)])


def _now(tables: Tables, known: pl.DataFrame) -> pl.DataFrame:
    """Returns the rows of `as_of`: what is sellable then, never sold items with nulls."""
    launched = pl.col("launched_on").is_null() | (pl.col("launched_on") <= tables.as_of)
    sellable = launched & (pl.col("status").fill_null("active") != "discontinued")
    items = tables.items.filter(sellable).select(pl.lit(tables.as_of).alias("origin"), "item_row")
    found = items.join(known, on=["origin", "item_row"], how="left", maintain_order="left")
    return found.sort("item_row").select(pl.col(name).cast(dtype) for name, dtype in OUTCOMES.items())


def _of_origin(
    facts: Facts, walked: Walked, number: int, origin: date, config: OutcomesConfig
) -> pl.DataFrame:
    outlook: Outlook = walked.outlooks[number]
    rows = outlook.panel.rows
    rang = first_alarms(walked.weekly, facts.n_items, config.alarm_probability, number)[rows]
    return pl.DataFrame(
        {
            "origin": pl.Series([origin], dtype=pl.Date).new_from_index(0, rows.size),
            "item_row": rows.astype(np.int32),
            "hit_probability": outlook.chances["hit"],
            "top_probability": outlook.chances["top"],
            "keep_probability": outlook.chances["keep"],
            "expected_value": outlook.value,
            "expected_value_q10": outlook.low,
            "expected_value_q90": outlook.high,
            "hit_alarm_on": [None if day == NO_DAY else facts.day(int(day)) for day in rang],
        },
        schema=OUTCOMES,
    )
