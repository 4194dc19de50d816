"""Owns how answers look on a terminal: tables for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money
from rich.box import SIMPLE_HEAD
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
ITEM_WIDTH = 16
STATE_WIDTH = 76
FULL_SCORE = 10  # from here on a score is a count or a sum, and its decimals say nothing


def show_json(out: Console, answer: Message) -> None:
    """Prints an answer as JSON, names as in the protos."""
    out.print(
        MessageToJson(answer, preserving_proto_field_name=True, ensure_ascii=False),
        markup=False,
        soft_wrap=True,
    )


def show_ranked(out: Console, title: str, items: Sequence[RankedItem], info: AnswerInfo) -> None:
    """Prints a list of ranked items."""
    table = _table(title, "#", "item", "title and category", "price", "score", "source and reason")
    for place, ranked in enumerate(items, start=1):
        source = _word(SourceType.Name(ranked.source), "SOURCE_TYPE_")
        table.add_row(*_cells(place, ranked), _lines(source, ranked.reason.text))
    out.print(table)
    _show_info(out, info)


def show_bestsellers(out: Console, title: str, answer: ListBestsellersResponse) -> None:
    """Prints a list for everybody."""
    days = answer.window.ToTimedelta().days
    table = _table(f"{title}, {days} days", "#", "item", "title and category", "price", "score", "buyers")
    for place, entry in enumerate(answer.results, start=1):
        table.add_row(*_cells(place, entry.ranked_item), f"{entry.buyers:,}")
    out.print(table)
    _show_info(out, answer.info)


def show_candidates(out: Console, answer: ListCandidatesResponse) -> None:
    """Prints selection candidates, each with its strongest reason; JSON has the others."""
    columns = ("#", "title, item and reason", "action\nstage", "score", "trend", "demand\n80% interval")
    table = _table(f"Selection candidates, {len(answer.results)} of {answer.total_size:,}", *columns)
    for entry in answer.results:
        item_id = entry.item.item_id if entry.item.item_id not in entry.item.title else ""
        action = _word(SelectionAction.Name(entry.action), "SELECTION_ACTION_")
        table.add_row(
            str(entry.rank),
            _lines(entry.item.title, item_id, *entry.reasons[:1]),
            _lines(action, _word(LifecycleStage.Name(entry.stage), "LIFECYCLE_STAGE_")),
            f"{entry.score:.3f}",
            f"{entry.trend:+.0%}",
            _lines(f"{entry.demand:,.0f}", f"{entry.demand_q10:,.0f} – {entry.demand_q90:,.0f}"),
        )
    out.print(table)
    _show_info(out, answer.info)


def show_forecast(out: Console, answer: GetForecastResponse) -> None:
    """Prints a forecast: its shape as bars, its sum, and its first days."""
    forecast = answer.forecast
    level = _word(ForecastLevel.Name(forecast.level), "FORECAST_LEVEL_")
    name = f"{level} {forecast.key}".rstrip()
    means = [day.mean for day in forecast.days]
    out.print(
        Text(f"Forecast of {name} ({forecast.method}): {len(means)} days, {sum(means):,.0f} units in all")
    )
    out.print(Text(sparkline(means), overflow="fold"))
    table = _table("", "day", "mean", "q10", "q90")
    for day in forecast.days[:MAX_FORECAST_ROWS]:
        table.add_row(_day(day.day), f"{day.mean:,.1f}", f"{day.q10:,.1f}", f"{day.q90:,.1f}")
    if len(means) > MAX_FORECAST_ROWS:
        table.add_row(f"… {len(means) - MAX_FORECAST_ROWS} more days", "", "", "")
    out.print(table)
    _show_info(out, answer.info)


def show_state(out: Console, answer: GetServingStateResponse) -> None:
    """Prints what serves."""
    snapshot = answer.snapshot
    windows: dict[str, list[str]] = {}
    for each in snapshot.windows:
        windows.setdefault(each.kind, []).append(str(each.window.ToTimedelta().days))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=out.width >= STATE_WIDTH, overflow="fold")
    table.add_column(overflow="fold")
    rows = {
        "snapshot": snapshot.snapshot_id,
        "data up to (excluded)": _day(snapshot.as_of),
        "made at": _second(snapshot.create_time),
        "serves since": _second(snapshot.load_time),
        "published": answer.published_snapshot_id,
        "items": f"{snapshot.item_count:,}",
        "users": f"{snapshot.user_count:,}",
        "categories": f"{snapshot.category_count:,}",
        "candidates": f"{snapshot.candidate_count:,}",
        "forecasts": f"{snapshot.forecast_count:,}",
        "windows": "\n".join(f"{kind} {', '.join(days)} days" for kind, days in windows.items()),
        "currency": snapshot.currency,
        "format version": str(snapshot.format_version),
        "server version": answer.server_version,
        "server started": _second(answer.start_time),
    }
    rows |= {metric.name: f"{metric.value:.4g}" for metric in snapshot.metrics}
    if answer.HasField("load_failure"):
        rows["refused"] = f"{answer.load_failure.snapshot_id}: {answer.load_failure.message}"
    for name, value in rows.items():
        table.add_row(name, Text(value))
    out.print(Text("Serving state", style="bold"))
    out.print(table)


def sparkline(values: Sequence[float]) -> str:
    """Returns one bar a value, from the lowest to the highest; "" for no values."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    span = high - low or 1.0
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in values)


def _table(title: str, *columns: str) -> Table:
    """Returns an empty table that reads well from 80 columns on: few columns, long texts in folded lines."""
    heading = Text(title, style="bold") if title else None
    table = Table(title=heading, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    numbers = {"#", "price", "score", "trend", "demand\n80% interval", "buyers", "mean", "q10", "q90"}
    texts = {"item", "title and category", "title, item and reason", "source and reason"}
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in numbers else "left",
            no_wrap=column not in texts,
            overflow="fold",
            max_width=ITEM_WIDTH if column == "item" else None,
        )
    return table


def _lines(*lines: str) -> Text:
    """Returns a cell of several lines, all but the first dim; empty ones are left out."""
    first, *rest = [line for line in lines if line] or [""]
    return Text.assemble(first, *((f"\n{line}", "dim") for line in rest))


def _cells(place: int, ranked: RankedItem) -> tuple[str | Text, ...]:
    item = ranked.item
    return (
        str(place),
        Text(item.item_id),
        _lines(item.title, item.category),
        _price(item.price) if item.HasField("price") else "",
        f"{ranked.score:,.0f}" if ranked.score >= FULL_SCORE else f"{ranked.score:.3f}",
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


def _second(moment: Timestamp) -> str:
    return f"{moment.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"
