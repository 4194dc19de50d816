"""Owns the features of an item at an origin: everything the score, the action and the reasons rest on."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from recdata.selection_artefacts import OUTCOMES, PRICES, SELECTION
from selection.appeal import overlaps, satisfaction, tier_shares
from selection.breakout import breakouts
from selection.config import FeaturesConfig, LifecycleConfig
from selection.history import Tables, horizon_days, known_at
from selection.lifecycle import stage_expression
from selection.prices.bands import price_band
from selection.windows import (
    distinct_buyers,
    item_forecasts,
    last_sales,
    lookback_days,
    order_values,
    promotion_shares,
    repurchases,
    sales_windows,
)

#: What OUTCOMES and PRICES say of an item, as they say it.
OPINIONS = tuple(
    name for name in (OUTCOMES | PRICES) if name in SELECTION.keys() - {"item_row", "price_band"}
)

#: The features, one row an item that was sellable at the origin, sorted by item_row. Money is in
#: the currency of the tables; rates and shares are 0..1. Nullable: price, age_days, days_since_sale,
#: season_ratio; margin without a cost or price, satisfaction without ratings, overlap without a stronger
#: item, and everything that OUTCOMES, LAUNCHES and PRICES do not say.
FEATURES = {
    "item_row": pl.Int32,
    "item_id": pl.String,
    "title": pl.String,
    "category": pl.String,
    "group": pl.String,  # the category at the depth inside which items are compared
    "price": pl.Float64,
    "price_band": pl.String,  # premium, high, mid, value; "" without a price
    "age_days": pl.Int32,
    "days_since_sale": pl.Int32,
    "units_recent": pl.Float64,
    "revenue_recent": pl.Float64,
    "orders_recent": pl.Float64,
    "units_base": pl.Float64,
    "revenue_base": pl.Float64,
    "orders_base": pl.Float64,
    "revenue_long": pl.Float64,
    "buyers": pl.Int32,  # distinct, in the base window
    "trend": pl.Float64,  # shrunk growth of the order rate, net of the shop's; 0.2 = 20% up
    "trend_z": pl.Float64,  # in standard errors
    "trend_orders": pl.Float64,  # orders of the newer window, and what was to be expected in it
    "trend_expected": pl.Float64,
    "trend_newer_days": pl.Int32,  # lengths of the windows compared; 0 where there is no trend
    "trend_older_days": pl.Int32,
    "season_ratio": pl.Float64,
    "season_orders": pl.Float64,
    "repurchase_rate": pl.Float64,
    "repurchase_usual": pl.Float64,  # the category's
    "watched": pl.Int32,  # buyers whose days to come back are over, and who of them did
    "came_back": pl.Int32,
    "order_value": pl.Float64,
    "order_value_usual": pl.Float64,  # the shop's
    "value_orders": pl.Int32,  # orders of the base window that contain it, and their plain mean value
    "value_mean": pl.Float64,
    "promotion_share": pl.Float64,
    "demand": pl.Float64,
    "demand_q10": pl.Float64,
    "demand_q90": pl.Float64,
    "demand_value": pl.Float64,  # demand x mean price paid in the base window, else x price
    "forecast_method": pl.String,  # "" where there was no forecast and the base rate stands in
    "stage": pl.String,
    "breakout": pl.Boolean,
    "breakout_orders": pl.Float64,  # see `selection.breakout`
    "breakout_expected": pl.Float64,
    "margin": pl.Float64,  # share of the price that its unit cost leaves, at most 1; below 0 at a loss
    "satisfaction": pl.Float64,  # mean rating, shrunk, 0..1
    "ratings": pl.Int32,  # how many, and their plain mean, 0..1
    "rating_mean": pl.Float64,
    "tier_share": pl.Float64,  # of its buyers, those of high value, shrunk
    "tier_usual": pl.Float64,  # the shop's
    "tier_buyers": pl.Int32,  # how many of its buyers are of high value
    "overlap": pl.Float64,  # of its buyers, those who buy a stronger item of its category as well
    "overlap_with": pl.Int32,  # that item's row
    "overlap_buyers": pl.Int32,  # how many buyers they share
    "early_buyers": pl.Float64,
    "look_alikes": pl.String,  # JSON, see LAUNCHES
    **{name: SELECTION[name] for name in OPINIONS},
}

Z80 = 1.2816  # half-width of an 80% interval in standard deviations


def build_features(
    tables: Tables, origin: date, *, config: FeaturesConfig, lifecycle: LifecycleConfig
) -> pl.DataFrame:
    """Returns `FEATURES` at an origin, from days strictly before it and forecasts made at it.

    Returns (negative quantities) are netted from units and revenue. An item without a forecast is given
    its base-window rate, with Poisson bounds and an empty `forecast_method`.
    """
    known = known_at(tables, origin)
    horizon = horizon_days(known.forecast_totals, origin)
    sales = known.daily_sales.filter(
        pl.col("day") >= origin - timedelta(days=lookback_days(config))
    ).collect()
    first_day = known.daily_sales.select(pl.col("day").min()).collect().item()
    history_days = 0 if first_day is None else (origin - first_day).days
    depth = config.category_depth
    frame = known.items.select(
        "item_row",
        "item_id",
        pl.coalesce("title", "item_id").alias("title"),
        "category",
        pl.col("category").fill_null("").str.split(" > ").list.head(depth).list.join(" > ").alias("group"),
        pl.col("price").alias("listed_price"),
        "unit_cost",
        (pl.lit(origin) - pl.col("launched_on")).dt.total_days().cast(pl.Int32).alias("age_days"),
    ).sort("item_row")
    for part in (
        sales_windows(sales, origin, config, horizon),
        last_sales(known.daily_sales, origin),
        distinct_buyers(known.purchases, origin, config),
        order_values(known.purchases, origin, config),
        repurchases(known.purchases, origin, config),
        promotion_shares(sales, known.promoted_days, origin, config),
        tier_shares(known.purchases, origin, config),
        known.outcomes.drop("origin"),
        known.prices.drop("price_band"),
    ):
        frame = frame.join(part, on="item_row", how="left", maintain_order="left")
    forecasts = item_forecasts(known.forecast_totals)
    stars = satisfaction(known.ratings, origin, known.zone, config)
    for part in (forecasts, stars):
        frame = frame.join(part, on="item_id", how="left", maintain_order="left")
    broke = breakouts(
        frame,
        sales,
        known.promoted_days,
        origin,
        config=config,
        lifecycle=lifecycle,
        history_days=history_days,
    )
    frame = frame.join(broke, on="item_row", how="left", maintain_order="left")
    frame = _young(frame, known.launches)
    counted = ("units", "revenue", "orders")
    zero = [f"{name}_{window}" for name in counted for window in ("recent", "base", "older", "half")]
    frame = frame.with_columns(
        pl.col(*zero, "revenue_long", "season_orders", "yearly_orders", "promotion_share").fill_null(0.0),
        pl.col("buyers", "value_orders", "ratings", "tier_buyers").fill_null(0),
        pl.col("value_mean").fill_null(0.0),
        pl.coalesce("sold_price", "listed_price").alias("price"),
        pl.col("tier_usual").max().fill_null(0.0),
    )
    frame = frame.with_columns(
        pl.col("tier_share").fill_null(pl.col("tier_usual")),
        margin=pl.when(pl.col("price") > 0).then(1 - pl.col("unit_cost") / pl.col("price")),
    )
    shared = overlaps(known.purchases, frame, origin, config)
    frame = frame.join(shared, on="item_row", how="left", maintain_order="left").with_columns(
        pl.col("overlap_buyers").fill_null(0)
    )
    frame = _trend(frame, config, history_days)
    frame = _season(frame, config, horizon, history_days)
    frame = _shrink(frame, config)
    frame = _demand(frame, config, horizon, history_days)
    frame = frame.with_columns(price_band(config).alias("price_band"))
    frame = frame.with_columns(stage_expression(lifecycle, history_days=history_days).alias("stage"))
    return frame.select(pl.col(name).cast(dtype) for name, dtype in FEATURES.items())


def _young(frame: pl.DataFrame, launches: pl.DataFrame) -> pl.DataFrame:
    """Adds what LAUNCHES says of young items, and makes the mean of it and the forecast their demand.

    A launch is foretold from its like and its buyers, a forecast from promotions and weeks, too: their mean
    errs less than either (docs/launches.md). What has never sold has its launch alone.
    """
    told = launches.select(
        "item_row",
        "early_buyers",
        "look_alikes",
        pl.col("mean", "q10", "q90").name.prefix("launch_"),
    )
    frame = frame.join(told, on="item_row", how="left", maintain_order="left")
    young = pl.col("launch_mean").is_not_null()
    counts = ~young | pl.col("days_since_sale").is_not_null()
    methods = (pl.when(young).then(pl.lit("launch")), pl.when(counts).then("forecast_method"))
    return frame.with_columns(
        *(
            pl.mean_horizontal(f"launch_{name}", pl.when(counts).then(name)).clip(lower_bound=0.0).alias(name)
            for name in ("mean", "q10", "q90")
        ),
        pl.concat_str(*methods, separator=" + ", ignore_nulls=True).alias("forecast_method"),
    )


def _trend(frame: pl.DataFrame, config: FeaturesConfig, history_days: int) -> pl.DataFrame:
    """Adds `trend` = (newer + k) / (expected + k) - 1, its z, and the lengths of the two windows compared.

    The recent window against what it had before it (the base window's length, or less for an item that
    is younger, at least `trend_min_days`); for an item too young for that, the recent window's newer
    half against its older half; for one younger still, no trend: 0 and 0.

    Orders, not units: one order of ten is one event. Expected is the older window's rate times the
    change of the whole shop, so that a quiet month is not taken for the decline of everything. Given n
    orders in both windows, the newer ones are binomial with p = expected share under "moved with the
    shop"; z is the normal score of that.
    """
    recent_days, half_days = config.recent_days, config.recent_days // 2
    age = pl.col("age_days").fill_null(history_days).clip(upper_bound=history_days)
    before = (age - recent_days).clip(0, config.base_days)
    shop_before = min(max(history_days - recent_days, 0), config.base_days)
    recent, older, half = pl.col("orders_recent"), pl.col("orders_older"), pl.col("orders_half")
    full = before >= config.trend_min_days
    halves = ~full & (age >= 2 * half_days) & (half_days > 0)
    changes = {
        "full_change": (recent.sum() / recent_days) / (older.sum() / shop_before),
        "half_change": half.sum() / (recent.sum() - half.sum()),
    }
    frame = frame.with_columns(
        *(
            pl.when(change.is_finite() & (change > 0)).then(change).otherwise(1.0).alias(name)
            for name, change in changes.items()
        ),
        pl.when(full).then(recent_days).when(halves).then(half_days).otherwise(0).alias("trend_newer_days"),
        pl.when(full).then(before).when(halves).then(half_days).otherwise(0).alias("trend_older_days"),
        pl.when(full).then(recent).when(halves).then(half).otherwise(0.0).alias("newer"),
        pl.when(full).then(older).when(halves).then(recent - half).otherwise(0.0).alias("before"),
    )
    newer, before_orders, prior = pl.col("newer"), pl.col("before"), config.trend_prior_orders
    change = pl.when(full).then("full_change").otherwise("half_change")
    weight = change * pl.col("trend_newer_days") / pl.col("trend_older_days")
    has = pl.col("trend_older_days") > 0
    expected, n, p = before_orders * weight, newer + before_orders, weight / (1 + weight)
    z = (newer - n * p) / (n * p * (1 - p)).sqrt()
    return frame.with_columns(
        pl.when(has).then((newer + prior) / (expected + prior) - 1).otherwise(0.0).alias("trend"),
        pl.when(has & (n > 0)).then(z).otherwise(0.0).alias("trend_z"),
        pl.when(has).then(newer).otherwise(0.0).alias("trend_orders"),
        pl.when(has).then(expected).otherwise(0.0).alias("trend_expected"),
    )


def _season(frame: pl.DataFrame, config: FeaturesConfig, horizon: int, history_days: int) -> pl.DataFrame:
    """Adds `season_ratio`: orders of the coming weeks a year ago over the yearly average of as many days."""
    usual = pl.col("yearly_orders") * horizon / min(max(history_days, 1), lookback_days(config))
    seen = (history_days >= 360) & (usual > 0)
    return frame.with_columns(
        pl.when(seen).then(pl.col("season_orders") / usual).otherwise(None).alias("season_ratio")
    )


def _shrink(frame: pl.DataFrame, config: FeaturesConfig) -> pl.DataFrame:
    """Adds the repurchase rate, shrunk to its category's, itself shrunk to the shop's."""
    prior = config.repurchase_prior_buyers
    frame = frame.with_columns(pl.col("watched", "came_back").fill_null(0))
    watched, back = pl.col("watched"), pl.col("came_back")
    shop = pl.when(watched.sum() > 0).then(back.sum() / watched.sum()).otherwise(0.0)
    strength = max(prior, 1e-9)
    frame = frame.with_columns(shop.alias("shop_rate")).with_columns(
        (
            (back.sum().over("group") + strength * pl.col("shop_rate"))
            / (watched.sum().over("group") + strength)
        ).alias("repurchase_usual")
    )
    shop_value = pl.col("order_value_usual").max().fill_null(0.0)
    return frame.with_columns(
        ((back + strength * pl.col("repurchase_usual")) / (watched + strength)).alias("repurchase_rate"),
        pl.col("order_value").fill_null(shop_value),
        pl.col("order_value_usual").fill_null(shop_value),
    )


def _demand(frame: pl.DataFrame, config: FeaturesConfig, horizon: int, history_days: int) -> pl.DataFrame:
    age = pl.col("age_days").fill_null(config.base_days)
    exposure = age.clip(1, max(1, min(config.base_days, history_days)))
    rate = (pl.col("units_base").clip(lower_bound=0.0) * horizon / exposure).fill_nan(0.0)
    mean = pl.coalesce("mean", rate)
    spread = Z80 * mean.sqrt()
    frame = frame.with_columns(
        mean.alias("demand"),
        pl.coalesce("q10", (mean - spread).clip(lower_bound=0.0)).alias("demand_q10"),
        pl.coalesce("q90", mean + spread).alias("demand_q90"),
        pl.when(pl.col("mean").is_null())
        .then(pl.lit(""))
        .otherwise("forecast_method")
        .alias("forecast_method"),
    )
    # Money comes from what was paid on average, promotions included; a median would flatter them.
    paid = pl.col("revenue_base") / pl.col("units_base")
    worth = pl.when((pl.col("units_base") > 0) & (paid > 0)).then(paid).otherwise("price").fill_null(0.0)
    return frame.with_columns((pl.col("demand") * worth).alias("demand_value"))
