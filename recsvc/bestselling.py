"""Owns BestsellerService: lists that are the same for everybody."""

from __future__ import annotations

from datetime import timedelta

from recsvc import paging, retrieval
from recsvc.answers import answer_info, category_rows, check_names, language_of, no_list
from recsvc.errors import InvalidFieldError
from recsvc.retrieval import Eligible, Segment
from recsvc.serving import Generation
from recsvc.v1.bestseller_service_pb2 import (
    Bestseller,
    BestsellerKind,
    ListBestsellersRequest,
    ListBestsellersResponse,
)
from recsvc.v1.common_pb2 import RankedItem, SourceType
from recsvc.wire import item_message
from recsvc.wording import endings

SECONDS_A_DAY = 86_400

#: By kind: the kind's name in the snapshot, and the source that its items are marked with.
KINDS = {
    BestsellerKind.BESTSELLER_KIND_UNSPECIFIED: ("best", SourceType.SOURCE_TYPE_BESTSELLER),
    BestsellerKind.BESTSELLER_KIND_BEST: ("best", SourceType.SOURCE_TYPE_BESTSELLER),
    BestsellerKind.BESTSELLER_KIND_TRENDING: ("trending", SourceType.SOURCE_TYPE_TRENDING),
    BestsellerKind.BESTSELLER_KIND_NEW: ("new", SourceType.SOURCE_TYPE_NEW),
}


def list_bestsellers(generation: Generation, request: ListBestsellersRequest) -> bytes:
    """Returns a serialised ListBestsellersResponse.

    Raises:
        UnknownNameError: the category is not in the snapshot.
        InvalidFieldError: a kind or window without lists, a bad page size or token, too long a name.
    """
    limit = paging.page_size(request.page_size)
    check_names(channel=request.channel, region=request.region)
    if request.kind not in KINDS:
        raise InvalidFieldError("kind", f"kind {request.kind} is not one that this version knows")
    kind, source = KINDS[request.kind]
    within = category_rows(request.category, "category", generation)
    window_days = _window_days(request, kind, generation)
    start = paging.page_start(request, request.page_token, generation.snapshot_id)
    segment = Segment(request.category, request.channel, request.region)
    answer = ListBestsellersResponse()
    answer.window.FromTimedelta(timedelta(days=window_days))
    ranked, found = retrieval.find_list(generation.snapshot, kind, window_days, segment)
    degradations = [no_list(segment)] if found != segment else []
    if ranked is not None:
        eligible = Eligible(sellable=generation.sellable, within=within)
        keep = eligible.among(ranked.rows)
        rows, scores, buyers = ranked.rows[keep], ranked.scores[keep], ranked.buyers[keep]
        end = start + limit
        ending = endings(language_of(request.language, generation), request.category)[source]
        for row, score, count in zip(
            rows[start:end].tolist(), scores[start:end].tolist(), buyers[start:end].tolist(), strict=True
        ):
            entry = RankedItem.FromString(ending)
            entry.item.CopyFrom(
                item_message(generation.snapshot.item(row), generation.snapshot.manifest.currency)
            )
            entry.score = score
            answer.results.append(Bestseller(ranked_item=entry, buyers=count))
        if end < rows.size:
            answer.next_page_token = paging.next_token(request, generation.snapshot_id, end)
    answer.info.CopyFrom(answer_info(generation, degradations))
    return answer.SerializeToString()


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
            f"window is {(seconds + nanos / 1e9) / SECONDS_A_DAY:.6g} days ({seconds}s), which has no {kind} "
            f"lists; the windows are: {known}",
        )
    return days
