"""Owns bringing a retailer's own files into the input tables: mapping, checks, rejects, counts."""

from __future__ import annotations

from recdata.importing.job import import_tables
from recdata.importing.mapping import load_mapping
from recdata.importing.report import ImportReport, TableReport

__all__ = ["ImportReport", "TableReport", "import_tables", "load_mapping"]
