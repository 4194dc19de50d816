"""Owns the groups of options that several `recsvc call` verbs share: which items, and which shopper."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import click
from google.protobuf.duration_pb2 import Duration
from google.type.money_pb2 import Money

from recsvc.calling.line import LANGUAGES, amount, attribute
from recsvc.client import money
from recsvc.v1.common_pb2 import ItemFilter, ReasonView
from recsvc.v1.recommendation_service_pb2 import RecommendRequest

BASIC, FULL = ReasonView.REASON_VIEW_BASIC, ReasonView.REASON_VIEW_FULL
Verb = Callable[..., None]


def how_many(default: int) -> Callable[[Verb], Verb]:
    """Returns the option that says how many items are asked for."""
    many = click.IntRange(1, 200)
    return click.option("--top-k", type=many, default=default, show_default=True, help="How many.")


top_k = how_many(20)
snapshot_option = click.option("--snapshot", default="", help="Answer from this mapped snapshot.")
placement_option = click.option(
    "--placement", default="", help="Where on the site; rules may be bound to it."
)
channel_option = click.option("--channel", default="", help="Sales channel; all without it.")
region_option = click.option("--region", default="", help="Region; all without it.")


def of_items(verb: Verb) -> Verb:
    """Gives a verb the options on which items are meant, as an `ItemFilter | None`, `matching`."""

    @click.option("--category", default="", help='Category path, "A > B"; all without it.')
    @click.option("--exclude", multiple=True, metavar="ITEM", help="Leave this item out; repeatable.")
    @click.option("--brand", multiple=True, help="Only this brand; repeatable.")
    @click.option("--min-price", type=amount, help="Only from this price on.")
    @click.option("--max-price", type=amount, help="Only up to this price.")
    @click.option(
        "--attribute",
        type=attribute,
        metavar="NAME=VALUE",
        multiple=True,
        help='Only with this attribute; NAME="A|B" allows either; repeatable, all hold.',
    )
    @click.option("--in-channel", default="", help="Only what sold in this channel.")
    @click.option("--in-region", default="", help="Only what sold in this region.")
    @functools.wraps(verb)
    def meaning(**options: Any) -> None:  # noqa: ANN401 - whatever the verb takes
        matching = ItemFilter(
            category=options.pop("category"),
            exclude_item_ids=options.pop("exclude"),
            brands=options.pop("brand"),
            min_price=_money(options.pop("min_price")),
            max_price=_money(options.pop("max_price")),
            attributes=options.pop("attribute"),
            sold_in_channel=options.pop("in_channel"),
            sold_in_region=options.pop("in_region"),
        )
        verb(matching=matching if matching.ByteSize() else None, **options)

    return meaning


def of_shopper(verb: Verb) -> Verb:
    """Gives a verb the options on a shopper and those of `of_items`, as a `RecommendRequest`, `shopper`."""

    @click.option("--user", default="", help="User id; empty for a visitor who is not known.")
    @click.option("--session", default="", help="Id of the visit, as its events are recorded.")
    @click.option("--seen", multiple=True, metavar="ITEM", help="Looked at in this visit; repeatable.")
    @click.option(
        "--context", multiple=True, metavar="ITEM", help="Looked at now, or in the cart; repeatable."
    )
    @channel_option
    @region_option
    @placement_option
    @of_items
    @click.option("--out-of-stock", is_flag=True, help="Also what is out of stock.")
    @click.option("--exclude-purchased", is_flag=True, help="Leave out what the user bought before.")
    @click.option("--not-bought-days", type=click.IntRange(1), help="Leave out what was bought so lately.")
    @click.option("--exclude-seen", is_flag=True, help="Leave out what was seen in this visit.")
    @click.option("--max-per-category", type=click.IntRange(1), help="At most so many of one category.")
    @click.option(
        "--seed", type=int, help="Let near neighbours change places; the same number, the same page."
    )
    @click.option("--why", is_flag=True, help="Name the items and the rule behind each reason.")
    @snapshot_option
    @functools.wraps(verb)
    def shopping(*, matching: ItemFilter | None, **options: Any) -> None:  # noqa: ANN401 - as above
        matching = matching or ItemFilter()
        matching.include_out_of_stock = options.pop("out_of_stock")
        matching.exclude_seen_in_session = options.pop("exclude_seen")
        if (days := options.pop("not_bought_days")) is not None:
            matching.not_purchased_within.CopyFrom(_days(days))
        shopper = RecommendRequest(
            user_id=options.pop("user"),
            session_id=options.pop("session"),
            session_item_ids=options.pop("seen"),
            context_item_ids=options.pop("context"),
            channel=options.pop("channel"),
            region=options.pop("region"),
            placement=options.pop("placement"),
            filter=matching if matching.ByteSize() else None,
            exclude_purchased=options.pop("exclude_purchased"),
            max_per_category=options.pop("max_per_category") or 0,
            rotation_seed=options.pop("seed"),
            reason_view=FULL if options.pop("why") else BASIC,
            language=LANGUAGES[options["language"]],
            snapshot_id=options.pop("snapshot"),
        )
        verb(shopper=shopper, **options)

    return shopping


def whom(shopper: RecommendRequest) -> str:
    """Returns for whom a list is, for its title."""
    if shopper.user_id:
        return f"user {shopper.user_id}"
    return f"visit {shopper.session_id}" if shopper.session_id else "a visitor who is not known"


def _money(amount: Decimal | None) -> Money | None:
    return None if amount is None else money(amount)


def _days(days: int) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(days=days))
    return duration
