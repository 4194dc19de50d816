"""Owns GetForecast: of a level and key, and of an item's or category's part in a channel and region."""

from __future__ import annotations

from recdata.places import CATEGORY, ITEM, WHOLE, PlaceShares, part_of_days, part_of_total, view_of
from recdata.places import LEVELS as PLACE_LEVELS
from recdata.snapshot import ForecastRecord
from recsvc.answers import answer_info, unknown_place
from recsvc.call import Call
from recsvc.errors import InvalidFieldError, UnknownNameError, quoted
from recsvc.forecast_messages import forecast_message, local_message
from recsvc.serving import Generation
from recsvc.v1.selection_service_pb2 import (
    Forecast,
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
        UnknownNameError: there is no such forecast, or the snapshot does not know the channel or region.
        InvalidFieldError: no level, a negative number of days, or a place beside a level that has no parts.
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
    places = _places(request, level, generation) if request.channel or request.region else None
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
    if places is None:
        forecast = forecast_message(request.level, request.key, record, count)
    else:
        forecast = _local(request, record, places, generation, count)
    return GetForecastResponse(forecast=forecast, info=answer_info(generation)).SerializeToString()


def _places(request: GetForecastRequest, level: str, generation: Generation) -> PlaceShares | None:
    if level not in PLACE_LEVELS:
        field = "channel" if request.channel else "region"
        value = quoted(getattr(request, field))
        raise InvalidFieldError(
            field,
            f"{field} is {value} beside level {level.upper()}; only ITEM and CATEGORY take a {field}",
        )
    found = generation.snapshot.places
    if request.channel and (found is None or request.channel not in found.channels):
        raise unknown_place("channel", request.channel, "channel", generation)
    if request.region and (found is None or request.region not in found.regions):
        raise unknown_place("region", request.region, "region", generation)
    return found


def _local(
    request: GetForecastRequest,
    record: ForecastRecord,
    places: PlaceShares,
    generation: Generation,
    count: int,
) -> Forecast:
    within = places.within(request.channel, request.region)
    view = view_of(request.channel, request.region)
    if request.level == ForecastLevel.FORECAST_LEVEL_CATEGORY:
        level, share = CATEGORY, places.category_share(request.key, within)
    else:
        # What has a forecast is an item; one without a row would be another snapshot's.
        item_row = generation.snapshot.item_row(request.key)
        level, share = ITEM, 0.0 if item_row is None else places.share(item_row, within)
    total = part_of_total(places, share, record.mean, level=level, view=view)
    if share >= WHOLE:
        part = record
    else:
        days = part_of_days(places, share, record.mean, level=level, view=view)
        part = ForecastRecord(record.first_day, record.method, *(each.astype("f4") for each in days))
    return local_message(request, part, count, share, min(places.horizon_days, record.mean.size), total)
