"""Owns SelectionService: selection candidates and the forecasts behind them."""

from __future__ import annotations

from datetime import timedelta

from google.type.date_pb2 import Date

from recsvc import paging
from recsvc.answers import answer_info, category_rows, language_of
from recsvc.call import Call
from recsvc.candidates import candidate_message
from recsvc.errors import InvalidFieldError, UnknownNameError, quoted
from recsvc.v1.selection_service_pb2 import (
    Forecast,
    ForecastDay,
    ForecastLevel,
    GetForecastRequest,
    GetForecastResponse,
    ListCandidatesRequest,
    ListCandidatesResponse,
)

#: By level: its name in the snapshot.
LEVELS = {
    ForecastLevel.FORECAST_LEVEL_TOTAL: "total",
    ForecastLevel.FORECAST_LEVEL_CHANNEL: "channel",
    ForecastLevel.FORECAST_LEVEL_REGION: "region",
    ForecastLevel.FORECAST_LEVEL_CATEGORY: "category",
    ForecastLevel.FORECAST_LEVEL_ITEM: "item",
}


def list_candidates(call: Call, request: ListCandidatesRequest) -> bytes:
    """Returns a serialised ListCandidatesResponse.

    Raises:
        UnknownNameError: the category is not in the snapshot.
        InvalidFieldError: a bad page size or token.
    """
    generation = call.generation
    limit = paging.page_size(request.page_size)
    start = paging.page_start(request, request.page_token, generation.snapshot_id)
    ranks = generation.candidates.ranks(
        category_rows=category_rows(request.filter.category, "filter.category", generation),
        action=request.filter.action,
        stage=request.filter.stage,
    )
    language = language_of(request.language, generation)
    end = start + limit
    records = [generation.snapshot.candidate(rank) for rank in ranks[start:end].tolist()]
    return ListCandidatesResponse(
        results=[
            candidate_message(
                record,
                generation.items.message(record.item_row, prices=call.catalogue.repriced),
                generation.snapshot.manifest.currency,
                language,
            )
            for record in records
            if record is not None
        ],
        next_page_token=(paging.next_token(request, generation.snapshot_id, end) if end < ranks.size else ""),
        info=answer_info(generation),
        total_size=ranks.size,
    ).SerializeToString()


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
    forecast = Forecast(level=request.level, key=request.key, method=record.method)
    for place in range(count):
        day = record.first_day + timedelta(days=place)
        forecast.days.append(
            ForecastDay(
                day=Date(year=day.year, month=day.month, day=day.day),
                mean=record.mean[place],
                q10=record.q10[place],
                q90=record.q90[place],
            )
        )
    return GetForecastResponse(forecast=forecast, info=answer_info(generation)).SerializeToString()
