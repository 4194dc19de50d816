"""Owns the whole import: every table into a side folder, which then takes the old tables' place at once."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping as AbstractMapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import polars as pl
from rich.console import Console

from recdata.config import DataConfig
from recdata.errors import ConfigError, RejectShareError, TableError
from recdata.importing.mapping import Mapping, load_mapping
from recdata.importing.report import FileRecord, ImportReport, TableReport, load_report, save_report
from recdata.importing.sources import SourceFile, disk_full, find_sources
from recdata.importing.table_import import UNKNOWN_CATEGORY, TableImport
from recdata.runs import alone, digest_file, is_disk_full, job_progress
from recdata.tables import ITEMS, REQUIRED_TABLES, TABLES

#: Raise it when an import of the same files gives other tables than before.
IMPORT_VERSION: Final = 2
REFUSED_NAME: Final = "refused-import"


def import_tables(
    source: Path,
    mapping: Path | None,
    home: Path,
    data: DataConfig,
    *,
    now: datetime,
    console: Console,
) -> ImportReport:
    """Imports a folder of a retailer's tables into `home/tables` and returns the counts.

    All tables are replaced together, so a table that is not in the folder is not there afterwards. When
    sources, mapping and config are those of the last import, nothing is done.

    Args:
        source: folder with the tables.
        mapping: TOML mapping file, None where the files have our names already.
        home: the home folder.
        data: `business_timezone` and `max_reject_share` count.
        now: with a zone; later events are in the future, so they are rejected.
        console: progress, the table of counts and remarks.

    Raises:
        ConfigError: the mapping is wrong, or `now` has no zone.
        TableError: nothing to import, a required table is absent or empty, or a file cannot be read or
            written (the disk is full).
        MissingColumnError: a column without which a table has no meaning is absent.
        RunError: another job is at work in this home, or it cannot be written.
        RejectShareError: a table rejects more than `max_reject_share`; `home/tables` is as before and the
            rejects lie in `home/refused-import`.
    """
    if now.tzinfo is None:
        raise ConfigError(f"now = {now}: has no time zone; write it as 2026-01-31T23:59:00+08:00")
    rules = load_mapping(mapping)
    try:
        with alone(home):
            return _import_tables(source, rules, home, data, now=now, console=console)
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(home, error) from error
        raise TableError(
            f"{source} to {home}: a file cannot be read or written ({error}); mend it and import again; "
            "no table was replaced"
        ) from error


def _import_tables(
    source: Path, rules: Mapping, home: Path, data: DataConfig, *, now: datetime, console: Console
) -> ImportReport:
    tables, side, refused = home / "tables", home / ".tables.part", home / REFUSED_NAME
    old = home / ".tables.old"
    if old.is_dir() and not tables.exists():
        old.rename(tables)  # an earlier import was killed between its two renames
    sources = find_sources(source, rules)
    for name in REQUIRED_TABLES:
        if name not in sources:
            raise TableError(
                f"{source}: no {name} table (found: {', '.join(sorted(sources))}); add {name}.csv or "
                f"{name}.parquet, or say in a mapping file with [tables.{name}] files which file holds it"
            )
    last = load_report(tables)
    records = _file_records(sources, last)
    fingerprint = _fingerprint(records, rules, data)
    if last is not None and last.fingerprint == fingerprint and _still_true(last, tables, now):
        console.print(f"import: nothing has changed since {last.imported_at:%Y-%m-%d %H:%M} UTC, skipped")
        return msgspec.structs.replace(last, skipped=True)
    shutil.rmtree(side, ignore_errors=True)
    side.mkdir(parents=True)
    try:
        reports = _import_all(sources, records, rules, data, side, now=now, console=console)
        report = ImportReport(imported_at=now, fingerprint=fingerprint, tables=reports)
        console.print(report.table())
        for remark in report.remarks():
            console.print(remark, style="dim", markup=False)
        try:
            _refuse(reports, data, refused)
        except TableError:
            _keep_rejects(side, refused)
            raise
        save_report(side, report)
        _swap(side, tables, old)
        shutil.rmtree(refused, ignore_errors=True)
    finally:
        shutil.rmtree(side, ignore_errors=True)
    return report


def _import_all(
    sources: AbstractMapping[str, list[SourceFile]],
    records: AbstractMapping[str, tuple[FileRecord, ...]],
    rules: Mapping,
    data: DataConfig,
    side: Path,
    *,
    now: datetime,
    console: Console,
) -> dict[str, TableReport]:
    reports: dict[str, TableReport] = {}
    known: pl.Series | None = None
    with job_progress(console, "import") as progress:
        task = progress.add_task("tables", total=len(sources))
        for name, files in sources.items():
            progress.update(task, description=f"{name} ({len(files)} files)" if len(files) > 1 else name)
            adds = rules.table(name).unknown_items == "add"
            work = TableImport(
                TABLES[name],
                files,
                mapping=rules,
                data=data,
                folder=side,
                now=now,
                known_items=None if adds else known,
            )
            reports[name] = TableReport(files=records[name], **asdict(work.run()))
            if name == "items":
                known = _item_ids(side)
            elif adds and known is not None:
                added = _add_items(side, name, known)
                if added:
                    reports["items"] = msgspec.structs.replace(
                        reports["items"], added=reports["items"].added + added
                    )
                    known = _item_ids(side)
            progress.advance(task)
    shutil.rmtree(side / ".work", ignore_errors=True)
    return reports


def _item_ids(side: Path) -> pl.Series:
    return pl.read_parquet(side / "items.parquet", columns=["item_id"], glob=False)["item_id"]


def _add_items(side: Path, name: str, known: pl.Series) -> int:
    """Adds an item for each id that a table names and the items table has not; returns how many."""
    frame = pl.scan_parquet(side / f"{name}.parquet", glob=False)
    if "item_id" in frame.collect_schema():
        ids = frame.select("item_id")
    elif "item_ids" in frame.collect_schema():
        ids = frame.select(item_id=pl.col("item_ids").explode())
    else:
        return 0
    new = (
        ids.drop_nulls()
        .unique()
        .filter(pl.col("item_id").is_in(known.implode()).not_())
        .collect(engine="streaming")
        .sort("item_id")
    )
    if not new.height:
        return 0
    values = {"title": pl.col("item_id"), "category": pl.lit(UNKNOWN_CATEGORY), "status": pl.lit("active")}
    rows = new.with_columns(
        values.get(column.name, pl.lit(None, dtype=column.dtype)).alias(column.name)
        for column in ITEMS.columns
        if column.name != "item_id"
    ).select(list(ITEMS.schema))
    path = side / "items.parquet"
    pl.concat([pl.read_parquet(path, glob=False), rows]).write_parquet(
        path, compression="zstd", compression_level=1
    )
    return new.height


def _refuse(reports: AbstractMapping[str, TableReport], data: DataConfig, refused: Path) -> None:
    for name, report in reports.items():
        share = report.rejected_rows / report.read if report.read else 0.0
        if share > data.max_reject_share:
            worst = ", ".join(f"{reason} {rows:,}" for reason, rows in list(report.rejected.items())[:3])
            raise RejectShareError(
                f"table {name}: {report.rejected_rows:,} of {report.read:,} rows rejected "
                f"({share:.1%}; {worst}), more than [data] max_reject_share = {data.max_reject_share:g}; "
                f"no table was replaced; see {refused / 'rejects' / name}.csv, mend the source or its mapping"
            )
    for name in REQUIRED_TABLES:
        if not reports[name].kept:
            files = ", ".join(file.name for file in reports[name].files)
            raise TableError(
                f"table {name} ({files}): no usable row; give at least one, no table was replaced"
            )


def _keep_rejects(side: Path, refused: Path) -> None:
    shutil.rmtree(refused, ignore_errors=True)
    if (side / "rejects").is_dir():
        refused.mkdir(parents=True)
        (side / "rejects").rename(refused / "rejects")


def _swap(side: Path, tables: Path, old: Path) -> None:
    shutil.rmtree(old, ignore_errors=True)
    if tables.exists():
        tables.rename(old)
    side.rename(tables)
    shutil.rmtree(old, ignore_errors=True)


def _file_records(
    sources: AbstractMapping[str, list[SourceFile]], last: ImportReport | None
) -> dict[str, tuple[FileRecord, ...]]:
    """Returns each table's files with digests; a file of unchanged size and time is not read again."""
    known: dict[tuple[str, int, int], str] = {}
    for table in last.tables.values() if last is not None else ():
        known |= {(file.name, file.size, file.mtime_ns): file.sha256 for file in table.files}
    records = {}
    for name, files in sources.items():
        made = []
        for file in files:
            stat = file.path.stat()
            key = (file.name, stat.st_size, stat.st_mtime_ns)
            if key not in known:
                known[key] = digest_file(file.path)
            made.append(FileRecord(name=key[0], size=key[1], mtime_ns=key[2], sha256=known[key]))
        records[name] = tuple(made)
    return records


def _fingerprint(
    records: AbstractMapping[str, tuple[FileRecord, ...]], rules: Mapping, data: DataConfig
) -> str:
    content = {
        "version": IMPORT_VERSION,
        "files": {name: [(file.name, file.sha256) for file in files] for name, files in records.items()},
        "mapping": rules,
        "business_timezone": data.business_timezone,
        "max_reject_share": data.max_reject_share,
    }
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def _still_true(last: ImportReport, tables: Path, now: datetime) -> bool:
    """Returns whether the tables are all there and no row was rejected for a future that may have come."""
    there = all((tables / f"{name}.parquet").is_file() for name in last.tables)
    future = any("time_in_future" in report.rejected for report in last.tables.values())
    return there and not (future and now > last.imported_at)
