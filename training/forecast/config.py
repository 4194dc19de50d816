"""Owns the config of the stage `forecast`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from recdata.config import NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig, Share


class ForecastConfig(RoomConfig, frozen=True):
    """`[training.forecast]`: which series are forecast, by what, how far, and how often in the past."""

    # Length of the horizon whose total demand is forecast at every origin, in days; 1 or more.
    horizon_days: PositiveInt = 28
    # How far the daily forecasts made at the run's own day reach, in days; at least horizon_days are made.
    daily_horizon_days: PositiveInt = 90
    # Past origins that are forecast as if it were that day, for back-tests; 0 or more.
    back_test_origins: NonNegativeInt = 8
    # Days between two origins; 1 or more.
    step_days: PositiveInt = 28
    # Older origins forecast only so that the first back-tested origin has measured intervals; 0 or more.
    warm_up_origins: NonNegativeInt = 1
    # The latest days of history that are read, in days; 28 or more.
    history_days: Annotated[int, Meta(ge=28)] = 1095
    # Levels of the category path ("A > B > C") that make one series; 1 or more.
    category_depth: PositiveInt = 2
    # Prophet competes for so many categories with most revenue (intermittent and short ones have methods
    # of their own); 0 or more.
    prophet_categories: NonNegativeInt = 40
    # and for so many items with most revenue, where they sell on enough days; 0 or more.
    prophet_items: NonNegativeInt = 20
    # Trees of the regressions that all series share, of weeks and of days; 0 does without them.
    regression_trees: NonNegativeInt = 100
    # Rows that it learns from, at most, at each origin and for each of series and items; 1000 or more.
    regression_rows: Annotated[int, Meta(ge=1000)] = 120_000
    # Rows that the one of days learns from, at most, of series that sell on most days; 1000 or more.
    regression_day_rows: Annotated[int, Meta(ge=1000)] = 40_000
    # No forecast of a horizon exceeds the best four weeks of the series' history more than so many times,
    # recurring events aside; 1 or more.
    cap_multiple: Annotated[float, Meta(ge=1)] = 3.0
    # Whether an index of the market, where the tables have one, may compete as a feature.
    market: bool = True
    # A channel or region gets a series when it has at least this share of revenue; 0 to 1.
    min_revenue_share: Share = 0.01
    # Prophet needs this many days since the first sale; 28 or more.
    min_prophet_days: Annotated[int, Meta(ge=28)] = 56
    # A series with a larger share of days without sales is intermittent and not for Prophet; 0 to 1.
    max_zero_share: Share = 0.5
    # So is one with more days between two days with sales, on average; 1 or more.
    max_sale_interval_days: Annotated[float, Meta(ge=1)] = 1.32
    # Flexibility of Prophet's trend; above 0.
    changepoint_prior_scale: PositiveFloat = 0.2
    # Share of the history in which Prophet's trend may bend; 0 to 1.
    changepoint_range: Share = 0.95
    # What is left of the trend's slope after each day of the horizon; 0 (flat at once) to 1 (straight on).
    trend_damping: Share = 0.0
    # Weight of the average of the latest recent_days in the level of a Prophet forecast; 0 to 1.
    recent_weight: Share = 0.7
    # Days in that average, which is also the fallback of a failed fit; 1 or more.
    recent_days: PositiveInt = 28
    # ISO 3166 code of the country whose recurring holidays and shopping festivals count ("US", "CN"); ""
    # for none.
    country: str = ""
    # Whether forecasts know the share of a series' items (by revenue) in each kind of promotion.
    promotions: bool = True
    # How far ahead promotions count as planned at an origin, in days; 0 or more.
    plan_lead_days: NonNegativeInt = 28
    # An item's share of its category counts a sale half after this many days; above 0.
    share_half_life_days: PositiveFloat = 42.0
    # A younger item's rate is taken since launch, but over no fewer days than this; 1 or more.
    launch_floor_days: PositiveInt = 112
    # An item that sold within so many days gets daily forecasts too; 1 or more.
    active_days: PositiveInt = 112
    # Processes that forecast at the same time; 0 means one a core.
    processes: NonNegativeInt = 0
    # A fit that takes longer is stopped and the series falls back to its recent average, seconds; above 0.
    fit_seconds: PositiveFloat = 20.0
