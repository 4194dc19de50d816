"""Owns how lists of items look on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from recsvc.showing.parts import item_cells, lines, note, score_text, show_info, table_of, word
from recsvc.v1.bestseller_service_pb2 import ListBestsellersResponse
from recsvc.v1.common_pb2 import AnswerInfo, RankedItem, Reason, SourceType
from recsvc.v1.recommendation_service_pb2 import (
    ListBoughtTogetherResponse,
    RankItemsResponse,
    RecommendPageResponse,
)


def show_ranked(out: Console, title: str, items: Sequence[RankedItem], info: AnswerInfo) -> None:
    """Prints a list of ranked items."""
    _show_items(out, title, items)
    show_info(out, info)


def show_rank(out: Console, title: str, answer: RankItemsResponse) -> None:
    """Prints given items in order, and which were left out."""
    _show_items(out, title, answer.results)
    if answer.left_out_item_ids:
        note(out, f"not known, or not to be shown: {', '.join(answer.left_out_item_ids)}")
    show_info(out, answer.info)


def show_page(out: Console, headings: Mapping[str, str], answer: RecommendPageResponse) -> None:
    """Prints the carousels of a page, from the top down; `headings` are their titles by carousel_id."""
    for carousel in answer.results:
        heading = headings[carousel.carousel_id]
        if carousel.results:
            _show_items(out, heading, carousel.results)
        else:
            out.print(Text.assemble((heading, "bold"), (": nothing to show, hide the row", "dim")))
            out.print()
    show_info(out, answer.info)


def show_bestsellers(out: Console, title: str, answer: ListBestsellersResponse) -> None:
    """Prints a list for everybody."""
    days = answer.window.ToTimedelta().days
    table = table_of(f"{title}, {days} days", "#", "item", "title and category", "price", "score", "buyers")
    for place, entry in enumerate(answer.results, start=1):
        ranked = entry.ranked_item
        table.add_row(*item_cells(place, ranked), score_text(ranked.score), f"{entry.buyers:,}")
    out.print(table)
    show_info(out, answer.info)


def show_together(out: Console, title: str, answer: ListBoughtTogetherResponse) -> None:
    """Prints items that lie in the same orders."""
    columns = ("#", "item", "title and category", "price", "lift\norders", "goes with\nshare of its orders")
    table = table_of(title, *columns)
    for place, entry in enumerate(answer.results, start=1):
        table.add_row(
            *item_cells(place, entry.ranked_item),
            lines(f"{entry.lift:,.2f}", f"{entry.order_count:,}"),
            lines(entry.with_item_id, f"{entry.confidence:.1%}"),
        )
    out.print(table)
    show_info(out, answer.info)


def _show_items(out: Console, title: str, items: Sequence[RankedItem]) -> None:
    table = table_of(title, "#", "item", "title and category", "price", "score", "source and reason")
    for place, ranked in enumerate(items, start=1):
        source = word(SourceType.Name(ranked.source), "SOURCE_TYPE_")
        reason = lines(source, ranked.reason.text, *_behind(ranked.reason))
        table.add_row(*item_cells(place, ranked), score_text(ranked.score), reason)
    out.print(table)


def _behind(reason: Reason) -> list[str]:
    """Returns what stands behind a reason: the items with their shares, the rule."""
    items = [f"{item.item_id} {item.share:.0%}" if item.share else item.item_id for item in reason.items]
    return [", ".join(items), f"rule {reason.rule_id}" if reason.rule_id else ""]
