"""Owns RecommendationService: a shopper's list, and the items beside an item."""

from __future__ import annotations

from recdata.snapshot import UserRecord
from recsvc import paging, retrieval
from recsvc.answers import answer_info, category_rows, check_names, excluded_rows, language_of, no_list
from recsvc.errors import InvalidFieldError, UnknownNameError
from recsvc.retrieval import Eligible, Picks, Segment
from recsvc.serving import Generation
from recsvc.v1.common_pb2 import Degradation, DegradationReason, SourceType
from recsvc.v1.recommendation_service_pb2 import (
    ListSimilarItemsRequest,
    ListSimilarItemsResponse,
    RecommendRequest,
    RecommendResponse,
)
from recsvc.wording import endings


def recommend(generation: Generation, request: RecommendRequest) -> bytes:
    """Returns a serialised RecommendResponse.

    Raises:
        InvalidFieldError: a negative page size, too long an id, too many excluded ids.
    """
    limit = paging.page_size(request.page_size)
    user_id, category = request.user_id, request.filter.category
    check_names(user_id=user_id, channel=request.channel, region=request.region)
    snapshot = generation.snapshot
    user = snapshot.user(user_id) if user_id else None
    within = snapshot.category_rows(category) if category else None
    degradations: list[Degradation] = []
    picks = Picks(limit)
    if category and within is None:
        degradations.append(
            _degraded("UNKNOWN_CATEGORY", f"category {category!r} is not in the snapshot; nothing matches it")
        )
    else:
        eligible = Eligible(
            sellable=generation.sellable,
            within=within,
            without=user.purchased_rows if user is not None and request.exclude_purchased else None,
            excluded=excluded_rows(request.filter, generation),
        )
        segment = Segment(category, request.channel, request.region)
        _fill(picks, user, eligible, segment, generation, degradations)
    if user is None:
        told = f"user_id {user_id!r} is not in the snapshot" if user_id else "no user_id was given"
        degradations.append(_degraded("UNKNOWN_USER", f"{told}; the list is the same for everybody"))
    by_source = endings(language_of(request.language, generation), category)
    results = generation.items.results(
        picks.rows, picks.all_scores(), [by_source[source] for source in picks.sources]
    )
    # Serialised messages may be concatenated: the results' entries, then a response that has the info only.
    return results + RecommendResponse(info=answer_info(generation, degradations)).SerializeToString()


def _fill(
    picks: Picks,
    user: UserRecord | None,
    eligible: Eligible,
    segment: Segment,
    generation: Generation,
    degradations: list[Degradation],
) -> None:
    """Fills the page step by step, each step only as far as the ones before left room."""
    if user is not None:
        retrieval.add_ranked(picks, user, eligible)
        if picks.missing:
            retrieval.add_by_factors(picks, user, eligible, generation)
        if not picks.missing:
            return
    personal = len(picks.rows)
    exact = retrieval.add_bestsellers(picks, segment, eligible, generation)
    if not exact and (segment.channel or segment.region):
        degradations.append(no_list(segment))
    if picks.missing:
        retrieval.add_catalogue(picks, eligible, generation)
    if user is not None and len(picks.rows) > personal:
        degradations.append(
            _degraded("TOO_FEW_PERSONAL", f"{personal} personal items match; what sells best fills the rest")
        )


def list_similar_items(generation: Generation, request: ListSimilarItemsRequest) -> bytes:
    """Returns a serialised ListSimilarItemsResponse.

    Raises:
        UnknownNameError: the item or the category is not in the snapshot.
        InvalidFieldError: a bad page size or token, no item id or too long a one.
    """
    limit = paging.page_size(request.page_size)
    check_names(item_id=request.item_id)
    if not request.item_id:
        raise InvalidFieldError("item_id", "item_id is empty; name the item at hand")
    item_row = generation.snapshot.item_row(request.item_id)
    if item_row is None:
        raise UnknownNameError(
            f"item_id {request.item_id!r} is not in snapshot {generation.snapshot_id}; "
            "items are known from the nightly job after they came into the catalogue",
            reason="ITEM_NOT_FOUND",
            field="item_id",
            metadata={"item_id": request.item_id, "snapshot_id": generation.snapshot_id},
        )
    start = paging.page_start(request, request.page_token, generation.snapshot_id)
    eligible = Eligible(
        sellable=generation.sellable,
        within=category_rows(request.filter.category, "filter.category", generation),
        excluded=excluded_rows(request.filter, generation),
    )
    rows, scores = retrieval.similar(generation.snapshot, item_row, eligible)
    end = start + limit
    page = rows[start:end].tolist()
    ending = endings(language_of(request.language, generation), "")[SourceType.SOURCE_TYPE_SIMILAR]
    rest = ListSimilarItemsResponse(info=answer_info(generation))
    if end < rows.size:
        rest.next_page_token = paging.next_token(request, generation.snapshot_id, end)
    results = generation.items.results(page, scores[start:end], [ending] * len(page))
    return results + rest.SerializeToString()


def _degraded(name: str, detail: str) -> Degradation:
    return Degradation(reason=DegradationReason.Value(f"DEGRADATION_REASON_{name}"), detail=detail)
