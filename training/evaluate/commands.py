"""Owns the verb `evaluate`: judge what is served, or list how it was judged night by night."""

from __future__ import annotations

from datetime import datetime

import click
import msgspec

from recdata.cli import Door, pass_door
from recdata.runs import RunFolder
from training.evaluate.nights import print_nights, read_nights
from training.evaluate.page.stage import PAGE_NAME, PAGE_STAGE
from training.evaluate.results import read_evaluation
from training.evaluate.table import print_evaluation
from training.pipeline import NightlyConfig, execute, open_run, stages_for


@click.command()
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="First day that is not in the data; the day after the last event where left out.",
)
@click.option(
    "--periods",
    type=click.IntRange(min=1),
    help="Test periods, each judged by what was learned before it; [training.evaluate] periods if left out.",
)
@click.option("--history", is_flag=True, help="List the evaluations of earlier nights; nothing is trained.")
@pass_door
def evaluate(door: Door, as_of: datetime | None, periods: int | None, *, history: bool) -> None:
    """Judge what is served against plain rules.

    The last weeks of the data are held out; every shopper who bought in them counts, and every item.
    """
    if history:
        print_nights(door.out, read_nights(door.home), door.home)
        return
    config = with_periods(NightlyConfig.load(door.config), periods)
    run = open_run(door.home, config, as_of=as_of.date() if as_of else None, console=door.console)
    execute(run, stages_for(config, PAGE_STAGE))
    show_evaluation(door, run, config)


def show_evaluation(door: Door, run: RunFolder, config: NightlyConfig) -> None:
    """Prints what the run's evaluation found, and where its page lies."""
    found = read_evaluation(run, config.training.evaluate.periods)
    print_evaluation(door.out, found, currency=config.data.currency)
    door.out.print(f"page: {run.resolve(PAGE_NAME)}", soft_wrap=True)


def with_periods(config: NightlyConfig, periods: int | None) -> NightlyConfig:
    """Returns the config with another number of test periods; the same where it is None."""
    if periods is None:
        return config
    judged = msgspec.structs.replace(config.training.evaluate, periods=periods)
    training = msgspec.structs.replace(config.training, evaluate=judged)
    return NightlyConfig(config.data, training, config.selection)
