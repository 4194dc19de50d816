"""Owns the rhythm in which each shopper buys each item: how often, how lately, and whether it is due."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

HALF_LIVES_DAYS = (14, 28, 56, 112, 224)
FREQUENCIES = tuple(f"frequency_{half_life}" for half_life in HALF_LIVES_DAYS)
PAIR_FEATURES = (
    *FREQUENCIES,
    "days_bought",
    "days_since",
    "days_known",
    "median_gap",
    "spread_of_gaps",
    "lateness",
    "lateness_for_item",
    "visits_since",
    "share_of_visits",
    "share_promoted",
)

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What is known of each pair bought, one entry a pair, sorted by user, then item.

    Attributes:
        users: `(n_pairs,)` int32.
        items: `(n_pairs,)` int32.
        days: days on which the pair was bought.
        since: days from the last of them to the day of asking.
        known: days from the first of them.
        frequencies: for each of `FREQUENCIES`, days bought, each halved per half-life.
        quantity: units bought.
        revenue: paid for them.
        median_gap: days between two purchases, their median; NaN with a single one.
        spread: the gaps' standard deviation; NaN with fewer than two gaps.
        visits_since: the shopper's days with a purchase of anything after the last one of this.
        visits_known: the same from the first one of this on.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    days: Counts
    since: Counts
    known: Counts
    frequencies: dict[str, Floats]
    quantity: Floats
    revenue: Floats
    median_gap: Floats
    spread: Floats
    visits_since: Counts
    visits_known: Counts

    def fill(self, features: NDArray[np.float32]) -> None:
        """Writes `PAIR_FEATURES` into `features`, `(n_pairs, n)`, but for those that take more to know.

        These are the lateness for the item and the share of its purchases while it was promoted: NaN.
        Lateness is the days since the last purchase over the gap between purchases, NaN where there is none:
        the shopper's own, or that usual for the item, which takes all shoppers to know.
        """
        columns: tuple[NDArray[np.generic], ...] = (
            *(self.frequencies[name] for name in FREQUENCIES),
            self.days,
            self.since,
            self.known,
            self.median_gap,
            self.spread,
            self.since / self.median_gap,
            np.full(self.users.size, np.nan),
            self.visits_since,
            self.days / np.maximum(self.visits_known, 1),
            np.full(self.users.size, np.nan),
        )
        for at, column in enumerate(columns):  # one by one: together they would take twice the memory
            features[:, at] = column


def rhythm_of(days: pl.DataFrame, n_users: int) -> Rhythm:
    """Returns the rhythm of all pairs.

    Args:
        days: (user_row, item_row, age, quantity, revenue), one row a pair and day, sorted by pair, then from
            the oldest to the latest; age is days before the day of asking, 1 or more.
        n_users: how many shoppers there are.
    """
    users, items, age = (days[name].to_numpy() for name in ("user_row", "item_row", "age"))
    same = np.zeros(users.size, bool)
    same[1:] = (users[1:] == users[:-1]) & (items[1:] == items[:-1])
    starts = np.flatnonzero(~same)
    pair = np.cumsum(~same) - 1
    count = np.diff(np.append(starts, users.size))
    known, since = age[starts], age[starts + count - 1]
    gaps, of_pair = (age[:-1] - age[1:])[same[1:]], pair[same]
    n_gaps = count - 1
    mean = np.bincount(of_pair, weights=gaps, minlength=starts.size) / np.maximum(n_gaps, 1)
    squares = np.bincount(of_pair, weights=(gaps - mean[of_pair]) ** 2, minlength=starts.size)
    spread = np.where(n_gaps > 1, np.sqrt(squares / np.maximum(n_gaps - 1, 1)), np.nan)
    rows = users[starts].astype(np.int64)
    width = int(age.max(initial=0)) + 1
    visits = np.sort(users.astype(np.int64) * width + age)
    visits = visits[np.diff(visits, prepend=-1) > 0]
    first = np.searchsorted(visits, np.arange(n_users) * width)[rows]
    return Rhythm(
        users=users[starts],
        items=items[starts],
        days=count,
        since=since,
        known=known,
        frequencies={
            name: _added(np.exp(age * (-np.log(2.0) / half_life)), starts)
            for name, half_life in zip(FREQUENCIES, HALF_LIVES_DAYS, strict=True)
        },
        quantity=_added(days["quantity"].to_numpy(), starts),
        revenue=_added(days["revenue"].to_numpy(), starts),
        median_gap=median_by(of_pair, gaps.astype(np.float64), starts.size),
        spread=spread,
        visits_since=np.searchsorted(visits, rows * width + since) - first,
        visits_known=np.searchsorted(visits, rows * width + known, side="right") - first,
    )


def median_by(groups: NDArray[np.integer], values: NDArray[np.floating], n_groups: int) -> Floats:
    """Returns each group's median, `(n_groups,)` float64, without NaN values; NaN for an empty group."""
    real = np.isfinite(values)
    groups, values = groups[real], values[real]
    values = values[np.lexsort((values, groups))]
    sizes = np.bincount(groups, minlength=n_groups)
    ends = np.cumsum(sizes)
    medians = np.full(n_groups, np.nan)
    some = sizes > 0
    start, size = (ends - sizes)[some], sizes[some]
    medians[some] = (values[start + (size - 1) // 2] + values[start + size // 2]) / 2.0
    return medians


def _added(values: Floats, starts: Counts) -> Floats:
    return np.add.reduceat(values, starts) if starts.size else np.zeros(0)
