"""Owns what sold where: units by item, place and day, as arrays that any past origin can look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from recdata.artefacts import scan_artefact
from recdata.tables import CATEGORY_SEPARATOR

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PlaceSales:
    """Net units by item, place and day before `as_of`; day 0 is `first`, day `n_days` is `as_of`.

    A place is a (channel, region) pair that occurs in the sales, "" standing for one that is not told. A
    pair is an item and a place that the item ever sold in; pairs are sorted by item row, then place.

    Attributes:
        first: day 0.
        n_days: how many days there are.
        channels: by place, the places sorted by channel and region.
        regions: by place.
        item_ids: by item row.
        categories: paths cut to the forecasts' depth, sorted.
        item_category: position in `categories` by item row, int64 `(n_items,)`, -1 without one.
        pair_item: int64 `(n_pairs,)`.
        pair_place: int64 `(n_pairs,)`.
        starts: where each pair's lines begin, int64 `(n_pairs,)`.
        line_pair: pair of each line, int64 `(n_lines,)`.
        day: of each line, int64 `(n_lines,)`.
        units: of each line, float64 `(n_lines,)`.
    """

    first: date
    n_days: int
    channels: Sequence[str]
    regions: Sequence[str]
    item_ids: Sequence[str]
    categories: Sequence[str]
    item_category: Ints
    pair_item: Ints
    pair_place: Ints
    starts: Ints
    line_pair: Ints
    day: Ints
    units: Floats

    @property
    def n_places(self) -> int:
        """Returns how many places there are."""
        return len(self.channels)

    @property
    def n_items(self) -> int:
        """Returns how many items there are."""
        return len(self.item_ids)

    def decayed(self, origin: int, half_life: float, since: int = 0) -> Floats:
        """Returns each pair's units from day `since` to the origin, older ones faded, at least 0."""
        age = origin - 1 - np.arange(self.n_days)
        weights = np.where((age >= 0) & (age < origin - since), 0.5 ** (age.clip(0) / half_life), 0.0)
        return self._sums(weights)

    def sold(self, first: int, end: int) -> Floats:
        """Returns each pair's net units of the days from `first` on and before `end`, at least 0."""
        day = np.arange(self.n_days)
        return self._sums(((day >= first) & (day < end)).astype(np.float64))

    def by_place(self, pair_units: Floats) -> Floats:
        """Returns the sums of a quantity of pairs by place, float64 `(n_places,)`."""
        return _added(self.pair_place, pair_units, self.n_places)

    def by_item(self, pair_units: Floats) -> Floats:
        """Returns the sums of a quantity of pairs by item, float64 `(n_items,)`."""
        return _added(self.pair_item, pair_units, self.n_items)

    def by_category(self, pair_units: Floats) -> Floats:
        """Returns the sums by category and place, `(n_categories + 1, n_places)`; the last: without one."""
        n = len(self.categories)
        category = self.item_category[self.pair_item]
        cell = np.where(category < 0, n, category) * self.n_places + self.pair_place
        sums = _added(cell, pair_units, (n + 1) * self.n_places)
        return sums.reshape(n + 1, self.n_places)

    def _sums(self, weights: Floats) -> Floats:
        if not len(self.starts):
            return np.zeros(0)
        sums = np.add.reduceat(weights[self.day] * self.units, self.starts)
        return np.asarray(np.maximum(sums, 0.0), dtype=np.float64)


def load_sales(
    *, items: Path, daily_sales: Path, as_of: date, history_days: int, category_depth: int
) -> PlaceSales:
    """Returns at most `history_days` before `as_of`; lines whose units are no number count as no sales."""
    path = pl.col("category").fill_null("").str.split(CATEGORY_SEPARATOR).list.head(category_depth)
    catalogue = scan_artefact(items, "items").select(
        "item_id", path.list.join(CATEGORY_SEPARATOR).alias("category")
    )
    known = catalogue.collect()
    categories = sorted(set(known["category"]) - {""})
    code = {name: position for position, name in enumerate(categories)} | {"": -1}
    lines = (
        scan_artefact(daily_sales, "daily_sales")
        .filter(pl.col("day") < as_of, pl.col("day") >= as_of - timedelta(days=history_days))
        .filter(pl.col("quantity").is_finite())
        .select("item_row", "day", "channel", "region", "quantity")
        .collect()
    )
    places = lines.select("channel", "region").unique().sort("channel", "region")
    earliest = lines["day"].min()
    first = earliest if isinstance(earliest, date) else as_of
    lines = lines.join(
        places.with_row_index("place"), on=["channel", "region"], how="left", maintain_order="left"
    )
    item = lines["item_row"].cast(pl.Int64).to_numpy()
    place = lines["place"].cast(pl.Int64).to_numpy()
    day = (lines["day"] - first).dt.total_days().cast(pl.Int64).to_numpy()
    order = np.lexsort((day, place, item))
    item, place, day = item[order], place[order], day[order]
    new = np.flatnonzero(np.diff(item, prepend=-1) | np.diff(place, prepend=-1))
    return PlaceSales(
        first=first,
        n_days=(as_of - first).days,
        channels=places["channel"].to_list(),
        regions=places["region"].to_list(),
        item_ids=known["item_id"].to_list(),
        categories=categories,
        item_category=np.array([code[name] for name in known["category"]], dtype=np.int64),
        pair_item=item[new],
        pair_place=place[new],
        starts=new.astype(np.int64),
        line_pair=np.repeat(np.arange(len(new), dtype=np.int64), np.diff(new, append=len(day))),
        day=day,
        units=lines["quantity"].to_numpy()[order],
    )


def _added(code: Ints, units: Floats, size: int) -> Floats:
    return np.asarray(np.bincount(code, weights=units, minlength=size), dtype=np.float64)
