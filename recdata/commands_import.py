"""Owns the verb `recsvc import`."""

from __future__ import annotations

from pathlib import Path

import click

from recdata.cli import Door, pass_door
from recdata.config import DataConfig, load_config
from recdata.importing import import_tables
from recdata.moments import moment


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
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
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
    import_tables(source, mapping, door.home, data, now=moment(now, "--now"), console=door.out)
