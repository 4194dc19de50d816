"""Owns the pilot plan as a person reads it on a console."""

from __future__ import annotations

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recdata.runs import RunFolder
from selection.pilot.plan import PilotPlan
from selection.words import percent

STATUS_WORDS = {
    "planned": "可行 the test can find the effect",
    "too_weak": "功效不足 no test that is allowed finds the effect; the strongest one is shown",
    "no_picks": "没有主推或上新的商品 nothing to launch or push tonight",
    "no_regions": "数据没有区域 sales carry no region: add `region` to the events",
    "one_region": "只有一个区域 nothing to compare it with: try the picks in every other week",
    "few_regions": "可比区域不足 too few sell the picks steadily: lower min_coverage",
    "short_history": "历史太短 too short to know the noise: wait, or shorten weeks_before",
}


def show_pilot(console: Console, run: RunFolder, *, limit: int) -> None:
    """Prints a run's pilot plan with so many rows of each table."""
    print_pilot(
        console, msgspec.json.decode(run.resolve("pilot.json").read_bytes(), type=PilotPlan), limit=limit
    )


def print_pilot(console: Console, plan: PilotPlan, *, limit: int) -> None:
    """Prints the plan: what it finds, the regions, other lengths."""
    console.print(_sums(plan))
    if not plan.pairs:
        return
    like = {each.region: ", ".join(each.like_it) for each in plan.roll_out}
    table = _table("区域 regions, most alike first", "try in 试点", "compare 对照", "then roll out to 推广")
    for pair in plan.pairs[:limit]:
        table.add_row(pair.test, pair.control, like.get(pair.test, ""))
    console.print(table)
    others = _table("其他周数 other lengths", "weeks", "regions needed", "least rise found by all")
    for option in plan.options:
        needed = "–" if option.regions is None else str(option.regions)
        others.add_row(str(option.weeks), needed, _share(option.least_rise))
    console.print(others)


def _sums(plan: PilotPlan) -> Table:
    table = _table("pilot 试点计划", "what", "value")
    table.show_header = False
    table.add_row("结果 result", STATUS_WORDS[plan.status])
    table.add_row("商品 picks tried", str(len(plan.items)))
    table.add_row("区域 regions (sell the picks steadily)", f"{plan.regions} ({plan.eligible})")
    asked = f"{_share(plan.effect)} more, found {percent(plan.power)} of the time"
    table.add_row("目标 asked for", f"{asked}, false alarm {percent(plan.false_alarm)}")
    if plan.pairs:
        table.add_row("规模 size", f"{plan.weeks} weeks, {len(plan.pairs)} + {len(plan.pairs)} regions")
        table.add_row("可测 least rise it finds", _share(plan.least_rise))
        noise = f"{_share(plan.noise)} of a region's sales ({_share(plan.noise_raw)} uncorrected)"
        table.add_row("噪声 noise of a pair", noise)
        told = f"{_share(plan.rehearsed_found)} found, {_share(plan.rehearsed_false_alarms)} false alarms"
        table.add_row("用历史演练 rehearsed on past weeks", told)
        table.add_row("平衡 worst imbalance", f"{plan.imbalance:.2f} standard deviations")
    return table


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.1f}%"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table
