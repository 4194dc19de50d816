"""Owns the pictures of the report: inline SVG with axes, labels and tooltips, in both languages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup, escape

from selection.words import count, percent

WIDTH, HEIGHT = 380, 138
LEFT, RIGHT, TOP, BOTTOM = 34, 4, 18, 20


@dataclass(frozen=True, slots=True)
class Week:
    """One bar: seven days from `start` on, in units; low and high only for a forecast."""

    start: date
    units: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """One method of a back-test chart: a label in both languages, a share and its interval."""

    label_zh: str
    label_en: str
    value: float
    low: float
    high: float
    strong: bool


def bilingual(zh: str, en: str) -> Markup:
    """Returns both languages, of which the page shows one."""
    return Markup('<span lang="zh">{}</span><span lang="en">{}</span>').format(zh, en)


def item_chart(history: Sequence[Week], forecast: Sequence[Week]) -> Markup:
    """Returns weekly history as bars, then the forecast as lighter bars with 80% interval whiskers."""
    weeks = [*history, *forecast]
    top = _nice_top(max([week.high or 0.0 for week in weeks] + [week.units for week in weeks] + [1.0]))
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    step = plot_width / max(len(weeks), 1)
    bar_width = max(step * 0.74, 1.0)

    def y(units: float) -> float:
        return TOP + plot_height * (1 - min(max(units, 0.0), top) / top)

    parts = [
        f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_n(y(tick))}" y2="{_n(y(tick))}"/>'
        f'<text class="yt" x="{LEFT - 4}" y="{_n(y(tick) + 3)}">{count(tick)}</text>'
        for tick in (0.0, top / 2, top)
    ]
    month = None
    last_label = -100.0
    for position, week in enumerate(weeks):
        x = LEFT + position * step + (step - bar_width) / 2
        tip = f"{week.start:%Y-%m-%d} · {count(week.units)}"
        if week.low is not None and week.high is not None:
            tip += f" ({count(week.low)}–{count(week.high)})"
        name = "f" if position >= len(history) else "h"
        height = TOP + plot_height - y(week.units)
        parts.append(
            f'<rect class="{name}" x="{_n(x)}" y="{_n(y(week.units))}" width="{_n(bar_width)}" '
            f'height="{_n(max(height, 0.6))}"><title>{tip}</title></rect>'
        )
        if week.low is not None and week.high is not None:
            centre = _n(x + bar_width / 2)
            parts.append(f'<path class="w" d="M{centre} {_n(y(week.high))}V{_n(y(week.low))}"/>')
        if week.start.month != month and x - last_label > 26:
            parts.append(f'<text class="xt" x="{_n(x)}" y="{HEIGHT - 6}">{week.start:%y-%m}</text>')
            last_label = x
        month = week.start.month
    if history and forecast:
        x_now = _n(LEFT + len(history) * step)
        parts.append(f'<line class="now" x1="{x_now}" x2="{x_now}" y1="{TOP}" y2="{TOP + plot_height}"/>')
    parts.append(f'<text lang="zh" x="{LEFT}" y="10">件/周</text>')
    parts.append(f'<text lang="en" x="{LEFT}" y="10">units/week</text>')
    sold = sum(week.units for week in history)
    expected = sum(week.units for week in forecast)
    label = (
        f"近 {len(history)} 周共售出 {count(sold)} 件；未来 {len(forecast)} 周预测 {count(expected)} 件 / "
        f"{len(history)} weeks sold {count(sold)}; {len(forecast)} weeks forecast {count(expected)}"
    )
    return Markup(  # noqa: S704 - numbers, dates and the escaped label
        f'<svg class="ic" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def interval_chart(bars: Sequence[Bar], label: str) -> Markup:
    """Returns one horizontal bar a method from 0 to 100%, with its 95% interval as a whisker."""
    row, left, width, right = 30, 190, 520, 62
    height = row * len(bars) + 24
    span = width - left - right

    def x(share: float) -> float:
        return left + span * min(max(share, 0.0), 1.0)

    parts = [
        f'<line class="g" x1="{_n(x(tick))}" x2="{_n(x(tick))}" y1="4" y2="{height - 18}"/>'
        f'<text class="xm" x="{_n(x(tick))}" y="{height - 5}">{percent(tick)}</text>'
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    for position, bar in enumerate(bars):
        y = 6 + position * row
        kind = "f s" if bar.strong else "h"
        width_px, right_px = max(x(bar.value) - left, 0.5), max(x(bar.high), x(bar.value)) + 6
        shown = f"{percent(bar.value)} ({percent(bar.low)}–{percent(bar.high)})"
        parts.append(
            f'<text class="bl" lang="zh" x="{left - 8}" y="{y + 15}">{escape(bar.label_zh)}</text>'
            f'<text class="bl" lang="en" x="{left - 8}" y="{y + 15}">{escape(bar.label_en)}</text>'
            f'<rect class="{kind}" x="{left}" y="{y + 3}" width="{_n(width_px)}" height="16">'
            f"<title>{shown}</title></rect>"
            f'<path class="w" d="M{_n(x(bar.low))} {y + 11}H{_n(x(bar.high))}'
            f'M{_n(x(bar.low))} {y + 7}v8M{_n(x(bar.high))} {y + 7}v8"/>'
            f'<text class="bv" x="{_n(right_px)}" y="{y + 15}">{percent(bar.value)}</text>'
        )
    return Markup(  # noqa: S704 - numbers and escaped labels
        f'<svg class="bc" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _nice_top(value: float) -> float:
    scale = 10.0 ** math.floor(math.log10(max(value, 1.0)))
    for factor in (1, 2, 4, 5, 6, 8, 10):
        if value <= factor * scale:
            return max(factor * scale, 2.0)
    return 10 * scale


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
