"""Owns putting the page together: cards, curves, segments, periods, pairs, and what was trained."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import jinja2
from markupsafe import Markup

from recdata.runs import StageRecord
from selection.charts import bilingual
from selection.words import money
from training.evaluate.everyone import EVERYONE_METRICS, KNOWN
from training.evaluate.judging import HISTORY
from training.evaluate.metrics import CURVE_METRICS
from training.evaluate.orders import ORDERS, SERVED
from training.evaluate.page.charts import Row, bar_chart, curve_chart, point_chart, told
from training.evaluate.page.words import (
    BEYOND_MEANINGS,
    METRIC_WORDS,
    MODEL_WORDS,
    TARGET_WORDS,
    kind_words,
    spoken,
    value_words,
)
from training.evaluate.results import Cell, Evaluation, Pair
from training.evaluate.rivals import MODELS, TARGETS
from training.evaluate.table import BASELINES, RATIO_METRICS, SHOWN_METRICS

BAR_METRICS = ("ndcg", "value_captured")
MATRIX_METRICS = ("ndcg", "recall", "hit_rate", "value_captured")
#: Target, metric and baseline of the quotients that are shown period by period; the first are the cards.
QUOTIENTS = (
    ("all", "ndcg", "own_frequency"),
    ("all", "ndcg", "bestsellers"),
    ("all", "value_captured", "own_frequency"),
    ("all", "value_captured", "bestsellers"),
    ("never_bought", "ndcg", "bestsellers"),
    ("never_bought", "hit_rate", "bestsellers"),
)


@dataclass(frozen=True, slots=True)
class PageInputs:
    """What the page shows.

    Attributes:
        as_of: the run's day.
        run_id: the run.
        found: all test periods.
        currency: of what was paid.
        settings: table -> key -> value of the config that the lists were made and judged with.
        records: the stages' records, for what they took.
    """

    as_of: date
    run_id: str
    found: Evaluation
    currency: str
    settings: Mapping[str, Mapping[str, object]]
    records: Sequence[StageRecord]


@dataclass(frozen=True, slots=True)
class Panel:
    """A titled picture."""

    title: Markup
    chart: Markup


def render_page(inputs: PageInputs) -> str:
    """Returns the page. Everything that comes from data is escaped; nothing is loaded from anywhere."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader("training.evaluate.page", "templates"),
                jinja2.PackageLoader("selection", "templates"),  # the reports share their looks
            ]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = inputs.found
    environment.globals.update(t=bilingual, told=told)
    environment.filters.update(
        model=lambda key: spoken(MODEL_WORDS, key),
        metric=lambda key: spoken(METRIC_WORDS, key),
        target=lambda key: spoken(TARGET_WORDS, key),
        meaning=lambda key: spoken(BEYOND_MEANINGS, key),
    )
    shown = [target for target in TARGETS if found.users(target=target)]
    return environment.get_template("evaluation.html.j2").render(
        inputs=inputs,
        found=found,
        headline=found.headlines[0],
        targets=shown,
        all_models=MODELS,
        models={target: _with_lists(found, target) for target in shown},
        users={target: found.users(target=target) for target in shown},
        cards=_cards(found),
        known=_known(found),
        totals=_totals(inputs),
        curves={target: _curves(found, target) for target in shown},
        means={target: _means(inputs, target) for target in shown},
        beyond={target: _beyond(found, target) for target in shown},
        segments={target: _segments(found, target) for target in shown},
        periods=_periods(found),
        matrices={target: _matrices(found, target) for target in shown},
        orders=_orders(inputs),
        seconds=sum(record.seconds for record in inputs.records),
    )


def _with_lists(found: Evaluation, target: str) -> list[str]:
    """Returns the models that show anything for a target: own frequency knows nothing never bought."""
    cells = {model: found.cell(model, "user_coverage", target=target) for model in MODELS}
    return [model for model, cell in cells.items() if cell and cell.value > 0]


def _cards(found: Evaluation) -> list[tuple[tuple[str, str, str], Cell]]:
    pairs = [(each, found.pair(SERVED, each[2], each[1], target=each[0])) for each in QUOTIENTS]
    return [(each, pair.ratio) for each, pair in pairs if pair and pair.ratio]


def _known(found: Evaluation) -> dict[str, float]:
    cells = {metric: found.cell(SERVED, metric, segment=KNOWN) for metric in EVERYONE_METRICS}
    known = {metric: cell.value for metric, cell in cells.items() if cell}
    return known | {"users": found.users(EVERYONE_METRICS[0], segment=KNOWN)} if known else {}


def _totals(inputs: PageInputs) -> list[tuple[str, str, float]]:
    """Returns (model, money held by its lists, share of all that was spent)."""
    found = inputs.found
    bought = found.cell(SERVED, "revenue_bought")
    if bought is None or bought.value <= 0:
        return []
    users = found.users("revenue_bought")
    cells = [(model, found.cell(model, "revenue_captured")) for model in MODELS]
    return [
        (model, money(cell.value * users, inputs.currency), cell.value / bought.value)
        for model, cell in cells
        if cell
    ]


def _curves(found: Evaluation, target: str) -> list[Panel]:
    return [
        Panel(
            spoken(METRIC_WORDS, metric),
            curve_chart(
                {model: found.curve(model, metric, target=target) for model in _with_lists(found, target)},
                mark=found.k,
                label=" / ".join(METRIC_WORDS[metric]),
            ),
        )
        for metric in CURVE_METRICS
    ]


def _means(inputs: PageInputs, target: str) -> list[tuple[Markup, list[str]]]:
    found, rows = inputs.found, []
    for metric in (*SHOWN_METRICS, "catalogue_coverage"):
        cells = [found.cell(model, metric, target=target) for model in MODELS]
        name = spoken(METRIC_WORDS, metric)
        if metric == "revenue_captured":
            name += f" ({inputs.currency})"
        rows.append((name, ["–" if cell is None else told(cell) for cell in cells]))
    for baseline in BASELINES:
        for metric in RATIO_METRICS:
            pairs = [found.pair(model, baseline, metric, target=target) for model in MODELS]
            if any(pair and pair.ratio for pair in pairs):
                name = spoken(METRIC_WORDS, metric) + " × " + spoken(MODEL_WORDS, baseline)
                rows.append((name, ["–" if not p or not p.ratio else told(p.ratio, 2) for p in pairs]))
    return rows


def _beyond(found: Evaluation, target: str) -> list[tuple[str, list[Cell | None], list[Pair | None]]]:
    """Returns (measure, figures of the models and of the history, the models against the history)."""
    columns = (*MODELS, HISTORY)
    return [
        (
            metric,
            [found.cell(model, metric, target=target) for model in columns],
            [found.pair(model, HISTORY, metric, target=target) for model in columns],
        )
        for metric in BEYOND_MEANINGS
    ]


def _segments(found: Evaluation, target: str) -> list[Panel]:
    panels, models = [], _with_lists(found, target)
    for metric in BAR_METRICS:
        rows: list[Row] = []
        for kind, segments in itertools.groupby(found.segments(target), kind_words):
            rows.append(Row(*kind, {}, heading=True))
            rows += [_bars(found, target, segment, metric) for segment in segments]
        label = " / ".join(METRIC_WORDS[metric])
        panels.append(Panel(spoken(METRIC_WORDS, metric), bar_chart(rows, models, label=label)))
    return panels


def _bars(found: Evaluation, target: str, segment: str, metric: str) -> Row:
    users = found.users(target=target, segment=segment)
    zh, en = value_words(segment)
    cells = {model: found.cell(model, metric, target=target, segment=segment) for model in MODELS}
    return Row(f"{zh}（{users}）", f"{en} ({users})", {model: cell for model, cell in cells.items() if cell})


def _periods(found: Evaluation) -> list[Panel]:
    if len(found.judged) < 2:
        return []
    panels = []
    for target, metric, baseline in QUOTIENTS:
        rows = []
        for headline in found.judged:
            day = headline.test_start
            pair = found.pair(SERVED, baseline, metric, target=target, period=day)
            if pair and pair.ratio:
                rows.append(Row(str(day), str(day), {SERVED: pair.ratio}))
        title = spoken(TARGET_WORDS, target) + " · " + spoken(METRIC_WORDS, metric)
        title += " × " + spoken(MODEL_WORDS, baseline)
        panels.append(Panel(title, point_chart(rows, at=1.0, label=f"{target} {metric} × {baseline}")))
    return panels


def _matrices(found: Evaluation, target: str) -> list[tuple[str, list[list[Pair | None]]]]:
    models = _with_lists(found, target)
    return [
        (
            metric,
            [[found.pair(model, other, metric, target=target) for other in models] for model in models],
        )
        for metric in MATRIX_METRICS
    ]


def _orders(inputs: PageInputs) -> list[tuple[str, list[str]]]:
    found, rows = inputs.found, []
    for order in ORDERS:
        figures = []
        for metric in ("ndcg", "revenue_captured"):
            cell, pair = found.cell(order, metric), found.pair(order, SERVED, metric)
            figures += [
                "–" if cell is None else f"{cell.value:.3f}",
                "–" if not pair or not pair.ratio else told(pair.ratio, 3),
            ]
        rows.append((order.partition("+")[2], figures))
    return rows
