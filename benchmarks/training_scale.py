"""Measures the nightly job on a large made shop: seconds and peak memory by stage, beside a bare fit.

    python benchmarks/training_scale.py [--users 1000000] [--items 100000] [--events 20000000] [--whole]
        [--folder FOLDER] [--config FILE] [--stages popularity,baskets]

Makes the purchases itself, imports them, and runs the stages that make the recommendations, each process
measured by itself; `--whole` adds forecasts, evaluation, selection and the publish. Beside it stands
implicit's AlternatingLeastSquares at the same settings on the same matrix, in a process of its own that does
nothing else. Writes benchmarks/results/training_scale.json. A folder that is given is kept, and a second run
in it goes on where the first one stopped; without one all is deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from load.orders import Trade
from rich.console import Console
from rich.table import Table
from scipy import sparse
from threadpoolctl import threadpool_limits

from recdata.importing import import_tables
from recdata.memory import PeakMemory
from recdata.runs import StageRecord, write_atomic
from training.pipeline import NightlyConfig, execute, open_run, stages_for

RESULT = Path(__file__).parent / "results" / "training_scale.json"
#: The stages whose time is held against a bare fit and an import.
RECOMMENDING = ("similar", "baskets", "popularity", "ranking")


def main() -> None:
    """Makes the data, runs everything in processes of their own, prints the table."""
    arguments = _arguments()
    if arguments.child is not None:
        print(json.dumps(CHILDREN[arguments.child](arguments)))
        return
    folder = arguments.folder or Path(tempfile.mkdtemp())
    try:
        if not (folder / "source").is_dir():
            part = folder / "source.part"
            shutil.rmtree(part, ignore_errors=True)
            Trade(arguments.users, arguments.items, arguments.events).write(part)
            part.rename(folder / "source")
        arguments.folder = folder
        results = [row for name in ("import", "stages", "bare") for row in _in_a_process(name, arguments)]
    finally:
        if "--folder" not in sys.argv:
            shutil.rmtree(folder, ignore_errors=True)
    size = {"users": arguments.users, "items": arguments.items, "events": arguments.events}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(size | {"results": results}, indent=2) + "\n")
    Console(width=100).print(_table(size, results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument(
        "--whole", action="store_true", help="the whole nightly job, not only the recommendations"
    )
    parser.add_argument("--stages", default=",".join(RECOMMENDING), help="the last stages that are run")
    parser.add_argument("--folder", type=Path, help="where everything is made, and kept")
    parser.add_argument("--config", type=Path, help="TOML file; every default without one")
    parser.add_argument("--child", choices=list(CHILDREN), help=argparse.SUPPRESS)
    return parser.parse_args()


def _in_a_process(name: str, arguments: argparse.Namespace) -> list[dict[str, object]]:
    options = [
        f"--{key}={value}"
        for key, value in vars(arguments).items()
        if value and key not in ("child", "whole")
    ]
    whole = ["--whole"] if arguments.whole else []
    command = [sys.executable, __file__, *options, *whole, "--child", name]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows: list[dict[str, object]] = json.loads(output.splitlines()[-1])
    return rows


def run_import(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Returns what the import cost; what it cost before, where it is done already."""
    home, kept = arguments.folder / "home", arguments.folder / "import.json"
    if not kept.is_file():
        started = time.monotonic()
        with PeakMemory() as memory:
            config = NightlyConfig.load(arguments.config).data
            import_tables(
                arguments.folder / "source",
                None,
                home,
                config,
                now=datetime.now(UTC),
                console=Console(quiet=True),
            )
        write_atomic(kept, json.dumps([_row("import", time.monotonic() - started, memory.peak_mb)]).encode())
    rows: list[dict[str, object]] = json.loads(kept.read_bytes())
    return rows


def run_stages(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Returns what each stage cost when it was done."""
    config = NightlyConfig.load(arguments.config)
    run = open_run(arguments.folder / "home", config, as_of=None, console=Console(stderr=True))
    names = ("publish", "report", "backtest") if arguments.whole else tuple(arguments.stages.split(","))
    records: list[StageRecord] = execute(run, stages_for(config, *names))
    return [_row(record.name, record.seconds, record.peak_memory_mb) for record in records]


def run_bare(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Returns what implicit's own fit costs at the settings of `[training.als]`, on the stage's matrix."""
    from implicit.cpu.als import AlternatingLeastSquares

    config = NightlyConfig.load(arguments.config)
    run = open_run(arguments.folder / "home", config, as_of=None, console=Console(quiet=True))
    starts, rows = np.load(run.resolve("interacted_starts.npy")), np.load(run.resolve("interacted_rows.npy"))
    n_items = len(np.load(run.resolve("item_factors.npy"), mmap_mode="r"))
    weights = np.load(run.resolve("confidences.npy"))
    matrix = sparse.csr_matrix((weights, rows, starts), shape=(len(starts) - 1, n_items))
    als = config.training.als
    with PeakMemory() as memory, threadpool_limits(1, "blas"):
        started = time.monotonic()
        model = AlternatingLeastSquares(
            factors=als.factors, iterations=als.iterations, regularization=als.regularization, alpha=1.0
        )
        model.fit(matrix, show_progress=False)
        seconds = time.monotonic() - started
    return [_row("bare implicit fit", seconds, memory.peak_mb)]


def _row(name: str, seconds: float, peak_mb: float) -> dict[str, object]:
    return {"name": name, "seconds": round(seconds, 1), "peak_mb": round(peak_mb)}


def _table(size: dict[str, int], results: list[dict[str, object]]) -> Table:
    shop = ", ".join(f"{value:,} {name}" for name, value in size.items())
    table = Table(title=f"Nightly job, {shop}")
    for heading in ("", "seconds", "peak memory, MB"):
        table.add_column(heading, justify="right" if heading else "left")
    for row in results:
        table.add_row(str(row["name"]), f"{row['seconds']:,.1f}", f"{row['peak_mb']:,}")
    seconds = {str(row["name"]): float(str(row["seconds"])) for row in results}
    plain = seconds["bare implicit fit"] + seconds["import"]
    total = sum(seconds.values()) - seconds["bare implicit fit"]
    table.add_section()
    peak = max(float(str(row["peak_mb"])) for row in results)
    table.add_row("import and stages", f"{total:,.1f}", f"{peak:,.0f}")
    table.add_row("× (bare fit + import)", f"{total / plain:.2f}", "")
    return table


CHILDREN = {"import": run_import, "stages": run_stages, "bare": run_bare}

if __name__ == "__main__":
    main()
