"""Owns reading the night's shares of places from a run's artefacts."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

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
    shape = (len(figures.categories), places.height)

    def table(level: str) -> NDArray[np.float32]:
        found = np.zeros(shape, np.float32)
        rows = shares.filter(pl.col("level") == level)
        at = rows.get_column("row").to_numpy(), rows.get_column("place_row").to_numpy()
        found[at] = rows.get_column("share").to_numpy()
        return found

    own = shares.filter(pl.col("level") == "item").sort("row", "place_row")
    starts = np.searchsorted(own.get_column("row").to_numpy(), np.arange(weights.height + 1, dtype=np.int32))
    return PlaceShares(
        channels=tuple(places.get_column("channel")),
        regions=tuple(places.get_column("region")),
        shop=places.get_column("share").to_numpy().astype(np.float32),
        categories=table("category"),
        names=tuple(figures.categories),
        demand=table("category demand"),
        starts=starts.astype(np.int64),
        places=own.get_column("place_row").to_numpy(),
        own=own.get_column("share").to_numpy().astype(np.float32),
        weights=weights.select("own", "category", "shop").to_numpy().astype(np.float32),
        item_categories=weights.get_column("category_row").to_numpy(),
        ratios=np.array(figures.ratios, dtype=np.float32),
        horizon_days=figures.horizon_days,
    )
