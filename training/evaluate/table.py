"""Owns how an evaluation is read: a table a target, and one of NDCG by segment."""

from __future__ import annotations

import polars as pl
from rich.console import Console
from rich.table import Table

from training.evaluate.metrics import METRICS
from training.evaluate.protocol import BASELINE, RATIO_METRICS
from training.evaluate.rivals import MODELS, TARGETS

TITLES = {
    "bestsellers": "bestsellers, last 28 days",
    "own_frequency": "own purchase frequency",
    "als": "ALS",
    "served": "what is served",
    "all": "all items",
    "never_bought": "items never bought before",
}
SEGMENT_METRIC = "ndcg"


def print_evaluation(console: Console, frame: pl.DataFrame) -> None:
    """Prints the `evaluation` artefact: means and intervals, quotients against bestsellers, segments.

    Args:
        console: where to.
        frame: the artefact; an empty one prints one line that says so.
    """
    if frame.is_empty():
        console.print("nothing to judge: no shopper bought both before and in the test period")
        return
    cells = {
        (model, target, segment, metric): (value, low, high)
        for model, target, segment, metric, value, low, high in frame.select(
            "model", "target", "segment", "metric", "value", "low", "high"
        ).iter_rows()
    }
    for target in TARGETS:
        judged = frame.filter((pl.col("target") == target) & (pl.col("segment") == "all"))["n_users"]
        if judged.is_empty():
            continue
        users = int(judged.to_numpy().max())
        table = Table(title=f"{TITLES[target]}, {users} shoppers", title_justify="left")
        table.add_column("model")
        for metric in (*METRICS, "catalogue_coverage"):
            table.add_column(metric.replace("_", " "), justify="right")
        for model in MODELS:
            table.add_row(
                TITLES[model],
                *(_cell(cells.get((model, target, "all", m))) for m in (*METRICS, "catalogue_coverage")),
            )
        console.print(table)
        _print_ratios(console, cells, target)
    _print_segments(console, frame, cells)


Cells = dict[tuple[str, str, str, str], tuple[float, float | None, float | None]]


def _print_ratios(console: Console, cells: Cells, target: str) -> None:
    table = Table(title=f"{TITLES[target]}: times the bestsellers", title_justify="left")
    table.add_column("model")
    for metric in RATIO_METRICS:
        table.add_column(metric.replace("_", " "), justify="right")
    for model in MODELS[1:]:
        found = [cells.get((model, target, "all", f"{metric}_vs_{BASELINE}")) for metric in RATIO_METRICS]
        if any(cell is not None and cell[0] > 0 for cell in found):
            table.add_row(TITLES[model], *(_cell(cell, digits=2) for cell in found))
    if table.row_count:
        console.print(table)


def _print_segments(console: Console, frame: pl.DataFrame, cells: Cells) -> None:
    for target in TARGETS:
        part = frame.filter(
            (pl.col("target") == target) & (pl.col("metric") == SEGMENT_METRIC) & (pl.col("segment") != "all")
        )
        table = Table(title=f"{TITLES[target]}: NDCG by segment", title_justify="left")
        table.add_column("segment")
        table.add_column("shoppers", justify="right")
        for model in MODELS:
            table.add_column(TITLES[model], justify="right")
        for segment, users in (
            part.group_by("segment", maintain_order=True).agg(pl.col("n_users").max()).iter_rows()
        ):
            found = (cells.get((model, target, segment, SEGMENT_METRIC)) for model in MODELS)
            table.add_row(segment, str(users), *(_cell(cell) for cell in found))
        if table.row_count:
            console.print(table)


def _cell(cell: tuple[float, float | None, float | None] | None, *, digits: int = 3) -> str:
    if cell is None:
        return "–"
    value, low, high = cell
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}–{high:.{digits}f}]".replace("[", r"\[")
