"""Owns an item's shares of the places at an origin: its own sales', its category's and the shop's, mixed.

A share is own x (the item's own) + category x (its category's) + shop x (the place's of the whole shop). Each
part sums to 1 over the open places and so do the three weights, so local forecasts add up to the item's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from training.places.config import PlacesConfig
from training.places.opened import Places, places_at
from training.places.sales import PlaceSales

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: The weights' order.
OWN, CATEGORY, SHOP = range(3)
#: Upper edges of the bands of an item's faded units; each band has weights of its own.
UNIT_EDGES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])
#: Faded units with which an item's own sales weigh as much as all else, where no origin has taught better.
PRIOR_UNITS = 20.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What shares are mixed from at an origin.

    Attributes:
        places: what is known of the places.
        own: each item's own shares, float64 CSR `(n_items, n_places)`; rows sum to 1, or are empty.
        category: float64 `(n_categories, n_places)`; rows sum to 1, the shop's where a category sold nothing.
        item_category: row in `category` by item, int64 `(n_items,)`, -1 for none.
        band: of the item's faded units, int64 `(n_items,)`.
    """

    places: Places
    own: sparse.csr_matrix
    category: Floats
    item_category: Ints
    band: Ints

    def at(self, item: Ints, place: Ints, own: Floats) -> Floats:
        """Returns the three parts' shares of pairs, float64 `(n_pairs, 3)`.

        Args:
            item: item rows of the pairs.
            place: their places.
            own: the item's own share of each.
        """
        shop = self.places.share[place]
        row = self.item_category[item]
        of_category = np.where(
            row < 0, shop, self.category[np.maximum(row, 0), place] if len(self.category) else shop
        )
        return np.stack([own, of_category, shop], axis=1)

    def usable(self, weights: Floats) -> Floats:
        """Returns the weights of each item, float64 `(n_items, 3)`, from those of each band, `(bands, 3)`.

        An item without sales of its own has no weight on them, one without a category none on that.
        """
        found = weights[self.band]
        found[np.diff(self.own.indptr) == 0, OWN] = 0.0
        found[self.item_category < 0, CATEGORY] = 0.0
        total = found.sum(axis=1, keepdims=True)
        nothing = total[:, 0] <= 0
        found[nothing] = (0.0, 0.0, 1.0)
        return np.asarray(found / np.where(total > 0, total, 1.0), dtype=np.float64)


def parts_at(sales: PlaceSales, origin: int, config: PlacesConfig) -> Parts:
    """Returns what shares are mixed from, knowing only the days before an origin."""
    places = places_at(sales, origin, config)
    half_life = config.share_half_life_days
    units = sales.decayed(origin, half_life, since=max(0, origin - config.pair_days))
    # A place's part of old sales is what it would be had it been as large then as it is now.
    grown = units * places.growth[sales.pair_place]
    kept = grown > 0
    shape = (sales.n_items, sales.n_places)
    own = sparse.csr_matrix((grown[kept], (sales.pair_item[kept], sales.pair_place[kept])), shape=shape)
    total = np.repeat(sales.by_item(grown), np.diff(own.indptr))
    own.data = own.data / total
    by_category = sales.by_category(sales.decayed(origin, half_life) * places.growth[sales.pair_place])[:-1]
    sums = by_category.sum(axis=1, keepdims=True)
    category = np.where(sums > 0, by_category / np.where(sums > 0, sums, 1.0), places.share)
    band = np.searchsorted(UNIT_EDGES, sales.by_item(units)).astype(np.int64)
    return Parts(places, own, category, sales.item_category, band)


def first_weights() -> Floats:
    """Returns the bands' weights before any origin has taught, float64 `(bands, 3)`."""
    middle = np.concatenate([[0.0], (UNIT_EDGES[:-1] + UNIT_EDGES[1:]) / 2, [2 * UNIT_EDGES[-1]]])
    own = middle / (middle + PRIOR_UNITS)
    return np.stack([own, (1 - own) / 2, (1 - own) / 2], axis=1)
