"""Owns the artefacts of places: the shares that local forecasts follow from, and those that matter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from recdata.intervals import count_bounds
from recdata.places import HORIZON, ITEM, PLACE
from recdata.training_artefacts import LOCAL_FORECASTS, PLACE_SHARES, PLACE_WEIGHTS, PLACES
from training.places.sales import PlaceSales
from training.places.shares import CATEGORY, OWN, SHOP
from training.places.walk import LocalOutcome

Floats = npt.NDArray[np.float64]


def share_tables(sales: PlaceSales, outcome: LocalOutcome) -> dict[str, pl.DataFrame]:
    """Returns places, place_shares and place_weights as of an origin."""
    parts = outcome.parts
    row, column = np.nonzero(parts.category)
    above, there = np.nonzero(outcome.demand)
    item = np.repeat(np.arange(sales.n_items), np.diff(parts.own.indptr))
    shares = pl.concat(
        [
            _share_frame("category", row, column, parts.category[row, column]),
            _share_frame("category demand", above, there, outcome.demand[above, there]),
            _share_frame("item", item, parts.own.indices, parts.own.data),
        ]
    )
    sold = parts.places.last >= 0
    days = {
        "first_sold_on": [sales.first + timedelta(days=int(day)) for day in parts.places.first],
        "last_sold_on": [sales.first + timedelta(days=int(day)) for day in parts.places.last],
    }
    places = pl.DataFrame(
        {
            "place_row": np.arange(sales.n_places),
            "channel": pl.Series(sales.channels, dtype=pl.String),
            "region": pl.Series(sales.regions, dtype=pl.String),
            "share": parts.places.share,
            **{name: pl.Series(told, dtype=pl.Date) for name, told in days.items()},
        }
    ).with_columns(pl.when(pl.Series(sold)).then(pl.col(name)) for name in days)
    weights = pl.DataFrame(
        {
            "item_row": np.arange(sales.n_items),
            "category_row": sales.item_category,
            "own": outcome.weights[:, OWN],
            "category": outcome.weights[:, CATEGORY],
            "shop": outcome.weights[:, SHOP],
        }
    )
    return {
        "places": _typed(places, PLACES),
        "place_shares": _typed(shares, PLACE_SHARES),
        "place_weights": _typed(weights, PLACE_WEIGHTS),
    }


def local_rows(sales: PlaceSales, outcome: LocalOutcome, horizon: int, least_units: float) -> pl.DataFrame:
    """Returns local_forecasts: pairs with sales of their own that are forecast at least so many units."""
    pairs = outcome.pairs[ITEM][PLACE]
    at = np.flatnonzero((pairs.mean >= least_units) & (pairs.mean > 0))
    mean, place = pairs.mean[at], pairs.code[at]
    low, high = count_bounds(mean, outcome.ratios[ITEM, PLACE, HORIZON])
    frame = pl.DataFrame(
        {
            "item_row": pairs.row[at],
            "channel": pl.Series(sales.channels, dtype=pl.String).gather(place),
            "region": pl.Series(sales.regions, dtype=pl.String).gather(place),
            "horizon_days": pl.repeat(horizon, len(at), eager=True),
            "share": pairs.share[at],
            "mean": mean,
            "q10": low,
            "q90": high,
        }
    )
    return _typed(frame, LOCAL_FORECASTS)


def _share_frame(
    level: str, row: npt.NDArray[np.integer], place: npt.NDArray[np.integer], share: Floats
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "level": pl.repeat(level, len(row), eager=True, dtype=pl.String),
            "row": row.astype(np.int32),
            "place_row": place.astype(np.int32),
            "share": share.astype(np.float64),
        }
    )


def _typed(frame: pl.DataFrame, schema: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
