"""Owns finding and scanning a retailer's files: which belong to a table, and how each is read lazily."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from recdata.errors import TableError
from recdata.importing.csv_lines import (
    BROKEN,
    BROKEN_TEXT,
    EMPTY,
    is_utf8,
    lines_are_sound,
    write_marked_copy,
)
from recdata.importing.mapping import CsvOptions, Mapping
from recdata.runs import is_disk_full
from recdata.tables import TABLES

SUFFIXES: Final = (".parquet", ".csv", ".csv.gz")
#: Column of a source row's number within its file, counted from 1 without the header.
ROW: Final = "__row"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a table.

    Attributes:
        path: where it lies.
        name: its path relative to the source folder, with forward slashes.
    """

    path: Path
    name: str

    @property
    def is_csv(self) -> bool:
        """Returns whether it is CSV, gzipped or not."""
        return not self.name.endswith(".parquet")


def find_sources(folder: Path, mapping: Mapping) -> dict[str, list[SourceFile]]:
    """Returns table name -> its files sorted by name, for every table that has any.

    Raises:
        TableError: the folder is not there, holds nothing of ours, or a mapped pattern meets no usable file.
    """
    if not folder.is_dir():
        raise TableError(f"{folder}: no such folder; give the folder of your tables with --from")
    found: dict[str, list[SourceFile]] = {}
    for name in TABLES:
        patterns = mapping.table(name).files
        paths: set[Path] = set()
        for pattern in patterns or _default_patterns(name):
            met = {path for path in folder.glob(pattern) if path.is_file()}
            if patterns and not met:
                raise TableError(
                    f"{folder}: no file matches {pattern!r}, which the mapping names in tables.{name}.files"
                )
            wrong = sorted(path.name for path in met if not path.name.endswith(SUFFIXES))
            if patterns and wrong:
                raise TableError(
                    f"{folder}: {wrong[0]} (tables.{name}.files) is none of {', '.join(SUFFIXES)}; "
                    "convert it first"
                )
            paths |= {path for path in met if path.name.endswith(SUFFIXES)}
        if paths:
            files = [SourceFile(path, path.relative_to(folder).as_posix()) for path in paths]
            found[name] = sorted(files, key=lambda file: file.name)
    if not found:
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        raise TableError(
            f"{folder}: no table found (there is: {there}); name files events.csv, items.parquet and so on, "
            "or name yours in a mapping file (--mapping, see examples/mapping.toml)"
        )
    return found


def _default_patterns(name: str) -> tuple[str, ...]:
    stems = (name, f"{name}[-_.]*", f"{name}/*")
    return tuple(f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES)


def scan_source(file: SourceFile, options: CsvOptions, scratch: Path) -> pl.LazyFrame:
    """Returns the file's rows lazily with their number in `ROW`; CSV columns are all strings.

    A broken line of a CSV file is a row without values that has its reason in `BROKEN`.

    Args:
        file: what to read.
        options: how CSV is written.
        scratch: folder for copies of files with broken lines or another encoding than UTF-8.

    Raises:
        TableError: the file is empty or not what its name says.
    """
    kind = "CSV" if file.is_csv else "Parquet"
    try:
        if file.is_csv:
            frame = _scan_csv(file, options, scratch)
        else:
            unbroken = [pl.lit(None, dtype=pl.String).alias(name) for name in (BROKEN, BROKEN_TEXT)]
            # The path is taken as it is: no pattern, no partitions read from the names of folders.
            frame = pl.scan_parquet(
                file.path, row_index_name=ROW, row_index_offset=1, glob=False, hive_partitioning=False
            ).with_columns(unbroken)
        frame.collect_schema()
    except pl.exceptions.NoDataError as error:
        raise TableError(f"{file.path}: the file is empty; it needs a line of column names") from error
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error, UnicodeError) as error:
        if is_disk_full(error):
            raise disk_full(scratch, error) from error
        raise TableError(f"{file.path}: cannot be read as {kind} ({_first_line(error)})") from error
    return frame


def disk_full(folder: Path, error: BaseException) -> TableError:
    """Returns the error that says so."""
    return TableError(
        f"{folder}: the disk is full ({_first_line(error)}); make room, import again; no table was replaced"
    )


def _scan_csv(file: SourceFile, options: CsvOptions, scratch: Path) -> pl.LazyFrame:
    path = file.path
    marked = not (is_utf8(options.encoding) and lines_are_sound(path, options))
    if marked:
        scratch.mkdir(parents=True, exist_ok=True)
        path = scratch / f"{hashlib.sha256(file.name.encode()).hexdigest()[:16]}.csv"
        write_marked_copy(file.path, options, path)
    frame = pl.scan_csv(
        path,
        separator=options.separator,
        quote_char=options.quote,
        null_values=list(options.null_values) or None,
        infer_schema=False,
        row_index_name=ROW,
        row_index_offset=1,
        glob=False,
    )
    if marked:
        return frame.filter(pl.col(BROKEN).ne_missing(EMPTY))
    return frame.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in (BROKEN, BROKEN_TEXT))


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
