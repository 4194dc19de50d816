"""Owns how an evaluation is read in a terminal: means, what they are against others, segments, periods."""

from __future__ import annotations

from datetime import date

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from selection.words import money
from training.evaluate.everyone import EVERYONE_METRICS, KNOWN
from training.evaluate.judging import HISTORY
from training.evaluate.metrics import METRICS
from training.evaluate.orders import ORDER_METRICS, ORDERS, SERVED
from training.evaluate.results import SEGMENT_METRIC, Cell, Evaluation
from training.evaluate.rivals import MODELS, TARGETS

TITLES = {
    "bestsellers": "bestsellers",
    "own_frequency": "own frequency",
    "als": "ALS",
    "served": "served",
    "history": "own history",
    "all": "all items",
    "never_bought": "items never bought before",
}
BASELINES = ("bestsellers", "own_frequency")
RATIO_METRICS = ("ndcg", "hit_rate", "value_captured")
SHOWN_METRICS = tuple(metric for metric in METRICS if metric != "revenue_bought")
BEYOND_ROWS = {
    "novelty": "novelty, bits",
    "popularity": "popularity (share who had bought it)",
    "head_share": "share of head items",
    "category_diversity": "diversity by category",
    "vector_diversity": "diversity by vector",
    "miscalibration": "miscalibration (0 is best)",
    "gini": "Gini of what is shown",
}
PERIOD_COLUMNS = (
    ("all", "ndcg", None),
    ("all", "ndcg", "bestsellers"),
    ("all", "ndcg", "own_frequency"),
    ("all", "value_captured", "bestsellers"),
    ("all", "value_captured", "own_frequency"),
    ("never_bought", "ndcg", "bestsellers"),
    ("never_bought", "hit_rate", "bestsellers"),
)
WIDE = 116


def print_evaluation(console: Console, found: Evaluation, *, currency: str) -> None:
    """Prints the last test period in full, and a line for each where there are several.

    Args:
        console: where to; from `WIDE` columns on every cell takes one line, below that two.
        found: what the stages left; a period without anything to judge is named.
        currency: of what was paid.
    """
    for headline in found.headlines:
        if headline.reason:
            console.print(f"nothing to judge from {headline.test_start} on: {headline.reason}")
    if found.headlines[0].reason:
        return
    wide = console.width >= WIDE
    for target in TARGETS:
        if found.users(target=target):
            console.print(_means(found, target, currency, wide=wide))
            console.print(_beyond(found, target))
            console.print(_segments(found, target, wide=wide))
    console.print(_orders(found, wide=wide))
    if len(found.judged) > 1:
        console.print(_periods(found))
    for line in summary_lines(found, currency):
        console.print(line)


def summary_lines(found: Evaluation, currency: str) -> list[str]:
    """Returns sentences about the money captured and about all customers known at the origin."""
    lines = []
    bought = found.cell(SERVED, "revenue_bought")
    held = {model: found.cell(model, "revenue_captured") for model in MODELS}
    if bought is not None:
        users = found.users("revenue_bought")
        parts = [
            f"{TITLES[model]} {money(cell.value * users, currency)}"
            for model, cell in held.items()
            if cell is not None
        ]
        lines.append(
            f"of {money(bought.value * users, currency)} that {users} shoppers spent, "
            f"{found.k} places each held: {', '.join(parts)}"
        )
    known = [found.cell(SERVED, metric, segment=KNOWN) for metric in EVERYONE_METRICS]
    cells = [cell.value for cell in known if cell is not None]
    if len(cells) == len(EVERYONE_METRICS):
        own, non_empty, full, catalogue = (f"{value:.1%}" for value in cells)
        users = found.users(EVERYONE_METRICS[0], segment=KNOWN)
        lines.append(
            f"of {users} customers known at the origin {own} have a list of their own, {full} a full one, "
            f"{non_empty} one that is not empty; {catalogue} of the sellable items stand in somebody's "
            f"first {found.k}"
        )
    return lines


def _means(found: Evaluation, target: str, currency: str, *, wide: bool) -> Table:
    table = _table(f"{TITLES[target]}, {found.users(target=target)} shoppers", "mean of shoppers")
    for metric in (*SHOWN_METRICS, "catalogue_coverage"):
        cells = (found.cell(model, metric, target=target) for model in MODELS)
        name = _name(metric) + (f", {currency}" if metric == "revenue_captured" else "")
        table.add_row(name, *(shown(cell, digits=_digits(metric, cell), wide=wide) for cell in cells))
    for baseline in BASELINES:
        if not (found.cell(baseline, SEGMENT_METRIC, target=target) or Cell(0.0)).value:
            continue
        table.add_section()
        for metric in RATIO_METRICS:
            pairs = (found.pair(model, baseline, metric, target=target) for model in MODELS)
            cells = (pair.ratio if pair else None for pair in pairs)
            table.add_row(
                f"{_name(metric)}, × {TITLES[baseline]}",
                *(shown(cell, digits=2, wide=wide) for cell in cells),
            )
    return table


def _beyond(found: Evaluation, target: str) -> Table:
    table = _table(f"{TITLES[target]}, beyond accuracy", "mean of shoppers", (*MODELS, HISTORY))
    for metric, name in BEYOND_ROWS.items():
        cells = [found.cell(model, metric, target=target) for model in (*MODELS, HISTORY)]
        table.add_row(name, *("–" if cell is None else f"{cell.value:.3f}" for cell in cells))
        if metric == "popularity":
            pairs = [found.pair(model, HISTORY, metric, target=target) for model in MODELS]
            ratios = ("–" if not pair or not pair.ratio else f"{pair.ratio.value:.2f}" for pair in pairs)
            table.add_row("popularity, × own history", *ratios, "–")
    return table


def _segments(found: Evaluation, target: str, *, wide: bool) -> Table:
    table = _table(f"{TITLES[target]}, {SEGMENT_METRIC} by segment", "segment (shoppers)")
    for segment in found.segments(target):
        cells = (found.cell(model, SEGMENT_METRIC, target=target, segment=segment) for model in MODELS)
        users = found.users(target=target, segment=segment)
        table.add_row(f"{segment} ({users})", *(shown(cell, wide=wide) for cell in cells))
    return table


def _orders(found: Evaluation, *, wide: bool) -> Table:
    table = _plain("another order of what is served, all items")
    table.add_column("order", no_wrap=True)
    metrics = [metric for metric in ORDER_METRICS if wide or metric != "value_captured"]
    for metric in metrics:
        table.add_column(_name(metric), justify="right")
    for metric in ("ndcg", "revenue_captured"):
        table.add_column(f"{metric.split('_')[0]},\n× served", justify="right", no_wrap=True)
    for name in (SERVED, *ORDERS):
        means = [found.cell(name, metric) for metric in metrics]
        pairs = [found.pair(name, SERVED, metric) for metric in ("ndcg", "revenue_captured")]
        table.add_row(
            name,
            *("–" if cell is None else f"{cell.value:.3f}" for cell in means),
            *(shown(pair.ratio if pair else None, wide=wide) for pair in pairs),
        )
    return table


def _periods(found: Evaluation) -> Table:
    table = _plain("what is served, period by period")
    table.add_column("test period from", no_wrap=True)
    table.add_column("shoppers", justify="right")
    for target, metric, baseline in PERIOD_COLUMNS:
        name = f"{'new ' if target == 'never_bought' else ''}{_name(metric)}"
        table.add_column(f"{name}, × {TITLES[baseline]}" if baseline else name, justify="right")
    rows = []
    for headline in found.judged:
        values = [period_figure(found, headline.test_start, *column) for column in PERIOD_COLUMNS]
        rows.append(values)
        table.add_row(str(headline.test_start), str(headline.users), *map(_figure, values))
    table.add_section()
    means = (_mean([row[at] for row in rows]) for at in range(len(PERIOD_COLUMNS)))
    table.add_row("mean", "", *map(_figure, means))
    return table


def period_figure(
    found: Evaluation, period: date, target: str, metric: str, baseline: str | None
) -> float | None:
    """Returns what was served in a period: its mean, or its quotient against a baseline."""
    if baseline is None:
        cell = found.cell(SERVED, metric, target=target, period=period)
        return cell.value if cell else None
    pair = found.pair(SERVED, baseline, metric, target=target, period=period)
    return pair.ratio.value if pair and pair.ratio else None


def shown(cell: Cell | None, *, digits: int = 3, wide: bool = True) -> str:
    """Returns a figure with its interval, on one line or on two; a dash where there is none."""
    if cell is None:
        return "–"
    if cell.low is None or cell.high is None:
        return f"{cell.value:.{digits}f}"
    between = " " if wide else "\n"
    return f"{cell.value:.{digits}f}{between}({cell.low:.{digits}f}–{cell.high:.{digits}f})"


def _digits(metric: str, cell: Cell | None) -> int:
    if metric != "revenue_captured" or cell is None:
        return 3
    return 0 if cell.value >= 100 else 2


def _mean(values: list[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return sum(given) / len(given) if given else None


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _name(metric: str) -> str:
    return metric.replace("_", " ")


def _table(title: str, first: str, models: tuple[str, ...] = MODELS) -> Table:
    table = _plain(title)
    table.add_column(first, overflow="fold")
    for model in models:
        table.add_column(TITLES[model], justify="right", no_wrap=True)
    return table


def _plain(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
