"""Owns SelectionService's reads: candidates in any order and under any weights, and one by one."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from recdata.errors import LiveStoreUnavailableError
from recdata.snapshot.records import Int32s
from recsvc import paging
from recsvc.answers import answer_info, language_of
from recsvc.call import Call
from recsvc.candidate_requests import order_of, query_of, state_wanted, weights_of
from recsvc.candidates import EVERYWHERE, LOCAL, CandidateQuery
from recsvc.review_book import UNTOUCHED, status_of
from recsvc.reviewing import candidate_place, review_message
from recsvc.v1.selection_service_pb2 import (
    GetCandidateRequest,
    GetCandidateResponse,
    ListCandidatesRequest,
    ListCandidatesResponse,
    RescoreCandidatesRequest,
    RescoreCandidatesResponse,
)

#: How many reviews of a candidate are told, latest first.
MAX_REVIEWS = 50


def list_candidates(call: Call, request: ListCandidatesRequest) -> bytes:
    """Returns a serialised ListCandidatesResponse.

    Raises:
        UnknownNameError: the category, channel or region is not in the snapshot.
        InvalidFieldError: a bad page size, token, order or enum value.
        LiveStoreUnavailableError: a state of review is asked for, and the live store cannot be read.
    """
    generation = call.generation
    index = generation.candidates
    fields = order_of(request.order_by, request.filter)
    local = any(name in LOCAL for name, _ in fields)
    where = (request.filter.sold_in_channel, request.filter.sold_in_region) if local else EVERYWHERE
    query = query_of(request.filter, generation)
    page = _page(call, request, index.order(fields, where), (fields, where), query)
    results = index.entries.results(
        page.places,
        _reviews(call, page.places),
        language_of(request.language, generation),
        call.catalogue.repriced,
    )
    rest = ListCandidatesResponse(
        next_page_token=page.next_token,
        info=answer_info(generation, call.degradations),
        total_size=page.total,
    )
    return results + rest.SerializeToString()


def rescore_candidates(call: Call, request: RescoreCandidatesRequest) -> bytes:
    """Returns a serialised RescoreCandidatesResponse.

    Raises:
        UnknownNameError, InvalidFieldError, LiveStoreUnavailableError: as `list_candidates` does.
        InvalidFieldError: weights that cannot be.
    """
    generation = call.generation
    index = generation.candidates
    weights = weights_of(request.weights, list(index.columns.components))
    made = index.rescored(weights)
    page = _page(call, request, made.order, ("weights", weights), query_of(request.filter, generation))
    results = index.entries.rescored(
        page.places,
        made.ranks[page.places].tolist(),
        made.scores[page.places].tolist(),
        _reviews(call, page.places),
        language_of(request.language, generation),
        call.catalogue.repriced,
    )
    rest = RescoreCandidatesResponse(
        next_page_token=page.next_token,
        info=answer_info(generation, call.degradations),
        total_size=page.total,
    )
    return results + rest.SerializeToString()


def get_candidate(call: Call, request: GetCandidateRequest) -> bytes:
    """Returns a serialised GetCandidateResponse.

    Raises:
        InvalidFieldError: no item id, or too long a one.
        UnknownNameError: the item is no candidate.
    """
    generation = call.generation
    index = generation.candidates
    place = candidate_place(request.item_id, generation)
    review, rest = b"", GetCandidateResponse()
    if call.view is not None:
        try:
            reviews, book = call.view.reviews, index.reviews
            status = status_of(reviews.state(request.item_id), book.advised(place), book.today())
            rest.reviews.extend(map(review_message, reviews.trail(request.item_id, most=MAX_REVIEWS)))
            review = status.SerializeToString()
        except LiveStoreUnavailableError as error:
            call.degrade("LIVE_STORE_UNAVAILABLE", str(error))
    rest.info.CopyFrom(answer_info(generation, call.degradations))
    language = language_of(request.language, generation)
    return index.entries.page(place, review, language, call.catalogue.repriced) + rest.SerializeToString()


@dataclass(frozen=True, slots=True)
class _Page:
    """One page of candidates: their places, how the list goes on, and how many there are on all pages."""

    places: list[int]
    next_token: str
    total: int


def _page(
    call: Call,
    request: ListCandidatesRequest | RescoreCandidatesRequest,
    order: Int32s,
    key: Hashable,
    query: CandidateQuery,
) -> _Page:
    """Returns the page of an order that a request and its filter's query ask for.

    A token holds the place in the whole order where the next page begins, and not how many have been shown:
    whoever reviews what is pending takes it off the list, and must not skip as many on the next page.
    """
    generation = call.generation
    limit = paging.page_size(request.page_size)
    start = paging.page_start(request, request.page_token, generation.snapshot_id)
    wanted = state_wanted(request.filter)
    at = generation.candidates.matching(query, key, order)
    if wanted:
        if call.view is None:
            raise LiveStoreUnavailableError(
                call.live.problem or "the live store cannot be read; mend its file"
            )
        book = generation.candidates.reviews
        at = at[book.states(call.view, book.today())[order[at]] == wanted]
    first = int(np.searchsorted(at, np.int32(min(start, order.size)))) if start else 0
    page = at[first : first + limit]
    more = first + limit < at.size
    token = paging.next_token(request, generation.snapshot_id, int(page[-1]) + 1) if more else ""
    return _Page(order[page].tolist(), token, at.size)


def _reviews(call: Call, places: list[int]) -> list[bytes]:
    """Returns a serialised ReviewStatus for each place; b"" where the live store cannot be read."""
    if call.view is not None:
        book = call.generation.candidates.reviews
        try:
            known, today = book.current(call.view), book.today()
        except LiveStoreUnavailableError as error:
            call.degrade("LIVE_STORE_UNAVAILABLE", str(error))
        else:
            return [
                status_of(state, book.advised(place), today).SerializeToString()
                if (state := known.get(place)) is not None
                else UNTOUCHED
                for place in places
            ]
    return [b""] * len(places)
