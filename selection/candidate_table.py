"""Owns how the candidates of a run look on a terminal, in Chinese or English."""

from __future__ import annotations

import msgspec
import polars as pl
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from selection.words import ACTION_WORDS, STAGE_WORDS, Language, count, money, word

HEADINGS = {
    "zh": ("商品与理由", "建议\n阶段", "得分", "预测销量\n80% 区间", "预测销售额"),
    "en": ("item and reason", "action\nstage", "score", "forecast\n80% interval", "revenue"),
}
BREAKOUT_WORDS = {"zh": "突破", "en": "breakout"}


def selection_table(frame: pl.DataFrame, *, currency: str, title: str, language: Language) -> Table:
    """Returns a table for the console of SELECTION rows joined with their titles, in the frame's order."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    what, advice, *figures = HEADINGS[language]
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column(what, overflow="fold")
    table.add_column(advice, no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    for row in frame.iter_rows(named=True):
        reason = next(iter(msgspec.json.decode(row[f"reasons_{language}"], type=list[str])), "")
        name = row["title"] or row["item_id"]
        item_id = row["item_id"] if row["item_id"] not in name else ""
        table.add_row(
            str(row["rank"]),
            _lines(name, item_id, reason),
            _lines(
                word(ACTION_WORDS, row["action"], language),
                word(STAGE_WORDS, row["stage"], language),
                BREAKOUT_WORDS[language] if row["breakout"] else "",
            ),
            f"{row['score'] * 100:.0f}",
            _lines(count(row["demand"]), f"{count(row['demand_q10'])} – {count(row['demand_q90'])}"),
            money(row["revenue_at_stake"], currency),
        )
    return table


def _lines(*lines: str) -> Text:
    """Returns a cell of several lines, all but the first dim; empty ones are left out."""
    first, *rest = [line for line in lines if line] or [""]
    return Text.assemble(first, *((f"\n{line}", "dim") for line in rest))
