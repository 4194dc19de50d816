"""Owns the selection of one origin: features to scores, actions and reasons, as the SELECTION artefact."""

from __future__ import annotations

from datetime import date

import msgspec
import numpy as np
import polars as pl

from selection.actions import ActionInputs, choose_actions
from selection.config import FeaturesConfig, SelectionConfig
from selection.features import OPINIONS, build_features
from selection.history import Tables, horizon_days
from selection.reasons import Facts, Windows, explain
from selection.score import Floats, Signals, best_first, components, quantile_in_group, weighted_score


def signals_of(features: pl.DataFrame, config: FeaturesConfig) -> Signals:
    """Returns the score's signals of a `FEATURES` frame."""

    def column(name: str, *, missing: float = 0.0) -> Floats:
        return features.get_column(name).cast(pl.Float64).fill_null(missing).to_numpy()

    def perhaps(name: str) -> Floats:
        return column(name, missing=float("nan"))

    return Signals(
        demand_value=column("demand_value"),
        expected_value=perhaps("expected_value"),
        recent_revenue=column("revenue_recent") / config.recent_days,
        base_revenue=column("revenue_base") / config.base_days,
        buyers=column("buyers"),
        trend=column("trend"),
        hit_probability=perhaps("hit_probability"),
        repurchase_rate=column("repurchase_rate"),
        order_value=column("order_value"),
        margin=perhaps("margin"),
        satisfaction=perhaps("satisfaction"),
        tier_share=column("tier_share"),
        overlap=perhaps("overlap"),
        demand=column("demand"),
        demand_q10=column("demand_q10"),
        demand_q90=column("demand_q90"),
    )


def select(tables: Tables, origin: date, *, config: SelectionConfig, currency: str) -> pl.DataFrame:
    """Returns the SELECTION artefact of an origin: one row a sellable item, best first.

    Order is by score down, then item id up. `recent_sales` and `demand` are units, of the recent window
    and of the horizon; `revenue_at_stake` is forecast demand in money.
    """
    features = build_features(tables, origin, config=config.features, lifecycle=config.lifecycle)
    return decide(
        features, config=config, currency=currency, horizon=horizon_days(tables.forecast_totals, origin)
    )


def decide(features: pl.DataFrame, *, config: SelectionConfig, currency: str, horizon: int) -> pl.DataFrame:
    """Returns the SELECTION artefact of a `FEATURES` frame; see `select`."""
    parts = components(signals_of(features, config.features))
    score = weighted_score(parts, config.weights)
    stage = features.get_column("stage").to_numpy().astype(np.str_)
    group = features.get_column("group").rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    alive = stage != "dead"
    quantile = quantile_in_group(score, group, alive)
    action = choose_actions(
        ActionInputs(
            stage=stage,
            quantile=quantile,
            demand=features.get_column("demand").to_numpy(),
            buyers=features.get_column("buyers").cast(pl.Int64).to_numpy(),
            units_recent=features.get_column("units_recent").to_numpy(),
            trend_z=features.get_column("trend_z").to_numpy(),
        ),
        config.actions,
    )
    order = best_first(score, features.get_column("item_id").to_numpy())
    alive_before = pl.col("alive").cast(pl.Int32).cum_sum().over("group")
    frame = (
        features.with_columns(
            pl.Series("score", score, dtype=pl.Float64),
            pl.Series("action", action, dtype=pl.String),
            pl.Series("alive", alive, dtype=pl.Boolean),
            *(pl.Series(f"part_{name}", values, dtype=pl.Float64) for name, values in parts.items()),
        )[order]
        .with_row_index("rank", offset=1)
        .with_columns(
            pl.when("alive").then(alive_before).otherwise(0).alias("place"),
            pl.when("alive").then(pl.col("alive").sum().over("group")).otherwise(0).alias("place_of"),
        )
    )
    zh, en = _reasons(frame, config.features, currency, horizon)
    as_json = [
        msgspec.json.encode({name: round(value, 4) for name, value in zip(parts, row, strict=True)}).decode()
        for row in frame.select(f"part_{name}" for name in parts).iter_rows()
    ]
    return frame.select(
        pl.col("rank").cast(pl.Int32),
        "item_row",
        "item_id",
        pl.col("category").fill_null(""),
        "action",
        "stage",
        "score",
        "trend",
        "demand",
        "demand_q10",
        "demand_q90",
        pl.col("units_recent").alias("recent_sales"),
        pl.col("demand_value").alias("revenue_at_stake"),
        "repurchase_rate",
        "order_value",
        "price_band",
        pl.Series("components", as_json, dtype=pl.String),
        pl.Series("reasons_zh", zh, dtype=pl.String),
        pl.Series("reasons_en", en, dtype=pl.String),
        *(pl.lit("[]").alias(name) for name in ("against_zh", "against_en", "changes_zh", "changes_en")),
        *OPINIONS,
        pl.col("look_alikes").fill_null("[]"),
    )


def _reasons(
    frame: pl.DataFrame, config: FeaturesConfig, currency: str, horizon: int
) -> tuple[list[str], list[str]]:
    windows = Windows(config.recent_days, config.base_days, config.repurchase_days, horizon)
    zh, en = [], []
    for row in frame.select(Facts._fields).iter_rows():
        reasons = explain(Facts(*row), windows, currency)
        zh.append(msgspec.json.encode([reason.zh for reason in reasons]).decode())
        en.append(msgspec.json.encode([reason.en for reason in reasons]).decode())
    return zh, en
