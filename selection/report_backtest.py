"""Owns the back-test as the page shows it: charts and tables of picks, tables of next hits and drops."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from markupsafe import Markup

from selection.charts import Bar, bilingual, interval_chart
from selection.config import SelectionConfig
from selection.summary import BASELINE, METHODS, METRICS
from selection.words import METRIC_WORDS, drop_words, method_words, money, percent, signed_percent

#: List -> what the page tells of it.
LIST_METRICS = {
    "hits": ("precision", "announced", "lead_days", "turnover"),
    "drops": ("false_kills", "killed_value", "turnover"),
}


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart of the back-test section."""

    title: Markup
    chart: Markup
    sentence: Markup


@dataclass(frozen=True, slots=True)
class ListTable:
    """One table of a list: its rows are a method, its figures, and whether it is the selection's own."""

    scope: str
    origins: int
    headings: list[Markup]
    rows: list[tuple[Markup, list[str], bool]]


def panels(frame: pl.DataFrame, config: SelectionConfig) -> list[Panel]:
    """Returns a chart for each scope and metric, over the held-out origins."""
    rows = frame.filter((pl.col("part") == "held_out") & (pl.col("segment") == ""))
    found_panels = []
    for scope in ("shop", "category"):
        for metric in METRICS:
            found = {
                row["method"]: row
                for row in rows.filter((pl.col("scope") == scope) & (pl.col("metric") == metric)).iter_rows(
                    named=True
                )
            }
            if not found:
                continue
            bars = [
                Bar(
                    *_named(method, config),
                    row["value"],
                    row["low"],
                    row["high"],
                    strong=method == "selection",
                )
                for method in METHODS
                if method != "oracle" and (row := found.get(method)) is not None
            ]
            zh, en = METRIC_WORDS[metric]
            k, each = config.backtest.top_k, config.backtest.category_top_k
            place_zh = f"全店前 {k}" if scope == "shop" else f"每个品类前 {each}"
            place_en = f"top {k} of the shop" if scope == "shop" else f"top {each} of each category"
            found_panels.append(
                Panel(
                    title=bilingual(f"{zh}：{place_zh}", f"{en}: {place_en}"),
                    chart=interval_chart(bars, f"{zh} {place_zh} / {en}, {place_en}"),
                    sentence=_sentence(rows, scope, metric),
                )
            )
    return found_panels


def _sentence(rows: pl.DataFrame, scope: str, metric: str) -> Markup:
    lift = rows.filter(
        (pl.col("scope") == scope)
        & (pl.col("method") == "selection")
        & (pl.col("metric") == f"lift_{metric}")
    )
    if lift.is_empty():
        return bilingual("无法与上期畅销比较。", "Cannot be compared with last period's bestsellers.")
    row = lift.row(0, named=True)
    value, low, high = (signed_percent(row[name], digits=1) for name in ("value", "low", "high"))
    if row["low"] > 0:
        zh, en = "优于上期畅销", "Better than last period's bestsellers"
    elif row["high"] < 0:
        zh, en = "差于上期畅销", "Worse than last period's bestsellers"
    else:
        zh, en = "与上期畅销无明显差别", "No clear difference from last period's bestsellers"
    return bilingual(
        f"{zh}：提升 {value}（95% 区间 {low} 至 {high}）",
        f"{en}: lift {value} (95% interval {low} to {high})",
    )


def table_rows(frame: pl.DataFrame, config: SelectionConfig) -> list[dict[str, object]]:
    """Returns a table row for each scope and method: its figures over held-out and over all origins."""
    summary = frame.filter(pl.col("part").is_in(["held_out", "all"]) & (pl.col("segment") == ""))
    cells = {
        (row["part"], row["scope"], row["method"], row["metric"]): (
            f"{percent(row['value'])} ({percent(row['low'])}–{percent(row['high'])})"
        )
        for row in summary.iter_rows(named=True)
    }
    result: list[dict[str, object]] = []
    for scope in ("shop", "category"):
        for method in METHODS:
            if ("all", scope, method, "capture") not in cells:
                continue
            zh, en = _named(method, config)
            figures = [
                cells.get((part, scope, method, metric), "–")
                for part in ("held_out", "all")
                for metric in METRICS
            ]
            result.append(
                {
                    "scope": bilingual("全店", "shop") if scope == "shop" else bilingual("品类", "category"),
                    "method": bilingual(zh, en),
                    "figures": figures,
                    "strong": method == "selection",
                    "baseline": method == BASELINE,
                }
            )
    return result


def list_tables(frame: pl.DataFrame, config: SelectionConfig, currency: str) -> list[ListTable]:
    """Returns a table for each list with a question of its own, over all origins that have it."""
    rows = frame.filter((pl.col("part") == "all") & (pl.col("segment") == ""))
    tables = []
    days = config.features.days()
    for scope, metrics in LIST_METRICS.items():
        words = drop_words if scope == "drops" else method_words
        mine = rows.filter(pl.col("scope") == scope)
        found = {(row["method"], row["metric"]): row for row in mine.iter_rows(named=True)}
        methods = [method for method in METHODS if (method, metrics[0]) in found]
        if not methods:
            continue
        tables.append(
            ListTable(
                scope=scope,
                origins=found[methods[0], metrics[0]]["n_origins"],
                headings=[bilingual(*METRIC_WORDS[metric]) for metric in metrics],
                rows=[
                    (
                        bilingual(*words(method, days)),
                        [_figure(found.get((method, metric)), metric, currency) for metric in metrics],
                        method == "selection",
                    )
                    for method in methods
                ],
            )
        )
    return tables


def _named(method: str, config: SelectionConfig) -> tuple[str, str]:
    return method_words(method, config.features.days())


def _figure(row: dict[str, float] | None, metric: str, currency: str) -> str:
    if row is None:
        return "–"
    value, low, high = (row[name] for name in ("value", "low", "high"))
    if metric == "lead_days":
        return f"{value:.1f} ({low:.1f}–{high:.1f})"
    if metric == "killed_value":
        return money(value, currency)
    return f"{percent(value)} ({percent(low)}–{percent(high)})"
