"""Owns how the day's changes look on a terminal: events, items, rules, erasures."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from recsvc.showing.parts import (
    lines,
    note,
    price_text,
    second_text,
    show_facts,
    show_info,
    table_of,
    word,
)
from recsvc.v1.catalog_service_pb2 import (
    GetItemResponse,
    ItemStatus,
    ListRulesResponse,
    Rule,
    RuleAction,
    UpdateItemsResponse,
)
from recsvc.v1.common_pb2 import ItemFilter
from recsvc.v1.customer_service_pb2 import EraseCustomerResponse
from recsvc.v1.event_service_pb2 import RecordEventsResponse

MAX_NAMED = 3


def show_recorded(out: Console, event_id: str, answer: RecordEventsResponse) -> None:
    """Prints what became of an event."""
    said = "recorded" if answer.recorded_count else "known already, recorded once"
    out.print(Text(f"event {event_id}: {said}"))


def show_updated(out: Console, change: str, answer: UpdateItemsResponse) -> None:
    """Prints that a change is stored."""
    out.print(Text(change))
    for item_id in answer.unknown_item_ids:
        note(out, f"the snapshot does not know {item_id!r}; the change holds once one does")


def show_item(out: Console, answer: GetItemResponse) -> None:
    """Prints an item as it stands now."""
    item = answer.item
    facts = {
        "title": item.title,
        "category": item.category,
        "brand": item.brand,
        "price": price_text(item.price) if item.HasField("price") else "not known",
        "stock": f"{answer.stock:,}" if answer.HasField("stock") else "not tracked",
        "status": word(ItemStatus.Name(answer.status), "ITEM_STATUS_"),
        "changed at": second_text(answer.update_time) if answer.HasField("update_time") else "",
    }
    show_facts(out, f"Item {item.item_id}", facts)
    show_info(out, answer.info)


def show_rules(out: Console, answer: ListRulesResponse) -> None:
    """Prints the rules, and when a change of them is obeyed everywhere."""
    table = table_of("Rules", "rule", "action", "for which items", "where and when")
    for rule in answer.results:
        table.add_row(
            lines(rule.rule_id, rule.description),
            action_text(rule),
            Text(target_text(rule.target)),
            Text(scope_text(rule)),
        )
    out.print(table if answer.results else Text("no rules"))
    if answer.HasField("effective_within"):
        seconds = answer.effective_within.ToTimedelta().total_seconds()
        when = f"within {seconds:g} s" if seconds else "at once"
        out.print(Text(f"every worker obeys a change {when}", style="dim"))


def show_erasure(out: Console, answer: EraseCustomerResponse) -> None:
    """Prints the proof of a removal."""
    title = f"Erasure {answer.erasure_number}, {second_text(answer.erase_time)}"
    table = table_of(title, "store", "removed", "left", "what becomes of them")
    for store in answer.stores:
        counts = (f"{store.removed_count:,}", f"{store.remaining_count:,}")
        table.add_row(Text(store.name), *counts, Text(store.note))
    out.print(table)


def action_text(rule: Rule) -> str:
    """Returns what a rule does, with its number."""
    action = word(RuleAction.Name(rule.action), "RULE_ACTION_")
    number = {
        RuleAction.RULE_ACTION_PIN: f" to {rule.position}",
        RuleAction.RULE_ACTION_BOOST: f" × {rule.factor:g}",
    }
    return action + number.get(rule.action, "")


def target_text(target: ItemFilter) -> str:
    """Returns which items a filter means, one condition a line."""
    least = price_text(target.min_price) if target.HasField("min_price") else ""
    most = price_text(target.max_price) if target.HasField("max_price") else ""
    said = [
        _named("items", target.include_item_ids),
        _named("not", target.exclude_item_ids),
        f"category {target.category}" if target.category else "",
        _named("brand", target.brands),
        f"price {f'from {least} ' if least else ''}{f'to {most}' if most else ''}" if least or most else "",
        *(f"{condition.name} = {' or '.join(condition.values)}" for condition in target.attributes),
        f"sold in channel {target.sold_in_channel}" if target.sold_in_channel else "",
        f"sold in region {target.sold_in_region}" if target.sold_in_region else "",
    ]
    return "\n".join(filter(None, said))


def scope_text(rule: Rule) -> str:
    """Returns where and when a rule holds, one condition a line."""
    scope = rule.scope
    said = [
        _named("channel", scope.channels),
        _named("region", scope.regions),
        _named("placement", scope.placements),
        f"lists of {scope.category}" if scope.category else "",
        f"from {second_text(rule.start_time)}" if rule.HasField("start_time") else "",
        f"until {second_text(rule.end_time)}" if rule.HasField("end_time") else "",
    ]
    return "\n".join(filter(None, said)) or "everywhere, always"


def _named(what: str, names: Iterable[str]) -> str:
    listed = list(names)
    if not listed:
        return ""
    more = f" and {len(listed) - MAX_NAMED} more" if len(listed) > MAX_NAMED else ""
    return f"{what} {', '.join(listed[:MAX_NAMED])}{more}"
