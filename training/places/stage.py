"""Owns the stage `places`: every item's forecast by channel and region, and what a server answers it by."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from recdata.artefacts import scan_artefact, write_artefact
from recdata.places import PlaceFigures
from recdata.runs import Stage, StageContext
from training.forecast import ForecastConfig
from training.places.config import PlacesConfig
from training.places.coverage import Coverage
from training.places.sales import PlaceSales, load_sales
from training.places.shares import UNIT_EDGES
from training.places.tables import local_rows, share_tables
from training.places.walk import walk_places

Floats = npt.NDArray[np.float64]

INPUTS = ("items.parquet", "daily_sales.parquet", "forecast_totals.parquet")
OUTPUTS = (
    "places.parquet",
    "place_shares.parquet",
    "place_weights.parquet",
    "local_forecasts.parquet",
    "places.json",
)
VERSION = 2


def places_stage(config: PlacesConfig, forecast: ForecastConfig) -> Stage:
    """Returns the stage that splits the items' forecasts over channels and regions."""
    horizon, depth = forecast.horizon_days, forecast.category_depth

    def work(context: StageContext) -> Mapping[str, object]:
        sales = load_sales(
            items=context.source("items.parquet"),
            daily_sales=context.source("daily_sales.parquet"),
            as_of=context.run.as_of,
            history_days=forecast.history_days,
            category_depth=depth,
        )
        totals = scan_artefact(context.source("forecast_totals.parquet"), "forecast_totals")
        covered = Coverage()
        for outcome in walk_places(sales, item_means(totals, sales), horizon=horizon, config=config):
            if outcome.origin + horizon <= sales.n_days:
                covered.add(sales, outcome, horizon)
        local = local_rows(sales, outcome, horizon, config.least_units)
        for name, frame in share_tables(sales, outcome).items():
            write_artefact(frame, context.target(f"{name}.parquet"), name)
        write_artefact(local, context.target("local_forecasts.parquet"), "local_forecasts")
        figures = PlaceFigures(
            horizon_days=horizon,
            ratios=outcome.ratios.round(6).tolist(),
            categories=list(sales.categories),
            weights=outcome.learned.round(6).tolist(),
            unit_edges=UNIT_EDGES.tolist(),
            covered=covered.figures(),
        )
        context.target("places.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
        return {
            "places": sales.n_places,
            "open": int((outcome.parts.places.share > 0).sum()),
            "pairs": int(outcome.parts.own.nnz),
            "local_rows": local.height,
        }

    decisive = {"places": config, "horizon": horizon, "depth": depth, "history": forecast.history_days}
    return Stage("places", VERSION, INPUTS, OUTPUTS, work, decisive)


def item_means(totals: pl.LazyFrame, sales: PlaceSales) -> dict[int, Floats]:
    """Returns the items' forecasts by origin's day number, units of the horizon, float64 `(n_items,)`."""
    rows = pl.LazyFrame({"key": pl.Series(sales.item_ids, dtype=pl.String), "row": np.arange(sales.n_items)})
    told = (
        totals.filter(pl.col("level") == "item")
        .select("origin", "key", "mean")
        .join(rows, on="key", how="inner")
        .sort("origin", "row")
        .collect()
    )
    found = {sales.n_days: np.zeros(sales.n_items)}
    for (origin,), part in told.group_by("origin", maintain_order=True):
        mean = np.zeros(sales.n_items)
        mean[part["row"].to_numpy()] = part["mean"].to_numpy()
        found[(origin - sales.first).days] = mean
    return found
