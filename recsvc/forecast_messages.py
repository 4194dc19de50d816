"""Owns forecasts as messages."""

from __future__ import annotations

from datetime import timedelta

from google.type.date_pb2 import Date

from recdata.snapshot import ForecastRecord
from recsvc.v1.selection_service_pb2 import (
    DemandTotal,
    Forecast,
    ForecastDay,
    ForecastLevel,
    GetForecastRequest,
)


def forecast_message(
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


def local_message(
    request: GetForecastRequest,
    record: ForecastRecord,
    count: int,
    share: float,
    horizon_days: int,
    total: tuple[float, float, float],
) -> Forecast:
    """Returns the first so many days of a forecast's part in the channel and region that a request names.

    Args:
        request: whose level, key, channel and region it is.
        record: the forecast of the part.
        count: how many days.
        share: of the demand, 0..1.
        horizon_days: how many days the total is of.
        total: their mean, q10 and q90.
    """
    message = forecast_message(request.level, request.key, record, count)
    message.channel, message.region, message.share = request.channel, request.region, share
    mean, q10, q90 = total
    message.total.CopyFrom(DemandTotal(days=horizon_days, mean=mean, q10=q10, q90=q90))
    return message
