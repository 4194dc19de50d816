"""Owns how the back-test looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from selection.summary import (
    BASELINE,
    LISTS,
    METHODS,
    SCOPES,
    added_by_component,
    means_of,
    strongest_plain,
    verdict,
)
from selection.words import Days, method_label, percent, signed_percent

Row = Mapping[str, float]
USUAL_DAYS = Days()


class Column(NamedTuple):
    """A column of a table: the metric, its heading, and its kind.

    A share or a change of it, with its interval unless it is plain; money; or days.
    """

    metric: str
    name: str
    kind: str = "share"


#: The tables of picks by score, by the end of their title; a wide table stands in two.
OF_PICKS = {
    "%": (
        Column("precision", "hit rate"),
        Column("lift_precision", "lift", "change"),
        Column("capture", "capture"),
        Column("lift_capture", "lift", "change"),
    ),
    "% and money": (
        Column("ndcg", "NDCG"),
        Column("lift_ndcg", "lift", "change"),
        Column("regret", "regret", "money"),
        Column("turnover", "turnover", "plain"),
    ),
}
#: The lists with a question of their own: title and columns.
OF_LISTS = {
    "hits": (
        "next hits, none of them one yet, % and days",
        (
            Column("precision", "hit rate"),
            Column("lift_precision", "lift", "plain change"),
            Column("announced", "announced", "plain"),
            Column("lead_days", "lead days", "days"),
            Column("turnover", "turnover", "plain"),
        ),
    ),
    "drops": (
        "drop list, the least by each rule, % and money",
        (
            Column("false_kills", "false kills"),
            Column("lift_false_kills", "change", "plain change"),
            Column("killed_value", "value lost", "money"),
            Column("turnover", "turnover", "plain"),
        ),
    ),
}
#: Ratios to the baseline say nothing of these.
NO_LIFT = frozenset({"oracle", "random"})


def print_backtest(console: Console, frame: pl.DataFrame, days: Days = USUAL_DAYS) -> None:
    """Prints the held-out figures of each method with 95% intervals, and the lift over the baseline.

    The selection's lift over all origins stands below, for those who tuned nothing.
    """
    rows = frame.filter((pl.col("part") == "held_out") & (pl.col("segment") == ""))
    if rows.is_empty():
        console.print("back-test: no origin whose horizon lies inside the data, so nothing to compare")
        return
    origins = frame.filter(pl.col("part") == "origin").get_column("origin").n_unique()
    # A figure that not every origin has (no category large enough yet) is over fewer.
    latest = max(rows.filter(pl.col("scope").is_in(SCOPES)).get_column("n_origins").to_list())
    console.print(
        f"back-test over the latest {latest} of {origins} origins: mean, 95% bootstrap interval, "
        f"lift over {method_label(BASELINE, days)} of the last period"
    )
    for scope in SCOPES:
        for title, columns in OF_PICKS.items():
            _print_table(console, rows, scope, f"picks of the {scope}, {title}", columns, days=days)
    # The lists' rules were not tuned on any origin, and what takes longest to be known has fewest.
    whole = frame.filter((pl.col("part") == "all") & (pl.col("segment") == ""))
    for scope, (title, of_list) in OF_LISTS.items():
        _print_table(console, whole, scope, title, of_list, days=days)
    names = {"lift_precision": "hit rate", "lift_capture": "capture"}
    says = {"better": "better", "worse": "worse", "even": "no clear difference"}
    for part, label in {"held_out": f"latest {latest}", "all": f"all {origins}"}.items():
        whole = frame.filter((pl.col("part") == part) & (pl.col("segment") == ""))
        lifts = whole.filter(
            (pl.col("method") == "selection")
            & pl.col("metric").is_in(["lift_precision", "lift_capture"])
            & pl.col("scope").is_in(SCOPES)
        )
        for row in lifts.iter_rows(named=True):
            low, high = row["low"], row["high"]
            console.print(
                f"selection, {row['scope']}, {names[row['metric']]}, {label} origins: "
                f"{says[verdict(low, high)]} ({signed_percent(row['value'], digits=1)}, "
                f"{signed_percent(low, digits=1)} to {signed_percent(high, digits=1)})"
            )
    for scope in SCOPES:
        for line in _remarks(frame, scope, days):
            console.print(line)
    for scope in LISTS:
        for line in _of_list(frame, scope, days):
            console.print(line)


def _print_table(
    console: Console, rows: pl.DataFrame, scope: str, title: str, columns: tuple[Column, ...], *, days: Days
) -> None:
    """Prints a table of the held-out rows of a scope, unless there is no figure for it."""
    rows = rows.filter(pl.col("scope") == scope)
    known = rows.filter(pl.col("metric") == columns[0].metric)
    n_origins = max(known.get_column("n_origins").to_list(), default=0)
    table = Table(
        title=f"{title}; {n_origins} origins", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    table.add_column("method", no_wrap=True)
    for column in columns:
        table.add_column(column.name, justify="right", no_wrap=True)
    for method in METHODS:
        mine = rows.filter(pl.col("method") == method)
        found = {row["metric"]: row for row in mine.iter_rows(named=True)}
        if columns[0].metric not in found:
            continue
        cells = [
            "–" if "change" in column.kind and method in NO_LIFT else _cell(found.get(column.metric), column)
            for column in columns
        ]
        table.add_row(method_label(method, days), *cells, style="bold" if method == "selection" else None)
    if table.row_count:
        console.print(table)


def _remarks(frame: pl.DataFrame, scope: str, days: Days) -> Iterator[str]:
    """Yields what else there is to say of a scope over all origins, a line each."""
    mine = means_of(frame, scope, "precision").get("selection")
    best = strongest_plain(frame, scope, "precision")
    if mine is not None and best is not None and best[1] > 0:
        yield (
            f"{scope}: hit rate {mine / best[1]:.2f} times the strongest plain rule's "
            f"({method_label(best[0], days)}, {percent(best[1])})"
        )
    promised = means_of(frame, scope, "expected_ratio")
    if promised:
        told = ", ".join(f"{method_label(method, days)} {value:.2f}" for method, value in promised.items())
        yield f"{scope}: promised over realised revenue of the picks: {told}"
    added = added_by_component(frame, scope, "capture")
    if added:
        told = ", ".join(f"{name} {value * 100:+.2f}" for name, value in added.items())
        yield f"{scope}: points of capture that each component adds: {told}"


def _of_list(frame: pl.DataFrame, scope: str, days: Days) -> Iterator[str]:
    """Yields how a list compares with the strongest plain rule over all origins that have it."""
    metric, name = ("precision", "hit rate") if scope == "hits" else ("false_kills", "false kills")
    mine, best = means_of(frame, scope, metric).get("selection"), strongest_plain(frame, scope, metric)
    if mine is None or best is None or best[1] <= 0:
        return
    label = method_label(best[0], days)
    yield (
        f"{scope}: {name} {percent(mine)}, {mine / best[1]:.2f} times the strongest plain rule's "
        f"({label}, {percent(best[1])})"
    )
    leads = means_of(frame, scope, "lead_days")
    if "selection" in leads and best[0] in leads:
        yield f"{scope}: lead days {leads['selection']:.1f}, {label} {leads[best[0]]:.1f}"


def _cell(row: Row | None, column: Column) -> str:
    if row is None:
        return "–"
    value, low, high = (row[name] for name in ("value", "low", "high"))
    if column.kind == "days":
        return f"{value:.1f} ({low:.1f}..{high:.1f})"
    if column.kind == "money":
        return f"{value:,.0f}"
    sign = "+" if "change" in column.kind else ""
    told = [f"{round(share * 100):{sign}d}" for share in (value, low, high)]
    return told[0] if "plain" in column.kind else f"{told[0]} ({told[1]}..{told[2]})"
