"""Owns how an item's forecast falls on places: shares of channels and regions, and the interval of a part.

A place is a (channel, region) pair. An item's share of one is a mixture of its own sales', its category's and
the shop's; each part and the weights sum to 1, so the parts of a forecast are the forecast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from recdata.intervals import SIZES, count_bounds, widening

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

#: How places are looked at: one by one, or all of a channel or of a region together.
PLACE, CHANNEL, REGION = range(3)
VIEWS = ("place", "channel", "region")
#: Of what a part is forecast.
ITEM, CATEGORY = range(2)
LEVELS = ("item", "category")
#: What an interval is of: the whole horizon, or one of its days.
HORIZON, DAY = range(2)
#: Variances divided by the mean: by level, by view, by what they are of, and by band of the mean's size.
RATIOS_SHAPE = (len(LEVELS), len(VIEWS), 2, len(SIZES))
#: A part that is as good as the whole has the whole's own interval.
WHOLE = 1.0 - 1e-6


class Covered(msgspec.Struct, frozen=True):
    """How 80% intervals held: the shares of what was sold below q10 and above q90."""

    above_units: float  # forecasts of more units than this, up to the next one's
    forecasts: int
    below: float
    above: float


class PlaceFigures(msgspec.Struct, frozen=True):
    """What the nightly job learned of places, `places.json`."""

    horizon_days: int
    ratios: list[list[list[list[float]]]]  # as RATIOS_SHAPE
    categories: list[str]  # paths, by category_row
    weights: list[list[float]]  # of own, category and shop, by band of an item's faded units
    unit_edges: list[float]  # upper edges of those bands; the last has none
    covered: dict[str, list[Covered]]  # by level and view, as "item x region"


@dataclass(frozen=True, slots=True)
class PlaceShares:
    """Every item's shares of the places, as of a snapshot.

    Attributes:
        channels: by place; "" where none is told.
        regions: by place.
        shop: the shop's share of each place, float32 `(n_places,)`; 0 for one that has closed.
        categories: each category's, float32 `(n_categories, n_places)`.
        names: the categories' paths, in their order.
        demand: what the items' parts add up to: each category's shares of its forecast of the horizon,
            float32 `(n_categories, n_places)`.
        starts: where each item's own shares begin, int64 `(n_items + 1,)`.
        places: the places of the own shares, int32.
        own: the own shares, float32, as many.
        weights: of own, category and shop by item, float32 `(n_items, 3)`.
        item_categories: row in `categories` by item, int32 `(n_items,)`, -1 for none.
        ratios: how far demand spreads around such parts, float32 `RATIOS_SHAPE`.
        horizon_days: days of the horizon that the ratios of a whole horizon are of.
    """

    channels: Sequence[str]
    regions: Sequence[str]
    shop: Float32s
    categories: Float32s
    names: Sequence[str]
    demand: Float32s
    starts: npt.NDArray[np.int64]
    places: npt.NDArray[np.int32]
    own: Float32s
    weights: Float32s
    item_categories: npt.NDArray[np.int32]
    ratios: Float32s
    horizon_days: int

    def within(self, channel: str, region: str) -> Bools:
        """Returns which places are of a channel and region, bool `(n_places,)`; "" stands for all."""
        return np.array(
            [
                channel in ("", each) and region in ("", other)
                for each, other in zip(self.channels, self.regions, strict=True)
            ],
            dtype=np.bool_,
        )

    def share(self, item_row: int, within: Bools) -> float:
        """Returns the share, 0..1, of an item's demand that falls on some places, `(n_places,)` bool."""
        part = slice(int(self.starts[item_row]), int(self.starts[item_row + 1]))
        own = float(self.own[part][within[self.places[part]]].sum(dtype=np.float64))
        shop = float(self.shop[within].sum(dtype=np.float64))
        category = int(self.item_categories[item_row])
        above = float(self.categories[category][within].sum(dtype=np.float64)) if category >= 0 else shop
        weights = self.weights[item_row].astype(np.float64)
        return min(1.0, float(weights[0] * own + weights[1] * above + weights[2] * shop))

    def category_share(self, category: str, within: Bools) -> float:
        """Returns the share, 0..1, of a category's forecast that its items have in some places.

        A path that is none of `names` has the shop's.
        """
        known = category in self.names
        share = self.demand[self.names.index(category)] if known else self.shop
        return min(1.0, float(share[within].sum(dtype=np.float64)))

    def shares(self, within: Bools) -> Floats:
        """Returns what `share` does of every item, float64 `(n_items,)`."""
        here = np.where(within[self.places], self.own, np.float32(0)).astype(np.float64)
        sums = np.concatenate([[0.0], np.cumsum(here)])
        own = sums[self.starts[1:]] - sums[self.starts[:-1]]
        shop = float(self.shop[within].sum(dtype=np.float64))
        above = np.concatenate([self.categories[:, within].sum(axis=1, dtype=np.float64), [shop]])
        weights = self.weights.astype(np.float64)
        mixed = weights[:, 0] * own + weights[:, 1] * above[self.item_categories] + weights[:, 2] * shop
        return np.asarray(mixed.clip(0.0, 1.0), dtype=np.float64)


def view_of(channel: str, region: str) -> int:
    """Returns how the places of a channel and region are looked at; "" stands for all of them."""
    if channel and region:
        return PLACE
    return CHANNEL if channel else REGION


def part_of_days(
    shares: PlaceShares, share: float, mean: Float32s, *, level: int, view: int
) -> tuple[Floats, Floats, Floats]:
    """Returns mean, q10 and q90 by day of a part of a forecast, each `(days,)`.

    Args:
        shares: its ratios say how far off such parts were.
        share: of the demand, 0..1.
        mean: the whole forecast, units by day from the first on, `(days,)`.
        level: which of `LEVELS` the forecast is of.
        view: which of `VIEWS` the part is.
    """
    part = share * mean.astype(np.float64)
    widen = widening(part.size, shares.horizon_days)
    return part, *count_bounds(part, shares.ratios[level, view, DAY], widen)


def part_of_total(
    shares: PlaceShares, share: float, mean: Float32s, *, level: int, view: int
) -> tuple[float, float, float]:
    """Returns mean, q10 and q90 of the sum of the horizon's days; arguments as of `part_of_days`."""
    total = np.array([share * float(mean[: shares.horizon_days].sum(dtype=np.float64))])
    low, high = count_bounds(total, shares.ratios[level, view, HORIZON])
    return float(total[0]), float(low[0]), float(high[0])
