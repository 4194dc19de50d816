"""Owns SelectionService's reads: candidates in any order and under any weights, one by one, and forecasts."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from google.type.date_pb2 import Date

from recdata.errors import LiveStoreUnavailableError
from recdata.snapshot import ForecastRecord
from recdata.snapshot.records import Int32s
from recsvc import paging
from recsvc.answers import answer_info, language_of
from recsvc.call import Call
from recsvc.candidate_requests import order_of, query_of, state_wanted, weights_of
from recsvc.errors import InvalidFieldError, UnknownNameError, quoted
from recsvc.review_book import UNTOUCHED, status_of
from recsvc.reviewing import candidate_place, review_message
from recsvc.v1.selection_service_pb2 import (
    Forecast,
    ForecastDay,
    ForecastLevel,
    GetCandidateRequest,
    GetCandidateResponse,
    GetForecastRequest,
    GetForecastResponse,
    ListCandidatesRequest,
    ListCandidatesResponse,
    RescoreCandidatesRequest,
    RescoreCandidatesResponse,
)

#: By level: its name in the snapshot.
LEVELS = {
    ForecastLevel.FORECAST_LEVEL_TOTAL: "total",
    ForecastLevel.FORECAST_LEVEL_CHANNEL: "channel",
    ForecastLevel.FORECAST_LEVEL_REGION: "region",
    ForecastLevel.FORECAST_LEVEL_CATEGORY: "category",
    ForecastLevel.FORECAST_LEVEL_ITEM: "item",
}
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
    fields = order_of(request.order_by)
    page = _page(call, request, index.order(fields), fields)
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
    page = _page(call, request, made.order, ("weights", weights))
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
    place = candidate_place(request.item_id, generation)
    answer = GetCandidateResponse(
        candidate=generation.candidates.entries.message(
            place, language_of(request.language, generation), call.catalogue.repriced, full=True
        )
    )
    forecast = generation.snapshot.forecast("item", request.item_id)
    if forecast is not None:
        level = ForecastLevel.FORECAST_LEVEL_ITEM
        answer.forecast.CopyFrom(_forecast_message(level, request.item_id, forecast, forecast.mean.size))
    if call.view is not None:
        try:
            reviews, book = call.view.reviews, generation.candidates.reviews
            status = status_of(reviews.state(request.item_id), book.advised(place), book.today())
            answer.reviews.extend(map(review_message, reviews.trail(request.item_id, most=MAX_REVIEWS)))
            answer.candidate.review.CopyFrom(status)
        except LiveStoreUnavailableError as error:
            call.degrade("LIVE_STORE_UNAVAILABLE", str(error))
    answer.info.CopyFrom(answer_info(generation, call.degradations))
    return answer.SerializeToString()


def get_forecast(call: Call, request: GetForecastRequest) -> bytes:
    """Returns a serialised GetForecastResponse.

    Raises:
        UnknownNameError: there is no such forecast.
        InvalidFieldError: no level, or a negative number of days.
    """
    generation = call.generation
    level = LEVELS.get(request.level)
    if level is None:
        raise InvalidFieldError("level", f"level must be one of {', '.join(LEVELS.values())}")
    if request.days < 0:
        raise InvalidFieldError(
            "days", f"days is {request.days}; give 0 for the whole horizon, or 1 and more"
        )
    record = generation.snapshot.forecast(level, request.key)
    if record is None:
        raise UnknownNameError(
            f"snapshot {generation.snapshot_id} has no forecast of {level} {quoted(request.key)}; "
            "items that sell seldom have none of their own, ask for their category",
            reason="FORECAST_NOT_FOUND",
            field="key",
            metadata={"level": level, "key": request.key, "snapshot_id": generation.snapshot_id},
        )
    count = min(request.days or record.mean.size, record.mean.size)
    forecast = _forecast_message(request.level, request.key, record, count)
    return GetForecastResponse(forecast=forecast, info=answer_info(generation)).SerializeToString()


@dataclass(frozen=True, slots=True)
class _Page:
    """One page of candidates: their places, how the list goes on, and how many there are on all pages."""

    places: list[int]
    next_token: str
    total: int


def _page(
    call: Call, request: ListCandidatesRequest | RescoreCandidatesRequest, order: Int32s, key: Hashable
) -> _Page:
    """Returns the page of an order that a request asks for.

    A token holds the place in the whole order where the next page begins, and not how many have been shown:
    whoever reviews what is pending takes it off the list, and must not skip as many on the next page.
    """
    generation = call.generation
    limit = paging.page_size(request.page_size)
    start = paging.page_start(request, request.page_token, generation.snapshot_id)
    wanted = state_wanted(request.filter)
    at = generation.candidates.matching(query_of(request.filter, generation), key, order)
    if wanted:
        if call.view is None:
            raise LiveStoreUnavailableError(
                call.live.problem or "the live store cannot be read; mend its file"
            )
        book = generation.candidates.reviews
        at = at[book.states(call.view, book.today())[order[at]] == wanted]
    first = int(np.searchsorted(at, min(start, order.size)))
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


def _forecast_message(
    level: ForecastLevel.ValueType, key: str, record: ForecastRecord, count: int
) -> Forecast:
    """Returns the first so many days of a forecast."""
    days = []
    mean, q10, q90 = record.mean.tolist(), record.q10.tolist(), record.q90.tolist()
    for place in range(count):
        day = record.first_day + timedelta(days=place)
        days.append(
            ForecastDay(
                day=Date(year=day.year, month=day.month, day=day.day),
                mean=mean[place],
                q10=q10[place],
                q90=q90[place],
            )
        )
    return Forecast(level=level, key=key, method=record.method, days=days)
