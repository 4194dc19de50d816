"""Owns how the tables that rooms hand each other inside a run folder are written, read and checked.

A stage writes an artefact with `write_artefact`, another room reads it with `read_artefact`; both check
the schema, so a room can trust what it is given. The schemas are in `training_artefacts` and
`selection_artefacts`.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from recdata.errors import RunError
from recdata.selection_artefacts import (
    ASSORTMENT,
    LAUNCHES,
    LEDGER,
    OUTCOMES,
    PICKS,
    PRICES,
    SELECTION,
)
from recdata.training_artefacts import (
    BEHAVIOUR,
    DAILY_SALES,
    EVALUATION,
    EVALUATION_PAIRS,
    FORECAST_DAILY,
    FORECAST_TOTALS,
    ITEMS,
    LOCAL_FORECASTS,
    PLACE_SHARES,
    PLACE_WEIGHTS,
    PLACES,
    POPULARITY,
    PROMOTED_DAYS,
    PURCHASES,
    USERS,
)

SCHEMAS: dict[str, dict[str, type[pl.DataType]]] = {
    "users": USERS,
    "items": ITEMS,
    "purchases": PURCHASES,
    "behaviour": BEHAVIOUR,
    "daily_sales": DAILY_SALES,
    "promoted_days": PROMOTED_DAYS,
    "popularity": POPULARITY,
    "forecast_daily": FORECAST_DAILY,
    "forecast_totals": FORECAST_TOTALS,
    "places": PLACES,
    "place_shares": PLACE_SHARES,
    "place_weights": PLACE_WEIGHTS,
    "local_forecasts": LOCAL_FORECASTS,
    "outcomes": OUTCOMES,
    "launches": LAUNCHES,
    "prices": PRICES,
    "assortment": ASSORTMENT,
    "selection": SELECTION,
    "picks": PICKS,
    "ledger": LEDGER,
    "evaluation": EVALUATION,
    "evaluation_pairs": EVALUATION_PAIRS,
}


def write_artefact(frame: pl.DataFrame, path: Path, name: str) -> None:
    """Writes one artefact as Parquet, columns in the schema's order.

    Raises:
        RunError: a column is missing or has another type than the schema says.
    """
    schema = SCHEMAS[name]
    _check(frame.schema, path, name)
    # In one chunk: chunks differ between equal runs, and they show in the file, so in its digest.
    frame.select(list(schema)).rechunk().write_parquet(path, compression="zstd")


def scan_artefact(path: Path, name: str) -> pl.LazyFrame:
    """Returns one artefact as a lazy frame whose schema has been checked.

    Raises:
        RunError: the file is missing or does not have the schema.
    """
    if not path.is_file():
        raise RunError(f"{path}: no {name} artefact; run the stage that writes it (`recsvc nightly`)")
    frame = pl.scan_parquet(path, glob=False)
    _check(frame.collect_schema(), path, name)
    return frame


def read_artefact(path: Path, name: str) -> pl.DataFrame:
    """Returns one artefact in memory; raises as `scan_artefact` does."""
    return scan_artefact(path, name).collect()


def _check(found: pl.Schema, path: Path, name: str) -> None:
    for column, dtype in SCHEMAS[name].items():
        if column not in found:
            raise RunError(f"{path}: artefact {name} has no column {column!r}; delete the file and run again")
        if found[column] != dtype:
            raise RunError(
                f"{path}: artefact {name}.{column} is {found[column]}, not {dtype}; "
                "delete the file and run again"
            )
