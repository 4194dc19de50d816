"""Owns which Parquet file is damaged, asked after a stage failed: Polars' own words name no file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from recdata.errors import RunError

#: What Polars raises of a file's content; its Rust part panics, which is no `Exception`.
TOLD_BY_POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def blame_damage(error: BaseException, stage: str, inputs: Iterable[Path]) -> None:
    """Looks for the damaged file behind a stage's failure; does nothing where Polars did not raise it.

    Raises:
        RunError: one of the inputs cannot be read to its end.
    """
    if not isinstance(error, TOLD_BY_POLARS) or (found := damaged_parquet(inputs)) is None:
        return
    path, said = found
    remedy = (
        "import the tables again (`recsvc import`)"
        if path.parent.name == "tables"
        else "delete it and start the same job again: it is made anew"
    )
    raise RunError(f"{path}: damaged, so stage {stage} cannot read it ({said}); {remedy}") from error


def damaged_parquet(paths: Iterable[Path]) -> tuple[Path, str] | None:
    """Returns the first Parquet file that cannot be read to its end, and what Polars says of it; or None.

    Files that are not there, or are not Parquet by their name, are passed over. One column is read at a time,
    so that a large table needs the memory of its largest column alone.
    """
    for path in paths:
        if path.suffix != ".parquet" or not path.is_file():
            continue
        try:
            for column in pl.read_parquet_schema(path):
                pl.read_parquet(path, columns=[column], glob=False)
        except TOLD_BY_POLARS as error:
            return path, (str(error).strip() or type(error).__name__).splitlines()[0]
    return None
