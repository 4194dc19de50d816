"""Owns the selection of one origin: features to scores, actions and reasons, as the SELECTION artefact."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec
import numpy as np
import polars as pl

from selection.actions import ActionInputs, choose_actions
from selection.changes import Change, changes
from selection.config import ActionsConfig, FeaturesConfig, SelectionConfig
from selection.features import OPINIONS, build_features
from selection.history import Tables, horizon_days
from selection.reasons import Facts, Reason, Windows, explain
from selection.score import Floats, Signals, best_first, components, quantile_in_group, weighted_score

#: The artefact's columns of sentences.
TEXTS = tuple(f"{kind}_{language}" for kind in ("reasons", "against", "changes") for language in ("zh", "en"))
#: Items whose sentences are made together: their counterfactuals are put to the rules in one go.
TEXTS_AT_ONCE = 5000


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
            hit_probability=_known(features, "hit_probability"),
            keep_probability=_known(features, "keep_probability"),
        ),
        config.actions,
    )
    order = best_first(score, features.get_column("item_id").arg_sort().to_numpy().astype(np.intp))
    # Equal scores share the best place, as they share the quantile that the actions look at.
    place = pl.when("alive").then("score").rank("min", descending=True).over("group")
    frame = (
        features.with_columns(
            pl.Series("score", score, dtype=pl.Float64),
            pl.Series("action", action, dtype=pl.String),
            pl.Series("alive", alive, dtype=pl.Boolean),
            *(pl.Series(f"part_{name}", values, dtype=pl.Float64) for name, values in parts.items()),
        )[order]
        .with_row_index("rank", offset=1)
        .with_columns(
            place.fill_null(0).cast(pl.Int32).alias("place"),
            pl.when("alive").then(pl.col("alive").sum().over("group")).otherwise(0).alias("place_of"),
        )
    )
    names = features.select(pl.col("item_row").alias("overlap_with"), pl.col("title").alias("overlap_name"))
    frame = frame.join(names, on="overlap_with", how="left", maintain_order="left")
    windows = Windows(
        recent=config.features.recent_days,
        base=config.features.base_days,
        repurchase=config.features.repurchase_days,
        horizon=horizon,
        keep=config.outcomes.keep_days,
        dead=config.lifecycle.dead_days,
        hit_ratio=config.outcomes.hit_ratio,
        hit=config.outcomes.horizon_days,
        level=config.lifecycle.breakout_level,
    )
    texts = _texts(frame, windows, config.actions, currency)
    as_json = [
        msgspec.json.encode({name: round(value, 6) for name, value in zip(parts, row, strict=True)}).decode()
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
        *texts,
        *OPINIONS,
        pl.col("look_alikes").fill_null("[]"),
        "breakout",
    )


def _texts(frame: pl.DataFrame, windows: Windows, actions: ActionsConfig, currency: str) -> list[pl.Series]:
    """Returns the columns of sentences: for the action, against it, and what would change it."""
    columns: dict[str, list[str]] = {name: [] for name in TEXTS}
    for part in frame.select(Facts._fields).iter_slices(TEXTS_AT_ONCE):
        rows = [Facts(*row) for row in part.iter_rows()]
        for facts, would in zip(rows, changes(rows, windows, actions), strict=True):
            reasons = explain(facts, windows, currency)
            told: dict[str, Sequence[Reason | Change]] = {
                "reasons": reasons.supporting,
                "against": reasons.against,
                "changes": would,
            }
            for kind, sentences in told.items():
                columns[f"{kind}_zh"].append(msgspec.json.encode([said.zh for said in sentences]).decode())
                columns[f"{kind}_en"].append(msgspec.json.encode([said.en for said in sentences]).decode())
    return [pl.Series(name, values, dtype=pl.String) for name, values in columns.items()]


def _known(features: pl.DataFrame, name: str) -> Floats:
    return features.get_column(name).fill_null(float("nan")).to_numpy()
