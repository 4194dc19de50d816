"""Owns the offline job's verbs: `train`, `tune`, `evaluate`, `publish`, `nightly`, `demo`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import click
import polars as pl
from click.core import ParameterSource

from recdata.cli import Door, pass_door
from recdata.runs import RunFolder, StageRecord
from selection.backtest_table import print_backtest
from training.demo import run_demo
from training.evaluate.commands import evaluate, show_evaluation
from training.nightly import print_run
from training.pipeline import NightlyConfig, execute, nightly_stages, open_run, stages_for
from training.search.command import tune


def _as_of(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--as-of",
        type=click.DateTime(["%Y-%m-%d"]),
        metavar="YYYY-MM-DD",
        help="First day that is not in the data; the day after the last event where left out.",
    )(command)


def _reason(context: click.Context, _option: click.Parameter, force: str) -> str:
    if context.get_parameter_source("force") is ParameterSource.COMMANDLINE and not force.strip():
        raise click.BadParameter("the reason is empty; say why, for those who look later")
    return force


def _force(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--force",
        metavar="REASON",
        default="",
        callback=_reason,
        help="Publish even what the gate refuses; the reason is kept with the snapshot.",
    )(command)


@click.command()
@_as_of
@pass_door
def train(door: Door, as_of: datetime | None) -> None:
    """Fit the models: ALS, popularity, ranking, forecasts."""
    run, records = _execute(door, as_of, "similar", "popularity", "ranking", "forecast")
    print_run(door.out, run, records)


@click.command()
@_as_of
@_force
@pass_door
def publish(door: Door, as_of: datetime | None, force: str) -> None:
    """Write the run's snapshot and let it serve, unless it is worse than the live one (exit code 9)."""
    run, records = _execute(door, as_of, "publish", force=force)
    print_run(door.out, run, records)


@click.command()
@_as_of
@_force
@pass_door
def nightly(door: Door, as_of: datetime | None, force: str) -> None:
    """Run the whole job, from tables to a published snapshot.

    A stage that is done already is skipped, so a job that died is started again and goes on. A snapshot that
    is worse than the live one is not published: the table says why, and the exit code is 9.
    """
    config = NightlyConfig.load(door.config)
    run = open_run(door.home, config, as_of=as_of.date() if as_of else None, console=door.console)
    records = execute(run, nightly_stages(config, force=force))
    show_evaluation(door, run, config)
    backtest = pl.read_parquet(run.resolve("backtest.parquet"), glob=False)
    print_backtest(door.out, backtest, config.selection.features.days())
    print_run(door.out, run, records)


@click.command()
@pass_door
def demo(door: Door) -> None:
    """See all of it at work on a grocer's year of orders.

    Imports the demo data, runs the nightly job, starts the server, calls it as a client would, and stops it.
    """
    run_demo(door)


def _execute(
    door: Door, as_of: datetime | None, *stages: str, force: str = ""
) -> tuple[RunFolder, list[StageRecord]]:
    config = NightlyConfig.load(door.config)
    run = open_run(door.home, config, as_of=as_of.date() if as_of else None, console=door.console)
    return run, execute(run, stages_for(config, *stages, force=force))


__all__ = ["demo", "evaluate", "nightly", "publish", "train", "tune"]
