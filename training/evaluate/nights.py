"""Owns the list of nights: how each run that is still there was judged, and which snapshot came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recdata.errors import RunError
from recdata.releases import Releases
from training.evaluate.headline import FILE_NAME, Headline, read_headline

PUBLISHED = "published.json"
COLUMNS = (
    ("ndcg", "all", "ndcg"),
    ("× best-\nsellers", "all", "ndcg_vs_bestsellers"),
    ("× own\nfreq.", "all", "ndcg_vs_own_frequency"),
    ("value\ncapt.", "all", "value_captured"),
    ("new, × best-\nsellers", "never_bought", "ndcg_vs_bestsellers"),
    ("cata-\nlogue", "known", "catalogue_coverage"),
)


@dataclass(frozen=True, slots=True)
class Night:
    """One run's evaluation.

    Attributes:
        run_id: the run, which starts with its day.
        headline: how the last test period went.
        snapshot_id: what the run published, "" where it published nothing.
    """

    run_id: str
    headline: Headline
    snapshot_id: str


class _Published(msgspec.Struct):
    snapshot_id: str


def read_nights(home: Path) -> list[Night]:
    """Returns the runs of a home folder that hold a readable evaluation, by run id."""
    nights = []
    for path in sorted((home / "runs").glob(f"*/{FILE_NAME}")):
        try:
            headline = read_headline(path)
        except RunError:
            continue  # a run of an older layout, or one that was cut off
        nights.append(Night(path.parent.name, headline, _snapshot(path.parent / PUBLISHED)))
    return nights


def print_nights(console: Console, nights: list[Night], home: Path) -> None:
    """Prints a line a night: what was served, against plain rules, and for all customers known then."""
    if not nights:
        console.print(f"no evaluation in {home / 'runs'} yet; `recsvc evaluate` makes one", soft_wrap=True)
        return
    serving = Releases(home).current_id()
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("run", "test from", "days", "k"):
        table.add_column(name, justify="right" if name in {"days", "k"} else "left", no_wrap=True)
    for name, _, _ in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("snapshot", overflow="fold")
    for night in nights:
        judged = night.headline
        figures = (judged.figure(metric, target=target) for _, target, metric in COLUMNS)
        table.add_row(
            night.run_id,
            str(judged.test_start),
            str((judged.test_end - judged.test_start).days),
            str(judged.k),
            *("–" if value is None else f"{value:.3f}" for value in figures),
            night.snapshot_id + (" (serving)" if night.snapshot_id and night.snapshot_id == serving else ""),
        )
    console.print(table)
    if len({(night.headline.test_start, night.headline.test_end, night.headline.k) for night in nights}) > 1:
        console.print(
            "other test periods have other shoppers and seasons: compare the quotients rather than the means",
            style="dim",
        )


def _snapshot(path: Path) -> str:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Published).snapshot_id
    except (OSError, msgspec.DecodeError):
        return ""
