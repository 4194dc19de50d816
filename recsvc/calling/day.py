"""Owns the `recsvc call` verbs that change the day: an event, stock, a price, a person's erasure."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal

import click

from recsvc import showing
from recsvc.calling.line import Line, amount, asks, moment
from recsvc.client import money
from recsvc.v1.catalog_service_pb2 import ItemStatus, ItemUpdate
from recsvc.v1.event_service_pb2 import Event, EventType

item_option = click.option("--item", required=True, help="Item id.")


@click.command()
@click.option("--user", default="", help="User id; this or --session.")
@click.option("--session", default="", help="Id of the visit; this or --user.")
@item_option
@click.option(
    "--type",
    "event_type",
    required=True,
    type=click.Choice(["impression", "click", "view", "add_to_cart", "purchase", "return"]),
    help="What was done.",
)
@click.option("--quantity", type=click.FloatRange(0, min_open=True), help="Units; 1 without it.")
@click.option("--unit-price", type=amount, help="What one unit cost, as paid.")
@click.option("--order", default="", help="Id of the order.")
@click.option("--channel", default="", help="Sales channel.")
@click.option("--region", default="", help="Region.")
@click.option("--promotion", default="", help="Id of the promotion that it belongs to.")
@click.option("--token", default="", help="attribution_token of the answer that showed the item.")
@click.option("--at", type=click.DateTime(), help="When, in UTC; now without it.")
@click.option("--event-id", help="Its own id, which is recorded once only; a new one without it.")
@asks
def record(
    line: Line,
    user: str,
    session: str,
    item: str,
    event_type: str,
    quantity: float | None,
    unit_price: Decimal | None,
    order: str,
    channel: str,
    region: str,
    promotion: str,
    token: str,
    at: datetime | None,
    event_id: str | None,
) -> None:
    """Record one thing that a shopper did."""
    event = Event(
        event_id=event_id or str(uuid.uuid4()),
        user_id=user,
        session_id=session,
        item_id=item,
        event_type=EventType.Value(f"EVENT_TYPE_{event_type.upper()}"),
        event_time=moment(at),
        quantity=quantity or 0,
        unit_price=None if unit_price is None else money(unit_price),
        order_id=order,
        channel=channel,
        region=region,
        promotion_id=promotion,
        attribution_token=token,
    )
    line.ask(
        lambda client: client.record_events(events=[event]),
        lambda out, answer: showing.show_recorded(out, event.event_id, answer),
    )


@click.command()
@item_option
@asks
def item(line: Line, item: str) -> None:
    """Show an item as it stands now."""
    line.ask(lambda client: client.get_item(item_id=item), showing.show_item)


@click.command()
@item_option
@click.option("--units", type=click.IntRange(0), help="Units that can be sold.")
@click.option(
    "--status", type=click.Choice(["active", "discontinued"]), help="Whether it may be sold at all."
)
@asks
def stock(line: Line, item: str, units: int | None, status: str | None) -> None:
    """Set an item's stock, or whether it may be sold at all."""
    if units is None and status is None:
        raise click.UsageError("nothing to change: give --units, --status or both")
    update = ItemUpdate(
        item_id=item,
        stock=units,
        status=ItemStatus.Value(f"ITEM_STATUS_{(status or 'unspecified').upper()}"),
    )
    said = [f"{units:,} units" if units is not None else "", status or ""]
    _update(line, update, f"{item}: {', '.join(filter(None, said))}")


@click.command()
@item_option
@click.option("--to", type=amount, required=True, help="The listed price.")
@click.option("--currency", default="", help="ISO 4217 code; the snapshot's without it.")
@asks
def price(line: Line, item: str, to: Decimal, currency: str) -> None:
    """Set an item's price."""
    update = ItemUpdate(item_id=item, price=money(to, currency))
    _update(line, update, f"{item}: {to} {currency}".rstrip())


@click.command()
@click.option("--user", required=True, help="User id of the person.")
@click.confirmation_option("--yes", prompt="This cannot be undone. Erase the person?", help="Do not ask.")
@asks
def erase(line: Line, user: str) -> None:
    """Erase a person at once, for ever, and from later snapshots."""
    line.ask(lambda client: client.erase_customer(user_id=user), showing.show_erasure)


def _update(line: Line, update: ItemUpdate, change: str) -> None:
    line.ask(
        lambda client: client.update_items(updates=[update]),
        lambda out, answer: showing.show_updated(out, change, answer),
    )
