"""Owns BestsellerService: lists that are the same for everybody."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from recdata.snapshot import RankedList, Snapshot
from recsvc import paging, retrieval
from recsvc.answers import answer_info, category_rows, language_of, no_list
from recsvc.call import Call
from recsvc.checks import check_names
from recsvc.errors import InvalidFieldError, quoted
from recsvc.filtering import SEPARATOR
from recsvc.retrieval import Eligible, Segment
from recsvc.rules import Pin, is_within, place_pins
from recsvc.serving import Generation
from recsvc.v1.bestseller_service_pb2 import (
    Bestseller,
    BestsellerKind,
    ListBestsellersRequest,
    ListBestsellersResponse,
)
from recsvc.v1.common_pb2 import RankedItem, SourceType
from recsvc.wording import endings

SECONDS_A_DAY = 86_400
#: So many lists of narrower categories are read at most to fill a filtered page.
MAX_LISTS_BELOW = 300

_EMPTY = RankedList(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int32))

#: By kind: the kind's name in the snapshot, and the source that its items are marked with.
KINDS = {
    BestsellerKind.BESTSELLER_KIND_UNSPECIFIED: ("best", SourceType.SOURCE_TYPE_BESTSELLER),
    BestsellerKind.BESTSELLER_KIND_BEST: ("best", SourceType.SOURCE_TYPE_BESTSELLER),
    BestsellerKind.BESTSELLER_KIND_TRENDING: ("trending", SourceType.SOURCE_TYPE_TRENDING),
    BestsellerKind.BESTSELLER_KIND_NEW: ("new", SourceType.SOURCE_TYPE_NEW),
}


def list_bestsellers(call: Call, request: ListBestsellersRequest) -> bytes:
    """Returns a serialised ListBestsellersResponse.

    Raises:
        UnknownNameError: the category is not in the snapshot.
        InvalidFieldError: a kind or window without lists, a bad page size or token, too long a name, a wrong
            filter.
    """
    generation = call.generation
    limit = paging.page_size(request.page_size)
    check_names(channel=request.channel, region=request.region, placement=request.placement)
    if request.kind not in KINDS:
        raise InvalidFieldError("kind", f"kind {request.kind} is not one that this version knows")
    kind, source = KINDS[request.kind]
    within = category_rows(request.category, "category", generation)
    window_days = _window_days(request, kind, generation)
    start = paging.page_start(request, request.page_token, generation.snapshot_id)
    conditions = call.catalogue.conditions(request.filter)
    if conditions.unknown_category:
        call.degrade("UNKNOWN_CATEGORY", f"category {quoted(conditions.category)} is not in the snapshot")
    segment = Segment(request.category, request.channel, request.region)
    ranked, found = retrieval.find_list(generation.snapshot, kind, window_days, segment)
    if found != segment:
        call.degradations.append(no_list(segment))
    end = start + limit
    eligible, pins = _ruled(call, request, Eligible((conditions,), only=within), conditions.category)
    count = end + 1 + len(pins)
    order = ordered(generation.snapshot, ranked, eligible, kind, window_days, found, count)
    placed = place_pins(order.rows.tolist(), pins)
    words = endings(language_of(request.language, generation), request.category)
    answer = ListBestsellersResponse(info=answer_info(generation, call.degradations))
    answer.window.FromTimedelta(timedelta(days=window_days))
    for place, (row, origin) in enumerate(
        zip(placed.rows[start:end], placed.origins[start:end], strict=True), start
    ):
        put_by = SourceType.SOURCE_TYPE_RULE if place in placed.pinned else source
        entry = RankedItem.FromString(words[put_by])
        entry.item.CopyFrom(generation.items.message(row, prices=call.catalogue.repriced))
        buyers = 0
        if origin >= 0:
            entry.score, buyers = float(order.scores[origin]), int(order.buyers[origin])
        answer.results.append(Bestseller(ranked_item=entry, buyers=buyers))
    if end < len(placed.rows):
        answer.next_page_token = paging.next_token(request, generation.snapshot_id, end)
    return answer.SerializeToString()


def ordered(
    snapshot: Snapshot,
    ranked: RankedList | None,
    eligible: Eligible,
    kind: str,
    window_days: int,
    segment: Segment,
    count: int,
) -> RankedList:
    """Returns the eligible items of a list in its order, and of longer ones where a filter leaves too few.

    A stored list is cut at its best items, of which a filter may leave few. The lists of the categories below
    count the same sales in the same channel and region, so what they hold beyond the cut goes on where the
    list ends. Pages agree, since more is only ever appended.

    Args:
        snapshot: the snapshot.
        ranked: the stored list of the segment; None for none.
        eligible: who may be in it.
        kind: the list's kind.
        window_days: the list's window.
        segment: whose list it is.
        count: how many items are wanted at least.
    """
    if ranked is None:
        return _EMPTY
    keep = eligible.among(ranked.rows)
    head = RankedList(ranked.rows[keep], ranked.scores[keep], ranked.buyers[keep])
    if head.rows.size >= count or all(each.unfiltered for each in eligible.conditions):
        return head
    lists = [
        found
        for category in _below(snapshot, segment.category, eligible)
        if (
            found := snapshot.ranked_list(
                kind, window_days, category=category, channel=segment.channel, region=segment.region
            )
        )
        is not None
    ]
    if not lists:
        return head
    rows, first = np.unique(np.concatenate([each.rows for each in lists]), return_index=True)
    fresh = eligible.among(rows) & ~np.isin(rows, ranked.rows)
    rows, first = rows[fresh], first[fresh]
    scores = np.concatenate([each.scores for each in lists])[first]
    buyers = np.concatenate([each.buyers for each in lists])[first]
    best = np.lexsort((rows, -scores))
    return RankedList(
        np.concatenate([head.rows, rows[best]]),
        np.concatenate([head.scores, scores[best]]),
        np.concatenate([head.buyers, buyers[best]]),
    )


def _below(snapshot: Snapshot, category: str, eligible: Eligible) -> list[str]:
    """Returns the categories below one that hold eligible items, the wider ones first, not too many."""
    codes = np.unique(snapshot.category_codes[eligible.rows()])
    paths: set[str] = set()
    for code in codes[codes >= 0].tolist():
        parts = snapshot.categories[code].split(SEPARATOR)
        paths.update(SEPARATOR.join(parts[:depth]) for depth in range(1, len(parts) + 1))
    below = [path for path in paths if path != category and (not category or is_within(path, category))]
    return sorted(below, key=lambda path: (path.count(SEPARATOR), path))[:MAX_LISTS_BELOW]


def _ruled(
    call: Call, request: ListBestsellersRequest, eligible: Eligible, category: str
) -> tuple[Eligible, list[Pin]]:
    """Returns who may be in the list under the rules that act on counts, HIDE and PIN, and those pinned."""
    if not call.catalogue.rules:
        return eligible, []
    rules = call.catalogue.rules.active(
        request.channel, request.region, request.placement, request.category or category, call.now
    )
    if rules is None:
        return eligible, []
    kept = eligible.among(rules.pin_rows).tolist()
    pins = [pin for pin, keep in zip(rules.pins, kept, strict=True) if keep]
    return eligible.but(rules.hidden), pins


def _window_days(request: ListBestsellersRequest, kind: str, generation: Generation) -> int:
    """Returns the window asked for in days, the longest where none is; 0 where the kind has no lists."""
    windows = generation.snapshot.manifest.windows.get(kind, [])
    seconds, nanos = request.window.seconds, request.window.nanos
    if not seconds and not nanos:
        return max(windows, default=0)
    # Not as a timedelta: a Duration may be longer than that can be, or not be well-formed.
    days, rest = divmod(seconds, SECONDS_A_DAY)
    if rest or nanos or days not in windows:
        known = ", ".join(f"{window} days ({window * SECONDS_A_DAY}s)" for window in windows) or "none"
        raise InvalidFieldError(
            "window",
            f"window is {seconds}s{f' and {nanos} ns' if nanos else ''}, which has no {kind} lists; "
            f"the windows are: {known}",
        )
    return days
