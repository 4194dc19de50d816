"""Owns what is trending now among shoppers of the same segment: those whose favourite category is the same.

A shopper's favourite is the category that sets his purchases apart most from the whole shop's: of share p of
his purchases and q of the shop's, the one with the largest p log(p / q), which is what it adds to their
relative entropy.  An item is trending in a segment by its growth there: its buyers of four weeks over those
expected from the four weeks before, the segment's own business taken out, drawn towards its growth in the
whole shop by `PRIOR_BUYERS` imaginary buyers.  So a small segment says what the shop says until its own
shoppers differ.  A shop with less than eight weeks of purchases has nothing trending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.affinity import KEPT
from training.blocks import NO_ITEM

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Rows = NDArray[np.int32]
Counts = NDArray[np.int64]

SEGMENTS = 32  # the last is of everybody whose favourite is not one of the most frequent
PRIOR_BUYERS = 10.0
MIN_BUYERS = 5  # of the whole shop in four weeks that an item needs to be trending
LISTED = 500  # items of a segment, so that also who has bought many of them finds some
TINY = 1e-30  # stands for no share at all
TRENDING_FEATURES = ("segment_buyers", "segment_growth", "segment_lift")
_FREQUENCY = KEPT.index("frequency")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of it the ranker uses.

    Attributes:
        per_user: candidates that each shopper gets of his segment's list.
        features: whether its models see `TRENDING_FEATURES`.
    """

    per_user: int = 0
    features: bool = False


@dataclass(frozen=True, slots=True)
class Trending:
    """What is known of every item in every segment.

    Attributes:
        segments: `(n_users,)` int32, each shopper's, below `SEGMENTS`.
        lists: `(SEGMENTS, LISTED)` int32 item rows that are trending, most first, padded with -1.
        features: `(SEGMENTS, n_items, len(names))` float32.
        names: of the features: `TRENDING_FEATURES`, or none.
        per_user: candidates that each shopper gets of his list.
    """

    segments: Rows
    lists: Rows
    features: Floats32
    names: tuple[str, ...]
    per_user: int

    def between(self, users: NDArray[np.integer], items: NDArray[np.integer]) -> Floats32:
        """Returns the features of any pairs, `(n_pairs, len(names))`."""
        found: Floats32 = self.features[self.segments[users], items]
        return found

    def of_users(self, users: NDArray[np.int64]) -> Trending:
        """Returns the same for the given ascending user rows, whose positions become the user rows."""
        return replace(self, segments=self.segments[users])


def trending_of(
    segments: Rows,
    recent: tuple[Rows, Rows],
    earlier: tuple[Rows, Rows],
    n_items: int,
    wanted: Wanted,
) -> Trending:
    """Returns what is trending, and `TRENDING_FEATURES` where they are wanted.

    These are the buyers of the last 28 days in a thousand shoppers of the segment who bought anything then;
    log2 of the growth; log2 of the segment's buyers over what they would be if it bought as the whole shop
    does, drawn towards 0 by as many imaginary buyers.

    Args:
        segments: `(n_users,)` of `segments_of`.
        recent: user and item rows of each pair bought in the last 28 days, each pair once.
        earlier: of each pair bought in the 28 days before.
        n_items: how many items there are.
        wanted: what of it is used.
    """
    now, before = (_buyers(segments, pairs, n_items) for pairs in (recent, earlier))
    shop_now, shop_before = now.sum(axis=0), before.sum(axis=0)
    growth_of_shop = _growth(shop_now, shop_before, prior=PRIOR_BUYERS)
    growth = np.log2(_growth(now, before, prior=PRIOR_BUYERS * growth_of_shop))
    rows = np.flatnonzero(shop_now >= MIN_BUYERS)
    lists = np.full((SEGMENTS, LISTED), NO_ITEM, np.int32)
    for segment, rise in enumerate(growth[:, rows]):
        best = np.lexsort((rows, -rise))[:LISTED]
        best = best[rise[best] > 0]
        lists[segment, : best.size] = rows[best]
    if not wanted.features:
        return Trending(segments, lists, np.zeros((SEGMENTS, n_items, 0), np.float32), (), wanted.per_user)
    usual = now.sum(axis=1, keepdims=True) * (shop_now / max(int(shop_now.sum()), 1))
    lift = np.log2((now + PRIOR_BUYERS) / (usual + PRIOR_BUYERS))
    active = np.bincount(segments[np.unique(recent[0])], minlength=SEGMENTS)
    buyers = now * (1000.0 / np.maximum(active, 1.0))[:, None]
    features = np.stack([buyers, growth, lift], axis=-1).astype(np.float32)
    return Trending(segments, lists, features, TRENDING_FEATURES, wanted.per_user)


def segments_of(parts: Sequence[tuple[Counts, Floats32]], n_users: int, n_codes: int) -> Rows:
    """Returns each shopper's segment, `(n_users,)` int32: his favourite's place among the most frequent.

    Shoppers of a rarer favourite, and those who bought nothing, are in the last segment.  Ties go to the
    lower category.

    Args:
        parts: keys and what is kept of shoppers and categories, as in `Affinity`; each part has all of some
            shoppers.
        n_users: how many shoppers there are.
        n_codes: by which the keys are user row and category.
    """
    of_shop = np.zeros(n_codes)
    for keys, kept in parts:
        of_shop += np.bincount(keys % n_codes, weights=kept[:, _FREQUENCY], minlength=n_codes)
    of_shop /= max(float(of_shop.sum()), TINY)
    favourite = np.full(n_users, n_codes, np.int64)
    for keys, kept in parts:
        owners, codes = np.divmod(keys, n_codes)
        own = kept[:, _FREQUENCY].astype(np.float64)
        first = np.flatnonzero(np.diff(owners, prepend=-1))
        if not first.size:
            continue
        of_owner = np.repeat(np.add.reduceat(own, first), np.diff(first, append=owners.size))
        share = own / np.maximum(of_owner, TINY)
        apart = share * np.log(np.maximum(share, TINY) / np.maximum(of_shop[codes], TINY))
        order = np.lexsort((codes, -apart, owners))
        favourite[owners[first]] = codes[order[first]]
    frequent = np.argsort(-np.bincount(favourite, minlength=n_codes + 1)[:n_codes], kind="stable")
    place = np.full(n_codes + 1, SEGMENTS - 1, np.int32)
    place[frequent[: SEGMENTS - 1]] = np.arange(min(SEGMENTS - 1, n_codes))
    return place[favourite]


def _buyers(segments: Rows, pairs: tuple[Rows, Rows], n_items: int) -> Counts:
    """Returns how many shoppers of each segment bought each item, `(SEGMENTS, n_items)`."""
    users, items = pairs
    cells = segments[users].astype(np.int64) * n_items + items
    return np.bincount(cells, minlength=SEGMENTS * n_items).reshape(SEGMENTS, n_items)


def _growth(now: Counts, before: Counts, *, prior: Floats | float) -> Floats:
    """Returns the buyers now over those expected from the time before, along the last axis.

    Args:
        now: `(..., n_items)` buyers.
        before: of as many days before.
        prior: imaginary buyers now for each `PRIOR_BUYERS` expected; 1 for 1 draws towards no growth.
    """
    business = now.sum(axis=-1, keepdims=True) / np.maximum(before.sum(axis=-1, keepdims=True), 1)
    growth: Floats = (now + prior) / (before * business + PRIOR_BUYERS)
    return growth
