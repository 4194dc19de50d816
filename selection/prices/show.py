"""Owns prices as a person reads them on a console: elasticities by category and of items, and discounts."""

from __future__ import annotations

import msgspec
import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recdata.artefacts import read_artefact
from recdata.runs import RunFolder
from selection.prices.stage import CategoryElasticity, PriceSummary
from selection.words import BAND_WORDS, count, percent, word


def show_prices(console: Console, run: RunFolder, *, limit: int) -> None:
    """Prints a run's prices with so many rows of each table."""
    summary = msgspec.json.decode(run.resolve("prices.json").read_bytes(), type=PriceSummary)
    items = read_artefact(run.resolve("items.parquet"), "items")
    rows = read_artefact(run.resolve("prices.parquet"), "prices").join(
        items.select("item_row", "item_id", "title"), on="item_row", how="left"
    )
    print_prices(console, summary, rows, limit=limit)


def print_prices(console: Console, summary: PriceSummary, rows: pl.DataFrame, *, limit: int) -> None:
    """Prints the sums, the categories and the items that answer most to their price.

    Args:
        console: where to.
        summary: what is known of the whole.
        rows: PRICES with item_id and title.
        limit: rows of each table.
    """
    console.print(_sums(summary))
    if summary.categories:
        table = _table("品类弹性 elasticity of categories", "category", "items", "elasticity", "90% interval")
        for each in summary.categories[:limit]:
            table.add_row(each.category or "–", count(each.items), *_told(each))
        console.print(table)
    known = rows.filter(pl.col("elasticity").is_not_null()).sort(["elasticity", "item_id"]).head(limit)
    if not known.is_empty():
        title = "最敏感的商品 items that answer most to their price"
        table = _table(title, "item", "band", "elasticity", "90% interval")
        for row in known.iter_rows(named=True):
            interval = f"{row['elasticity_low']:.1f} … {row['elasticity_high']:.1f}"
            band = word(BAND_WORDS, row["price_band"], "zh")
            table.add_row(row["title"] or row["item_id"], band, f"{row['elasticity']:.2f}", interval)
        console.print(table)


def _sums(summary: PriceSummary) -> Table:
    table = _table("prices 价格", "what", "value")
    table.show_header = False
    shop = "–" if summary.shop_elasticity is None else f"{summary.shop_elasticity:.2f}"
    median = "" if summary.median_discount is None else f", median {percent(summary.median_discount)}"
    lines = [
        ("商品 items (with a price)", f"{count(summary.items)} ({count(summary.priced)})"),
        ("有成本 with a unit cost", count(summary.with_cost)),
        ("低于成本 sold at or below cost", count(summary.sold_below_cost)),
        ("数据足够 weeks and prices enough to try", count(summary.tried)),
        ("可识别弹性 elasticity identified", count(summary.identified)),
        ("全店弹性 elasticity of the shop", shop),
        ("建议折扣 discounts advised", f"{count(summary.discounts)}{median}"),
        ("达到上限 as deep as the margin allows", count(summary.discounts_at_the_bound)),
    ]
    for name, value in lines:
        table.add_row(name, value)
    return table


def _told(each: CategoryElasticity) -> tuple[str, str]:
    if each.elasticity is None or each.low is None or each.high is None:
        return "–", "–"
    return f"{each.elasticity:.2f}", f"{each.low:.1f} … {each.high:.1f}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(columns[0], overflow="fold")
    for name in columns[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table
