"""Owns the time split: which days are learned from, which are judged, and what was bought in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.errors import RunError
from recdata.sums import group_sums
from training.evaluate.config import EvaluateConfig
from training.history import is_member, pair_keys


@dataclass(frozen=True, slots=True)
class Split:
    """The test period: `start` is its first day, before which all is learned; `end` the day after it."""

    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Relevance:
    """What the judged shoppers bought in the test period, one entry a pair of shopper and item.

    Attributes:
        keys: `(n_pairs,)` int64, `place * n_items + item_row`, ascending; place is the shopper's position
            among the judged.
        revenue: `(n_pairs,)` float64, net of returns, never negative.
        n_users: how many shoppers are judged.
        n_items: how many items there are.
    """

    keys: NDArray[np.int64]
    revenue: NDArray[np.float64]
    n_users: int
    n_items: int

    @property
    def places(self) -> NDArray[np.int64]:
        """Returns each pair's shopper, as position among the judged."""
        return self.keys // self.n_items

    @property
    def items(self) -> NDArray[np.int64]:
        """Returns each pair's item row."""
        return self.keys % self.n_items

    def where(self, kept: NDArray[np.bool_]) -> Relevance:
        """Returns the pairs that are kept, for the same shoppers."""
        return Relevance(self.keys[kept], self.revenue[kept], self.n_users, self.n_items)

    def without(self, known: NDArray[np.int64]) -> Relevance:
        """Returns the pairs whose key is not in the sorted `known`."""
        return self.where(~is_member(self.keys, known))


def split_for(config: EvaluateConfig, *, as_of: date, back: int = 0) -> Split:
    """Returns the test period of a run whose data end the day before `as_of`, or an earlier one.

    Args:
        config: where the last period starts and how long each is.
        as_of: first day that is not in the data.
        back: how many periods earlier; each ends where the next one starts.

    Raises:
        RunError: the configured first day leaves no day to test on.
    """
    start = config.test_start or as_of - timedelta(days=config.test_days)
    if start >= as_of:
        raise RunError(
            f"training.evaluate.test_start = {start} is not before the run's day {as_of}; "
            "choose an earlier day"
        )
    start -= back * timedelta(days=config.test_days)
    return Split(start, min(start + timedelta(days=config.test_days), as_of))


def bought_pairs(purchases: pl.LazyFrame, split: Split) -> pl.DataFrame:
    """Returns the sorted (user_row, item_row, revenue) of what was bought, net of returns, in the test."""
    pair, amounts = ["user_row", "item_row"], ["quantity", "revenue"]
    inside = (pl.col("day") >= split.start) & (pl.col("day") < split.end)
    lines = purchases.filter(inside).select(*pair, *amounts).collect()
    bought = group_sums(lines, pair, amounts).filter(pl.col("quantity") > 0)
    return bought.select(*pair, pl.col("revenue").clip(lower_bound=0.0))


def judged_users(bought: pl.DataFrame, config: EvaluateConfig) -> NDArray[np.int64]:
    """Returns the ascending user rows that are judged: all that bought, or a seeded sample of them."""
    users = np.unique(bought["user_row"].to_numpy()).astype(np.int64)
    if users.size > config.max_users:
        rng = np.random.default_rng(config.seed)
        users = np.sort(rng.choice(users, config.max_users, replace=False))
    return users


def relevance(bought: pl.DataFrame, users: NDArray[np.int64], n_items: int) -> Relevance:
    """Returns what the given shoppers bought."""
    rows = bought["user_row"].to_numpy()
    chosen = is_member(rows.astype(np.int64), users)
    places = np.searchsorted(users, rows[chosen])
    keys = pair_keys(places, bought["item_row"].to_numpy()[chosen], n_items)
    return Relevance(keys, bought["revenue"].to_numpy()[chosen], users.size, n_items)
