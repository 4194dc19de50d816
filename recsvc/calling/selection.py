"""Owns the `recsvc call` verbs for the selection: candidates, what people say of them, and forecasts."""

from __future__ import annotations

import functools
import math
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click
from google.type.date_pb2 import Date

from recsvc import showing
from recsvc.calling.line import Line, asks
from recsvc.calling.options import top_k
from recsvc.v1.selection_service_pb2 import (
    CandidateFilter,
    ComponentWeight,
    ForecastLevel,
    LifecycleStage,
    ReviewCandidateRequest,
    ReviewDecision,
    ReviewState,
    SelectionAction,
)

ACTIONS = click.Choice(["launch", "push", "keep", "discount", "drop"])
STAGES = click.Choice(["launch", "growth", "mature", "decline", "dead", "seasonal"])

item_option = click.option("--item", required=True, help="Id of the candidate's item.")


def weight(text: str) -> ComponentWeight:
    """Returns the weight that NAME=NUMBER is.

    Raises:
        click.BadParameter: the text is no weight.
    """
    name, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not name or not math.isfinite(value):
        raise click.BadParameter(f"{text!r} is no weight; write it like demand=0.5")
    return ComponentWeight(name=name, weight=value)


def of_candidates(verb: Callable[..., None]) -> Callable[..., None]:
    """Gives a verb the options on which candidates are meant, as a `CandidateFilter`, `wanted`."""

    @click.option("--action", type=ACTIONS, help="Only items with this action.")
    @click.option("--stage", type=STAGES, help="Only items in this stage of life.")
    @click.option(
        "--review",
        type=click.Choice(["pending", "approved", "rejected", "snoozed"]),
        help="Only items in this state of review.",
    )
    @top_k
    @click.option("--category", default="", help='Category path, "A > B"; all without it.')
    @click.option("--in-channel", default="", help="Only what sold in this channel.")
    @click.option("--in-region", default="", help="Only what sold in this region.")
    @functools.wraps(verb)
    def meaning(**options: Any) -> None:  # noqa: ANN401 - whatever the verb takes
        wanted = CandidateFilter(
            category=options.pop("category"),
            action=_action(options.pop("action")),
            stage=LifecycleStage.Value(f"LIFECYCLE_STAGE_{(options.pop('stage') or 'unspecified').upper()}"),
            sold_in_channel=options.pop("in_channel"),
            sold_in_region=options.pop("in_region"),
            review_state=ReviewState.Value(
                f"REVIEW_STATE_{(options.pop('review') or 'unspecified').upper()}"
            ),
        )
        verb(wanted=wanted, **options)

    return meaning


@click.command()
@of_candidates
@click.option(
    "--order-by", default="", help='By which fields, as in "expected_value desc, rank"; by rank without it.'
)
@asks
def candidates(line: Line, wanted: CandidateFilter, order_by: str, top_k: int) -> None:
    """Show the selection's candidates, each with its main reason (all of them: --json)."""
    line.ask(
        lambda client: client.list_candidates(
            filter=wanted, page_size=top_k, order_by=order_by, language=line.language
        ),
        _told(showing.show_candidates, line),
    )


@click.command()
@item_option
@asks
def candidate(line: Line, item: str) -> None:
    """Show one candidate with all that speaks for it and against it."""
    line.ask(
        lambda client: client.get_candidate(item_id=item, language=line.language),
        _told(showing.show_candidate, line),
    )


@click.command()
@click.option(
    "--weight",
    "weights",
    type=weight,
    metavar="NAME=NUMBER",
    multiple=True,
    required=True,
    help="What a component of the score weighs; repeatable, one that is not named weighs 0.",
)
@of_candidates
@asks
def rescore(line: Line, wanted: CandidateFilter, weights: tuple[ComponentWeight, ...], top_k: int) -> None:
    """Show the candidates in the order that other weights of the score give."""
    line.ask(
        lambda client: client.rescore_candidates(
            weights=weights, filter=wanted, page_size=top_k, language=line.language
        ),
        _told(showing.show_rescored, line),
    )


@click.command()
@item_option
@click.option(
    "--decision",
    required=True,
    type=click.Choice(["approve", "reject", "snooze", "note", "reopen"]),
    help="What is said; a note leaves the decision, reopen takes it back.",
)
@click.option("--reviewer", required=True, help="Who says it.")
@click.option("--note", default="", help="Why, for people.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="snooze: its last day.")
@click.option("--action", type=ACTIONS, help="The action that was seen; refused where it is another now.")
@click.option("--request", default="", help="Id of the review; sent again it is not made again.")
@asks
def review(
    line: Line,
    item: str,
    decision: str,
    reviewer: str,
    note: str,
    until: datetime | None,
    action: str | None,
    request: str,
) -> None:
    """Approve, reject or snooze a candidate, or leave a note on it."""
    if (decision == "snooze") != (until is not None):
        raise click.UsageError("--until says how long a snooze lasts: give both, or neither")
    asked = ReviewCandidateRequest(
        request_id=request or str(uuid.uuid4()),
        item_id=item,
        decision=ReviewDecision.Value(f"REVIEW_DECISION_{decision.upper()}"),
        note=note,
        reviewer=reviewer,
        snooze_until=None if until is None else Date(year=until.year, month=until.month, day=until.day),
        action=_action(action),
    )
    line.ask(
        lambda client: client.review_candidate(asked),
        _told(showing.show_review, line),
    )


@click.command()
@click.option(
    "--level",
    type=click.Choice(["total", "channel", "region", "category", "item"]),
    default="total",
    show_default=True,
    help="Of the whole shop, or of one of its parts.",
)
@click.option("--key", default="", help="Which channel, region, category path or item id.")
@click.option("--days", type=click.IntRange(1), help="How many days; the whole horizon without it.")
@click.option("--channel", default="", help="item, category: its part in this channel.")
@click.option("--region", default="", help="item, category: its part in this region.")
@asks
def forecast(line: Line, level: str, key: str, days: int | None, channel: str, region: str) -> None:
    """Show a demand forecast."""
    if level != "total" and not key:
        raise click.UsageError(f"--level {level} needs --key: which {level}")
    if level == "total" and key:
        raise click.UsageError("--key says which part of the shop: give --level as well")
    if (channel or region) and level not in ("item", "category"):
        raise click.UsageError("--channel and --region say where it sells: give --level item or category")
    of = ForecastLevel.Value(f"FORECAST_LEVEL_{level.upper()}")
    line.ask(
        lambda client: client.get_forecast(level=of, key=key, days=days or 0, channel=channel, region=region),
        _told(showing.show_forecast, line),
    )


def _action(name: str | None) -> SelectionAction.ValueType:
    return SelectionAction.Value(f"SELECTION_ACTION_{(name or 'unspecified').upper()}")


def _told(show: Callable[..., None], line: Line) -> Callable[..., None]:
    """Returns what prints an answer in the language asked for."""
    return functools.partial(show, language=line.language)
