"""Owns which places are open at an origin, and how much of the shop each one is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.places.config import PlacesConfig
from training.places.sales import PlaceSales

Floats = npt.NDArray[np.float64]
#: The pauses of so many days before the latest sale say how long a place may be silent.
PAUSE_DAYS = 365
#: A place cannot have grown more than so many times since an item's sales there.
MAX_GROWTH = 4.0


@dataclass(frozen=True, slots=True)
class Places:
    """The places at an origin.

    Attributes:
        share: of the shop's demand now, float64 `(n_places,)`, 0 for a closed one; sums to 1 unless all are.
        growth: by how much a place's share has grown over the item shares' memory, float64 `(n_places,)`.
        first: day of the first sale before the origin, int64 `(n_places,)`, the origin where there is none.
        last: day of the latest, int64 `(n_places,)`, -1 where there is none.
    """

    share: Floats
    growth: Floats
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]


def places_at(sales: PlaceSales, origin: int, config: PlacesConfig) -> Places:
    """Returns what is known of the places the day before an origin."""
    place = sales.pair_place[sales.line_pair]
    sold = np.zeros((sales.n_places, max(origin, 0)), dtype=bool)
    known = (sales.day < origin) & (sales.units > 0)
    sold[place[known], sales.day[known]] = True
    open_now, first, last = _open(sold, config)
    now = _shares(sales.by_place(sales.decayed(origin, config.place_half_life_days)) * open_now)
    then = _shares(sales.by_place(sales.decayed(origin, config.share_half_life_days)) * open_now)
    growth = np.divide(now, then, out=np.zeros_like(now), where=then > 0)
    return Places(now, growth.clip(0.0, MAX_GROWTH), first, last)


def _open(
    sold: npt.NDArray[np.bool_], config: PlacesConfig
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns whether each place is open, its first day and its last one.

    Days are counted on which the shop sold anything, so that a day off for all closes nobody.
    """
    n_places, origin = sold.shape
    first, last = np.full(n_places, origin, dtype=np.int64), np.full(n_places, -1, dtype=np.int64)
    is_open = np.zeros(n_places, dtype=bool)
    days = np.flatnonzero(sold.any(axis=0))
    for row in range(n_places):
        at = np.flatnonzero(sold[row, days])  # counted in days of business
        if not len(at):
            continue
        first[row], last[row] = days[at[0]], days[at[-1]]
        recent = at[days[at] > last[row] - PAUSE_DAYS]
        longest = int(np.diff(recent).max(initial=1))
        silence = len(days) - 1 - int(at[-1])
        is_open[row] = silence <= max(config.closed_days, config.closed_pauses * longest)
    return is_open, first, last


def _shares(units: Floats) -> Floats:
    total = float(units.sum())
    return units / total if total > 0 else np.zeros_like(units)
