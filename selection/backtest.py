"""Owns the back-test: past selections against plain rules, scored by what was really sold afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.sums import group_sums
from selection.config import BacktestConfig, SelectionConfig
from selection.features import build_features
from selection.history import Tables, horizon_days
from selection.score import Floats, best_first, components, weighted_score
from selection.select import signals_of
from selection.summary import BACKTEST, METHODS, SCOPES, print_backtest, summarise

__all__ = [
    "Candidates",
    "backtest_origins",
    "candidates_at",
    "compare",
    "pick",
    "print_backtest",
    "realised_revenue",
    "run_backtest",
    "score_picks",
]

#: Whole-shop picks are at most one in so many of the items that sold in the base window.
SHOP_SHARE = 10


@dataclass(frozen=True, slots=True)
class Candidates:
    """The items of one origin as the back-test sees them; arrays are (n_items,).

    Attributes:
        item_ids: str objects, unique.
        group: int64 code of the item's category.
        eligible: bool, in a category with enough items that sold in the base window.
        realised: float64, revenue in the horizon.
        scores: method -> float64; picks are its greatest values.
        parts: score component -> float64, what the selection's score is made of.
        shop_most: most items that may be picked in the whole shop; picking most of what there is would make
            any method look right, a random one too.
    """

    item_ids: NDArray[np.object_]
    group: NDArray[np.int64]
    eligible: NDArray[np.bool_]
    realised: Floats
    scores: dict[str, Floats]
    parts: dict[str, Floats] = field(default_factory=dict)
    shop_most: int = sys.maxsize


def backtest_origins(tables: Tables, config: BacktestConfig) -> list[date]:
    """Returns the origins whose horizon lies inside the data and that have history enough, oldest first."""
    first_day = tables.daily_sales.select(pl.col("day").min()).collect().item()
    if first_day is None:
        return []
    horizons = tables.forecast_totals.group_by("origin").agg(pl.col("horizon_days").max()).sort("origin")
    return [
        origin
        for origin, days in horizons.iter_rows()
        if origin + timedelta(days=days) <= tables.as_of
        and (origin - first_day).days >= config.min_history_days
    ]


def run_backtest(
    tables: Tables, *, config: SelectionConfig, advance: Callable[[int], None] = lambda _: None
) -> pl.DataFrame:
    """Returns the `BACKTEST` frame of all origins; empty when there is none to stand on.

    Args:
        tables: what the run knows.
        config: the room's; its weights score the picks.
        advance: called with 1 after each origin.
    """
    rows = []
    for origin in backtest_origins(tables, config.backtest):
        candidates = candidates_at(tables, origin, config)
        rows += [
            {"part": "origin", "origin": origin, "n_origins": 1, **row}
            for row in score_picks(candidates, config.backtest)
        ]
        advance(1)
    frame = pl.DataFrame(rows, schema=BACKTEST)
    return pl.concat([frame, summarise(frame, config.backtest)])


def candidates_at(tables: Tables, origin: date, config: SelectionConfig) -> Candidates:
    """Returns the items sellable at an origin, every method's scores and what was sold afterwards.

    Features see only days before the origin; `realised` alone looks ahead.
    """
    features = build_features(tables, origin, config=config.features, lifecycle=config.lifecycle)
    days = horizon_days(tables.forecast_totals, origin)
    realised = realised_revenue(tables, origin, days)
    features = features.join(realised, on="item_row", how="left", maintain_order="left")
    group = features.get_column("group").rank("dense").cast(pl.Int64)
    sold = pl.DataFrame({"group": group, "sold": features.get_column("units_base") > 0})
    eligible = sold.select(pl.col("sold").sum().over("group") >= config.backtest.category_min_items)

    def column(name: str) -> Floats:
        return features.get_column(name).cast(pl.Float64).fill_null(0.0).to_numpy()

    rng = np.random.default_rng([config.backtest.seed, origin.toordinal()])
    parts = components(signals_of(features, config.features))
    alive = (features.get_column("units_base") > 0).to_numpy()
    return Candidates(
        item_ids=features.get_column("item_id").to_numpy(),
        group=group.to_numpy(),
        eligible=eligible.to_series().to_numpy(),
        realised=column("realised"),
        scores={
            "selection": weighted_score(parts, config.weights),
            "forecast": column("demand_value"),
            "bestsellers": column("revenue_recent"),
            "bestsellers_units": column("units_recent"),
            "bestsellers_base": column("revenue_base"),
            "momentum": column("trend"),
            # Items that did not sell in the base window come last: random among the living.
            "random": rng.random(features.height) + alive,
            "oracle": column("realised"),
        },
        parts=parts,
        shop_most=max(1, int(alive.sum()) // SHOP_SHARE),
    )


def realised_revenue(tables: Tables, origin: date, days: int) -> pl.DataFrame:
    """Returns item_row and `realised`, the net revenue of the `days` days from the origin on."""
    inside = pl.col("day").is_between(origin, origin + timedelta(days=days), closed="left")
    sold = tables.daily_sales.filter(inside).select("item_row", realised="revenue").collect()
    return group_sums(sold, ["item_row"], ["realised"])


def score_picks(candidates: Candidates, config: BacktestConfig) -> list[dict[str, object]]:
    """Returns scope x method x metric rows of one origin.

    precision is the share of the picks that are among the truly best as many (the oracle's picks);
    capture is the picks' realised revenue over the oracle's. Scope shop picks `top_k` items, but no more than
    one in `SHOP_SHARE` of those that sold in the base window; scope
    category picks `category_top_k` in every eligible category, all of them counted together. Ties: item
    id up.
    """
    rows: list[dict[str, object]] = []
    for scope in SCOPES:
        picks = {
            method: pick(candidates, scores, scope, config) for method, scores in candidates.scores.items()
        }
        truth = picks["oracle"]
        if not len(truth):
            continue
        for method in METHODS:
            for metric, value in compare(candidates.realised, picks[method], truth).items():
                rows.append({"scope": scope, "method": method, "metric": metric, "value": value})
    return rows


def compare(realised: Floats, picks: NDArray[np.intp], truth: NDArray[np.intp]) -> dict[str, float]:
    """Returns metric -> figure of some picks against the truly best ones; see `score_picks`."""
    best = float(realised[truth].sum())
    return {
        "precision": len(np.intersect1d(picks, truth)) / len(truth),
        "capture": float(realised[picks].sum()) / best if best > 0 else 0.0,
    }


def pick(candidates: Candidates, scores: Floats, scope: str, config: BacktestConfig) -> NDArray[np.intp]:
    """Returns the positions of a scope's picks: the greatest scores, ties by item id up."""
    order: NDArray[np.intp] = best_first(scores, candidates.item_ids)
    if scope == "shop":
        return order[: min(config.top_k, candidates.shop_most)]
    order = order[candidates.eligible[order]]
    group = candidates.group[order]
    by_group = np.argsort(group, kind="stable")
    starts = np.r_[0, np.flatnonzero(np.diff(group[by_group])) + 1] if len(order) else np.array([], dtype=int)
    sizes = np.diff(np.r_[starts, len(order)])
    place = np.arange(len(order)) - np.repeat(starts, sizes)
    chosen: NDArray[np.intp] = order[by_group[place < config.category_top_k]]
    return chosen
