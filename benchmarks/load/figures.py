"""Owns the figures: what was measured, the limit that it must hold, the tables that say so."""

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

LIMITS = Path(__file__).parent.parent / "limits.toml"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        name: as in limits.toml.
        size: of the shop.
        what: tells figures of one name and size apart, such as the number of connections.
        value: the median over the rounds.
        low: the lowest of the rounds.
        high: the highest of the rounds.
        unit: "" for a ratio.
        detail: what else was measured, for people and for the JSON.
    """

    name: str
    size: str
    what: str
    value: float
    low: float
    high: float
    unit: str = ""
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Returns name, size and what it is about."""
        return " ".join(filter(None, (self.name, f"[{self.size}]", self.what)))


def figure(
    name: str, size: str, what: str, values: Sequence[float], unit: str = "", **detail: object
) -> Figure:
    """Returns the figure of some rounds' values."""
    return Figure(name, size, what, statistics.median(values), min(values), max(values), unit, detail)


@dataclass(frozen=True, slots=True)
class Limit:
    """What a figure must hold."""

    least: float | None = None
    most: float | None = None

    def holds(self, value: float) -> bool:
        """Returns whether a value is within."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        parts = [f"≥ {self.least:,g}" if self.least is not None else ""]
        parts.append(f"≤ {self.most:,g}" if self.most is not None else "")
        return " ".join(filter(None, parts))


class Limits:
    """The limits of one kind of run, "full" or "quick"."""

    def __init__(self, kind: str) -> None:
        content = tomllib.loads(LIMITS.read_text(encoding="utf-8"))
        self._sides = content[kind]

    def of(self, each: Figure) -> Limit | None:
        """Returns a figure's limit, or None where it has none. A limit may be one number or one by size."""
        found: dict[str, float] = {}
        for side in ("least", "most"):
            limit = self._sides.get(side, {}).get(each.name)
            if isinstance(limit, dict):
                limit = limit.get(each.size)
            if limit is not None:
                found[side] = limit
        return Limit(**found) if found else None


def number(value: float) -> str:
    """Returns a number with three figures or so."""
    if value and abs(value) < 0.01:
        return f"{value:.4f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def rows(figures: Sequence[Figure], limits: Limits) -> list[tuple[str, ...]]:
    """Returns name, size, what, median, range, limit, verdict and detail of each figure, as text."""
    made = []
    for each in figures:
        limit = limits.of(each)
        unit = f" {each.unit}" if each.unit else ""
        span = f"{number(each.low)} – {number(each.high)}" if each.low != each.high else ""
        verdict = "" if limit is None else "held" if limit.holds(each.value) else "**breached**"
        told = ", ".join(
            f"{key.replace('_', ' ')} {number(value) if isinstance(value, int | float) else value}"
            for key, value in each.detail.items()
            if not isinstance(value, list | dict)
        )
        made.append(
            (
                each.name.replace("_", " "),
                each.size,
                each.what,
                number(each.value) + unit,
                span,
                "" if limit is None else str(limit),
                verdict,
                told,
            )
        )
    return made


HEADINGS = ("figure", "shop", "of", "median", "range over rounds", "limit", "verdict", "beside it")


def markdown(figures: Sequence[Figure], limits: Limits) -> str:
    """Returns the figures as a Markdown table."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *rows(figures, limits)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table(figures: Sequence[Figure], limits: Limits) -> Table:
    """Returns the figures as a table for people."""
    made = Table(box=box.SIMPLE)
    for heading in HEADINGS:
        made.add_column(heading)
    for row in rows(figures, limits):
        made.add_row(*(cell.replace("**", "") for cell in row))
    return made
