"""Owns what a back-test knows of an origin's items: every method's scores, and what was sold afterwards."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.sums import group_sums
from selection.config import SelectionConfig, WeightsConfig
from selection.features import build_features
from selection.history import Tables, horizon_days
from selection.score import COMPONENTS, Floats, best_first, components, weighted_score
from selection.select import signals_of
from selection.weights import Lesson

#: Whole-shop picks are at most one in so many of the items that sold in the base window.
SHOP_SHARE = 10
#: The same weeks a year before are so many days earlier: the weekdays agree.
YEAR_DAYS = 364


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
        group_names: by code.
        stage: str, the stage of life at the origin.
        expected: method -> float64, the revenue of the horizon that it promises; NaN where it says nothing.
        rows: int64 item rows.
        chances: hit and keep (worth keeping) -> float64 0..1, NaN where not known; without what no item has.
    """

    item_ids: NDArray[np.object_]
    group: NDArray[np.int64]
    eligible: NDArray[np.bool_]
    realised: Floats
    scores: dict[str, Floats]
    parts: dict[str, Floats] = field(default_factory=dict)
    shop_most: int = sys.maxsize
    group_names: tuple[str, ...] = ()
    stage: NDArray[np.str_] = field(default_factory=lambda: np.array([], dtype=np.str_))
    expected: dict[str, Floats] = field(default_factory=dict)
    rows: NDArray[np.int64] = field(default_factory=lambda: np.array([], dtype=np.int64))
    chances: dict[str, Floats] = field(default_factory=dict)
    _orders: dict[str, NDArray[np.intp]] = field(default_factory=dict, init=False)

    @property
    def by_id(self) -> NDArray[np.intp]:
        """Returns positions by item id up, (n_items,) intp."""
        if "" not in self._orders:
            self._orders[""] = np.argsort(self.item_ids, kind="stable")
        return self._orders[""]

    def order(self, method: str) -> NDArray[np.intp]:
        """Returns positions by a method's score down, then item id up, (n_items,) intp."""
        if method not in self._orders:
            self._orders[method] = best_first(self.scores[method], self.by_id)
        return self._orders[method]

    def lesson(self) -> Lesson:
        """Returns what this origin teaches about weights, once its horizon is over."""
        selling = np.flatnonzero(self.parts["sales"] > 0)
        parts = {name: values[selling] for name, values in self.parts.items()}
        return Lesson(parts, self.group[selling], self.realised[selling])


def candidates_at(tables: Tables, origin: date, config: SelectionConfig) -> Candidates:
    """Returns the items sellable at an origin, the scores of plain rules and what was sold afterwards.

    Features see only days before the origin; `realised` alone looks ahead.
    """
    features = build_features(tables, origin, config=config.features, lifecycle=config.lifecycle)
    days = horizon_days(tables.forecast_totals, origin)
    realised = revenue_between(tables, origin, days, "realised")
    last_year = revenue_between(tables, origin - timedelta(days=YEAR_DAYS), days, "last_year")
    for part in (realised, last_year):
        features = features.join(part, on="item_row", how="left", maintain_order="left")
    names = features.get_column("group").fill_null("")
    group = names.rank("dense").cast(pl.Int64)
    sold = pl.DataFrame({"group": group, "sold": features.get_column("units_base") > 0})
    eligible = sold.select(pl.col("sold").sum().over("group") >= config.backtest.category_min_items)

    def column(name: str, *, missing: float = 0.0) -> Floats:
        return features.get_column(name).cast(pl.Float64).fill_null(missing).to_numpy()

    rng = np.random.default_rng([config.backtest.seed, origin.toordinal()])
    parts = components(signals_of(features, config.features))
    alive = (features.get_column("units_base") > 0).to_numpy()
    equal = WeightsConfig(**dict.fromkeys(COMPONENTS, 1.0))
    recent, base = column("revenue_recent"), column("revenue_base")
    scores = {
        "equal": weighted_score(parts, equal),
        "value": parts["value"],
        "forecast": column("demand_value"),
        "bestsellers": recent,
        "bestsellers_units": column("units_recent"),
        "bestsellers_base": base,
        "bestsellers_both": recent / config.features.recent_days + base / config.features.base_days,
        "bestsellers_long": column("revenue_long"),
        "momentum": column("trend"),
        # Items that did not sell in the base window come last: random among the living.
        "random": rng.random(features.height) + alive,
        "oracle": column("realised"),
    }
    if features.get_column("last_year").is_not_null().any():
        scores["last_year"] = column("last_year")
    nothing = float("nan")
    return Candidates(
        item_ids=features.get_column("item_id").to_numpy(),
        group=group.to_numpy(),
        eligible=eligible.to_series().to_numpy(),
        realised=column("realised"),
        scores=scores,
        parts=parts,
        shop_most=max(1, int(alive.sum()) // SHOP_SHARE),
        group_names=("", *names.unique().sort()),
        stage=features.get_column("stage").to_numpy().astype(np.str_),
        expected={
            "selection": column("expected_value", missing=nothing),
            "forecast": column("demand_value"),
        },
        rows=features.get_column("item_row").cast(pl.Int64).to_numpy(),
        chances={
            name: column(f"{name}_probability", missing=nothing)
            for name in ("hit", "keep")
            if features.get_column(f"{name}_probability").is_not_null().any()
        },
    )


def revenue_between(tables: Tables, first: date, days: int, name: str) -> pl.DataFrame:
    """Returns item_row and, under a name, the net revenue of the `days` days from `first` on."""
    inside = pl.col("day").is_between(first, first + timedelta(days=days), closed="left")
    sold = tables.daily_sales.filter(inside).select("item_row", pl.col("revenue").alias(name)).collect()
    return group_sums(sold, ["item_row"], [name])
