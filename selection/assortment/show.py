"""Owns the assortment as a person reads it on a console: what changes, what holds it back, or why not."""

from __future__ import annotations

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recdata.artefacts import read_artefact
from recdata.runs import RunFolder
from selection.assortment.plan import LimitUse, Plan, Remedy, read_plan
from selection.words import BAND_WORDS, count, money, percent, signed_percent

SHARES = ("band_least", "band_most", "new_least")
LIMIT_WORDS = {
    "budget": "预算 budget",
    "total": "总数 items in all",
    "slots": "位置上限 slots",
    "todays_slots": "现有位置 today's slots",
    "least": "最少品数 at least",
    "band_least": "价格带下限 price band, at least",
    "band_most": "价格带上限 price band, at most",
    "new_least": "新品下限 new items, at least",
    "always": "必选 must be in",
    "never": "不选 must not be in",
}
STATUS_WORDS = {
    "best": "已证明最优 proven best",
    "within_gap": "未证明最优 stopped before it was proven best",
    "impossible": "条件互相矛盾 no assortment keeps every limit",
    "nothing": "没有可选商品 nothing may be chosen, or nothing is worth it",
}


def show_assortment(console: Console, run: RunFolder, *, currency: str, limit: int) -> None:
    """Prints a run's assortment with so many rows of each table."""
    plan = read_plan(run.resolve("assortment.json"))
    rows = read_artefact(run.resolve("assortment.parquet"), "assortment")
    sold = read_artefact(run.resolve("selection.parquet"), "selection").select(
        "item_row", sells_now=pl.col("recent_sales") > 0
    )
    items = read_artefact(run.resolve("items.parquet"), "items")
    print_plan(
        console, plan, rows.join(sold, on="item_row", how="left"), items, currency=currency, limit=limit
    )


def print_plan(
    console: Console, plan: Plan, rows: pl.DataFrame, items: pl.DataFrame, *, currency: str, limit: int
) -> None:
    """Prints the plan: the sums, then either the remedies or the changes, the binding limits and the items.

    Args:
        console: where to.
        plan: what was planned.
        rows: ASSORTMENT with `sells_now`, whether an item sold in the recent window.
        items: ITEMS, for titles.
        currency: of the money.
        limit: rows of each table.
    """
    for zh, en in plan.remarks:
        console.print(f"{zh}\n{en}", style="yellow", markup=False)
    console.print(_sums(plan, currency))
    if plan.status == "impossible":
        console.print(_remedies(plan.remedies, currency))
        return
    console.print(_categories(plan, currency, limit))
    console.print(_limits(plan.limits, currency, limit))
    titled = rows.join(items.select("item_row", "item_id", "title"), on="item_row", how="left")
    comes = titled.filter(pl.col("chosen") & ~pl.col("sells_now"))
    goes = titled.filter(~pl.col("chosen") & pl.col("sells_now"))
    console.print(_items("进 comes in (sold nothing lately, chosen now)", comes, currency, limit))
    console.print(_items("出 goes out (sold lately, not chosen now)", goes, currency, limit))


def _table(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        if number < left:
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    return table


def _sums(plan: Plan, currency: str) -> Table:
    table = _table("assortment 选品组合", "what", "value")
    table.show_header = False
    change = (plan.worth / plan.worth_today - 1) if plan.worth_today > 0 else None
    lines = [
        ("结果 result", f"{STATUS_WORDS[plan.status]}, gap {plan.gap * 100:.2g}%"),
        ("可选 candidates", count(plan.candidates)),
        ("入选 chosen (sell today)", f"{count(plan.chosen)} ({count(plan.today)})"),
        (f"{plan.objective} of the horizon", money(plan.worth, currency)),
        ("of what sells today", money(plan.worth_today, currency)),
        ("of a plain greedy pick", "–" if plan.worth_greedy is None else money(plan.worth_greedy, currency)),
        ("进货成本 cost to buy in", money(plan.cost, currency)),
        ("替代品对 pairs of substitutes", count(plan.pairs)),
        ("亏本商品 items sold below their cost", count(plan.losing)),
    ]
    for name, value in lines:
        table.add_row(name, value)
    if change is not None and plan.chosen:
        table.add_row("变化 change against today", signed_percent(change, digits=1))
    return table


def _bound(kind: str, value: float, currency: str) -> str:
    if kind == "budget":
        return money(value, currency)
    return percent(value) if kind in SHARES else count(value)


def _name(kind: str, key: str) -> str:
    word = " ".join(BAND_WORDS.get(key, (key,))) if kind.startswith("band_") else key
    return f"{LIMIT_WORDS[kind]}: {word}" if word else LIMIT_WORDS[kind]


def _remedies(remedies: list[Remedy], currency: str) -> Table:
    table = _table("矛盾的条件 limits that contradict each other", "limit", "is", "set it alone to")
    for each in remedies:
        alone = "–" if each.alone is None else _bound(each.kind, each.alone, currency)
        table.add_row(_name(each.kind, each.key), _bound(each.kind, each.bound, currency), alone)
    table.caption = "one of these is enough; – means that this one alone does not help"
    table.caption_justify = "left"
    return table


def _categories(plan: Plan, currency: str, limit: int) -> Table:
    table = _table(
        "按品类 by category, most gained first", "category", "today", "chosen", "in", "out", "gain"
    )
    for each in plan.categories[:limit]:
        table.add_row(
            each.category or "–",
            count(each.today),
            count(each.chosen),
            count(each.comes_in),
            count(each.goes_out),
            money(each.worth - each.worth_today, currency),
        )
    return table


def _limits(limits: list[LimitUse], currency: str, limit: int) -> Table:
    title = "限制 limits, dearest first"
    table = _table(title, "limit", "is", "used", "left", "one more brings")
    for each in limits[:limit]:
        left = money(each.slack, currency) if each.kind == "budget" else count(each.slack)
        table.add_row(
            _name(each.kind, each.key),
            _bound(each.kind, each.bound, currency),
            _bound(each.kind, each.used, currency),
            left,
            money(each.shadow_price, currency),
        )
    table.caption = "of an 'at least', one less; left: items, of a budget money"
    table.caption_justify = "left"
    return table


def _items(title: str, rows: pl.DataFrame, currency: str, limit: int) -> Table:
    table = _table(f"{title}: {count(rows.height)}", "item", "category", "value", left=2)
    best = rows.sort(["value", "item_id"], descending=[True, False]).head(limit)
    for row in best.iter_rows(named=True):
        table.add_row(row["title"] or row["item_id"], row["slot_category"], money(row["value"], currency))
    return table
