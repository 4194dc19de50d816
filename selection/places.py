"""Owns reading the night's shares of places from a run's artefacts."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl

from recdata.artefacts import read_artefact
from recdata.places import PlaceFigures, PlaceShares
from recdata.runs import RunFolder

#: What `read_places` reads.
PLACE_FILES = ("places.parquet", "place_shares.parquet", "place_weights.parquet", "places.json")


def read_places(run: RunFolder) -> PlaceShares:
    """Returns how items' forecasts fall on channels and regions, as of the run's day.

    Raises:
        RunError: an artefact is missing or does not have its schema.
    """
    places, shares, weights = (
        read_artefact(run.resolve(f"{name}.parquet"), name)
        for name in ("places", "place_shares", "place_weights")
    )
    figures = msgspec.json.decode(run.resolve("places.json").read_bytes(), type=PlaceFigures)
    return place_shares(places, shares, weights, figures)


def place_shares(
    places: pl.DataFrame, shares: pl.DataFrame, weights: pl.DataFrame, figures: PlaceFigures
) -> PlaceShares:
    """Returns the artefacts as one: `places`, `place_shares`, `place_weights` and `places.json`."""
    rows = weights.get_column("category_row").to_numpy()
    categories = np.zeros((int(rows.max(initial=-1)) + 1, places.height), np.float32)
    above = shares.filter(pl.col("level") == "category")
    categories[above.get_column("row").to_numpy(), above.get_column("place_row").to_numpy()] = (
        above.get_column("share").to_numpy()
    )
    own = shares.filter(pl.col("level") == "item").sort("row", "place_row")
    starts = np.searchsorted(own.get_column("row").to_numpy(), np.arange(weights.height + 1, dtype=np.int32))
    return PlaceShares(
        channels=tuple(places.get_column("channel")),
        regions=tuple(places.get_column("region")),
        shop=places.get_column("share").to_numpy().astype(np.float32),
        categories=categories,
        starts=starts.astype(np.int64),
        places=own.get_column("place_row").to_numpy(),
        own=own.get_column("share").to_numpy().astype(np.float32),
        weights=weights.select("own", "category", "shop").to_numpy().astype(np.float32),
        item_categories=rows,
        ratios=np.array(figures.ratios, dtype=np.float32),
        horizon_days=figures.horizon_days,
    )
