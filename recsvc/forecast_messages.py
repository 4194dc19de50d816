"""Owns forecasts as messages."""

from __future__ import annotations

from datetime import timedelta

from google.type.date_pb2 import Date

from recdata.snapshot import ForecastRecord
from recsvc.v1.selection_service_pb2 import Forecast, ForecastDay, ForecastLevel


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
