"""Owns report.html: one self-contained page for merchandisers, Chinese first, that opens offline."""

from __future__ import annotations

from dataclasses import dataclass

import jinja2
import polars as pl
from markupsafe import Markup

from selection.actions import ACTIONS
from selection.charts import bilingual, item_chart
from selection.config import SelectionConfig
from selection.ledger.scoring import summary_of
from selection.report_backtest import list_tables, panels, table_rows
from selection.report_data import ReportInputs, build_groups, caveats, grouped
from selection.score import COMPONENTS
from selection.summary import added_by_component, headline
from selection.words import (
    ACTION_MEANINGS,
    ACTION_WORDS,
    BAND_WORDS,
    COMPONENT_WORDS,
    DECISION_WORDS,
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
        panels=panels(inputs.backtest, config),
        backtest=headline(inputs.backtest, config.backtest),
        backtest_rows=table_rows(inputs.backtest, config),
        backtest_lists=list_tables(inputs.backtest, config, inputs.currency),
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
                "kills": "–" if "false_kills" not in row else _kills(kills),
            }
        )
    return rows


def _kills(share: object) -> Markup | str:
    return bilingual("待定", "pending") if share is None else percent(_number(share))


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
