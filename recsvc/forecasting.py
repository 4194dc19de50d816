"""Owns GetForecast."""

from __future__ import annotations

from recsvc.answers import answer_info
from recsvc.call import Call
from recsvc.errors import InvalidFieldError, UnknownNameError, quoted
from recsvc.forecast_messages import forecast_message
from recsvc.v1.selection_service_pb2 import (
    ForecastLevel,
    GetForecastRequest,
    GetForecastResponse,
)

#: By level: its name in the snapshot.
LEVELS = {
    ForecastLevel.FORECAST_LEVEL_TOTAL: "total",
    ForecastLevel.FORECAST_LEVEL_CHANNEL: "channel",
    ForecastLevel.FORECAST_LEVEL_REGION: "region",
    ForecastLevel.FORECAST_LEVEL_CATEGORY: "category",
    ForecastLevel.FORECAST_LEVEL_ITEM: "item",
}


#: By level: what to ask for instead.
REMEDIES = {
    "total": "leave key empty for the whole shop",
    "channel": "channels with little revenue have none, spell others as in the events",
    "region": "regions with little revenue have none, spell others as in the events",
    "category": 'give its path, parts joined by " > ", cut to as many levels as are forecast',
    "item": "items that sell seldom have none of their own, ask for their category",
}


def get_forecast(call: Call, request: GetForecastRequest) -> bytes:
    """Returns a serialised GetForecastResponse.

    Raises:
        UnknownNameError: there is no such forecast.
        InvalidFieldError: no level, or a negative number of days.
    """
    generation = call.generation
    level = LEVELS.get(request.level)
    if level is None:
        allowed = ", ".join(word.upper() for word in LEVELS.values())
        raise InvalidFieldError("level", f"level is {request.level}; give {allowed}")
    if request.days < 0:
        raise InvalidFieldError(
            "days", f"days is {request.days}; give 0 for the whole horizon, or 1 and more"
        )
    record = generation.snapshot.forecast(level, request.key)
    if record is None:
        raise UnknownNameError(
            f"snapshot {generation.snapshot_id} has no forecast of {level} {quoted(request.key)}; "
            f"{REMEDIES[level]}",
            reason="FORECAST_NOT_FOUND",
            field="key",
            metadata={"level": level, "key": request.key, "snapshot_id": generation.snapshot_id},
        )
    count = min(request.days or record.mean.size, record.mean.size)
    forecast = forecast_message(request.level, request.key, record, count)
    return GetForecastResponse(forecast=forecast, info=answer_info(generation)).SerializeToString()
