"""Owns report.html: one self-contained page for merchandisers, Chinese first, that opens offline."""

from __future__ import annotations

from dataclasses import dataclass

import jinja2
import polars as pl
from markupsafe import Markup

from selection.actions import ACTIONS
from selection.charts import Bar, bilingual, interval_chart, item_chart
from selection.config import SelectionConfig
from selection.ledger.scoring import summary_of
from selection.report_data import ReportInputs, build_groups, caveats, grouped
from selection.score import COMPONENTS
from selection.summary import BASELINE, METHODS, METRICS, added_by_component, headline
from selection.words import (
    ACTION_MEANINGS,
    ACTION_WORDS,
    BAND_WORDS,
    COMPONENT_WORDS,
    DECISION_WORDS,
    METHOD_WORDS,
    METRIC_WORDS,
    STAGE_WORDS,
    count,
    money,
    percent,
    signed_percent,
)

__all__ = ["ReportInputs", "render_report"]

#: Components with a bar on each card, those that weigh most; selection.csv has all.
SHOWN_COMPONENTS = 6


@dataclass(frozen=True, slots=True)
class ActionTotal:
    """One card of the summary."""

    action: str
    items: int
    revenue: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart of the back-test section."""

    title: Markup
    chart: Markup
    sentence: Markup


def render_report(inputs: ReportInputs, config: SelectionConfig) -> str:
    """Returns the page. Everything that comes from data is escaped; nothing is loaded from anywhere."""
    depth = config.features.category_depth
    groups = build_groups(inputs, config.report, depth)
    selection = grouped(inputs.selection, depth)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("selection", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(t=bilingual, item_chart=item_chart, count=count, percent=percent)
    weights = inputs.weights.normalised()
    environment.globals["money"] = lambda value: money(value, inputs.currency)
    words = {
        "action": ACTION_WORDS,
        "meaning": ACTION_MEANINGS,
        "stage": STAGE_WORDS,
        "band": BAND_WORDS,
        "component": COMPONENT_WORDS,
    }
    environment.filters.update({name: _words(table) for name, table in words.items()})
    return environment.get_template("report.html.j2").render(
        as_of=inputs.as_of,
        totals=_totals(selection),
        actions=ACTIONS,
        components=sorted(COMPONENTS, key=lambda name: -weights[name]),
        shown_components=SHOWN_COMPONENTS,
        weights=weights,
        added=_added(inputs.backtest),
        ledger=_ledger_rows(inputs),
        caveats=caveats(inputs),
        overall=_overall(inputs, selection, config.report.overall_picks),
        groups=groups,
        all_groups=selection.get_column("group").n_unique(),
        all_items=selection.height,
        shown=sum(len(group.picks) for group in groups),
        config=config,
        panels=_panels(inputs.backtest, config),
        backtest=headline(inputs.backtest, config.backtest),
        backtest_rows=_backtest_rows(inputs.backtest),
    )


def _added(frame: pl.DataFrame) -> list[tuple[Markup, str]]:
    """Returns the components with the points of captured value that each adds to the picks of categories."""
    added = added_by_component(frame, "category", "capture")
    return [(bilingual(*COMPONENT_WORDS[name]), f"{value * 100:+.2f}") for name, value in added.items()]


def _ledger_rows(inputs: ReportInputs) -> list[dict[str, object]]:
    """Returns a table row an action and decision of people, over the nights that are over."""
    rows = []
    for row in summary_of(inputs.ledger):
        ratio, lift = row["expected_over_realised"], row.get("lift")
        hits, kills = row.get("hit_rate"), row.get("false_kills")
        rows.append(
            {
                "action": row["action"],
                "decision": bilingual(*DECISION_WORDS[str(row["decision"])]),
                "items": f"{row['items']:,}",
                "realised": money(_number(row["realised_value"]), inputs.currency),
                "ratio": "–" if ratio is None else f"{_number(ratio):.2f}",
                "lift": "–" if lift is None else signed_percent(_number(lift)),
                "hits": "–" if hits is None else percent(_number(hits)),
                "kills": "–" if kills is None else percent(_number(kills)),
            }
        )
    return rows


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _words(table: dict[str, tuple[str, str]]) -> object:
    return lambda key: bilingual(*table.get(key, (key, key)))


def _totals(selection: pl.DataFrame) -> list[ActionTotal]:
    sums = {
        action: (items, revenue)
        for action, items, revenue in selection.group_by("action")
        .agg(pl.len(), pl.col("revenue_at_stake").sum())
        .iter_rows()
    }
    return [ActionTotal(action, *sums.get(action, (0, 0.0))) for action in ACTIONS]


def _overall(inputs: ReportInputs, selection: pl.DataFrame, rows: int) -> list[dict[str, object]]:
    wanted = selection.filter(pl.col("action").is_in(["push", "launch"])).sort("rank").head(rows)
    titles = inputs.items.select("item_row", "title")
    frame = wanted.join(titles, on="item_row", how="left", maintain_order="left")
    return frame.with_columns(pl.coalesce("title", "item_id").alias("title")).to_dicts()


def _panels(frame: pl.DataFrame, config: SelectionConfig) -> list[Panel]:
    rows = frame.filter(pl.col("part") == "held_out")
    panels = []
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
                    *METHOD_WORDS[method], row["value"], row["low"], row["high"], strong=method == "selection"
                )
                for method in METHODS
                if method != "oracle" and (row := found.get(method)) is not None
            ]
            zh, en = METRIC_WORDS[metric]
            k, each = config.backtest.top_k, config.backtest.category_top_k
            place_zh = f"全店前 {k}" if scope == "shop" else f"每个品类前 {each}"
            place_en = f"top {k} of the shop" if scope == "shop" else f"top {each} of each category"
            panels.append(
                Panel(
                    title=bilingual(f"{zh}：{place_zh}", f"{en}: {place_en}"),
                    chart=interval_chart(bars, f"{zh} {place_zh} / {en}, {place_en}"),
                    sentence=_sentence(rows, scope, metric),
                )
            )
    return panels


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


def _backtest_rows(frame: pl.DataFrame) -> list[dict[str, object]]:
    """Returns a table row for each scope and method: its figures over held-out and over all origins."""
    summary = frame.filter(pl.col("part").is_in(["held_out", "all"]))
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
            zh, en = METHOD_WORDS[method]
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
