"""Owns what a list is like beside being right: how new, how varied, how popular, how much like the shopper.

For a shopper with list L, from what was known before the test period:

- novelty: mean self-information of the shown items, -log2 of the share of shoppers who had bought the item,
  in bits; Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems" (2010).
  An item that nobody had bought counts as bought by one.
- category_diversity: share of the pairs of shown items that are of different categories.
- vector_diversity: mean over the same pairs of 1 - cosine of their ALS vectors.  Both are intra-list
  distances: Ziegler et al., "Improving recommendation lists through topic diversification" (2005); an item
  without a vector is at distance 1 from every other.
- popularity: mean share of shoppers who had bought the shown item; the average recommendation popularity
  of Yin et al., "Challenging the long tail recommendation" (2012), as a share.  Over that of the shopper's
  own history it is the lift of Abdollahpouri et al., "The connection between popularity bias,
  calibration, and fairness in recommendation" (2020).
- head_share: share of the shown items that are of the head; see `segments.popularity_segments`.
- miscalibration: the divergence C_KL of the list's category mix from that of the shopper's history,
  sum p log(p / q~) with q~ = 0.99 q + 0.01 p, 0 is a perfect match; Steck, "Calibrated recommendations"
  (2018), equations 2 to 6, history weighted by days bought, all places of the list alike.

Over all lists, gini is the Gini coefficient of how often each item of the catalogue is shown: 0 where all
are shown alike, near 1 where few are shown to everybody; Fleder and Hosanagar, "Blockbuster culture's next
rise or fall" (2009).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.tables import CATEGORY_SEPARATOR
from training.blocks import NO_ITEM
from training.history import History, pair_keys

Floats = NDArray[np.float64]
Lists = NDArray[np.int32]

HISTORY_MEASURES = ("novelty", "category_diversity", "popularity", "head_share")
BEYOND_METRICS = (*HISTORY_MEASURES, "vector_diversity", "miscalibration")
SMOOTHING = 0.01  # Steck's alpha
VECTOR_BLOCK_USERS = 1024


@dataclass(frozen=True, slots=True)
class Ground:
    """What the lists are held against, all of it known before the test period.

    Attributes:
        history: pairs bought by the judged shoppers, whose positions are its user rows.
        buyers: `(n_items,)` int64, distinct buyers among all shoppers.
        n_shoppers: how many shoppers had bought anything.
        head: `(n_items,)` bool, the most bought items.
        groups: `(n_items,)` int32, the category at the configured depth.
        vectors: `(n_items, factors)` float32 of length 1, zeros for items without one.
    """

    history: History
    buyers: NDArray[np.int64]
    n_shoppers: int
    head: NDArray[np.bool_]
    groups: NDArray[np.int32]
    vectors: NDArray[np.float32]


def group_codes(items: pl.DataFrame, depth: int) -> NDArray[np.int32]:
    """Returns a code for the first `depth` levels of each item's category, `(n_items,)` int32."""
    levels = items["category"].fill_null("").str.split(CATEGORY_SEPARATOR).list.head(depth)
    paths = levels.list.join(CATEGORY_SEPARATOR)
    return (paths.rank("dense").cast(pl.Int32) - 1).to_numpy()


def unit_vectors(factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the rows at length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(factors, axis=1, keepdims=True)
    units: NDArray[np.float32] = np.divide(factors, lengths, out=np.zeros_like(factors), where=lengths > 0)
    return units


def list_measures(lists: Lists, ground: Ground) -> dict[str, Floats]:
    """Returns every measure of `BEYOND_METRICS` for every shopper, float64 `(n_users,)`.

    A shopper without a shown item has NaN, so has one of a single item for the diversities, and one without
    history for miscalibration.

    Args:
        lists: `(n_users, k)` int32 item rows, padded with -1.
        ground: of the same shoppers.
    """
    places, columns = np.nonzero(lists != NO_ITEM)
    items = lists[places, columns]
    return {
        **_pair_measures(places, items, len(lists), ground),
        "vector_diversity": _vector_diversity(lists, ground.vectors),
        "miscalibration": _miscalibration(places, items, len(lists), ground),
    }


def history_measures(ground: Ground) -> dict[str, Floats]:
    """Returns `HISTORY_MEASURES` of what each shopper had bought himself, `(n_users,)`, each item once."""
    history = ground.history
    return _pair_measures(history.users, history.items, history.n_users, ground)


def gini(lists: Lists, catalogue: NDArray[np.int64], n_items: int) -> float:
    """Returns the Gini coefficient of how often each item row of `catalogue` is shown; NaN if none is."""
    shown = np.sort(np.bincount(lists[lists != NO_ITEM], minlength=n_items)[catalogue])
    total = int(shown.sum())
    if not total:
        return float("nan")
    ranks = np.arange(1, shown.size + 1)
    return float((2 * ranks - shown.size - 1) @ shown / (shown.size * total))


def _pair_measures(
    places: NDArray[np.integer], items: NDArray[np.integer], n_users: int, ground: Ground
) -> dict[str, Floats]:
    share = ground.buyers[items] / max(ground.n_shoppers, 1)
    surprise = -np.log2(np.maximum(ground.buyers[items], 1) / max(ground.n_shoppers, 1))
    sizes = np.bincount(places, minlength=n_users)
    n_groups = _n_groups(ground)
    pairs, counts = np.unique(pair_keys(places, ground.groups[items], n_groups), return_counts=True)
    alike = np.bincount(pairs // n_groups, weights=counts * (counts - 1.0), minlength=n_users)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "novelty": np.bincount(places, weights=surprise, minlength=n_users) / sizes,
            "category_diversity": 1.0 - alike / (sizes * (sizes - 1.0)),
            "popularity": np.bincount(places, weights=share, minlength=n_users) / sizes,
            "head_share": np.bincount(places, weights=ground.head[items], minlength=n_users) / sizes,
        }


def _vector_diversity(lists: Lists, vectors: NDArray[np.float32]) -> Floats:
    diversity = np.full(len(lists), np.nan)
    for start in range(0, len(lists), VECTOR_BLOCK_USERS):
        block = lists[start : start + VECTOR_BLOCK_USERS]
        shown = vectors[block] * (block != NO_ITEM)[:, :, None]
        sizes = (block != NO_ITEM).sum(axis=1)
        own = np.einsum("ukf,ukf->u", shown, shown, dtype=np.float64)
        total = np.square(shown.sum(axis=1, dtype=np.float64)).sum(axis=1)
        several = np.flatnonzero(sizes > 1)
        pairs = sizes[several] * (sizes[several] - 1.0)
        diversity[start + several] = 1.0 - (total - own)[several] / pairs
    return diversity


def _miscalibration(
    places: NDArray[np.integer], items: NDArray[np.integer], n_users: int, ground: Ground
) -> Floats:
    history, n_groups = ground.history, _n_groups(ground)
    keys, at = np.unique(
        pair_keys(history.users, ground.groups[history.items], n_groups), return_inverse=True
    )
    days = np.bincount(at, weights=history.days_bought, minlength=keys.size)
    users = keys // n_groups
    wanted = days / np.bincount(users, weights=days, minlength=n_users)[users]
    pairs, counts = np.unique(pair_keys(places, ground.groups[items], n_groups), return_counts=True)
    sizes = np.bincount(places, minlength=n_users)
    shown = np.zeros(keys.size)
    _, mine, theirs = np.intersect1d(keys, pairs, assume_unique=True, return_indices=True)
    shown[mine] = counts[theirs] / sizes[users[mine]]
    smoothed = (1.0 - SMOOTHING) * shown + SMOOTHING * wanted
    divergence = np.bincount(users, weights=wanted * np.log(wanted / smoothed), minlength=n_users)
    known = (np.bincount(users, minlength=n_users) > 0) & (sizes > 0)
    return np.where(known, divergence, np.nan)


def _n_groups(ground: Ground) -> int:
    return int(ground.groups.max(initial=0)) + 1
