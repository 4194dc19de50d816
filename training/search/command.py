"""Owns the verb `tune`."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import click
import msgspec

from recdata.artefacts import read_artefact, scan_artefact
from recdata.cli import Door, pass_door
from training.pipeline import NightlyConfig, execute, open_run, stages_for
from training.search.folds import folds_of_events
from training.search.halving import Search, Trial
from training.search.report import print_trials, settings_toml, trial_line, write_settings
from training.search.space import Settings, Space


@click.command()
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="First day that is not in the data; the day after the last event where left out.",
)
@click.option("--trials", type=click.IntRange(min=1), help="[training.search] trials if left out.")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), help="[training.search] seconds if left out."
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that the found settings are written to; tuned.toml in the home folder if left out.",
)
@pass_door
def tune(
    door: Door, as_of: datetime | None, trials: int | None, seconds: float | None, to: Path | None
) -> None:
    """Search better settings of the collaborative model.

    Judged are the weeks right before those that `evaluate` judges, which the search never sees. What is
    found is written to a file, to be put into the config.
    """
    config = NightlyConfig.load(door.config)
    training = config.training
    budget = msgspec.structs.replace(
        training.search,
        trials=trials or training.search.trials,
        seconds=seconds or training.search.seconds,
    )
    run = open_run(door.home, config, as_of=as_of.date() if as_of else None, console=door.console)
    execute(run, stages_for(config, "prepare"))
    folds = folds_of_events(
        scan_artefact(run.resolve("purchases.parquet"), "purchases"),
        scan_artefact(run.resolve("behaviour.parquet"), "behaviour"),
        read_artefact(run.resolve("users.parquet"), "users").height,
        read_artefact(run.resolve("items.parquet"), "items").height,
        as_of=run.as_of,
        judged=training.evaluate,
        periods=budget.periods,
    )
    space = Space(Settings(training.interactions, training.als), max_factors=budget.max_factors, timed=True)
    search = Search(folds, space, budget, k=training.evaluate.k)
    began = time.monotonic()

    def tell(trial: Trial) -> None:
        door.console.print(trial_line(trial, len(search.trials), search.best()[0]), soft_wrap=True)

    search.run(tell)
    best = search.best()[0]
    path = to or door.home / "tuned.toml"
    write_settings(path, best.settings, timed=True)
    days = " and ".join(fold.name for fold in folds)
    door.out.print(f"{len(search.trials)} trials in {time.monotonic() - began:.0f} s, judged from {days}")
    print_trials(door.out, search.trials, timed=True)
    door.out.print(f"\n{settings_toml(best.settings, timed=True)}", markup=False)
    door.out.print(f"written to {path}; put it into the config", soft_wrap=True)
