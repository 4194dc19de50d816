"""Owns demand forecasts: Prophet where a series carries it, simpler methods and top-down shares elsewhere."""

from training.forecast.config import ForecastConfig
from training.forecast.stage import forecast_stage

__all__ = ["ForecastConfig", "forecast_stage"]
