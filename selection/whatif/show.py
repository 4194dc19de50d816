"""Owns the what-if as a person reads it on a console."""

from __future__ import annotations

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from selection.whatif.answer import Answer
from selection.words import count, money


def show_whatif(console: Console, answer: Answer, items: pl.DataFrame, *, currency: str, limit: int) -> None:
    """Prints what the promotions would change, most additional money first, and their sum."""
    frame = answer.frame.join(
        items.select("item_id", "title"), on="item_id", how="left", maintain_order="left"
    )
    table = Table(
        title=f"more promotions 假如增加促销: until {answer.until} (exclusive)",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("item 商品", overflow="fold")
    for name in ("days 天", "effect 倍数", "units as planned", "more units 增销", "more revenue 增收"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in frame.head(limit).iter_rows(named=True):
        name = row["title"] or row["item_id"]
        table.add_row(
            name if row["item_id"] in name else f"{name} ({row['item_id']})",
            count(row["days"]),
            f"{row['factor']:.2f} ({row['factor_low']:.2f}–{row['factor_high']:.2f})",
            count(row["units"]),
            f"{_signed(row['more_units'])} ({count(row['more_units_low'])}–{count(row['more_units_high'])})",
            f"{money(row['more_revenue'], currency)} "
            f"({money(row['more_revenue_low'], currency)} – {money(row['more_revenue_high'], currency)})",
        )
    console.print(table)
    total = frame.select(pl.col("more_units", "more_revenue").sum()).row(0)
    console.print(
        f"in all {_signed(total[0])} units, {money(total[1], currency)} over {frame.height} items; intervals "
        "(80%) are those of the effect, the forecast itself taken as it is; nothing was written"
    )
    for kind, days in answer.kinds.items():
        console.print(f"effect of {kind}: learned from {days:,} promoted days of items", markup=False)
    nothing = frame.filter(pl.col("days") == 0).height
    if nothing:
        console.print(f"{nothing} items are promoted so on all of these days already: nothing is added")


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else '-'}{count(abs(value))}"
