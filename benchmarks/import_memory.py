"""Measures importing a large event table: seconds and peak memory, as gzipped CSV and as Parquet.

    python benchmarks/import_memory.py [--events 20000000] [--folder FOLDER]

Makes the events itself (100,000 items, 1,000,000 users, one event in a thousand bad) and deletes all at the
end. Each import runs in a process of its own, so that its peak resident memory is its own. Writes
benchmarks/results/import_memory.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from recdata.config import DataConfig
from recdata.importing import import_tables

ITEMS = 100_000
USERS = 1_000_000
PART_ROWS = 1_000_000
BAD_SHARE = 0.001
START_US = 1_672_531_200_000_000  # 2023-01-01
SPAN_US = 2 * 365 * 86_400 * 1_000_000
RESULT = Path(__file__).parent / "results" / "import_memory.json"


def main() -> None:
    """Makes the data, runs both imports, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--folder", type=Path, help="where the data are made, then deleted")
    parser.add_argument("--import-only", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.import_only is not None:
        print(json.dumps(run_import(arguments.import_only)))
        return
    folder = arguments.folder or Path(tempfile.mkdtemp())
    results = {}
    try:
        for kind in ("csv.gz", "parquet"):
            source = folder / kind / "source"
            size = make_source(source, kind, arguments.events)
            command = [sys.executable, __file__, "--import-only", str(source)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results[kind] = json.loads(output.splitlines()[-1]) | {"source_mb": round(size / 1e6, 1)}
            shutil.rmtree(folder / kind)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"events": arguments.events, "results": results}, indent=2) + "\n")
    table = Table(title=f"Import of {arguments.events:,} events")
    for heading in ("source", "size, MB", "seconds", "CPU seconds", "peak memory, MB", "kept", "rejected"):
        table.add_column(heading, justify="left" if heading == "source" else "right")
    for kind, result in results.items():
        table.add_row(
            kind,
            f"{result['source_mb']:,.0f}",
            f"{result['seconds']:.1f}",
            f"{result['cpu_seconds']:.1f}",
            f"{result['peak_mb']:,.0f}",
            f"{result['kept']:,}",
            f"{result['rejected']:,}",
        )
    Console().print(table)


def make_source(folder: Path, kind: str, events: int) -> int:
    """Writes items and events into the folder; returns the events' size in bytes."""
    folder.mkdir(parents=True)
    ids = pl.int_range(ITEMS, eager=True).cast(pl.String)
    items = pl.DataFrame({"item_id": "item-" + ids, "title": "Item " + ids})
    items.with_columns(category=pl.lit("Food > Tea")).write_csv(folder / "items.csv")
    rng = np.random.default_rng(1)
    if kind == "csv.gz":
        path = folder / "events.csv.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            for start in range(0, events, PART_ROWS):
                part = make_events(rng, min(PART_ROWS, events - start))
                text = part.with_columns(pl.col("event_time").dt.strftime("%Y-%m-%d %H:%M:%S"))
                file.write(text.write_csv(include_header=start == 0).encode())
        return path.stat().st_size
    (folder / "events").mkdir()
    for number, start in enumerate(range(0, events, PART_ROWS)):
        part = make_events(rng, min(PART_ROWS, events - start))
        part.write_parquet(folder / "events" / f"part-{number:03}.parquet")
    return sum(path.stat().st_size for path in (folder / "events").iterdir())


def make_events(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    """Returns some events; a thousandth names an item that does not exist."""
    items = (rng.pareto(1.0, rows) * 50).astype(np.int64) % ITEMS
    items[rng.random(rows) < BAD_SHARE] = ITEMS
    kinds = np.array(["view", "click", "add_to_cart", "purchase"])[rng.integers(0, 4, rows)]
    return pl.DataFrame(
        {
            "user_id": "user-" + pl.Series(rng.integers(0, USERS, rows)).cast(pl.String),
            "item_id": "item-" + pl.Series(items).cast(pl.String),
            "event_type": kinds,
            "event_time": pl.Series(START_US + rng.integers(0, SPAN_US, rows)).cast(pl.Datetime("us")),
            "quantity": rng.integers(1, 4, rows),
            "unit_price": rng.integers(100, 99_999, rows) / 100,
            "order_id": "order-" + pl.Series(rng.integers(0, 10**9, rows)).cast(pl.String),
            "channel": np.array(["tmall", "jd", "mini", "shop"])[rng.integers(0, 4, rows)],
        }
    )


def run_import(source: Path) -> dict[str, float]:
    """Imports the folder in this process; returns seconds, CPU seconds, peak resident MB and counts."""
    started = time.monotonic()
    report = import_tables(
        source,
        None,
        source.parent / "home",
        DataConfig(),
        now=datetime.now(UTC),
        console=Console(quiet=True),
    )
    seconds = time.monotonic() - started
    usage = resource.getrusage(resource.RUSAGE_SELF)
    events = report.tables["events"]
    assert events.read == events.kept + events.rejected_rows
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1024, 1),
        "kept": events.kept,
        "rejected": events.rejected_rows,
    }


if __name__ == "__main__":
    main()
