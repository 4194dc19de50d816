"""Owns the lists that are judged: bestsellers, own purchase frequency, ALS alone, and what is served."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.als import AlsModel
from training.blend import Blend
from training.blocks import NO_ITEM, block_rows, in_threads, top_k
from training.history import History, is_member, pair_keys
from training.ranking import RankingConfig, rank_for_users

Lists = NDArray[np.int32]
MODELS = ("bestsellers", "own_frequency", "als", "served")
TARGETS = ("all", "never_bought")
FILTER_BLOCK_USERS = 512


@dataclass(frozen=True, slots=True)
class Shown:
    """What one model shows.

    Attributes:
        lists: `(n_users, k)` int32 item rows, best first, padded with -1.
        covered: `(n_users,)` bool, whether the model itself has an item for the shopper.
    """

    lists: Lists
    covered: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NewItems:
    """Items that too few had bought for a vector, and have one from their traits in the served lists.

    Attributes:
        which: `(n_items,)` bool.
        vectors: `(n_items, factors)` float32, the model's, and for new items what their traits speak for.
    """

    which: NDArray[np.bool_]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rivals:
    """Everything the lists are made from, for the judged shoppers only, known before the test period.

    Attributes:
        history: pairs bought; user rows are positions among the judged.
        model: its user factors are those of the judged.
        blend: learned on the end of the training days.
        new: what the served lists know of new items; None where there are none.
    """

    history: History
    model: AlsModel
    blend: Blend
    new: NewItems | None = None

    @classmethod
    def of(cls, users: NDArray[np.int64], history: History, model: AlsModel, blend: Blend) -> Rivals:
        """Returns the rivals for the given user rows, without new items."""
        return cls(history, model, blend).of_users(users)

    def of_users(self, users: NDArray[np.int64]) -> Rivals:
        """Returns the rivals for the given user rows, which become positions."""
        chosen = AlsModel(self.model.user_factors[users], self.model.item_factors, self.model.losses)
        return Rivals(self.history.of_users(users), chosen, self.blend, self.new)

    def lists(self, k: int, served: Lists) -> dict[tuple[str, str], Shown]:
        """Returns what every model shows for every target; `served` are the whole lists of `ranked`.

        For the target "never_bought" every model leaves out what the shopper had bought, as the server does
        on request.  A served list that is too short is filled up with bestsellers, as the server does; it
        covers a shopper only where at least one of its items was chosen for that shopper.
        """
        known = self.history.keys
        nothing = np.empty(0, np.int64)
        shown: dict[tuple[str, str], Shown] = {}
        by_als = self._als(k)
        for target, left_out, als in (("all", nothing, by_als[0]), ("never_bought", known, by_als[1])):
            bestsellers = self.bestsellers(k, left_out)
            own_frequency = self._own_frequency(k, nothing_left=target == "never_bought")
            chosen = first_allowed(served, k, left_out, self.history.n_items)
            shown["bestsellers", target] = Shown(bestsellers, holds_any(bestsellers))
            shown["own_frequency", target] = Shown(own_frequency, holds_any(own_frequency))
            shown["als", target] = Shown(als, holds_any(als))
            shown["served", target] = Shown(fill_up(chosen, bestsellers), holds_any(chosen))
        return shown

    def ranked(self, ranking: RankingConfig) -> tuple[Lists, NDArray[np.float32]]:
        """Returns rows and scores of the whole list that the snapshot would hold of each of the judged."""
        sellable = np.ones(self.history.n_items, bool)
        vectors = self.model.item_factors if self.new is None else self.new.vectors
        model = AlsModel(self.model.user_factors, vectors, self.model.losses)
        new = None if self.new is None else self.new.which
        blocks = list(rank_for_users(self.history, model, self.blend, sellable, ranking, new=new))
        return np.concatenate([block.rows for block in blocks]), np.concatenate(
            [block.scores for block in blocks]
        )

    def bestsellers(self, k: int, left_out: NDArray[np.int64]) -> Lists:
        """Returns what sold best in the last four weeks, without the ascending pair keys left out."""
        longest = k + int(np.diff(self.history.indptr).max(initial=0)) if left_out.size else k
        popularity = self.history.recent_buyers
        order = np.lexsort((np.arange(popularity.size), -popularity))[:longest]
        order = order[popularity[order] > 0].astype(np.int32)
        return first_allowed(
            np.broadcast_to(order, (self.history.n_users, order.size)), k, left_out, self.history.n_items
        )

    def _own_frequency(self, k: int, *, nothing_left: bool) -> Lists:
        lists = np.full((self.history.n_users, k), NO_ITEM, np.int32)
        if nothing_left:
            return lists
        history = self.history
        order = np.lexsort((history.items, history.days_since, -history.days_bought, history.users))
        users = history.users[order]
        rank = np.arange(users.size) - history.indptr[users]
        kept = rank < k
        lists[users[kept], rank[kept]] = history.items[order][kept]
        return lists

    def _als(self, k: int) -> tuple[Lists, Lists]:
        """Returns the model's lists, and those without what the shopper had bought."""
        n_users = self.history.n_users
        every, fresh = (np.full((n_users, k), NO_ITEM, np.int32) for _ in range(2))
        pool = np.flatnonzero(self.model.item_factors.any(axis=1))
        if not pool.size:
            return every, fresh
        place = np.full(self.history.n_items, NO_ITEM)
        place[pool] = np.arange(pool.size)
        vectors = np.ascontiguousarray(self.model.item_factors[pool].T)
        size = block_rows(pool.size)

        def best(scores: NDArray[np.float32]) -> Lists:
            places, values = top_k(scores, k)
            return np.where(np.isfinite(values), pool[places], NO_ITEM).astype(np.int32)

        def block(start: int) -> tuple[int, Lists, Lists]:
            scores = self.model.user_factors[start : start + size] @ vectors
            whole = best(scores)
            pairs = self.history.pairs_of(start, min(start + size, n_users))
            places = place[self.history.items[pairs]]
            inside = places != NO_ITEM
            scores[(self.history.users[pairs] - start)[inside], places[inside]] = -np.inf
            return start, whole, best(scores)

        for start, whole, rest in in_threads(block, range(0, n_users, size), threads=0):
            every[start : start + size, : whole.shape[1]] = whole
            fresh[start : start + size, : rest.shape[1]] = rest
        without = ~self.model.user_factors.any(axis=1)
        every[without] = fresh[without] = NO_ITEM
        return every, fresh


def first_allowed(lists: Lists, k: int, left_out: NDArray[np.int64], n_items: int) -> Lists:
    """Returns each list's first k items whose (position, item) key is not in the sorted `left_out`."""
    n_users = lists.shape[0]
    kept = np.full((n_users, k), NO_ITEM, np.int32)
    for start in range(0, n_users, FILTER_BLOCK_USERS):
        block = lists[start : start + FILTER_BLOCK_USERS]
        users = np.arange(start, start + len(block))
        keys = pair_keys(users[:, None], block, n_items)
        allowed = (block != NO_ITEM) & ~is_member(keys, left_out)
        rank = np.cumsum(allowed, axis=1) - 1
        inside, column = np.nonzero(allowed & (rank < k))
        kept[start + inside, rank[inside, column]] = block[inside, column]
    return kept


def holds_any(lists: Lists) -> NDArray[np.bool_]:
    """Returns for each list whether it holds an item."""
    held: NDArray[np.bool_] = (lists != NO_ITEM).any(axis=1)
    return held


def fill_up(lists: Lists, fallback: Lists) -> Lists:
    """Returns the lists with their empty places taken by the fallback's items that they do not hold yet."""
    filled = lists.copy()
    for user in np.flatnonzero((lists == NO_ITEM).any(axis=1)):
        own = lists[user][lists[user] != NO_ITEM]
        more = fallback[user][(fallback[user] != NO_ITEM) & ~np.isin(fallback[user], own)]
        whole = np.concatenate([own, more])[: lists.shape[1]]
        filled[user, : whole.size] = whole
    return filled
