"""Measures every claim about serving, and fails where one does not hold its limit in limits.toml.

    python benchmarks/serving.py [--quick] [--case CASE …] [--size SIZE …]

Shops are made once and kept in benchmarks/cache/ (up to 14 GB). The server runs in a process of its own, with
a no-op as one more method of the same server; callers run in another, on the same cores. What is compared is
measured side by side in one run, in turns; the median over the rounds is the figure. Processor time is the
server's, user and system. Results go to benchmarks/results/ as JSON; the table is printed as Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cases.batch import batch
from cases.cost import cost
from cases.live import live
from cases.opening import opening
from cases.plan import FULL, QUICK, Plan
from cases.recall import recall
from cases.recording import recording
from cases.selection import selection
from cases.swapping import swapping
from cases.tail import tail
from load.figures import Figure, Limits, markdown, number, table
from load.rig import CannotMeasureError
from load.synthetic import SIZES
from rich.console import Console

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Case:
    """One case, and the shops that it is measured with."""

    measure: Callable[[str, Plan], list[Figure]]
    sizes: tuple[str, ...]


CASES = {
    "cost": Case(cost, ("10k", "50k", "1M")),
    "recall": Case(recall, ("10k", "50k", "1M")),
    "live": Case(live, ("50k", "1M")),
    "tail": Case(tail, ("50k", "1M")),
    "batch": Case(batch, ("50k", "1M")),
    "opening": Case(opening, ("50k", "1M")),
    "swapping": Case(swapping, ("50k", "1M")),
    "recording": Case(recording, ("50k",)),
    "selection": Case(selection, ("50k",)),
}
QUICK_SIZE = "5k"


def main() -> int:
    """Measures, prints, writes; returns 1 where a limit is breached or a case could not be measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--size", nargs="+", choices=list(SIZES), help="instead of each case's own")
    parser.add_argument("--quick", action="store_true", help="a small shop, few and short rounds")
    parser.add_argument("--rounds", type=int, help="instead of the plan's")
    parser.add_argument("--json", type=Path, help="where the results go")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    if options.rounds:
        plan = Plan(**asdict(plan) | {"rounds": options.rounds, "swaps": options.rounds})
    limits = Limits("quick" if options.quick else "full")
    figures: list[Figure] = []
    failures: list[str] = []
    for name in options.case:
        for size in options.size or ((QUICK_SIZE,) if options.quick else CASES[name].sizes):
            began = time.monotonic()
            try:
                measured = CASES[name].measure(size, plan)
            except CannotMeasureError as error:
                failures.append(f"{name} [{size}] could not be measured: {error}")
                print(failures[-1], file=sys.stderr, flush=True)
                continue
            print(f"{name} [{size}]: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            figures += measured
            Console(width=200, stderr=True).print(table(measured, limits))
    for each in figures:
        limit = limits.of(each)
        if limit is not None and not limit.holds(each.value):
            failures.append(
                f"{each.title}: limit {limit}, measured {number(each.value)} {each.unit}".rstrip()
            )
    path = options.json or RESULTS / f"serving{'-quick' if options.quick else ''}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu_count": os.cpu_count(),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "load_average": os.getloadavg(),
        },
        "plan": asdict(plan),
        "sizes": {name: asdict(size) for name, size in SIZES.items()},
        "figures": [asdict(each) for each in figures],
        "failures": failures,
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(markdown(figures, limits))
    print(f"\nwritten to {path}")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
