"""Owns how far off local forecasts were at earlier origins: by level, view, horizons or days, and size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recdata.intervals import SIZES, band_of_size
from recdata.places import CATEGORY, DAY, HORIZON, ITEM, RATIOS_SHAPE
from training.places.pairs import Pairs, View
from training.places.sales import PlaceSales

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Local forecasts by level, then by view.
Told = list[list[Pairs]]
#: Single days teach from pairs forecast to sell at least so many units a day, of so many pairs at most.
MIN_DAILY_MEAN = 0.05
MAX_DAILY_PAIRS = 20_000
#: Variance divided by the mean that is believed before any error has been measured: FIRST_RATIO, and
#: FIRST_SLOPE more for each unit.
FIRST_RATIO, FIRST_SLOPE = 1.5, 0.1
#: Units' worth of that belief.
BELIEF_UNITS = 30.0


class LocalErrors:
    """Squared errors of the past origins that have been learned from so far."""

    def __init__(self) -> None:
        self._squares = np.zeros(RATIOS_SHAPE)
        self._units = np.zeros(RATIOS_SHAPE)

    def ratios(self) -> Floats:
        """Returns the variance divided by the mean, float64 `recdata.places.RATIOS_SHAPE`.

        A band leans on the one below it, as far as the band's own units are few.
        """
        believed = FIRST_RATIO + FIRST_SLOPE * SIZES
        found = np.zeros(RATIOS_SHAPE)
        for band in range(len(SIZES)):
            growth = believed[band] / believed[max(band - 1, 0)]
            lean = believed[:1] if band == 0 else found[..., band - 1] * growth
            sums = self._squares[..., band] + BELIEF_UNITS * lean
            found[..., band] = sums / (self._units[..., band] + BELIEF_UNITS)
        return found

    def _add(self, at: tuple[int, int, int], mean: Floats, sold: Floats) -> None:
        band, size = band_of_size(mean), len(SIZES)
        self._squares[at] += np.bincount(band, weights=(sold - mean) ** 2, minlength=size)
        self._units[at] += np.bincount(band, weights=mean, minlength=size)

    def learn(self, sales: PlaceSales, views: list[View], told: Told, origin: int, horizon: int) -> None:
        """Compares an ended origin's local forecasts, by level and view, with what was sold."""
        for level, view_told in enumerate(told):
            rows = rows_of(sales, level)
            for number, (view, pairs) in enumerate(zip(views, view_told, strict=True)):
                sells = pairs.mean > 0
                sold = sold_by_day(sales, view, pairs, origin, horizon, rows=rows, together=True)[:, 0]
                self._add((level, number, HORIZON), pairs.mean[sells], sold[sells])
                often = np.flatnonzero(pairs.mean >= MIN_DAILY_MEAN * horizon)
                some = pairs.at(often[:: max(1, -(-len(often) // MAX_DAILY_PAIRS))])
                days = sold_by_day(sales, view, some, origin, horizon, rows=rows)
                self._add((level, number, DAY), np.repeat(some.mean / horizon, horizon), days.ravel())


def rows_of(sales: PlaceSales, level: int) -> Ints:
    """Returns to which row of a level's pairs each item belongs, int64 `(n_items,)`, -1 for none."""
    return {ITEM: np.arange(sales.n_items), CATEGORY: sales.item_category}[level]


def sold_by_day(
    sales: PlaceSales,
    view: View,
    pairs: Pairs,
    first: int,
    days: int,
    *,
    rows: Ints,
    together: bool = False,
) -> Floats:
    """Returns the net units that pairs sold on the days from `first` on, at least 0, `(n, days)`.

    Args:
        sales: what sold where.
        view: of which the pairs are.
        pairs: sorted by row, then code.
        first: day number.
        days: how many.
        rows: row of the pairs that each item belongs to, int64 `(n_items,)`, -1 for none.
        together: all days as one, `(n, 1)`.
    """
    lines = np.flatnonzero((sales.day >= first) & (sales.day < first + days))
    pair = sales.line_pair[lines]
    row = rows[sales.pair_item[pair]]
    key = row * view.size + view.code[sales.pair_place[pair]]
    told = pairs.row * view.size + pairs.code
    at = np.searchsorted(told, key)
    hit = (row >= 0) & (at < len(told))
    hit[hit] = told[at[hit]] == key[hit]
    width = 1 if together else days
    lead = np.zeros(len(lines), np.int64) if together else sales.day[lines] - first
    cell = at[hit] * width + lead[hit]
    sums = np.bincount(cell, weights=sales.units[lines][hit], minlength=len(told) * width)
    return np.asarray(np.maximum(sums, 0.0).reshape(-1, width), dtype=np.float64)
