"""Owns RecommendationService: a shopper's list, and the items beside an item."""

from __future__ import annotations

import numpy as np

from recdata.snapshot import UserRecord
from recsvc import paging, retrieval
from recsvc.answers import (
    answer_info,
    category_rows,
    check_names,
    excluded_rows,
    full_answer_info,
    language_of,
    no_list,
)
from recsvc.errors import InvalidFieldError, UnknownNameError, quoted
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
    user_id = request.user_id
    check_names(user_id=user_id, channel=request.channel, region=request.region)
    snapshot = generation.snapshot
    user = snapshot.user(user_id) if user_id else None
    eligible = Eligible(generation.sellable)
    category = ""
    degradations: list[Degradation] = []
    if request.HasField("filter"):
        category = request.filter.category
        eligible.excluded = excluded_rows(request.filter, generation)
        if category:
            eligible.within = snapshot.category_rows(category)
            if eligible.within is None:
                eligible.within = np.empty(0, np.int32)
                degradations.append(
                    _degraded("UNKNOWN_CATEGORY", f"category {quoted(category)} is not in the snapshot")
                )
                # Nothing can match, so no wider list is looked for, however many parts the path has.
                category = ""
    if user is not None and request.exclude_purchased:
        eligible.without = user.purchased_rows
    picks = Picks(limit)
    if user is not None:
        retrieval.add_ranked(picks, user, eligible)
    if picks.missing:
        segment = Segment(category, request.channel, request.region)
        degradations += _fill(picks, user, eligible, segment, generation)
    results = generation.items.results(
        picks.rows,
        picks.all_scores(),
        picks.sources,
        endings(language_of(request.language, generation), category),
        keep=not category,
    )
    # Serialised messages may be concatenated: the results' entries, then a response that has the info only.
    if not degradations:
        return results + full_answer_info(generation)
    return results + RecommendResponse(info=answer_info(generation, degradations)).SerializeToString()


def _fill(
    picks: Picks, user: UserRecord | None, eligible: Eligible, segment: Segment, generation: Generation
) -> list[Degradation]:
    """Fills the page step by step, each as far as those before left room; returns what was missing."""
    if user is not None:
        retrieval.add_by_factors(picks, user, eligible, generation)
        if not picks.missing:
            return []
    degradations = []
    personal = len(picks.rows)
    exact = retrieval.add_bestsellers(picks, segment, eligible, generation)
    if not exact and (segment.channel or segment.region):
        degradations.append(no_list(segment))
    if picks.missing:
        retrieval.add_catalogue(picks, eligible, generation)
    if user is None:
        degradations.append(
            _degraded(
                "UNKNOWN_USER", "no user_id that the snapshot knows; the list is the same for everybody"
            )
        )
    elif len(picks.rows) > personal:
        degradations.append(
            _degraded("TOO_FEW_PERSONAL", f"{personal} personal items match; what sells best fills the rest")
        )
    return degradations


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
            f"item_id {quoted(request.item_id)} is not in snapshot {generation.snapshot_id}; "
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
    rest = ListSimilarItemsResponse(info=answer_info(generation))
    if end < rows.size:
        rest.next_page_token = paging.next_token(request, generation.snapshot_id, end)
    results = generation.items.results(
        page,
        scores[start:end],
        [SourceType.SOURCE_TYPE_SIMILAR] * len(page),
        endings(language_of(request.language, generation), ""),
        keep=True,
    )
    return results + rest.SerializeToString()


def _degraded(name: str, detail: str) -> Degradation:
    return Degradation(reason=DegradationReason.Value(f"DEGRADATION_REASON_{name}"), detail=detail)
