"""Owns what a check is, what the gate says of all of them, and the one table they are shown in."""

from __future__ import annotations

from typing import Literal

import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table

REPORT_VERSION = 1
Verdict = Literal["published", "forced", "refused"]
VERSUS_ROUNDING = 1e-9  # so that 0.98 of a figure is no less than 0.98 of it


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
    live: float | None
    new: float
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
    return Check(name, live, new, f"≥ {number(floor)}", new >= floor - VERSUS_ROUNDING)


def at_most(name: str, new: float, ceiling: float, *, live: float | None = None) -> Check:
    """Returns the check that a figure does not exceed a ceiling."""
    return Check(name, live, new, f"≤ {number(ceiling)}", new <= ceiling + VERSUS_ROUNDING)


def keeps(name: str, live: float, new: float, max_drop: float) -> Check:
    """Returns the check that at most a share of the live figure is lost."""
    held = new >= live * (1.0 - max_drop) - VERSUS_ROUNDING
    return Check(name, live, new, f"≥ live − {max_drop:.0%}", held)


def number(value: float) -> str:
    """Returns a count with thousands apart, anything else with three decimals."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 2 else f"{value:.3f}"


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
