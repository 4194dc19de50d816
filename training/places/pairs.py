"""Owns local forecasts as pairs: of items where they sold before, and of categories wherever they sell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from training.places.sales import PlaceSales
from training.places.shares import CATEGORY, OWN, SHOP, Parts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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
    """Local forecasts, each array `(n,)`, sorted by row and code.

    Attributes:
        row: of the item or category.
        code: of the place, in the view.
        share: of the forecast.
        mean: units of the horizon.
    """

    row: Ints
    code: Ints
    share: Floats
    mean: Floats

    def at(self, places: Ints) -> Pairs:
        """Returns some of them."""
        return Pairs(self.row[places], self.code[places], self.share[places], self.mean[places])


def item_pairs(parts: Parts, weights: Floats, mean: Floats, view: View) -> Pairs:
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


def category_demand(parts: Parts, weights: Floats, mean: Floats) -> Floats:
    """Returns each category's shares of its forecast, float64 `(n_categories, n_places)`, from its items up.

    They sum to 1; a category that is forecast to sell nothing has its own shares of what it sold.
    Arguments as of `item_pairs`.
    """
    n = len(parts.category)
    row = parts.item_category

    def by_category(units: Floats) -> Floats:
        sums = np.bincount(row[row >= 0], weights=units[row >= 0], minlength=n)
        return np.asarray(sums, dtype=np.float64)

    into = sparse.csr_matrix(
        ((mean * weights[:, OWN])[row >= 0], (row[row >= 0], np.flatnonzero(row >= 0))), shape=(n, len(row))
    )
    units = np.asarray((into @ parts.own).toarray()).reshape(n, len(parts.places.share))
    units += by_category(mean * weights[:, CATEGORY])[:, None] * parts.category
    units += by_category(mean * weights[:, SHOP])[:, None] * parts.places.share
    total = by_category(mean)[:, None]
    return np.where(total > 0, units / np.where(total > 0, total, 1.0), parts.category)


def category_pairs(parts: Parts, demand: Floats, mean: Floats, view: View) -> Pairs:
    """Returns the local forecasts of each category wherever it has any.

    Args:
        parts: what shares are mixed from.
        demand: as `category_demand` returns it.
        mean: units of the horizon by item, `(n_items,)`.
        view: how places are merged.
    """
    n = len(parts.category)
    row = parts.item_category
    total = np.bincount(row[row >= 0], weights=mean[row >= 0], minlength=n)
    share = np.asarray(demand @ view.merging()).reshape(n, view.size)
    found, code = np.nonzero(share * total[:, None])
    return Pairs(found, code, share[found, code], share[found, code] * total[found])
