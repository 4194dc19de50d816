"""Owns how an evaluation is read: for each target a table of means, and one of NDCG by segment."""

from __future__ import annotations

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from training.evaluate.metrics import METRICS
from training.evaluate.orders import ORDER_METRICS, ORDERS, SERVED
from training.evaluate.protocol import BASELINE, RATIO_METRICS
from training.evaluate.rivals import MODELS, TARGETS

TITLES = {
    "bestsellers": "bestsellers",
    "own_frequency": "own frequency",
    "als": "ALS",
    "served": "served",
    "all": "all items",
    "never_bought": "items never bought before",
}
SEGMENTS = (
    *(f"activity:{level}" for level in ("none", "low", "middle", "high")),
    *(f"popularity:{level}" for level in ("head", "torso", "tail")),
)
SEGMENT_METRIC = "ndcg"
WIDE = 116

Cell = tuple[float, float | None, float | None]
Cells = dict[tuple[str, str, str, str], Cell]


def print_evaluation(console: Console, frame: pl.DataFrame) -> None:
    """Prints the `evaluation` artefact: means with intervals, quotients against bestsellers, segments.

    Args:
        console: where to; from `WIDE` columns on every cell takes one line, below that two.
        frame: the artefact; an empty one prints one line that says so.
    """
    if frame.is_empty():
        console.print("nothing to judge: no shopper bought both before and in the test period")
        return
    names = ("model", "target", "segment", "metric")
    cells: Cells = {
        (model, target, segment, metric): (value, low, high)
        for model, target, segment, metric, value, low, high in frame.select(
            *names, "value", "low", "high"
        ).iter_rows()
    }
    users: dict[tuple[str, str], int] = {
        (target, segment): users
        for target, segment, users in frame.filter(metric=SEGMENT_METRIC)
        .group_by("target", "segment")
        .agg(pl.col("n_users").max())
        .iter_rows()
    }
    for target in TARGETS:
        if (target, "all") in users:
            wide = console.width >= WIDE
            console.print(_means(cells, target, users[target, "all"], wide=wide))
            console.print(_segments(cells, target, users, wide=wide))
    if (SERVED, "all", "all", "revenue_captured") in cells:
        console.print(_orders(cells, wide=console.width >= WIDE))


def _means(cells: Cells, target: str, users: int, *, wide: bool) -> Table:
    table = _table(f"{TITLES[target]}, {users} shoppers", "mean of shoppers")
    for metric in (*METRICS, "catalogue_coverage"):
        found = (cells.get((model, target, "all", metric)) for model in MODELS)
        table.add_row(metric.replace("_", " "), *(_shown(cell, wide=wide) for cell in found))
    table.add_section()
    for metric in RATIO_METRICS:
        found = (cells.get((model, target, "all", f"{metric}_vs_{BASELINE}")) for model in MODELS)
        table.add_row(
            f"{metric.replace('_', ' ')}, × bestsellers",
            *(_shown(cell, digits=2, wide=wide) for cell in found),
        )
    return table


def _segments(cells: Cells, target: str, users: dict[tuple[str, str], int], *, wide: bool) -> Table:
    table = _table(f"{TITLES[target]}, {SEGMENT_METRIC} by segment", "segment (shoppers)")
    for segment in SEGMENTS:
        if (target, segment) in users:
            found = (cells.get((model, target, segment, SEGMENT_METRIC)) for model in MODELS)
            table.add_row(
                f"{segment} ({users[target, segment]})", *(_shown(cell, wide=wide) for cell in found)
            )
    return table


def _orders(cells: Cells, *, wide: bool) -> Table:
    table = _plain("another order of what is served, all items")
    table.add_column("order", no_wrap=True)
    shown = [metric for metric in ORDER_METRICS if wide or metric != "value_captured"]
    for metric in shown:
        table.add_column(metric.replace("_", " "), justify="right")
    for metric in ("ndcg", "revenue_captured"):
        table.add_column(f"{metric.split('_')[0]},\n× served", justify="right", no_wrap=True)
    for name in (SERVED, *ORDERS):
        means = [cells.get((name, "all", "all", metric)) for metric in shown]
        ratios = [cells.get((name, "all", "all", f"{m}_vs_served")) for m in ("ndcg", "revenue_captured")]
        table.add_row(
            name,
            *("–" if cell is None else f"{cell[0]:.3f}" for cell in means),
            *("–" if name == SERVED else _shown(cell, wide=wide) for cell in ratios),
        )
    return table


def _table(title: str, first: str) -> Table:
    table = _plain(title)
    table.add_column(first, overflow="fold")
    for model in MODELS:
        table.add_column(TITLES[model], justify="right", no_wrap=True)
    return table


def _plain(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )


def _shown(cell: Cell | None, *, digits: int = 3, wide: bool) -> str:
    if cell is None:
        return "–"
    value, low, high = cell
    if low is None or high is None:
        return f"{value:.{digits}f}"
    between = " " if wide else "\n"
    return f"{value:.{digits}f}{between}({low:.{digits}f}–{high:.{digits}f})"
