"""Owns what is known before a day of shoppers, items, and every pair of them that was bought."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.machine_code import compiled
from recdata.sums import group_sums
from training.affinity import AFFINITY_FEATURES, Affinity, affinity, share_of_new
from training.between import fill_known
from training.counts import (
    ITEM_FEATURES,
    RECENT_DAYS,
    USER_FEATURES,
    ItemCounts,
    earlier_pairs,
    user_features_of,
)
from training.interactions import PAIR, check_rows
from training.neighbours import Neighbours, fit_neighbours
from training.promotions import Plan, Promoted
from training.rhythm import PAIR_FEATURES, median_by, rhythm_of
from training.trending import Trending, Wanted, segments_of, trending_of

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Rows = NDArray[np.int32]

LEVELS = ("category", "parent")
PART_LINES = 1 << 21  # purchase lines that are worked on at once


@dataclass(frozen=True, slots=True)
class History:
    """Every pair of shopper and item bought before `as_of`, one entry a pair, and what is known of both.

    Attributes:
        users: `(n_pairs,)` int32, ascending.
        items: `(n_pairs,)` int32, ascending within a user.
        indptr: `(n_users + 1,)` int64: where each user's pairs start.
        pair_features: `(n_pairs, len(PAIR_FEATURES))` float32, NaN where there is nothing to say.
        item_features: `(n_items, len(ITEM_FEATURES))` float32.
        user_features: `(n_users, len(USER_FEATURES))` float32.
        recent_buyers: `(n_items,)` int64, distinct buyers in the last 28 days.
        new_buyers: `(n_items,)` int64, those of them who had never bought the item before.
        affinities: what a shopper is to a category, one for each level of the tree.
        neighbours: items that the same shoppers buy.
        trending: what is trending among shoppers of the same segment; None where it is not looked at.
        promoted: what the plan of promotions says of the items; None where there is no plan.
    """

    users: Rows
    items: Rows
    indptr: NDArray[np.int64]
    pair_features: Floats32
    item_features: Floats32
    user_features: Floats32
    recent_buyers: NDArray[np.int64]
    new_buyers: NDArray[np.int64]
    affinities: tuple[Affinity, ...]
    neighbours: Neighbours
    trending: Trending | None = None
    promoted: Promoted | None = None

    @property
    def n_users(self) -> int:
        """Returns how many shoppers there are, with history or without."""
        return len(self.user_features)

    @property
    def n_items(self) -> int:
        """Returns how many items there are, sold or not."""
        return len(self.item_features)

    @property
    def days_bought(self) -> Rows:
        """Returns the days on which each pair was bought, `(n_pairs,)` int32."""
        return self.pair_features[:, PAIR_FEATURES.index("days_bought")].astype(np.int32)

    @property
    def days_since(self) -> Rows:
        """Returns the days from the last of them to `as_of`, `(n_pairs,)` int32; 1 is the day before."""
        return self.pair_features[:, PAIR_FEATURES.index("days_since")].astype(np.int32)

    @property
    def keys(self) -> NDArray[np.int64]:
        """Returns the ascending keys of the pairs."""
        return pair_keys(self.users, self.items, self.n_items)

    def pairs_of(self, start: int, stop: int) -> slice:
        """Returns where the pairs of the users from `start` to before `stop` stand."""
        return slice(int(self.indptr[start]), int(self.indptr[stop]))

    def features_between(
        self, users: NDArray[np.integer], items: NDArray[np.integer], *, spare: int = 0
    ) -> Floats32:
        """Returns `between_names()` of any pairs, `(n_pairs, n + spare)`: of item, shopper, and both.

        The spare columns at the end hold anything.
        """
        table = np.empty((users.size, len(self.between_names()) + spare), np.float32)
        compiled(fill_known)(users, items, self.user_features, self.item_features, table)
        prices = np.ascontiguousarray(self.item_features[:, ITEM_FEATURES.index("price")])
        filled = len(ITEM_FEATURES) + len(USER_FEATURES)
        for level in self.affinities:
            level.fill(users, items, prices, table, first_column=filled)
            filled += len(AFFINITY_FEATURES)
        if self.trending is not None:
            table[:, filled : filled + len(self.trending.names)] = self.trending.between(users, items)
            filled += len(self.trending.names)
        if self.promoted is not None:
            table[:, filled : filled + len(self.promoted.names)] = self.promoted.features[items]
        return table

    def between_names(self) -> tuple[str, ...]:
        """Returns the names of the columns of `features_between`."""
        names = (f"{level}_{name}" for level in LEVELS[: len(self.affinities)] for name in AFFINITY_FEATURES)
        trending = () if self.trending is None else self.trending.names
        promoted = () if self.promoted is None else self.promoted.names
        return (*ITEM_FEATURES, *USER_FEATURES, *names, *trending, *promoted)

    def neighbour_scores(self, start: int, stop: int) -> Floats32:
        """Returns what the users from `start` to before `stop` are near to, `(stop - start, p)` float32."""
        pairs = self.pairs_of(start, stop)
        frequency = self.pair_features[pairs, PAIR_FEATURES.index("frequency_112")]
        strength = np.sqrt(np.log1p(frequency))
        return self.neighbours.scores(self.users[pairs] - start, self.items[pairs], strength, stop - start)

    def of_users(self, users: NDArray[np.int64]) -> History:
        """Returns the history of the given ascending user rows, whose positions become the user rows."""
        chosen = is_member(self.users.astype(np.int64), users)
        places = np.searchsorted(users, self.users[chosen]).astype(np.int32)
        return replace(
            self,
            users=places,
            items=self.items[chosen],
            indptr=np.searchsorted(places, np.arange(users.size + 1)).astype(np.int64),
            pair_features=self.pair_features[chosen],
            user_features=self.user_features[users],
            affinities=tuple(level.of_users(users) for level in self.affinities),
            trending=None if self.trending is None else self.trending.of_users(users),
        )


def category_codes(items: pl.DataFrame) -> Rows:
    """Returns codes for the category of each row of the `items` artefact and for the one above it.

    `(n_items, 2)` int32; a category of the top is its own parent.
    """
    path = pl.col("category").fill_null("")
    parent = path.str.replace(r" > [^>]*$", "")
    ranks = (level.rank("dense").cast(pl.Int32) - 1 for level in (path, parent))
    return items.select(category=next(ranks), parent=next(ranks)).to_numpy().astype(np.int32)


def pair_history(
    purchases: pl.LazyFrame,
    n_users: int,
    categories: Rows,
    *,
    as_of: date,
    scale: float = 1.0,
    trending: Wanted | None = None,
    plan: Plan | None = None,
) -> History:
    """Returns every pair bought, net of returns, before `as_of`, and what is known of shoppers and items.

    It goes over the shoppers part by part, so that little more than the answer is in memory.

    Args:
        purchases: the `purchases` artefact.
        n_users: how many shoppers there are.
        categories: `(n_items, levels)` int32 below n_items, from `category_codes`; also `(n_items,)`, one
            level.
        as_of: first day that is not looked at.
        scale: how many shoppers each of these stands for, where they are a sample.
        trending: what is wanted of what is trending in the shoppers' segments; nothing if None.
        plan: of promotions, as it is known on `as_of` or later; none if None.

    Raises:
        RunError: a row is not one of the known users or items.
    """
    n_items, levels = len(categories), categories.reshape(len(categories), -1)
    known = purchases.filter(pl.col("day") < as_of).select(*PAIR, "day", "quantity", "revenue").collect()
    check_rows(known["user_row"].to_numpy(), n_users, "user_row")
    check_rows(known["item_row"].to_numpy(), n_items, "item_row")
    pair_features = np.empty((known.height, len(PAIR_FEATURES)), np.float32)
    codes = [np.ascontiguousarray(level) for level in levels.T]
    parts: list[_Part] = []
    filled = 0
    for start, stop in pairwise(_edges(n_users, known.height)):
        lines = known.filter(pl.col("user_row").is_between(start, stop - 1))
        days = _bought_days(lines.with_columns(pl.col("user_row") - start), as_of)
        part = _part(days, codes, start=start, n_users=stop - start, features=pair_features[filled:])
        if plan is not None:
            shares = plan.shares_bought(as_of, days, part.users.size)
            pair_features[filled : filled + part.users.size, PAIR_FEATURES.index("share_promoted")] = shares
        parts.append(part)
        filled += part.users.size
    del known
    pair_features = pair_features[:filled]
    users, items, user_features = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("users", "items", "user_features")
    )
    counts = reduce(add, [part.counts for part in parts])
    item_gaps = median_by(items, pair_features[:, PAIR_FEATURES.index("median_gap")], n_items)
    pair_features[:, PAIR_FEATURES.index("lateness_for_item")] = (
        pair_features[:, PAIR_FEATURES.index("days_since")] / item_gaps.astype(np.float32)[items]
    )
    # Without purchases in all of the time before there is nothing that growth could be measured by.
    oldest = pair_features[:, PAIR_FEATURES.index("days_known")].max(initial=0)
    lately = pair_features[:, PAIR_FEATURES.index("days_since")] <= RECENT_DAYS * (oldest >= 2 * RECENT_DAYS)
    return History(
        users=users,
        items=items,
        indptr=np.searchsorted(users, np.arange(n_users + 1)).astype(np.int64),
        pair_features=pair_features,
        item_features=counts.features(item_gaps, scale=scale),
        user_features=user_features,
        recent_buyers=counts.recent,
        new_buyers=counts.new,
        affinities=tuple(
            Affinity(
                level,
                np.concatenate([part.affinities[at][0] for part in parts]),
                np.concatenate([part.affinities[at][1] for part in parts]),
                share_of_new(level, counts.new),
            )
            for at, level in enumerate(codes)
        ),
        neighbours=fit_neighbours(users, items, n_users, counts.recent),
        trending=_trending(parts, (users[lately], items[lately]), n_users, n_items, trending),
        promoted=None if plan is None else plan.seen_from(as_of),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What is known of some shoppers; their user rows are those of all."""

    users: Rows
    items: Rows
    user_features: Floats32
    affinities: tuple[tuple[NDArray[np.int64], Floats32], ...]
    counts: ItemCounts
    earlier: pl.DataFrame


def _part(days: pl.DataFrame, codes: list[Rows], *, start: int, n_users: int, features: Floats32) -> _Part:
    """Returns what `days` tell of `n_users` shoppers from `start` on, and fills the first of `features`."""
    rhythm = rhythm_of(days, n_users)
    rhythm.fill(features[: rhythm.users.size])
    n_items = codes[0].size
    affinities = (affinity(rhythm, level) for level in codes)
    earlier = earlier_pairs(days)
    return _Part(
        users=rhythm.users + np.int32(start),
        items=rhythm.items,
        user_features=user_features_of(days, rhythm, n_users),
        affinities=tuple((keys + start * n_items, kept) for keys, kept in affinities),
        counts=ItemCounts.of(days, rhythm, earlier, n_items),
        earlier=earlier.with_columns(pl.col("user_row") + start),
    )


def _trending(
    parts: list[_Part], recent: tuple[Rows, Rows], n_users: int, n_items: int, wanted: Wanted | None
) -> Trending | None:
    """Returns what is trending in segments by the finest category's parent; None where it is not wanted."""
    if wanted is None or wanted == Wanted():
        return None
    segments = segments_of([part.affinities[-1] for part in parts], n_users, n_items)
    before = pl.concat([part.earlier for part in parts])
    earlier = before["user_row"].to_numpy(), before["item_row"].to_numpy()
    return trending_of(segments, recent, earlier, n_items, wanted)


def _edges(n_users: int, n_lines: int) -> list[int]:
    """Returns where parts of about `PART_LINES` lines begin, and where the last one ends."""
    parts = max(1, min(n_users, -(-n_lines // PART_LINES)))
    return [n_users * part // parts for part in range(parts + 1)]


def pair_keys(users: NDArray[np.integer], items: NDArray[np.integer], n_items: int) -> NDArray[np.int64]:
    """Returns one int64 a pair that sorts by user, then item."""
    return users.astype(np.int64) * n_items + items


def is_member(keys: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns whether each key stands in the ascending keys `among`."""
    if not among.size:
        return np.zeros(keys.shape, bool)
    found: NDArray[np.bool_] = among[np.minimum(np.searchsorted(among, keys), among.size - 1)] == keys
    return found


def _bought_days(lines: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Returns (user_row, item_row, age, quantity, revenue), one row a pair and day, the latest day last."""
    kept = group_sums(lines, PAIR, ["quantity"]).filter(pl.col("quantity") > 0)
    bought = lines.filter(pl.col("quantity") > 0).join(kept, on=PAIR, how="semi", maintain_order="left")
    days = group_sums(bought, (*PAIR, "day"), ["quantity", "revenue"])
    return days.with_columns(age=(pl.lit(as_of) - pl.col("day")).dt.total_days())
