"""Owns what can be seen of a snapshot as it will be served: sizes, and the lists of a sample of shoppers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.snapshot import Snapshot
from recdata.snapshot.records import Source, UserView


@dataclass(frozen=True, slots=True)
class Measures:
    """One snapshot seen through the eyes of the same shoppers as another.

    Shares are of the sampled shoppers who are known and bought or did something that the model counts.

    Attributes:
        sellable: items that can be sold.
        zero_items: share of the items whose vector is zero.
        shoppers: how many shoppers the shares are of.
        empty: share whose list holds nothing sellable.
        short: share whose list is shorter than a page.
        covered: share whose list holds an item chosen for them.
        zero_users: share whose vector is zero or not finite though the model counts their events.
        catalogue: share of the sellable items that stand in the head of a list.
        heads: item ids of the head of each of these shoppers' lists, by user_id.
    """

    sellable: int
    zero_items: float
    shoppers: int
    empty: float
    short: float
    covered: float
    zero_users: float
    catalogue: float
    heads: dict[str, frozenset[str]]


def sample_of(users: pl.DataFrame, count: int, *, seed: int) -> list[str]:
    """Returns the ids, ascending, of at most `count` shoppers with an event, of the `users` artefact."""
    ids = users.filter(pl.col("first_day").is_not_null())["user_id"]
    if ids.len() > count:
        chosen = np.random.default_rng(seed).choice(ids.len(), count, replace=False)
        ids = ids.gather(np.sort(chosen))
    return ids.to_list()


def measure(snapshot: Snapshot, user_ids: Sequence[str], *, length: int) -> Measures:
    """Returns the measures of a snapshot.

    Args:
        snapshot: open.
        user_ids: the sample; who is not known to it is passed over.
        length: of the head of a list.

    Raises:
        SnapshotError: an item that a list names is not there.
    """
    sellable = snapshot.array("sellable").view(np.bool_)
    factors = snapshot.item_factors
    page = min(length, int(sellable.sum()))
    heads: dict[str, NDArray[np.int32]] = {}
    empty = short = covered = zero = 0
    for user_id in user_ids:
        user = snapshot.user(user_id)
        if user is None or not (user.purchased_rows.size or user.interacted_rows.size):
            continue
        shown = sellable[user.ranked_rows]
        head = user.ranked_rows[shown][:length]
        heads[user_id] = head
        empty += not head.size
        short += head.size < page
        covered += bool((user.ranked_sources[shown] != Source.BESTSELLER).any())
        zero += _without_vector(user)
    shoppers = len(heads)
    rows = np.unique(np.concatenate([*heads.values(), np.empty(0, np.int32)]))
    names = {int(row): snapshot.item(int(row)).item_id for row in rows}
    share = 1.0 / max(shoppers, 1)
    return Measures(
        sellable=int(sellable.sum()),
        zero_items=float(1.0 - factors.any(axis=1).mean()) if len(factors) else 0.0,
        shoppers=shoppers,
        empty=empty * share,
        short=short * share,
        covered=covered * share,
        zero_users=zero * share,
        catalogue=rows.size / max(int(sellable.sum()), 1),
        heads={user_id: frozenset(names[int(row)] for row in head) for user_id, head in heads.items()},
    )


def overlap(live: Measures, new: Measures) -> float:
    """Returns how much of a list's head the same shopper's live list holds too, mean of the shoppers.

    Shoppers without a live list do not count; 0 where nobody with a list is known to both.
    """
    shares = [
        len(head & new.heads[user_id]) / len(head)
        for user_id, head in live.heads.items()
        if head and user_id in new.heads
    ]
    return float(np.mean(shares)) if shares else 0.0


def _without_vector(user: UserView) -> bool:
    factors = user.factors
    return bool(user.interacted_rows.size) and not (np.isfinite(factors).all() and factors.any())
