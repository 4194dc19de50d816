"""Owns the links of the nightly chain that decide and show, and their order."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import polars as pl

from recdata.artefacts import read_artefact, scan_artefact, write_artefact
from recdata.config import DataConfig
from recdata.runs import Stage, StageContext
from selection.backtest import backtest_origins, run_backtest
from selection.config import SelectionConfig
from selection.export import write_csv
from selection.history import TABLE_FILES, tables_of
from selection.prices.stage import prices_stage
from selection.report import ReportInputs, render_report
from selection.select import select
from selection.summary import headline

DEFAULT_DATA = DataConfig()


def selection_stages(config: SelectionConfig, data: DataConfig = DEFAULT_DATA) -> list[Stage]:
    """Returns this room's part of the chain, in order: forecasts to decisions, their test, the page."""
    return [
        prices_stage(config),
        select_stage(config, data),
        backtest_stage(config),
        report_stage(config, data),
    ]


def select_stage(config: SelectionConfig, data: DataConfig = DEFAULT_DATA) -> Stage:
    """Returns the stage that writes selection.parquet: every sellable item with score, action, reasons."""

    def work(ctx: StageContext) -> Mapping[str, object]:
        frame = select(tables_of(ctx.run), ctx.run.as_of, config=config, currency=data.currency)
        write_artefact(frame, ctx.target("selection.parquet"), "selection")
        counts = frame.group_by("action").len().sort("action").iter_rows()
        return {"items": frame.height, "actions": dict(counts)}

    return Stage(
        name="select",
        version=1,
        inputs=TABLE_FILES,
        outputs=("selection.parquet",),
        work=work,
        config={
            "features": config.features,
            "lifecycle": config.lifecycle,
            "weights": config.weights,
            "actions": config.actions,
            "currency": data.currency,
        },
    )


def backtest_stage(config: SelectionConfig) -> Stage:
    """Returns the stage that writes backtest.parquet and backtest.json, past picks against plain rules."""

    def work(ctx: StageContext) -> Mapping[str, object]:
        tables = tables_of(ctx.run)
        with ctx.bar("origins", total=len(backtest_origins(tables, config.backtest))) as advance:
            frame = run_backtest(tables, config=config, advance=advance)
        frame.write_parquet(ctx.target("backtest.parquet"), compression="zstd")
        summary = headline(frame, config.backtest)
        ctx.target("backtest.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary)))
        return summary

    return Stage(
        name="backtest",
        version=1,
        inputs=TABLE_FILES,
        outputs=("backtest.parquet", "backtest.json"),
        work=work,
        config={
            "features": config.features,
            "lifecycle": config.lifecycle,
            "weights": config.weights,
            "backtest": config.backtest,
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
        )
        page = render_report(inputs, config).encode("utf-8")
        ctx.target("report.html").write_bytes(page)
        write_csv(inputs.selection, inputs.items, ctx.target("selection.csv"))
        return {"html_bytes": len(page), "csv_rows": inputs.selection.height}

    return Stage(
        name="report",
        version=1,
        inputs=(
            "selection.parquet",
            "backtest.parquet",
            "items.parquet",
            "daily_sales.parquet",
            "forecast_daily.parquet",
            "forecast_totals.parquet",
        ),
        outputs=("report.html", "selection.csv"),
        work=work,
        config={
            "report": config.report,
            "features": config.features,
            "weights": config.weights,
            "backtest": config.backtest,
            "currency": data.currency,
        },
    )
