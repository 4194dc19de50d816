"""Owns how the back-test looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from selection.summary import (
    BASELINE,
    METHODS,
    METRICS,
    SCOPES,
    added_by_component,
    means_of,
    strongest_plain,
    verdict,
)
from selection.words import METHOD_LABELS, percent, signed_percent


def print_backtest(console: Console, frame: pl.DataFrame) -> None:
    """Prints the held-out figures of each method with 95% intervals, and the lift over the baseline.

    The selection's lift over all origins stands below, for those who tuned nothing.
    """
    rows = frame.filter((pl.col("part") == "held_out") & (pl.col("segment") == ""))
    if rows.is_empty():
        console.print("back-test: no origin whose horizon lies inside the data, so nothing to compare")
        return
    origins = frame.filter(pl.col("part") == "origin").get_column("origin").n_unique()
    # A figure that not every origin has (no category large enough yet) is over fewer.
    latest = max(rows.get_column("n_origins").to_list())
    console.print(
        f"back-test over the latest {latest} of {origins} origins: mean, 95% bootstrap interval, "
        f"lift over {METHOD_LABELS[BASELINE]} of the last period"
    )
    for scope in SCOPES:
        table = Table(
            title=f"picks of the {scope}, %", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
        )
        table.add_column("method", no_wrap=True)
        for metric in METRICS:
            table.add_column(metric, justify="right", no_wrap=True)
            table.add_column("lift", justify="right", no_wrap=True)
        for method in METHODS:
            mine = rows.filter((pl.col("scope") == scope) & (pl.col("method") == method))
            found = {row["metric"]: row for row in mine.iter_rows(named=True)}
            if not found:
                continue
            cells = [METHOD_LABELS[method]]
            for metric in METRICS:
                lift = None if method in {"oracle", "random"} else found.get(f"lift_{metric}")
                cells += [_cell(found.get(metric)), _cell(lift, sign="+")]
            table.add_row(*cells, style="bold" if method == "selection" else None)
        if table.row_count:
            console.print(table)
    says = {"better": "better", "worse": "worse", "even": "no clear difference"}
    for part, label in {"held_out": f"latest {latest}", "all": f"all {origins}"}.items():
        whole = frame.filter((pl.col("part") == part) & (pl.col("segment") == ""))
        lifts = whole.filter(
            (pl.col("method") == "selection") & pl.col("metric").is_in(["lift_precision", "lift_capture"])
        )
        for row in lifts.iter_rows(named=True):
            low, high = row["low"], row["high"]
            console.print(
                f"selection, {row['scope']}, {row['metric'].removeprefix('lift_')}, {label} origins: "
                f"{says[verdict(low, high)]} ({signed_percent(row['value'], digits=1)}, "
                f"{signed_percent(low, digits=1)} to {signed_percent(high, digits=1)})"
            )
    for scope in SCOPES:
        for line in _remarks(frame, scope):
            console.print(line)


def _remarks(frame: pl.DataFrame, scope: str) -> Iterator[str]:
    """Yields what else there is to say of a scope over all origins, a line each."""
    mine = means_of(frame, scope, "precision").get("selection")
    best = strongest_plain(frame, scope, "precision")
    if mine is not None and best is not None and best[1] > 0:
        yield (
            f"{scope}: precision {mine / best[1]:.2f} times the strongest plain rule's "
            f"({METHOD_LABELS[best[0]]}, {percent(best[1])})"
        )
    promised = means_of(frame, scope, "expected_ratio")
    if promised:
        told = ", ".join(f"{METHOD_LABELS[method]} {value:.2f}" for method, value in promised.items())
        yield f"{scope}: promised over realised revenue of the picks: {told}"
    moved = means_of(frame, scope, "turnover")
    if moved:
        told = ", ".join(f"{METHOD_LABELS[method]} {percent(value)}" for method, value in moved.items())
        yield f"{scope}: picks that were none at the origin before: {told}"
    added = added_by_component(frame, scope, "capture")
    if added:
        told = ", ".join(f"{name} {value * 100:+.2f}" for name, value in added.items())
        yield f"{scope}: points of capture that each component adds: {told}"


def _cell(row: dict[str, float] | None, *, sign: str = "") -> str:
    if row is None:
        return "–"
    value, low, high = (f"{round(row[name] * 100):{sign}d}" for name in ("value", "low", "high"))
    return f"{value} ({low}..{high})"
