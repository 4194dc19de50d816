"""Owns the pictures of the evaluation's page: inline SVG with axes, labels and tooltips."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from training.evaluate.page.words import MODEL_WORDS
from training.evaluate.results import Cell

WIDTH, HEIGHT = 520, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 30
BAR, GAP, LABEL_WIDTH = 8, 10, 150


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a chart of bars or of points: a label in both languages and a figure a series.

    Attributes:
        label_zh: what stands at the left.
        label_en: the same in English.
        cells: series -> figure; a series without one is left out.
        heading: the row is a title over those that follow.
    """

    label_zh: str
    label_en: str
    cells: Mapping[str, Cell]
    heading: bool = False


def curve_chart(curves: Mapping[str, Sequence[float]], *, mark: int, label: str) -> Markup:
    """Returns a line a model over the length of the list.

    Args:
        curves: model -> means at 1, 2, ... places, all of one length; empty ones are left out.
        mark: the length that the tables are for, marked by a vertical line.
        label: what the picture shows, for who cannot see it.
    """
    drawn = {model: values for model, values in curves.items() if len(values)}
    longest = max((len(values) for values in drawn.values()), default=1)
    top = nice_top(max((max(values) for values in drawn.values()), default=1.0))
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(k: float) -> float:
        return LEFT + plot_width * (k - 1) / max(longest - 1, 1)

    def y(value: float) -> float:
        return TOP + plot_height * (1 - value / top)

    parts = [
        f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_n(y(tick))}" y2="{_n(y(tick))}"/>'
        f'<text class="yt" x="{LEFT - 6}" y="{_n(y(tick) + 4)}">{tick:.3g}</text>'
        for tick in (top * step / 4 for step in range(5))
    ]
    marks = sorted({1, *range(10, longest + 1, 10), longest})
    parts += [f'<text class="xm" x="{_n(x(k))}" y="{HEIGHT - 12}">{k}</text>' for k in marks]
    parts.append(
        f'<line class="now" x1="{_n(x(mark))}" x2="{_n(x(mark))}" y1="{TOP}" y2="{TOP + plot_height}"/>'
    )
    for model, values in drawn.items():
        path = "L".join(f"{_n(x(k))} {_n(y(value))}" for k, value in enumerate(values, 1))
        parts.append(f'<path class="l m-{model}" d="M{path}"/>')
        if mark <= len(values):
            tip = f"{' / '.join(MODEL_WORDS[model])}: k = {mark}, {values[mark - 1]:.3f}"
            parts.append(
                f'<circle class="p m-{model}" cx="{_n(x(mark))}" cy="{_n(y(values[mark - 1]))}" r="4">'
                f"<title>{escape(tip)}</title></circle>"
            )
    return _svg("cc", WIDTH, HEIGHT, parts, label)


def bar_chart(rows: Sequence[Row], models: Sequence[str], *, label: str) -> Markup:
    """Returns thin horizontal bars from 0, one a model in each row, with intervals as whiskers."""
    tall = BAR * len(models) + GAP
    heights = [22 if row.heading else tall for row in rows]
    height = sum(heights) + 28
    highest = [cell.high or cell.value for row in rows for cell in row.cells.values()]
    top = nice_top(max(highest, default=1.0))
    x = _scale(LABEL_WIDTH, WIDTH - RIGHT - 34, 0.0, top)
    parts = _grid(x, [top * step / 4 for step in range(5)], height)
    at = 4
    for row, row_height in zip(rows, heights, strict=True):
        middle = at + row_height / 2 - (0 if row.heading else GAP / 2)
        parts += _labels(row, middle + 4)
        for position, model in enumerate(models):
            cell = row.cells.get(model)
            if cell is None:
                continue
            y = at + position * BAR
            tip = f"{' / '.join(MODEL_WORDS[model])}: {told(cell)}"
            parts.append(
                f'<rect class="b m-{model}" x="{LABEL_WIDTH}" y="{_n(y)}" height="{BAR - 1}" '
                f'width="{_n(max(x(cell.value) - LABEL_WIDTH, 0.5))}"><title>{escape(tip)}</title></rect>'
            )
            if cell.low is not None and cell.high is not None:
                line = _n(y + (BAR - 1) / 2)
                parts.append(f'<path class="w" d="M{_n(x(cell.low))} {line}H{_n(x(cell.high))}"/>')
        at += row_height
    return _svg("bc", WIDTH, height, parts, label)


def point_chart(rows: Sequence[Row], *, at: float, label: str) -> Markup:
    """Returns a point a row with its interval, against a vertical line at `at` that means no difference."""
    row_height = 26
    height = row_height * len(rows) + 30
    cells = [cell for row in rows for cell in row.cells.values()]
    lows = [cell.value if cell.low is None else cell.low for cell in cells]
    highs = [cell.value if cell.high is None else cell.high for cell in cells]
    margin = 0.08 * max(max(highs, default=at) - at, at - min(lows, default=at), 0.02)
    low, high = min([at, *lows]) - margin, max([at, *highs]) + margin
    ticks = _ticks(low, high)
    x = _scale(96, WIDTH - 70, low, high)
    parts = _grid(x, ticks, height)
    parts.append(f'<line class="now" x1="{_n(x(at))}" x2="{_n(x(at))}" y1="2" y2="{height - 22}"/>')
    for position, row in enumerate(rows):
        y = 6 + position * row_height + row_height / 2
        parts.append(f'<text class="bl" x="86" y="{_n(y + 4)}">{escape(row.label_zh)}</text>')
        for cell in row.cells.values():
            sure = cell.low is not None and cell.high is not None and (cell.low > at or cell.high < at)
            kind = ("up" if cell.value > at else "down") if sure else "flat"
            if cell.low is not None and cell.high is not None:
                parts.append(f'<path class="i {kind}" d="M{_n(x(cell.low))} {_n(y)}H{_n(x(cell.high))}"/>')
            parts.append(
                f'<circle class="d {kind}" cx="{_n(x(cell.value))}" cy="{_n(y)}" r="5">'
                f"<title>{escape(told(cell))}</title></circle>"
                f'<text class="bv" x="{WIDTH - 62}" y="{_n(y + 4)}">{cell.value:.2f} ×</text>'
            )
    return _svg("pc", WIDTH, height, parts, label)


def told(cell: Cell, digits: int = 3) -> str:
    """Returns a figure with its interval in words."""
    if cell.low is None or cell.high is None:
        return f"{cell.value:.{digits}f}"
    return f"{cell.value:.{digits}f} ({cell.low:.{digits}f}–{cell.high:.{digits}f})"


def nice_top(value: float) -> float:
    """Returns a round number at or above a positive value, for the end of an axis; 1 for 0."""
    if value <= 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(value))
    return next(
        step * scale for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if value <= step * scale * 1.0000001
    )


def _ticks(low: float, high: float) -> list[float]:
    wide = (high - low) / 4
    scale = 10.0 ** math.floor(math.log10(wide))
    step = next(each * scale for each in (1, 2, 5, 10) if wide <= each * scale * 1.0000001)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [number * step for number in range(first, last + 1)]


def _scale(left: float, right: float, low: float, high: float) -> Callable[[float], float]:
    return lambda value: left + (right - left) * (min(max(value, low), high) - low) / (high - low)


def _grid(x: Callable[[float], float], ticks: Sequence[float], height: float) -> list[str]:
    return [
        f'<line class="g" x1="{_n(x(tick))}" x2="{_n(x(tick))}" y1="2" y2="{_n(height - 22)}"/>'
        f'<text class="xm" x="{_n(x(tick))}" y="{_n(height - 8)}">{tick:.3g}</text>'
        for tick in ticks
    ]


def _labels(row: Row, y: float) -> list[str]:
    name, x = ("hd", 4) if row.heading else ("bl", LABEL_WIDTH - 8)
    return [
        f'<text class="{name}" lang="{language}" x="{x}" y="{_n(y)}">{escape(text)}</text>'
        for language, text in (("zh", row.label_zh), ("en", row.label_en))
    ]


def _svg(name: str, width: float, height: float, parts: Sequence[str], label: str) -> Markup:
    return Markup(  # noqa: S704 - numbers, names of models and escaped labels
        f'<svg class="{name}" viewBox="0 0 {_n(width)} {_n(height)}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
