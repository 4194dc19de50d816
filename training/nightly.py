"""Owns what a person sees when a job ends: seconds and memory by stage, the snapshot, the report."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from recdata.releases import Releases
from recdata.runs import RunFolder, StageRecord, stage_table


def print_run(console: Console, run: RunFolder, records: Sequence[StageRecord]) -> None:
    """Prints each stage's cost when it was done, and where the results lie."""
    console.print(stage_table(records, title=f"run {run.run_id}: what each stage took when it was done"))
    report = run.resolve("report.html")
    if report.is_file():
        console.print(f"report:   {report}", soft_wrap=True)
    snapshot_id = Releases(run.home).current_id()
    if snapshot_id:
        console.print(f"snapshot: {snapshot_id} (serving)", soft_wrap=True)
