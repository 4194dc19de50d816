"""Owns how answers look on a terminal: tables for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsvc.v1.bestseller_service_pb2 import ListBestsellersResponse
from recsvc.v1.common_pb2 import AnswerInfo, RankedItem, SourceType
from recsvc.v1.selection_service_pb2 import (
    ForecastLevel,
    GetForecastResponse,
    LifecycleStage,
    ListCandidatesResponse,
    SelectionAction,
)
from recsvc.v1.snapshot_service_pb2 import GetServingStateResponse

BARS = "▁▂▃▄▅▆▇█"
MAX_FORECAST_ROWS = 14


def show_json(out: Console, answer: Message) -> None:
    """Prints an answer as JSON, names as in the protos."""
    out.print(
        MessageToJson(answer, preserving_proto_field_name=True, ensure_ascii=False),
        markup=False,
        soft_wrap=True,
    )


def show_ranked(out: Console, title: str, items: Sequence[RankedItem], info: AnswerInfo) -> None:
    """Prints a list of ranked items."""
    table = _table(title, "#", "item", "title", "category", "price", "score", "source", "reason")
    for place, ranked in enumerate(items, start=1):
        table.add_row(*_cells(place, ranked), ranked.reason.text)
    out.print(table)
    _show_info(out, info)


def show_bestsellers(out: Console, title: str, answer: ListBestsellersResponse) -> None:
    """Prints a list for everybody."""
    days = answer.window.ToTimedelta().days
    table = _table(
        f"{title}, {days} days", "#", "item", "title", "category", "price", "score", "source", "buyers"
    )
    for place, entry in enumerate(answer.results, start=1):
        table.add_row(*_cells(place, entry.ranked_item), f"{entry.buyers:,}")
    out.print(table)
    _show_info(out, answer.info)


def show_candidates(out: Console, answer: ListCandidatesResponse) -> None:
    """Prints selection candidates, each with its strongest reasons."""
    columns = ("#", "item", "title", "action", "stage", "score", "trend", "demand", "80% interval", "why")
    table = _table(f"Selection candidates, {len(answer.results)} of {answer.total_size:,}", *columns)
    for entry in answer.results:
        table.add_row(
            str(entry.rank),
            Text(entry.item.item_id),
            Text(entry.item.title),
            _word(SelectionAction.Name(entry.action), "SELECTION_ACTION_"),
            _word(LifecycleStage.Name(entry.stage), "LIFECYCLE_STAGE_"),
            f"{entry.score:.3f}",
            f"{entry.trend:+.0%}",
            f"{entry.demand:,.0f}",
            f"{entry.demand_q10:,.0f} – {entry.demand_q90:,.0f}",
            Text("; ".join(entry.reasons[:2])),
        )
    out.print(table)
    _show_info(out, answer.info)


def show_forecast(out: Console, answer: GetForecastResponse) -> None:
    """Prints a forecast: its shape as one line of bars, its sum, and its first days."""
    forecast = answer.forecast
    level = _word(ForecastLevel.Name(forecast.level), "FORECAST_LEVEL_")
    means = [day.mean for day in forecast.days]
    table = _table(
        f"Forecast of {level} {forecast.key} ({forecast.method}), units", "day", "mean", "q10", "q90"
    )
    for day in forecast.days[:MAX_FORECAST_ROWS]:
        table.add_row(_day(day.day), f"{day.mean:,.1f}", f"{day.q10:,.1f}", f"{day.q90:,.1f}")
    if len(means) > MAX_FORECAST_ROWS:
        table.add_row(f"… {len(means) - MAX_FORECAST_ROWS} more days", "", "", "")
    out.print(Text(f"{sparkline(means)}  {len(means)} days, {sum(means):,.0f} units in all"))
    out.print(table)
    _show_info(out, answer.info)


def show_state(out: Console, answer: GetServingStateResponse) -> None:
    """Prints what serves."""
    snapshot = answer.snapshot
    table = Table(title="Serving state", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    rows = {
        "snapshot": snapshot.snapshot_id,
        "data up to (excluded)": _day(snapshot.as_of),
        "made at": snapshot.create_time.ToJsonString(),
        "serves since": snapshot.load_time.ToJsonString(),
        "published": answer.published_snapshot_id,
        "items": f"{snapshot.item_count:,}",
        "users": f"{snapshot.user_count:,}",
        "categories": f"{snapshot.category_count:,}",
        "candidates": f"{snapshot.candidate_count:,}",
        "forecasts": f"{snapshot.forecast_count:,}",
        "windows": ", ".join(f"{each.kind} {each.window.ToTimedelta().days} d" for each in snapshot.windows),
        "currency": snapshot.currency,
        "format version": str(snapshot.format_version),
        "server": f"{answer.server_version}, started {answer.start_time.ToJsonString()}",
    }
    rows |= {metric.name: f"{metric.value:.4g}" for metric in snapshot.metrics}
    if answer.HasField("load_failure"):
        rows["refused"] = f"{answer.load_failure.snapshot_id}: {answer.load_failure.message}"
    for name, value in rows.items():
        table.add_row(name, Text(value))
    out.print(table)


def sparkline(values: Sequence[float]) -> str:
    """Returns one bar a value, from the lowest to the highest; "" for no values."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    span = high - low or 1.0
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in values)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=Text(title))
    numbers = {"#", "price", "score", "trend", "demand", "buyers", "mean", "q10", "q90"}
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left")
    return table


def _cells(place: int, ranked: RankedItem) -> tuple[str | Text, ...]:
    item = ranked.item
    return (
        str(place),
        Text(item.item_id),
        Text(item.title),
        Text(item.category),
        _price(item.price) if item.HasField("price") else "",
        f"{ranked.score:.3f}",
        _word(SourceType.Name(ranked.source), "SOURCE_TYPE_"),
    )


def _show_info(out: Console, info: AnswerInfo) -> None:
    for degradation in info.degradations:
        out.print(Text(f"note: {degradation.detail}", style="yellow"))
    out.print(Text(f"snapshot {info.snapshot_id}", style="dim"))


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _price(price: Money) -> str:
    return f"{price.units + price.nanos / 1e9:,.2f} {price.currency_code}"


def _day(day: Date) -> str:
    return f"{day.year:04d}-{day.month:02d}-{day.day:02d}"
