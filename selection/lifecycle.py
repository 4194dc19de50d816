"""Owns the stage of an item's life: seasonal, dead, launch, growth, decline or mature."""

from __future__ import annotations

import polars as pl

from selection.config import LifecycleConfig


def stage_expression(config: LifecycleConfig, *, history_days: int) -> pl.Expr:
    """Returns the stage from feature columns; the first rule that holds decides.

    1. seasonal: the coming weeks sold `season_ratio` times the yearly average a year ago, with
       `season_min_orders` orders (needs a year of history). First, so that a Christmas item that has
       not sold since last Christmas is not called dead in November.
    2. dead: no sale for `dead_days`, or never sold although listed (or watched) for so long.
    3. launch: younger than `launch_days`; also never sold and too short a history to call it dead. An
       item whose first sale stands within `launch_days` of the first day of the data is no launch:
       it may be as old as the shop.
    4. growth, 5. decline: the order rate changed by `min_change` and by `min_z` standard errors.
    6. mature: everything else.
    """
    since, age = pl.col("days_since_sale"), pl.col("age_days")
    idle = pl.coalesce(since, age, pl.lit(history_days))
    strong = pl.col("trend_z").abs() >= config.min_z
    # The data's own beginning is not a launch.
    watched_before = pl.lit(history_days) - age >= min(config.launch_days, history_days // 2)
    young = (age < config.launch_days) & (watched_before | since.is_null())
    return (
        pl.when(
            (pl.col("season_ratio") >= config.season_ratio)
            & (pl.col("season_orders") >= config.season_min_orders)
        )
        .then(pl.lit("seasonal"))
        .when(idle > config.dead_days)
        .then(pl.lit("dead"))
        .when(young | since.is_null())
        .then(pl.lit("launch"))
        .when(strong & (pl.col("trend") >= config.min_change))
        .then(pl.lit("growth"))
        .when(strong & (pl.col("trend") <= -config.min_change))
        .then(pl.lit("decline"))
        .otherwise(pl.lit("mature"))
    )
