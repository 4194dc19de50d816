"""Owns importing one table: map, check, find repeated rows, and write the good rows and the rejects.

The source is read lazily and streamed: the checked rows go to a staged Parquet file first, with the number
of the check that each failed; of the whole table only one 64-bit hash a row is ever in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from recdata.config import DataConfig
from recdata.errors import TableError
from recdata.importing.checks import Check, first_failed, raw_name, table_checks
from recdata.importing.mapping import Mapping
from recdata.importing.sources import ROW, SourceFile, disk_full, scan_source
from recdata.importing.transform import LEFT_OUT, map_file
from recdata.runs import is_disk_full
from recdata.tables import TableSchema

FILE: Final = "__file"
CODE: Final = "__code"
LEFT_OUT_CODE: Final = -1
#: Stands, among the numbers of checks, for a promotion of which no listed item is known.
NO_KNOWN_ITEM_CODE: Final = 10_000
VALUE_CHARS: Final = 200
#: More rows than a file can have, so that file number and row make one number.
MAX_ROWS: Final = 1 << 40
REJECT_COLUMNS: Final = ("table", "file", "row", "reason", "column", "value")
UNKNOWN_CATEGORY: Final = "Unknown"


@dataclass(frozen=True, slots=True)
class TableResult:
    """What came of one table; the fields are those of `recdata.importing.report.TableReport`."""

    read: int
    kept: int
    left_out: int
    repeated: int
    rejected: dict[str, int]
    ignored_columns: tuple[str, ...]
    notes: tuple[str, ...]


class TableImport:
    """Imports one table from its files into a side folder.

    Args:
        table: which table.
        files: its sources.
        mapping: the whole mapping.
        data: the room's config.
        folder: side folder for `<table>.parquet` and `rejects/<table>.csv`.
        now: with a zone.
        known_items: item ids, None for the items table itself and where unknown items are added.
    """

    def __init__(
        self,
        table: TableSchema,
        files: Sequence[SourceFile],
        *,
        mapping: Mapping,
        data: DataConfig,
        folder: Path,
        now: datetime,
        known_items: pl.Series | None,
    ) -> None:
        self._table = table
        self._files = files
        self._rules = mapping.table(table.name)
        self._folder = folder
        self._known_items = known_items
        self._scratch = folder / ".work"
        self._staged_path = self._scratch / f"{table.name}.parquet"
        self._checks: list[Check] = table_checks(
            table, now=now, business_timezone=data.business_timezone, known_items=known_items
        )
        mapped = [
            map_file(scan_source(file, mapping.csv, self._scratch), file, table, mapping) for file in files
        ]
        self._ignored = tuple(dict.fromkeys(name for file in mapped for name in file.ignored))
        self._checked = [self._check(file.frame, number) for number, file in enumerate(mapped)]

    def run(self) -> TableResult:
        """Writes the table and its rejects; returns the counts.

        Raises:
            TableError: a file cannot be read after all.
        """
        self._scratch.mkdir(parents=True, exist_ok=True)
        try:
            return self._run()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            names = ", ".join(file.name for file in self._files)
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            if is_disk_full(error):
                raise disk_full(self._folder, error) from error
            remedy = (
                "look for broken lines, or set [csv] separator, quote and encoding in a mapping file"
                if any(file.is_csv for file in self._files)
                else "the file is damaged: write or copy it again"
            )
            raise TableError(
                f"table {self._table.name} ({names}): cannot be read to the end ({said}); {remedy}"
            ) from error

    def _run(self) -> TableResult:
        names = list(self._table.schema)
        staged = pl.concat([frame.select(FILE, ROW, CODE, *names) for frame in self._checked])
        staged.sink_parquet(self._staged_path, compression="lz4", engine="streaming")
        notes = self._trim_item_lists() if self._table.name == "promotions" else []
        repeated, duplicates = self._repeats()
        staged = pl.scan_parquet(self._staged_path, glob=False)
        counts = dict(staged.group_by(CODE).agg(pl.len()).collect(engine="streaming").iter_rows())
        good = staged.filter(pl.col(CODE).is_null())
        for gone in (repeated, duplicates):
            if gone.height:
                good = good.join(gone.lazy(), on=[FILE, ROW], how="anti", maintain_order="left")
        target = self._folder / f"{self._table.name}.parquet"
        good.select(
            pl.col(c.name) if c.default is None else pl.col(c.name).fill_null(c.default)
            for c in self._table.columns
        ).sink_parquet(target, compression="zstd", compression_level=1, engine="streaming")
        read = sum(counts.values())
        left_out = counts.pop(LEFT_OUT_CODE, 0)
        good_rows = counts.pop(None, 0)
        rejected = self._reasons(counts, duplicates.height)
        if rejected:
            self._write_rejects(duplicates)
        return TableResult(
            read=read,
            kept=good_rows - repeated.height - duplicates.height,
            left_out=left_out,
            repeated=repeated.height,
            rejected=rejected,
            ignored_columns=self._ignored,
            notes=tuple(notes),
        )

    def _check(self, frame: pl.LazyFrame, number: int) -> pl.LazyFrame:
        code = pl.when(pl.col(LEFT_OUT)).then(pl.lit(LEFT_OUT_CODE, dtype=pl.Int16))
        return frame.with_columns(
            pl.lit(number, dtype=pl.Int32).alias(FILE),
            pl.col(ROW).cast(pl.Int64),
            code.otherwise(first_failed(self._checks)).alias(CODE),
        )

    def _trim_item_lists(self) -> list[str]:
        """Takes unknown items out of promotions' lists; one that listed only such is rejected."""
        if self._known_items is None:
            return []
        staged = pl.read_parquet(self._staged_path, glob=False)
        number = pl.int_range(pl.len()).alias("__n")
        numbered = staged.with_columns(number)
        listed = numbered.filter(pl.col("item_ids").list.len() > 0).select("__n", "item_ids")
        exploded = listed.explode("item_ids").unique(["__n", "item_ids"], maintain_order=True)
        known = exploded.filter(pl.col("item_ids").is_in(self._known_items.implode()))
        lists = known.group_by("__n", maintain_order=True).agg("item_ids")
        emptied = pl.col("item_ids").list.len().fill_null(0).gt(0) & pl.col("known").is_null()
        trimmed = (
            numbered.join(lists.rename({"item_ids": "known"}), on="__n", how="left", maintain_order="left")
            .with_columns(
                pl.when(emptied & pl.col(CODE).is_null())
                .then(pl.lit(NO_KNOWN_ITEM_CODE, dtype=pl.Int16))
                .otherwise(CODE)
                .alias(CODE),
                item_ids="known",
            )
            .drop("known", "__n")
        )
        trimmed.write_parquet(self._staged_path)
        unknown = exploded.height - known.height
        return (
            [f"{unknown:,} listed item ids are not in the items table and were taken out"] if unknown else []
        )

    def _repeats(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Returns (file, row) of rows that a later row of the same key replaces, and of duplicates."""
        none = pl.DataFrame(schema={FILE: pl.Int32, ROW: pl.Int64})
        good = pl.scan_parquet(self._staged_path, glob=False).filter(pl.col(CODE).is_null())
        place = [FILE, ROW]
        if self._rules.one_row_per_key:
            keys = list(self._table.key)
            one = pl.col(FILE).cast(pl.Int64) * MAX_ROWS + pl.col(ROW)
            last = good.group_by(keys).agg(one=one.max())
            others = good.select(*place, one=one).join(last, on="one", how="anti")
            return others.select(place).collect(engine="streaming"), none
        if self._rules.duplicates == "keep" and not self._table.key:
            return none, none
        same = list(self._table.key or self._table.schema)
        hashes = good.select(hash=pl.struct(same).hash(seed=1)).collect(engine="streaming")["hash"].to_numpy()
        ordered = np.sort(hashes)
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        del hashes, ordered
        if not len(twice):
            return none, none
        # Equal hashes need not be equal rows: these few are compared as they are.
        suspects = (
            good.with_columns(hash=pl.struct(same).hash(seed=1))
            .filter(pl.col("hash").is_in(pl.Series(twice).implode()))
            .select(*place, *same)
            .collect(engine="streaming")
            .sort(place)
        )
        first = suspects.unique(same, keep="first", maintain_order=True).select(place)
        return none, suspects.select(place).join(first, on=place, how="anti", maintain_order="left")

    def _reasons(self, counts: dict[int | None, int], duplicates: int) -> dict[str, int]:
        rejected: dict[str, int] = {}
        for code, rows in counts.items():
            reason = "unknown_item" if code == NO_KNOWN_ITEM_CODE else self._checks[code or 0].reason
            rejected[reason] = rejected.get(reason, 0) + rows
        if duplicates:
            rejected[self._duplicate_reason] = duplicates
        return dict(sorted(rejected.items(), key=lambda pair: (-pair[1], pair[0])))

    @property
    def _duplicate_reason(self) -> str:
        return "duplicate_id" if self._table.key else "duplicate_row"

    def _write_rejects(self, duplicates: pl.DataFrame) -> None:
        """Writes rejects/<table>.csv: the sources are read again, now for the bad rows' own values."""
        names = pl.Series("file", [file.name for file in self._files], dtype=pl.String)
        reasons = {number: check.reason for number, check in enumerate(self._checks)}
        columns = {number: check.column for number, check in enumerate(self._checks)}
        parts = []
        code = pl.col(CODE)
        for frame in self._checked:
            value = pl.lit(None, dtype=pl.String)
            types = frame.collect_schema()
            for name in dict.fromkeys(columns.values()):
                numbers = [number for number, column in columns.items() if column == name]
                value = (
                    pl.when(code.is_in(numbers))
                    .then(_as_text(raw_name(name), types[raw_name(name)]))
                    .otherwise(value)
                )
            parts.append(
                frame.filter(code >= 0).select(
                    FILE,
                    ROW,
                    reason=code.replace_strict(reasons, return_dtype=pl.String),
                    column=code.replace_strict(columns, return_dtype=pl.String),
                    value=value.str.slice(0, VALUE_CHARS),
                )
            )
        key = list(self._table.key) or ["item_id"]
        staged = pl.scan_parquet(self._staged_path, glob=False)
        for rows, reason, column in (
            (staged.join(duplicates.lazy(), on=[FILE, ROW], how="semi"), self._duplicate_reason, key[0]),
            (staged.filter(code == NO_KNOWN_ITEM_CODE), "unknown_item", "item_ids"),
        ):
            parts.append(
                rows.sort(FILE, ROW).select(
                    FILE,
                    ROW,
                    reason=pl.lit(reason),
                    column=pl.lit(column),
                    value=pl.concat_str(
                        [pl.col(name).cast(pl.String) for name in key], separator=", ", ignore_nulls=True
                    ).str.slice(0, VALUE_CHARS),
                )
            )
        target = self._folder / "rejects" / f"{self._table.name}.csv"
        target.parent.mkdir(parents=True, exist_ok=True)
        pl.concat(parts).select(
            table=pl.lit(self._table.name),
            file=pl.col(FILE).replace_strict(dict(enumerate(names)), return_dtype=pl.String),
            row=pl.col(ROW),
            reason="reason",
            column="column",
            value="value",
        ).sink_csv(target, engine="streaming")


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    value = pl.col(name)
    if isinstance(dtype, pl.List):
        return value.cast(pl.List(pl.String)).list.join("|")
    return value.struct.json_encode() if isinstance(dtype, pl.Struct) else value.cast(pl.String)
