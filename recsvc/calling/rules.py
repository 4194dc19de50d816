"""Owns `recsvc call rules`: a merchandiser's rules, listed, added, changed and deleted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click
from google.protobuf.field_mask_pb2 import FieldMask
from rich.text import Text

from recsvc import showing
from recsvc.calling.line import Line, asks, moment
from recsvc.calling.options import of_items
from recsvc.client import Client, pages
from recsvc.v1.catalog_service_pb2 import ListRulesResponse, Rule, RuleAction, RuleScope
from recsvc.v1.common_pb2 import ItemFilter

PAGE = 200
CLEARED = ("scope", "start_time", "end_time", "description")

rule_option = click.option("--rule", required=True, help="Id of the rule: a-z, 0-9, - and _.")


@click.group()
def rules() -> None:
    """List, add, change and delete the rules over the lists."""


def of_rule(verb: Callable[..., None]) -> Callable[..., None]:
    """Gives a verb the options of a rule, and a `Rule` as `rule` for them, holding only what was given."""

    @rule_option
    @click.option(
        "--action", type=click.Choice(["hide", "pin", "boost", "bury"]), help="What is done to the items."
    )
    @click.option("--item", multiple=True, help="This item; repeatable. pin needs one.")
    @of_items
    @click.option("--position", type=click.IntRange(1, 200), help="pin: the place from the top.")
    @click.option("--factor", type=click.FloatRange(0.01, 100), help="boost: above 1 moves up, below 1 down.")
    @click.option("--on-channel", multiple=True, help="Only in lists of this channel; repeatable.")
    @click.option("--on-region", multiple=True, help="Only in lists of this region; repeatable.")
    @click.option("--on-placement", multiple=True, help="Only in lists at this placement; repeatable.")
    @click.option("--on-category", default="", help="Only in lists of this category or one below it.")
    @click.option("--from", "start", type=click.DateTime(), help="From when on, in UTC; from now without it.")
    @click.option("--until", "end", type=click.DateTime(), help="Until when, in UTC; for ever without it.")
    @click.option("--description", default="", help="What it is for.")
    @functools.wraps(verb)
    def ruling(*, matching: ItemFilter | None, **options: Any) -> None:  # noqa: ANN401 - as its verb
        target = matching or ItemFilter()
        target.include_item_ids.extend(options.pop("item"))
        scope = RuleScope(
            channels=options.pop("on_channel"),
            regions=options.pop("on_region"),
            placements=options.pop("on_placement"),
            category=options.pop("on_category"),
        )
        rule = Rule(
            rule_id=options.pop("rule"),
            action=RuleAction.Value(f"RULE_ACTION_{(options.pop('action') or 'unspecified').upper()}"),
            target=target if target.ByteSize() else None,
            position=options.pop("position") or 0,
            factor=options.pop("factor") or 0,
            scope=scope if scope.ByteSize() else None,
            start_time=moment(options.pop("start")),
            end_time=moment(options.pop("end")),
            description=options.pop("description"),
        )
        verb(rule=rule, **options)

    return ruling


@rules.command("list")
@asks
def list_rules(line: Line) -> None:
    """Show every rule."""
    line.ask(_all_rules, showing.show_rules)


@rules.command()
@of_rule
@asks
def add(line: Line, rule: Rule) -> None:
    """Add a rule."""
    line.ask(
        lambda client: client.create_rule(rule=rule),
        lambda out, answer: showing.show_rules(out, ListRulesResponse(results=[answer.rule])),
    )


@rules.command()
@of_rule
@click.option(
    "--clear", multiple=True, type=click.Choice(CLEARED), help="Take this away from the rule; repeatable."
)
@asks
def update(line: Line, rule: Rule, clear: tuple[str, ...]) -> None:
    """Change what is given of a rule; what is given on items, or on lists, replaces all of it."""
    given = {field.name for field, _ in rule.ListFields()} - {"rule_id"} | set(clear)
    if not given:
        raise click.UsageError("nothing to change: give what shall be otherwise")
    mask = FieldMask(paths=sorted(given))
    line.ask(
        lambda client: client.update_rule(rule=rule, update_mask=mask),
        lambda out, answer: showing.show_rules(out, ListRulesResponse(results=[answer.rule])),
    )


@rules.command()
@rule_option
@asks
def delete(line: Line, rule: str) -> None:
    """Delete a rule."""
    line.ask(
        lambda client: client.delete_rule(rule_id=rule),
        lambda out, _: out.print(Text(f"rule {rule} is deleted")),
    )


def _all_rules(client: Client) -> ListRulesResponse:
    """Returns the rules of all pages as one answer."""
    first, *rest = pages(client.list_rules, page_size=PAGE)
    for page in rest:
        first.results.extend(page.results)
    first.next_page_token = ""
    return first
