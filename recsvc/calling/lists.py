"""Owns the `recsvc call` verbs for lists of items."""

from __future__ import annotations

from datetime import timedelta

import click

from recsvc import showing
from recsvc.calling.line import Line, asks
from recsvc.calling.options import (
    channel_option,
    how_many,
    of_items,
    of_shopper,
    placement_option,
    region_option,
    snapshot_option,
    top_k,
    whom,
)
from recsvc.v1.bestseller_service_pb2 import BestsellerKind, ListBestsellersRequest
from recsvc.v1.common_pb2 import ItemFilter
from recsvc.v1.recommendation_service_pb2 import Carousel, CarouselSource, RecommendRequest

KINDS = {"best": "Bestsellers", "trending": "Trending", "new": "New"}
BESTSELLERS = CarouselSource.CAROUSEL_SOURCE_BESTSELLERS

#: By carousel_id: the heading, the source, and the order of a list for everybody.
CAROUSELS = {
    "similar": ("Similar", CarouselSource.CAROUSEL_SOURCE_SIMILAR, ""),
    "together": ("Goes well with it", CarouselSource.CAROUSEL_SOURCE_BOUGHT_TOGETHER, ""),
    "buy-again": ("Buy it again", CarouselSource.CAROUSEL_SOURCE_BUY_AGAIN, ""),
    "discover": ("To discover", CarouselSource.CAROUSEL_SOURCE_DISCOVER, ""),
    "personal": ("For you", CarouselSource.CAROUSEL_SOURCE_PERSONAL, ""),
    "trending": ("Trending", BESTSELLERS, "trending"),
    "new": ("New", BESTSELLERS, "new"),
    "best": ("Bestsellers", BESTSELLERS, "best"),
}
HOME_PAGE = ("buy-again", "discover", "trending", "new", "best")
ITEM_PAGE = ("together", "similar", "discover")


@click.command()
@top_k
@of_shopper
@asks
def recommend(line: Line, shopper: RecommendRequest, top_k: int) -> None:
    """Show what to show a shopper now."""
    shopper.page_size = top_k
    title = f"For {whom(shopper)}"
    line.ask(
        lambda client: client.recommend(shopper),
        lambda out, answer: showing.show_ranked(out, title, answer.results, answer.info),
    )


@click.command()
@click.option("--item", required=True, multiple=True, help="Item id; repeatable.")
@of_shopper
@asks
def rank(line: Line, shopper: RecommendRequest, item: tuple[str, ...]) -> None:
    """Put given items into the order that suits a shopper best."""
    title = f"In order for {whom(shopper)}"
    line.ask(
        lambda client: client.rank_items(shopper=shopper, item_ids=item),
        lambda out, answer: showing.show_rank(out, title, answer),
    )


@click.command()
@click.option(
    "--carousel",
    multiple=True,
    type=click.Choice(list(CAROUSELS)),
    help="What the page consists of, from the top; repeatable. A home page without it, or an item's page "
    "where --context or --seen names an item.",
)
@how_many(5)
@of_shopper
@asks
def page(line: Line, shopper: RecommendRequest, carousel: tuple[str, ...], top_k: int) -> None:
    """Show the carousels of one page; no item stands twice on it."""
    shopper.page_size = top_k
    usual = ITEM_PAGE if shopper.context_item_ids or shopper.session_item_ids else HOME_PAGE
    names = list(dict.fromkeys(carousel or usual))
    headings = {name: CAROUSELS[name][0] for name in names}
    line.ask(
        lambda client: client.recommend_page(shopper=shopper, carousels=map(carousel_of, names)),
        lambda out, answer: showing.show_page(out, headings, answer),
    )


@click.command()
@click.option("--item", required=True, help="Item id.")
@top_k
@of_items
@snapshot_option
@asks
def similar(line: Line, item: str, top_k: int, matching: ItemFilter | None, snapshot: str) -> None:
    """Show the items that are similar to one."""
    line.ask(
        lambda client: client.list_similar_items(
            item_id=item, page_size=top_k, filter=matching, language=line.language, snapshot_id=snapshot
        ),
        lambda out, answer: showing.show_ranked(out, f"Similar to {item}", answer.results, answer.info),
    )


@click.command()
@click.option("--item", required=True, multiple=True, help="Item id; repeatable, for a cart.")
@top_k
@of_items
@snapshot_option
@asks
def together(
    line: Line, item: tuple[str, ...], top_k: int, matching: ItemFilter | None, snapshot: str
) -> None:
    """Show what lies in the same orders as an item or a cart."""
    title = f"Bought together with {', '.join(item)}"
    line.ask(
        lambda client: client.list_bought_together(
            item_ids=item, page_size=top_k, filter=matching, language=line.language, snapshot_id=snapshot
        ),
        lambda out, answer: showing.show_together(out, title, answer),
    )


@click.command()
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    default="best",
    show_default=True,
    help="Best sellers, those that rise, or those that came last.",
)
@click.option("--window-days", type=click.IntRange(1), help="How far back; the longest window without it.")
@top_k
@of_items
@channel_option
@region_option
@placement_option
@snapshot_option
@asks
def bestsellers(
    line: Line,
    kind: str,
    window_days: int | None,
    top_k: int,
    matching: ItemFilter | None,
    channel: str,
    region: str,
    placement: str,
    snapshot: str,
) -> None:
    """Show what sells best, what is trending, or what is new."""
    category = matching.category if matching is not None else ""
    request = ListBestsellersRequest(
        kind=kind_of(kind),
        category=category,
        channel=channel,
        region=region,
        placement=placement,
        page_size=top_k,
        language=line.language,
        snapshot_id=snapshot,
    )
    if matching is not None:
        matching.category = ""  # it names the list: one that is not known is an error there
        if matching.ByteSize():
            request.filter.CopyFrom(matching)
    if window_days is not None:
        request.window.FromTimedelta(timedelta(days=window_days))
    title = f"{KINDS[kind]} of {category or 'the whole shop'}"
    line.ask(
        lambda client: client.list_bestsellers(request),
        lambda out, answer: showing.show_bestsellers(out, title, answer),
    )


def carousel_of(name: str) -> Carousel:
    """Returns the carousel that `CAROUSELS` describes."""
    _, source, kind = CAROUSELS[name]
    return Carousel(carousel_id=name, source=source, bestseller_kind=kind_of(kind or "unspecified"))


def kind_of(kind: str) -> BestsellerKind.ValueType:
    """Returns the order of a list for everybody by its word."""
    return BestsellerKind.Value(f"BESTSELLER_KIND_{kind.upper()}")
