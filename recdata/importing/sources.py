"""Owns finding and scanning a retailer's files: which belong to a table, and how each is read lazily."""

from __future__ import annotations

import codecs
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

import polars as pl

from recdata.errors import TableError
from recdata.importing.mapping import CsvOptions, Mapping
from recdata.tables import TABLES

SUFFIXES: Final = (".parquet", ".csv", ".csv.gz")
#: Column of a source row's number within its file, counted from 1 without the header.
ROW: Final = "__row"
COPY_BLOCK_CHARS: Final = 1 << 20


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

    Args:
        file: what to read.
        options: how CSV is written.
        scratch: folder in which a file of another encoding than UTF-8 is converted.

    Raises:
        TableError: the file is empty or not what its name says.
    """
    try:
        if not file.is_csv:
            frame = pl.scan_parquet(file.path, row_index_name=ROW, row_index_offset=1)
        else:
            frame = pl.scan_csv(
                _as_utf8(file, options.encoding, scratch),
                separator=options.separator,
                quote_char=options.quote,
                null_values=list(options.null_values) or None,
                infer_schema=False,
                row_index_name=ROW,
                row_index_offset=1,
                glob=False,
            )
        frame.collect_schema()
    except pl.exceptions.NoDataError as error:
        raise TableError(f"{file.path}: the file is empty; it needs a line of column names") from error
    except (pl.exceptions.PolarsError, OSError, UnicodeError) as error:
        kind = "CSV" if file.is_csv else "Parquet"
        raise TableError(f"{file.path}: cannot be read as {kind} ({_first_line(error)})") from error
    return frame


def _as_utf8(file: SourceFile, encoding: str, scratch: Path) -> Path:
    if codecs.lookup(encoding).name in {"utf-8", "ascii"}:
        return file.path
    scratch.mkdir(parents=True, exist_ok=True)
    target = scratch / file.name.replace("/", "__").removesuffix(".gz")
    zipped = file.name.endswith(".gz")
    with file.path.open("rb") as plain, target.open("w", encoding="utf-8", newline="") as out:
        stream = cast("BinaryIO", gzip.GzipFile(fileobj=plain)) if zipped else plain
        reader = codecs.getreader(encoding)(stream)
        while text := reader.read(COPY_BLOCK_CHARS):
            out.write(text)
    return target


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
