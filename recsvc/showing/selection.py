"""Owns how the selection's candidates and forecasts look on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from recsvc.showing.parts import day_text, lines, show_info, table_of, word
from recsvc.v1.selection_service_pb2 import (
    ForecastLevel,
    GetForecastResponse,
    LifecycleStage,
    ListCandidatesResponse,
    SelectionAction,
)

BARS = "▁▂▃▄▅▆▇█"
MAX_FORECAST_ROWS = 14


def show_candidates(out: Console, answer: ListCandidatesResponse) -> None:
    """Prints selection candidates, each with its strongest reason; JSON has the others."""
    columns = ("#", "title, item and reason", "action\nstage", "score", "trend", "demand\n80% interval")
    table = table_of(f"Selection candidates, {len(answer.results)} of {answer.total_size:,}", *columns)
    for entry in answer.results:
        item_id = entry.item.item_id if entry.item.item_id not in entry.item.title else ""
        action = word(SelectionAction.Name(entry.action), "SELECTION_ACTION_")
        table.add_row(
            str(entry.rank),
            lines(entry.item.title, item_id, *entry.reasons[:1]),
            lines(action, word(LifecycleStage.Name(entry.stage), "LIFECYCLE_STAGE_")),
            f"{entry.score:.3f}",
            f"{entry.trend:+.0%}",
            lines(f"{entry.demand:,.0f}", f"{entry.demand_q10:,.0f} – {entry.demand_q90:,.0f}"),
        )
    out.print(table)
    show_info(out, answer.info)


def show_forecast(out: Console, answer: GetForecastResponse) -> None:
    """Prints a forecast: its shape as bars, its sum, and its first days."""
    forecast = answer.forecast
    level = word(ForecastLevel.Name(forecast.level), "FORECAST_LEVEL_")
    name = f"{level} {forecast.key}".rstrip()
    means = [day.mean for day in forecast.days]
    out.print(
        Text(f"Forecast of {name} ({forecast.method}): {len(means)} days, {sum(means):,.0f} units in all")
    )
    out.print(Text(sparkline(means), overflow="fold"))
    table = table_of("", "day", "mean", "q10", "q90")
    for day in forecast.days[:MAX_FORECAST_ROWS]:
        table.add_row(day_text(day.day), f"{day.mean:,.1f}", f"{day.q10:,.1f}", f"{day.q90:,.1f}")
    if len(means) > MAX_FORECAST_ROWS:
        table.add_row(f"… {len(means) - MAX_FORECAST_ROWS} more days", "", "", "")
    out.print(table)
    show_info(out, answer.info)


def sparkline(values: Sequence[float]) -> str:
    """Returns one bar a value, from the lowest to the highest; "" for no values."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    span = high - low or 1.0
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in values)
