"""Owns whom a `recsvc call` verb asks and how it prints: what all of them share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import click
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from recdata.cli import Door, pass_door
from recsvc.client import Client
from recsvc.showing import show_json
from recsvc.v1.common_pb2 import AttributeCondition, Language

LANGUAGES = {"zh": Language.LANGUAGE_ZH, "en": Language.LANGUAGE_EN}
AnswerT = TypeVar("AnswerT", bound=Message)


@dataclass(frozen=True, slots=True)
class Line:
    """Whom to ask, and how to print the answer.

    Attributes:
        out: where the answer is printed.
        address: HOST:PORT.
        timeout: how long a call may take.
        as_json: print JSON and not a table.
        language: of the reasons, and of the tables that merchandisers read.
    """

    out: Console
    address: str
    timeout: timedelta
    as_json: bool
    language: Language.ValueType

    def ask(self, what: Callable[[Client], AnswerT], show: Callable[[Console, AnswerT], None]) -> None:
        """Calls the server and prints its answer.

        Raises:
            CallError: the call failed.
        """
        with Client(self.address, timeout=self.timeout) as client:
            answer = what(client)
        if self.as_json:
            show_json(self.out, answer)
        else:
            show(self.out, answer)


def asks(verb: Callable[..., None]) -> Callable[..., None]:
    """Gives a sub-verb the options that all of them have, and a `Line` in their place."""

    @click.option("--address", default="127.0.0.1:50051", show_default=True, help="HOST:PORT of the server.")
    @click.option("--timeout", type=click.FloatRange(0.001), default=5.0, show_default=True, help="Seconds.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @click.option(
        "--language",
        type=click.Choice(sorted(LANGUAGES)),
        default="en",
        show_default=True,
        help="Of the reasons, and of the selection's tables.",
    )
    @pass_door
    @functools.wraps(verb)
    def asking(door: Door, /, **options: Any) -> None:  # noqa: ANN401 - whatever the sub-verb takes
        line = Line(
            out=door.out,
            address=options.pop("address"),
            timeout=timedelta(seconds=options.pop("timeout")),
            as_json=options.pop("as_json"),
            language=LANGUAGES[options.pop("language")],
        )
        verb(line, **options)

    return asking


def amount(text: str) -> Decimal:
    """Returns an amount of money, exact.

    Raises:
        click.BadParameter: the text is no amount.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise click.BadParameter(f"{text!r} is no amount; write it like 12.50")
    return value


def attribute(text: str) -> AttributeCondition:
    """Returns the condition that NAME=VALUE is; several values of one name are parted by "|".

    Raises:
        click.BadParameter: the text is no condition.
    """
    name, _, values = text.partition("=")
    if not name or not values:
        raise click.BadParameter(f"{text!r} is no condition; write it like colour=red, or 'colour=red|blue'")
    return AttributeCondition(name=name, values=values.split("|"))


def moment(at: datetime | None) -> Timestamp | None:
    """Returns a time without a zone, taken as UTC, as the contract writes it."""
    if at is None:
        return None
    written = Timestamp()
    written.FromDatetime(at.replace(tzinfo=UTC))
    return written
