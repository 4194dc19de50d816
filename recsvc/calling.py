"""Owns `recsvc call`: one sub-verb a method, its answer as a table or as JSON."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import click
from google.protobuf.message import Message
from rich.console import Console

from recdata.cli import Door, pass_door
from recsvc import showing
from recsvc.client import connect
from recsvc.v1.bestseller_service_pb2 import BestsellerKind, ListBestsellersRequest, ListBestsellersResponse
from recsvc.v1.common_pb2 import ItemFilter, Language
from recsvc.v1.recommendation_service_pb2 import (
    ListSimilarItemsRequest,
    ListSimilarItemsResponse,
    RecommendRequest,
    RecommendResponse,
)
from recsvc.v1.selection_service_pb2 import (
    CandidateFilter,
    ForecastLevel,
    GetForecastRequest,
    GetForecastResponse,
    LifecycleStage,
    ListCandidatesRequest,
    ListCandidatesResponse,
    SelectionAction,
)
from recsvc.v1.snapshot_service_pb2 import GetServingStateRequest, GetServingStateResponse

LANGUAGES = {"zh": Language.LANGUAGE_ZH, "en": Language.LANGUAGE_EN}
KINDS = {"best": "Bestsellers", "trending": "Trending", "new": "New"}
AnswerT = TypeVar("AnswerT", bound=Message)


@dataclass(frozen=True, slots=True)
class Line:
    """Whom to ask, and how to print the answer.

    Attributes:
        out: where the answer is printed.
        address: HOST:PORT.
        timeout: how long a call may take.
        as_json: print JSON and not a table.
        language: of the reasons.
    """

    out: Console
    address: str
    timeout: timedelta
    as_json: bool
    language: Language.ValueType

    def ask(
        self, name: str, request: Message, answer: type[AnswerT], show: Callable[[Console, AnswerT], None]
    ) -> None:
        """Calls a method and prints its answer.

        Raises:
            ServeError: see `Client.call`.
        """
        with connect(self.address, self.timeout) as client:
            given = client.call(name, request, answer)
        if self.as_json:
            showing.show_json(self.out, given)
        else:
            show(self.out, given)


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
        help="Of the reasons.",
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


top_k = click.option("--top-k", type=click.IntRange(1, 200), default=20, show_default=True, help="How many.")
category_option = click.option("--category", default="", help='Category path, "A > B"; all without it.')
channel_option = click.option("--channel", default="", help="Sales channel; all without it.")
region_option = click.option("--region", default="", help="Region; all without it.")
exclude_option = click.option(
    "--exclude", multiple=True, metavar="ITEM", help="Leave this item out; repeatable."
)


@click.group()
def call() -> None:
    """Ask a running server; a table, or JSON."""


@call.command()
@click.option("--user", default="", help="User id; empty for a visitor who is not known.")
@top_k
@category_option
@channel_option
@region_option
@exclude_option
@click.option("--exclude-purchased", is_flag=True, help="Leave out what the user bought before.")
@asks
def recommend(
    line: Line,
    user: str,
    top_k: int,
    category: str,
    channel: str,
    region: str,
    exclude: tuple[str, ...],
    *,
    exclude_purchased: bool,
) -> None:
    """Show what to show a shopper now."""
    request = RecommendRequest(
        user_id=user,
        page_size=top_k,
        filter=ItemFilter(category=category, exclude_item_ids=exclude),
        exclude_purchased=exclude_purchased,
        channel=channel,
        region=region,
        language=line.language,
    )
    title = f"For user {user}" if user else "For a visitor who is not known"
    line.ask(
        "Recommend",
        request,
        RecommendResponse,
        lambda out, answer: showing.show_ranked(out, title, answer.results, answer.info),
    )


@call.command()
@click.option("--item", required=True, help="Item id.")
@top_k
@category_option
@exclude_option
@asks
def similar(line: Line, item: str, top_k: int, category: str, exclude: tuple[str, ...]) -> None:
    """Show the items that are similar to one."""
    request = ListSimilarItemsRequest(
        item_id=item,
        page_size=top_k,
        filter=ItemFilter(category=category, exclude_item_ids=exclude),
        language=line.language,
    )
    line.ask(
        "ListSimilarItems",
        request,
        ListSimilarItemsResponse,
        lambda out, answer: showing.show_ranked(out, f"Similar to {item}", answer.results, answer.info),
    )


@call.command()
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    default="best",
    show_default=True,
    help="Best sellers, those that rise, or those that came last.",
)
@click.option("--window-days", type=click.IntRange(1), help="How far back; the longest window without it.")
@top_k
@category_option
@channel_option
@region_option
@asks
def bestsellers(
    line: Line, kind: str, window_days: int | None, top_k: int, category: str, channel: str, region: str
) -> None:
    """Show what sells best, what is trending, or what is new."""
    request = ListBestsellersRequest(
        kind=BestsellerKind.Value(f"BESTSELLER_KIND_{kind.upper()}"),
        category=category,
        channel=channel,
        region=region,
        page_size=top_k,
        language=line.language,
    )
    if window_days is not None:
        request.window.FromTimedelta(timedelta(days=window_days))
    title = f"{KINDS[kind]} of {category or 'the whole shop'}"
    line.ask(
        "ListBestsellers",
        request,
        ListBestsellersResponse,
        lambda out, answer: showing.show_bestsellers(out, title, answer),
    )


@call.command()
@click.option(
    "--action",
    type=click.Choice(["launch", "push", "keep", "discount", "drop"]),
    help="Only items with this action.",
)
@click.option(
    "--stage",
    type=click.Choice(["launch", "growth", "mature", "decline", "dead", "seasonal"]),
    help="Only items in this stage of life.",
)
@top_k
@category_option
@asks
def candidates(line: Line, action: str | None, stage: str | None, top_k: int, category: str) -> None:
    """Show the selection's candidates, each with its main reason (all of them: --json)."""
    request = ListCandidatesRequest(
        filter=CandidateFilter(
            category=category,
            action=SelectionAction.Value(f"SELECTION_ACTION_{(action or 'unspecified').upper()}"),
            stage=LifecycleStage.Value(f"LIFECYCLE_STAGE_{(stage or 'unspecified').upper()}"),
        ),
        page_size=top_k,
        language=line.language,
    )
    line.ask("ListCandidates", request, ListCandidatesResponse, showing.show_candidates)


@call.command()
@click.option(
    "--level",
    type=click.Choice(["total", "channel", "region", "category", "item"]),
    default="total",
    show_default=True,
    help="Of the whole shop, or of one of its parts.",
)
@click.option("--key", default="", help="Which channel, region, category path or item id.")
@click.option("--days", type=click.IntRange(1), help="How many days; the whole horizon without it.")
@asks
def forecast(line: Line, level: str, key: str, days: int | None) -> None:
    """Show a demand forecast."""
    if level != "total" and not key:
        raise click.UsageError(f"--level {level} needs --key: which {level}")
    if level == "total" and key:
        raise click.UsageError("--key says which part of the shop: give --level as well")
    request = GetForecastRequest(
        level=ForecastLevel.Value(f"FORECAST_LEVEL_{level.upper()}"), key=key, days=days or 0
    )
    line.ask("GetForecast", request, GetForecastResponse, showing.show_forecast)


@call.command()
@asks
def state(line: Line) -> None:
    """Show which snapshot serves."""
    line.ask("GetServingState", GetServingStateRequest(), GetServingStateResponse, showing.show_state)
