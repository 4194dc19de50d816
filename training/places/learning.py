"""Owns how far each part of a share is trusted, learned on earlier origins whose horizon has ended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.places.config import PlacesConfig
from training.places.sales import PlaceSales
from training.places.shares import Parts, first_weights, parts_at

Floats = npt.NDArray[np.float64]

#: Units' worth of what is believed before any origin has taught.
BELIEF_UNITS = 100.0
#: Rounds of expectation and maximisation; the likelihood is concave, and they settle long before.
ROUNDS = 60
#: An origin needs so many days before it to teach.
MIN_DAYS = 28


def learned_weights(
    sales: PlaceSales,
    origin: int,
    *,
    horizon: int,
    config: PlacesConfig,
    cache: dict[int, Parts] | None = None,
) -> Floats:
    """Returns the weights of own, category and shop by band of an item's units, float64 `(bands, 3)`.

    They maximise the likelihood of where the units of earlier horizons were sold: the mixture's weights by
    expectation and maximisation (Dempster, Laird and Rubin 1977), drawn to `first_weights`. Nothing from the
    origin on is looked at.

    Args:
        sales: what sold where.
        origin: day number.
        horizon: days that each earlier origin looks ahead.
        config: how many origins teach.
        cache: parts by origin, kept for callers that come again.
    """
    kept = {} if cache is None else cache
    shares, units, bands = [], [], []
    for past in taught_by(origin, horizon, config):
        if past not in kept:
            kept[past] = parts_at(sales, past, config)
        parts = kept[past]
        sold = sales.sold(past, past + horizon)
        at = np.flatnonzero(sold > 0)
        if not len(at):
            continue
        item, place = sales.pair_item[at], sales.pair_place[at]
        own = np.asarray(parts.own[item, place], dtype=np.float64).ravel()
        shares.append(parts.at(item, place, own))
        units.append(sold[at])
        bands.append(parts.band[item])
    first = first_weights()
    if not shares:
        return first
    return _mixed(np.concatenate(shares), np.concatenate(units), np.concatenate(bands), first)


def taught_by(origin: int, horizon: int, config: PlacesConfig) -> Sequence[int]:
    """Returns the earlier origins that teach, latest first; their horizons end by the origin, one by one."""
    past = [origin - step * horizon for step in range(1, config.learn_origins + 1)]
    return [day for day in past if day >= MIN_DAYS]


def _mixed(shares: Floats, units: Floats, bands: npt.NDArray[np.int64], first: Floats) -> Floats:
    found = first.copy()
    # Where nothing speaks for a place (it opened later, say) no weight explains the sale.
    told = shares.sum(axis=1) > 0
    for band in range(len(first)):
        at = told & (bands == band)
        share, sold = shares[at], units[at]
        weights = first[band]
        for _ in range(ROUNDS):
            part = [share[:, k] * weights[k] for k in range(3)]
            whole = np.maximum(part[0] + part[1] + part[2], 1e-300)
            credit = np.array([float((sold * p / whole).sum()) for p in part]) + BELIEF_UNITS * first[band]
            weights = credit / credit.sum()
        found[band] = weights
    return found
