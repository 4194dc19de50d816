import csv
import io
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from recdata.config import DataConfig
from recdata.importing import import_tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Shop:
    """A source folder and a home to import it into."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.home = folder / "home"
        self.source.mkdir()
        self.console = Console(record=True, width=200, file=io.StringIO())

    def put(self, name: str, text: str) -> None:
        path = self.source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, mapping: str | None = None, *, now: datetime = NOW, **data):
        path = None
        if mapping is not None:
            path = self.home.parent / "mapping.toml"
            path.write_text(mapping, encoding="utf-8")
        config = DataConfig(**({"max_reject_share": 1.0} | data))
        return import_tables(self.source, path, self.home, config, now=now, console=self.console)

    def rejects(self, table: str) -> list[dict[str, str]]:
        with (self.home / "tables" / "rejects" / f"{table}.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))
