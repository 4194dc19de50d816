"""Owns what a check is, what the gate says of all of them, and the one table they are shown in."""

from __future__ import annotations

from typing import Literal

import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table

REPORT_VERSION = 1
Verdict = Literal["published", "forced", "refused"]
ROUNDING = 1e-9  # so that a share computed in two ways is not less than itself


class Check(msgspec.Struct, frozen=True):
    """One question to a new snapshot and its answer.

    Attributes:
        name: what is looked at.
        live: the live snapshot's figure; None where it is not asked.
        new: the new snapshot's.
        tolerance: in words, what the new figure may be.
        held: whether it is.
    """

    name: str
    live: int | float | None
    new: int | float
    tolerance: str
    held: bool


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate found; stored as `gate.json` in the run folder.

    Attributes:
        version: of this format.
        snapshot_id: the new snapshot.
        live_id: the one it was compared with; None where there was none that could be read.
        verdict: what became of the new one.
        forced: the reason given for publishing it in spite of checks that failed; else "".
        notes: what could not be compared, and why.
        checks: every check, those of quality first.
        seconds: what all of it took.
    """

    snapshot_id: str
    live_id: str | None
    verdict: Verdict
    forced: str
    notes: list[str]
    checks: list[Check]
    seconds: float
    version: int = REPORT_VERSION

    @property
    def failed(self) -> list[Check]:
        """Returns the checks that did not hold."""
        return [check for check in self.checks if not check.held]


def at_least(name: str, new: float, floor: float, *, live: float | None = None) -> Check:
    """Returns the check that a figure reaches a floor."""
    return Check(name, live, new, f"≥ {number(floor)}", new >= floor - ROUNDING)


def at_most(name: str, new: float, ceiling: float, *, live: float | None = None) -> Check:
    """Returns the check that a figure does not exceed a ceiling."""
    return Check(name, live, new, f"≤ {number(ceiling)}", new <= ceiling + ROUNDING)


def number(value: float) -> str:
    """Returns an int, or a large number, with thousands apart and without decimals; else three decimals."""
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:.3f}"


def gate_table(report: GateReport) -> Table:
    """Returns the table of every check; what failed is red."""
    against = report.live_id or "nothing"
    table = Table(
        title=f"gate: {report.snapshot_id} against {against}: {report.verdict}",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("check")
    for name in ("live", "new"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("tolerance")
    table.add_column("", no_wrap=True)
    for check in report.checks:
        table.add_row(
            check.name,
            "–" if check.live is None else number(check.live),
            number(check.new),
            check.tolerance,
            "held" if check.held else "failed",
            style=None if check.held else "red",
        )
    return table
