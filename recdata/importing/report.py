"""Owns what an import tells: the counts by table, kept as `tables/import.json` and printed as a table."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from rich.table import Table

from recdata.runs import write_atomic

REPORT_NAME: Final = "import.json"
REPORT_VERSION: Final = 1


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One source file as it was when it was read."""

    name: str
    size: int
    mtime_ns: int
    sha256: str


class TableReport(msgspec.Struct, frozen=True, kw_only=True):
    """One table's counts.

    Attributes:
        files: what it was read from.
        read: rows in the files.
        kept: rows in the table, without `added`.
        left_out: rows that the mapping leaves out.
        repeated: rows whose key a later row has, where the mapping says one_row_per_key.
        rejected: reason -> rows.
        added: items made up for ids that are not in the items table.
        ignored_columns: source columns that nothing uses.
        notes: what else is worth knowing, as sentences.
    """

    files: tuple[FileRecord, ...]
    read: int
    kept: int
    left_out: int = 0
    repeated: int = 0
    rejected: dict[str, int] = {}
    added: int = 0
    ignored_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rejected_rows(self) -> int:
        """Returns how many rows were rejected for any reason."""
        return sum(self.rejected.values())


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """One import.

    Attributes:
        imported_at: the import's `now`.
        fingerprint: of the sources' content, the mapping and the config.
        tables: by name.
        version: of this format.
        skipped: nothing had changed, so nothing was done; never stored as true.
    """

    imported_at: datetime
    fingerprint: str
    tables: dict[str, TableReport]
    version: int = REPORT_VERSION
    skipped: bool = False

    def table(self) -> Table:
        """Returns the table of counts that an import prints."""
        table = Table(title="Import")
        table.add_column("table")
        table.add_column("what")
        table.add_column("rows", justify="right")
        for name, counts in self.tables.items():
            lines = [("read", counts.read), ("kept", counts.kept)]
            others = (
                ("left out by the mapping", counts.left_out),
                ("repeated key, a later row counts", counts.repeated),
                ("added for unknown ids", counts.added),
            )
            lines += [(what, rows) for what, rows in others if rows]
            lines += [(f"rejected: {reason}", rows) for reason, rows in counts.rejected.items()]
            for number, (what, rows) in enumerate(lines):
                last = number == len(lines) - 1
                table.add_row("" if number else name, what, f"{rows:,}", end_section=last)
        return table

    def remarks(self) -> list[str]:
        """Returns the sentences below the table: ignored columns and notes."""
        lines = []
        for name, counts in self.tables.items():
            if counts.ignored_columns:
                lines.append(f"{name}: columns not used: {', '.join(counts.ignored_columns)}")
            lines += [f"{name}: {note}" for note in counts.notes]
        return lines


def load_report(folder: Path) -> ImportReport | None:
    """Returns the report of the tables in `folder`, None where there is none that can be used."""
    try:
        report = msgspec.json.decode((folder / REPORT_NAME).read_bytes(), type=ImportReport)
    except (OSError, msgspec.DecodeError):
        return None
    return report if report.version == REPORT_VERSION else None


def save_report(folder: Path, report: ImportReport) -> None:
    """Writes the report as `import.json` into `folder`."""
    write_atomic(folder / REPORT_NAME, msgspec.json.format(msgspec.json.encode(report)))
