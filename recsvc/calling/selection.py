"""Owns the `recsvc call` verbs for the selection's candidates and the forecasts."""

from __future__ import annotations

import click

from recsvc import showing
from recsvc.calling.line import Line, asks
from recsvc.calling.options import top_k
from recsvc.v1.selection_service_pb2 import (
    CandidateFilter,
    ForecastLevel,
    LifecycleStage,
    SelectionAction,
)


@click.command()
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
@click.option("--category", default="", help='Category path, "A > B"; all without it.')
@asks
def candidates(line: Line, action: str | None, stage: str | None, top_k: int, category: str) -> None:
    """Show the selection's candidates, each with its main reason (all of them: --json)."""
    wanted = CandidateFilter(
        category=category,
        action=SelectionAction.Value(f"SELECTION_ACTION_{(action or 'unspecified').upper()}"),
        stage=LifecycleStage.Value(f"LIFECYCLE_STAGE_{(stage or 'unspecified').upper()}"),
    )
    line.ask(
        lambda client: client.list_candidates(filter=wanted, page_size=top_k, language=line.language),
        showing.show_candidates,
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
@asks
def forecast(line: Line, level: str, key: str, days: int | None) -> None:
    """Show a demand forecast."""
    if level != "total" and not key:
        raise click.UsageError(f"--level {level} needs --key: which {level}")
    if level == "total" and key:
        raise click.UsageError("--key says which part of the shop: give --level as well")
    of = ForecastLevel.Value(f"FORECAST_LEVEL_{level.upper()}")
    line.ask(lambda client: client.get_forecast(level=of, key=key, days=days or 0), showing.show_forecast)
