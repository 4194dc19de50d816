"""Owns what a search says: a line a trial, the table of the best, and the settings as TOML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from training.search.halving import Trial
from training.search.space import Settings

SHOWN_TRIALS = 8
INTERACTION_KEYS = ("half_life_days", "quantity_power")
ALS_KEYS = (
    "factors",
    "regularization",
    "frequency_scaling",
    "alpha",
    "iterations",
    "weighting",
    "bm25_k1",
    "bm25_b",
)


def trial_line(trial: Trial, number: int, best: Trial) -> str:
    """Returns one line about a trial just made."""
    found = ", ".join(f"{_named(*key)} {value:.4f}" for key, value in trial.found.items())
    return (
        f"{number:4d}  {trial.score:.4f} (best {best.score:.4f})  {found}  "
        f"{trial.sweeps} sweeps, {trial.seconds:.1f} s"
    )


def print_trials(console: Console, trials: Sequence[Trial], *, timed: bool) -> None:
    """Prints the best trials and the first one, which is of the configured settings."""
    shown = sorted(trials, key=lambda trial: -trial.score)[:SHOWN_TRIALS]
    if trials[0] not in shown:
        shown.append(trials[0])
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("")
    for place, trial in enumerate(shown, start=1):
        table.add_column("as configured" if trial is trials[0] else f"{place}.", justify="right")
    table.add_row("score", *(f"{trial.score:.4f}" for trial in shown))
    for key in trials[0].found:
        table.add_row(_named(*key), *(f"{trial.found[key]:.4f}" for trial in shown))
    for key in (*ALS_KEYS, *(INTERACTION_KEYS if timed else ())):
        table.add_row(key, *(_shown(trial.settings, key) for trial in shown))
    table.add_row("seconds", *(f"{trial.seconds:.1f}" for trial in shown))
    console.print(table)


def settings_toml(settings: Settings, *, timed: bool) -> str:
    """Returns the searched settings as the tables of a config file."""
    lines = ["[training.als]", *(f"{key} = {_literal(getattr(settings.als, key))}" for key in ALS_KEYS)]
    if timed:
        lines += ["", "[training.interactions]"]
        lines += [f"{key} = {_literal(getattr(settings.interactions, key))}" for key in INTERACTION_KEYS]
    return "\n".join([*lines, ""])


def write_settings(path: Path, settings: Settings, *, timed: bool) -> None:
    """Writes the settings as TOML, in place of an earlier search's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(settings_toml(settings, timed=timed), encoding="utf-8")


def _named(question: str, metric: str) -> str:
    return f"{metric} {question.replace('_', ' ')}"


def _shown(settings: Settings, key: str) -> str:
    part = settings.interactions if key in INTERACTION_KEYS else settings.als
    value = getattr(part, key)
    if key.startswith("bm25") and settings.als.weighting == "none":
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
