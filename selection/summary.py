"""Owns what the back-test says in the end: means over origins with intervals, lifts, the printed table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from selection.config import BacktestConfig
from selection.score import Floats
from selection.words import METHOD_LABELS, signed_percent

METHODS = (
    "selection",
    "forecast",
    "bestsellers",
    "bestsellers_units",
    "bestsellers_base",
    "momentum",
    "random",
    "oracle",
)
METRICS = ("precision", "capture")
SCOPES = ("shop", "category")
BASELINE = "bestsellers"

#: Long form: one row an origin (null in a summary) x scope x method x metric. part: "origin" for one
#: origin; "held_out" or "all" for a mean over origins. metric: precision, capture, and in summaries
#: lift_precision and lift_capture, the ratio to `BASELINE`'s mean less 1. low and high bound the
#: mean's 95% interval; null for one origin.
BACKTEST = {
    "part": pl.String,
    "origin": pl.Date,
    "scope": pl.String,
    "method": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n_origins": pl.Int32,
}


def summarise(frame: pl.DataFrame, config: BacktestConfig) -> pl.DataFrame:
    """Returns the summary rows: means over origins with 95% bootstrap intervals, and lifts over `BASELINE`.

    Origins are drawn with replacement, the same draw for every method, so a lift's interval is paired.
    With few origins the interval is rough, and with one it is the value itself.
    """
    origins = frame.get_column("origin").unique().sort().to_list()
    rows: list[dict[str, object]] = []
    for part, members in held_out_parts(origins, config).items():
        n = len(members)
        rng = np.random.default_rng([config.seed, n])
        draws = rng.integers(0, n, size=(config.bootstrap_samples, n))
        for scope in SCOPES:
            for metric in METRICS:
                table = frame.filter(
                    (pl.col("scope") == scope)
                    & (pl.col("metric") == metric)
                    & pl.col("origin").is_in(members)
                )
                values = {
                    method: group.sort("origin").get_column("value").to_numpy()
                    for method, group in _by_method(table)
                }
                complete = {name: value for name, value in values.items() if len(value) == n}
                boot = {name: value[draws].mean(axis=1) for name, value in complete.items()}
                for method in METHODS:
                    if method not in complete:
                        continue
                    base = {"part": part, "scope": scope, "method": method, "n_origins": n}
                    mean = float(complete[method].mean())
                    rows.append(base | {"metric": metric} | _interval(mean, boot[method]))
                    against = complete[BASELINE].mean()
                    if method != BASELINE and against > 0 and (boot[BASELINE] > 0).all():
                        lift = _interval(mean / against - 1, boot[method] / boot[BASELINE] - 1)
                        rows.append(base | {"metric": f"lift_{metric}"} | lift)
    return pl.DataFrame([{"origin": None, **row} for row in rows], schema=BACKTEST)


def held_out_parts(origins: Sequence[date], config: BacktestConfig) -> dict[str, list[date]]:
    """Returns part name -> its origins: "held_out", the latest share of them (at least one), and "all"."""
    if not origins:
        return {}
    n = max(1, round(len(origins) * config.held_out_share))
    return {"held_out": list(origins[-n:]), "all": list(origins)}


def _interval(value: float, samples: Floats) -> dict[str, float]:
    low, high = np.quantile(samples, [0.025, 0.975])
    return {"value": value, "low": float(low), "high": float(high)}


def headline(frame: pl.DataFrame, config: BacktestConfig) -> dict[str, object]:
    """Returns the JSON-able summary of a `BACKTEST` frame: what was asked, and the held-out figures.

    Keys: n_origins, held_out_origins, top_k, category_top_k, baseline, and `figures`: scope → method →
    metric → [value, low, high] over the held-out origins; `verdicts`: scope → metric → better, worse or
    even, the selection against the baseline.
    """
    origins = frame.filter(pl.col("part") == "origin").get_column("origin").unique().sort().to_list()
    held_out = held_out_parts(origins, config).get("held_out", [])
    figures: dict[str, dict[str, dict[str, list[float]]]] = {}
    verdicts: dict[str, dict[str, str]] = {}
    rows = frame.filter(pl.col("part") == "held_out")
    for row in rows.iter_rows(named=True):
        interval = [round(row[name], 6) for name in ("value", "low", "high")]
        figures.setdefault(row["scope"], {}).setdefault(row["method"], {})[row["metric"]] = interval
        if row["method"] == "selection" and row["metric"].startswith("lift_"):
            metric = row["metric"].removeprefix("lift_")
            verdicts.setdefault(row["scope"], {})[metric] = verdict(row["low"], row["high"])
    return {
        "n_origins": len(origins),
        "held_out_origins": [origin.isoformat() for origin in held_out],
        "top_k": config.top_k,
        "category_top_k": config.category_top_k,
        "baseline": BASELINE,
        "figures": figures,
        "verdicts": verdicts,
    }


def verdict(low: float, high: float) -> str:
    """Returns better, worse, or even where the interval of a lift holds 0."""
    return "better" if low > 0 else "worse" if high < 0 else "even"


def print_backtest(console: Console, frame: pl.DataFrame) -> None:
    """Prints the held-out figures of each method with 95% intervals, and the lift over the baseline.

    The selection's lift over all origins stands below, for those who tuned nothing.
    """
    rows = frame.filter(pl.col("part") == "held_out")
    if rows.is_empty():
        console.print("back-test: no origin whose horizon lies inside the data, so nothing to compare")
        return
    origins = frame.filter(pl.col("part") == "origin").get_column("origin").n_unique()
    latest = int(rows.item(0, "n_origins"))
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
            cells = rows.filter((pl.col("scope") == scope) & (pl.col("method") == method))
            found = {row["metric"]: row for row in cells.iter_rows(named=True)}
            if not found:
                continue
            line = [METHOD_LABELS[method]]
            for metric in METRICS:
                lift = None if method in {"oracle", "random"} else found.get(f"lift_{metric}")
                line += [_cell(found.get(metric)), _cell(lift, sign="+")]
            table.add_row(*line, style="bold" if method == "selection" else None)
        if table.row_count:
            console.print(table)
    says = {"better": "better", "worse": "worse", "even": "no clear difference"}
    for part, label in {"held_out": f"latest {latest}", "all": f"all {origins}"}.items():
        lifts = frame.filter((pl.col("part") == part) & (pl.col("method") == "selection"))
        for row in lifts.filter(pl.col("metric").str.starts_with("lift_")).iter_rows(named=True):
            low, high = row["low"], row["high"]
            console.print(
                f"selection, {row['scope']}, {row['metric'].removeprefix('lift_')}, {label} origins: "
                f"{says[verdict(low, high)]} ({signed_percent(row['value'], digits=1)}, "
                f"{signed_percent(low, digits=1)} to {signed_percent(high, digits=1)})"
            )


def _cell(row: dict[str, float] | None, *, sign: str = "") -> str:
    if row is None:
        return "–"
    value, low, high = (f"{round(row[name] * 100):{sign}d}" for name in ("value", "low", "high"))
    return f"{value} ({low}..{high})"


def _by_method(table: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    return [(method, table.filter(pl.col("method") == method)) for method in METHODS]
