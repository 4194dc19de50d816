"""Owns the verb `recsvc import`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from recdata.cli import Door, pass_door
from recdata.config import DataConfig, load_config
from recdata.errors import ConfigError
from recdata.importing import import_tables


@click.command("import")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder with the tables as Parquet, CSV or gzipped CSV.",
)
@click.option(
    "--mapping",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file that maps your files, columns and values to ours (see examples/mapping.toml).",
)
@click.option(
    "--now",
    help="Moment after which an event is in the future, ISO 8601 with a zone; default: the clock.",
)
@pass_door
def import_command(door: Door, source: Path, mapping: Path | None, now: str | None) -> None:
    """Check a retailer's tables and take them in.

    Bad rows go to tables/rejects/TABLE.csv with their row number and reason. When a table rejects more than
    [data] max_reject_share of its rows, nothing is replaced.
    """
    data = load_config(door.config, "data", DataConfig)
    import_tables(source, mapping, door.home, data, now=_moment(now), console=door.out)


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--now {text}: is no ISO 8601 time; write it as 2026-01-31T23:59:00Z") from error
    if moment.tzinfo is None:
        raise ConfigError(f"--now {text}: has no time zone; add one, as in 2026-01-31T23:59:00Z")
    return moment.astimezone(UTC)
