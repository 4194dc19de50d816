"""Owns the demo: a grocer's year of orders through every part of the house, ending as a client sees it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from recdata.artefacts import read_artefact
from recdata.cli import Door
from recdata.demo_source import write_demo_source
from recdata.errors import ServeError
from recdata.importing import import_tables
from recdata.memory import PeakMemory
from recdata.runs import RunFolder, StageRecord
from selection.backtest_table import print_backtest
from training.evaluate.commands import show_evaluation
from training.nightly import print_run
from training.pipeline import NightlyConfig, execute, nightly_stages, open_run

STOP_SECONDS = 20


def run_demo(door: Door) -> None:
    """Imports, trains, publishes, serves and calls; prints what a shopper and a merchandiser would get.

    Raises:
        RecsvcError: whatever a part of the house raises.
    """
    started = time.monotonic()
    config = NightlyConfig.load(door.config)
    imported, skipped = _import(door, config)
    run = open_run(door.home, config, as_of=None, console=door.console)
    before = run.record(imported.name)
    if skipped and before is not None:
        imported = before
    run.keep(imported)
    records = execute(run, nightly_stages(config))
    show_evaluation(door, run, config)
    backtest = pl.read_parquet(run.resolve("backtest.parquet"), glob=False)
    print_backtest(door.out, backtest, config.selection.features.days())
    _call_as_a_client(door, run)
    print_run(door.out, run, [imported, *records])
    door.out.print(f"the demo took {time.monotonic() - started:.0f} s; `make serve` serves it again")


def _import(door: Door, config: NightlyConfig) -> tuple[StageRecord, bool]:
    """Returns what the import cost, and whether there was nothing to do."""
    source = door.home / "demo-source"
    started = time.monotonic()
    with PeakMemory() as memory:
        write_demo_source(source, door.console)
        report = import_tables(
            source, None, door.home, config.data, now=datetime.now(UTC), console=door.console
        )
    seconds, peak_mb = round(time.monotonic() - started, 3), round(memory.peak_mb, 1)
    return StageRecord("import", "", {}, seconds, peak_mb), report.skipped


def _call_as_a_client(door: Door, run: RunFolder) -> None:
    users = read_artefact(run.resolve("users.parquet"), "users").sort("orders", "user_id")
    shopper = users["user_id"][len(users) // 2]
    popularity = read_artefact(run.resolve("popularity.parquet"), "popularity")
    with _server(door) as address:
        for words in (
            ("recommend", "--user", shopper, "--top-k", "8"),
            ("recommend", "--user", shopper, "--top-k", "4", "--exclude-purchased"),
            ("bestsellers", "--category", _largest_category(popularity), "--top-k", "5"),
            ("candidates", "--action", "push", "--top-k", "5"),
        ):
            shown = " ".join(f'"{word}"' if " " in word else word for word in words)
            door.out.print(f"\n[bold]$ recsvc call {shown}[/]", soft_wrap=True)
            sys.stdout.flush()
            subprocess.run([*_recsvc(door), "call", *words, "--address", address], check=True)


def _largest_category(popularity: pl.DataFrame) -> str:
    """Returns the second-level category with the most buyers of one item; ties to the lower name."""
    second = popularity.filter(
        (pl.col("kind") == "best") & (pl.col("category").str.count_matches(" > ") == 1), channel="", region=""
    )
    ordered = second.sort("buyers", "category", descending=[True, False])
    return str(ordered["category"][0]) if len(ordered) else ""


def _recsvc(door: Door) -> list[str]:
    config = [] if door.config is None else ["--config", str(door.config)]
    return [sys.executable, "-m", "recdata", "--home", str(door.home), *config]


@contextmanager
def _server(door: Door) -> Iterator[str]:
    """Starts the server on a free port, yields its address, and stops it as an operator would."""
    log = Path(door.home) / "demo-server.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*_recsvc(door), "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as server,
    ):
        assert server.stdout is not None  # noqa: S101 - it was asked for above
        line = server.stdout.readline()
        if not line.startswith("listening on "):
            server.kill()
            raise ServeError(f"the server did not start; {log} says: {log.read_text()[-500:]}")
        try:
            yield line.removeprefix("listening on ").strip()
        finally:
            server.terminate()
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
