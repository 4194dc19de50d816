"""Owns what every answer on a terminal is made of: tables, cells, and the words for times and prices."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsvc.client import amount_of
from recsvc.showing.chinese import Say, english
from recsvc.v1.common_pb2 import AnswerInfo, RankedItem

ITEM_WIDTH = 16
FACTS_WIDTH = 76
FULL_SCORE = 10  # from here on a score is a count or a sum, and its decimals say nothing
MEGABYTE = 1_000_000
NUMBERS = {
    "#",
    "price",
    "score",
    "trend",
    "demand\n80% interval",
    "buyers",
    "mean",
    "q10",
    "q90",
    "lift\norders",
    "removed",
    "left",
    "MB",
    "was",
    "before",
    "value",
    "alike",
}
TEXTS = {
    "item",
    "title and category",
    "title, item and reason",
    "source and reason",
    "goes with\nshare of its orders",
    "rule",
    "for which items",
    "where and when",
    "store",
    "what becomes of them",
    "snapshot",
    "state",
    "title and item",
    "who",
    "why",
}


def show_json(out: Console, answer: Message) -> None:
    """Prints an answer as JSON, names as in the protos."""
    out.print(
        MessageToJson(answer, preserving_proto_field_name=True, ensure_ascii=False),
        markup=False,
        soft_wrap=True,
    )


def show_facts(out: Console, title: str, facts: Mapping[str, str], *, say: Say = english) -> None:
    """Prints names, put into the language of `say`, with their values; empty ones are left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=out.width >= FACTS_WIDTH, overflow="fold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value:
            table.add_row(say(name), Text(value))
    out.print(Text(title, style="bold"))
    out.print(table)


def show_info(out: Console, info: AnswerInfo, *, say: Say = english) -> None:
    """Prints what an answer had to do without, and its snapshot."""
    for degradation in info.degradations:
        note(out, degradation.detail, say=say)
    out.print(Text(say("snapshot {}").format(info.snapshot_id), style="dim"))


def note(out: Console, text: str, *, say: Say = english) -> None:
    """Prints a line that a person should not miss."""
    out.print(Text(say("note: {}").format(text), style="yellow"))


def table_of(title: str, *columns: str, say: Say = english) -> Table:
    """Returns an empty table that reads well from 80 columns on: few columns, long texts in folded lines.

    Args:
        title: its title, "" for none.
        columns: their English names, which decide how they are set.
        say: puts them into the language asked for.
    """
    heading = Text(title, style="bold") if title else None
    table = Table(title=heading, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(
            say(column),
            justify="right" if column in NUMBERS else "left",
            no_wrap=column not in TEXTS,
            overflow="fold",
            max_width=ITEM_WIDTH if column == "item" else None,
        )
    return table


def lines(*texts: str) -> Text:
    """Returns a cell of several lines, all but the first dim; empty ones are left out."""
    first, *rest = [text for text in texts if text] or [""]
    return Text.assemble(first, *((f"\n{text}", "dim") for text in rest))


def item_cells(place: int, ranked: RankedItem) -> tuple[str | Text, ...]:
    """Returns the cells of an item in a list: place, id, title and category, price."""
    item = ranked.item
    return (
        str(place),
        Text(item.item_id),
        lines(item.title, item.category),
        price_text(item.price) if item.HasField("price") else "",
    )


def score_text(score: float) -> str:
    """Returns a score with as many decimals as say something."""
    return f"{score:,.0f}" if score >= FULL_SCORE else f"{score:.3f}"


def word(name: str, prefix: str) -> str:
    """Returns an enum value's name as a word: without its prefix, in lower case."""
    return name.removeprefix(prefix).lower().replace("_", " ")


def price_text(price: Money) -> str:
    """Returns a price with its currency."""
    return f"{amount_of(price):,.2f} {price.currency_code}".rstrip()


def day_text(day: Date) -> str:
    """Returns a day as 2025-03-01."""
    return f"{day.year:04d}-{day.month:02d}-{day.day:02d}"


def second_text(moment: Timestamp) -> str:
    """Returns a moment to the second, in UTC."""
    return f"{moment.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"
