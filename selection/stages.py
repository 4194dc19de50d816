"""Owns the links of the nightly chain that decide and show, and their order."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import polars as pl

from recdata.artefacts import read_artefact, scan_artefact, write_artefact
from recdata.config import DataConfig
from recdata.runs import Stage, StageContext
from selection.assortment.plan import read_plan
from selection.assortment.stage import assortment_stage
from selection.backtest import backtest_origins, run_backtest
from selection.config import SelectionConfig
from selection.export import write_csv
from selection.history import DECISION_FILES, decision_tables
from selection.launches.stage import launches_stage
from selection.ledger.stage import ledger_stage
from selection.outcomes.stage import decisive, outcomes_stage
from selection.pilot.stage import pilot_stage
from selection.prices.stage import prices_stage
from selection.report import ReportInputs, render_report
from selection.select import select
from selection.summary import headline
from selection.weights import decode, encode

DEFAULT_DATA = DataConfig()


def selection_stages(config: SelectionConfig, data: DataConfig = DEFAULT_DATA) -> list[Stage]:
    """Returns this room's part of the chain, in order: forecasts to decisions, their test, the page."""
    return [
        launches_stage(config.launches),
        outcomes_stage(config),
        prices_stage(config),
        backtest_stage(config, data),
        select_stage(config, data),
        assortment_stage(config),
        pilot_stage(config),
        ledger_stage(config, data),
        report_stage(config, data),
    ]


def backtest_stage(config: SelectionConfig, data: DataConfig = DEFAULT_DATA) -> Stage:
    """Returns the stage that tests past picks against plain rules, and learns the score's weights from them.

    It writes backtest.parquet, backtest.json and weights.json.
    """

    def work(ctx: StageContext) -> Mapping[str, object]:
        tables = decision_tables(ctx.run, data.business_timezone)
        with ctx.bar("origins", total=len(backtest_origins(tables, config.backtest))) as advance:
            found = run_backtest(tables, config=config, advance=advance)
        found.frame.write_parquet(ctx.target("backtest.parquet"), compression="zstd")
        summary = headline(found.frame, config.backtest)
        ctx.target("backtest.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary)))
        ctx.target("weights.json").write_bytes(encode(found.weights, found.taught_by))
        return summary

    return Stage(
        name="backtest",
        version=5,
        inputs=DECISION_FILES,
        outputs=("backtest.parquet", "backtest.json", "weights.json"),
        work=work,
        config={
            "features": config.features,
            "lifecycle": config.lifecycle,
            "weights": config.weights,
            "weight_limits": config.weight_limits,
            "learning": config.learning,
            "backtest": config.backtest,
            "outcomes": decisive(config.outcomes),
            "zone": data.business_timezone,
        },
    )


def select_stage(config: SelectionConfig, data: DataConfig = DEFAULT_DATA) -> Stage:
    """Returns the stage that writes selection.parquet: every sellable item with score, action, reasons."""

    def work(ctx: StageContext) -> Mapping[str, object]:
        weights = decode(ctx.source("weights.json").read_bytes())
        tables = decision_tables(ctx.run, data.business_timezone)
        decided = msgspec.structs.replace(config, weights=weights)
        frame = select(tables, ctx.run.as_of, config=decided, currency=data.currency)
        write_artefact(frame, ctx.target("selection.parquet"), "selection")
        counts = frame.group_by("action").len().sort("action").iter_rows()
        return {"items": frame.height, "actions": dict(counts)}

    return Stage(
        name="select",
        version=5,
        inputs=(*DECISION_FILES, "weights.json"),
        outputs=("selection.parquet",),
        work=work,
        config={
            "features": config.features,
            "lifecycle": config.lifecycle,
            "actions": config.actions,
            "currency": data.currency,
            "zone": data.business_timezone,
        },
    )


def report_stage(config: SelectionConfig, data: DataConfig = DEFAULT_DATA) -> Stage:
    """Returns the stage that writes report.html for people and selection.csv with every row."""

    def work(ctx: StageContext) -> Mapping[str, object]:
        inputs = ReportInputs(
            as_of=ctx.run.as_of,
            currency=data.currency,
            selection=read_artefact(ctx.source("selection.parquet"), "selection"),
            backtest=pl.read_parquet(ctx.source("backtest.parquet"), glob=False),
            items=read_artefact(ctx.source("items.parquet"), "items"),
            daily_sales=scan_artefact(ctx.source("daily_sales.parquet"), "daily_sales"),
            forecast_daily=scan_artefact(ctx.source("forecast_daily.parquet"), "forecast_daily"),
            forecast_totals=scan_artefact(ctx.source("forecast_totals.parquet"), "forecast_totals"),
            weights=decode(ctx.source("weights.json").read_bytes()),
            assortment=read_artefact(ctx.source("assortment.parquet"), "assortment"),
            remarks=read_plan(ctx.source("assortment.json")).remarks,
            ledger=read_artefact(ctx.source("ledger.parquet"), "ledger"),
        )
        page = render_report(inputs, config).encode("utf-8")
        ctx.target("report.html").write_bytes(page)
        write_csv(inputs.selection, inputs.items, ctx.target("selection.csv"))
        return {"html_bytes": len(page), "csv_rows": inputs.selection.height}

    return Stage(
        name="report",
        version=5,
        inputs=(
            "selection.parquet",
            "backtest.parquet",
            "items.parquet",
            "daily_sales.parquet",
            "forecast_daily.parquet",
            "forecast_totals.parquet",
            "weights.json",
            "assortment.parquet",
            "assortment.json",
            "ledger.parquet",
        ),
        outputs=("report.html", "selection.csv"),
        work=work,
        config={
            "report": config.report,
            "features": config.features,
            "backtest": config.backtest,
            "currency": data.currency,
        },
    )
