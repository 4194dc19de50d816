"""Owns how far off local forecasts were at earlier origins: by view, of horizons and of days, by size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recdata.intervals import SIZES, band_of_size
from recdata.places import DAY, HORIZON, RATIOS_SHAPE
from training.places.sales import PlaceSales
from training.places.shares import CATEGORY, OWN, SHOP, Parts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Single days teach from pairs forecast to sell at least so many units a day, of so many pairs at most.
MIN_DAILY_MEAN = 0.05
MAX_DAILY_PAIRS = 20_000
#: Variance divided by the mean that is believed before any error has been measured: FIRST_RATIO, and
#: FIRST_SLOPE more for each unit.
FIRST_RATIO, FIRST_SLOPE = 1.5, 0.1
#: Units' worth of that belief.
BELIEF_UNITS = 30.0


@dataclass(frozen=True, slots=True)
class View:
    """Places looked at together: code of each place, int64 `(n_places,)`, and how many codes there are."""

    code: Ints
    size: int

    def merging(self) -> sparse.csr_matrix:
        """Returns the matrix that adds places up, float64 CSR `(n_places, size)`."""
        rows = np.arange(len(self.code))
        return sparse.csr_matrix((np.ones(len(rows)), (rows, self.code)), shape=(len(rows), self.size))


def views_of(sales: PlaceSales) -> list[View]:
    """Returns the places one by one, by channel, and by region, in the order of `recdata.places.VIEWS`."""
    found = [View(np.arange(sales.n_places), sales.n_places)]
    for names in (sales.channels, sales.regions):
        code = {name: place for place, name in enumerate(sorted(set(names)))}
        found.append(View(np.array([code[name] for name in names], dtype=np.int64), len(code)))
    return found


@dataclass(frozen=True, slots=True)
class Pairs:
    """Local forecasts of items where they have sales of their own, by item row and code, each `(n,)`."""

    item: Ints
    code: Ints
    share: Floats
    mean: Floats


def pairs_of(parts: Parts, weights: Floats, mean: Floats, view: View) -> Pairs:
    """Returns the local forecasts of each item where it has sales of its own.

    Args:
        parts: what shares are mixed from.
        weights: by item, float64 `(n_items, 3)`.
        mean: units of the horizon by item, `(n_items,)`.
        view: how places are merged.
    """
    merging = view.merging()
    own = sparse.csr_matrix(parts.own @ merging)
    own.sort_indices()
    item = np.repeat(np.arange(own.shape[0]), np.diff(own.indptr)).astype(np.int64)
    code = own.indices.astype(np.int64)
    shop = np.bincount(view.code, weights=parts.places.share, minlength=view.size)
    above = np.concatenate(
        [np.asarray(parts.category @ merging).reshape(len(parts.category), view.size), shop[None]]
    )
    share = weights[item, OWN] * own.data
    share += weights[item, CATEGORY] * above[parts.item_category[item], code]
    share += weights[item, SHOP] * shop[code]
    return Pairs(item, code, share, share * mean[item])


class LocalErrors:
    """Squared errors of the past origins that have been learned from so far, by view, kind and size."""

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

    def _add(self, view: int, kind: int, mean: Floats, sold: Floats) -> None:
        band, size = band_of_size(mean), len(SIZES)
        self._squares[view, kind] += np.bincount(band, weights=(sold - mean) ** 2, minlength=size)
        self._units[view, kind] += np.bincount(band, weights=mean, minlength=size)

    def learn(
        self, sales: PlaceSales, views: list[View], told: list[Pairs], origin: int, horizon: int
    ) -> None:
        """Compares an ended origin's local forecasts, by view, with what was sold."""
        for number, (view, pairs) in enumerate(zip(views, told, strict=True)):
            sells = pairs.mean > 0
            sold = sold_by_day(sales, view, pairs, origin, horizon, together=True)[:, 0]
            self._add(number, HORIZON, pairs.mean[sells], sold[sells])
            often = np.flatnonzero(pairs.mean >= MIN_DAILY_MEAN * horizon)
            often = often[:: max(1, -(-len(often) // MAX_DAILY_PAIRS))]
            some = Pairs(pairs.item[often], pairs.code[often], pairs.share[often], pairs.mean[often])
            days = sold_by_day(sales, view, some, origin, horizon)
            self._add(number, DAY, np.repeat(some.mean / horizon, horizon), days.ravel())


def sold_by_day(
    sales: PlaceSales, view: View, pairs: Pairs, first: int, days: int, *, together: bool = False
) -> Floats:
    """Returns the net units that pairs sold on the days from `first` on, at least 0, `(n, days)`.

    Args:
        sales: what sold where.
        view: of which the pairs are.
        pairs: sorted by item, then code.
        first: day number.
        days: how many.
        together: all days as one, `(n, 1)`.
    """
    lines = np.flatnonzero((sales.day >= first) & (sales.day < first + days))
    pair = sales.line_pair[lines]
    key = sales.pair_item[pair] * view.size + view.code[sales.pair_place[pair]]
    told = pairs.item * view.size + pairs.code
    at = np.searchsorted(told, key)
    hit = at < len(told)
    hit[hit] = told[at[hit]] == key[hit]
    width = 1 if together else days
    lead = np.zeros(len(lines), np.int64) if together else sales.day[lines] - first
    cell = at[hit] * width + lead[hit]
    sums = np.bincount(cell, weights=sales.units[lines][hit], minlength=len(told) * width)
    return np.asarray(np.maximum(sums, 0.0).reshape(-1, width), dtype=np.float64)
