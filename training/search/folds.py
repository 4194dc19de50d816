"""Owns what a trial is judged on: days before the test period, or pairs held out where there is no time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from recdata.errors import RunError
from training.blocks import NO_ITEM, block_rows, in_threads, top_k
from training.evaluate.config import EvaluateConfig
from training.evaluate.metrics import user_metrics
from training.evaluate.split import Relevance, Split, bought_pairs, judged_users, relevance, split_for
from training.history import pair_keys
from training.interactions import PAIR, InteractionsConfig, build_interactions

Matrix = sparse.csr_array[np.float32, tuple[int, int]]
Factors = NDArray[np.float32]

ALL, NEVER_BOUGHT = "all", "never_bought"
JUDGED_METRICS = ("recall", "ndcg")


@dataclass(frozen=True, slots=True)
class Fold:
    """One validation period.

    Attributes:
        name: its first day, or what it is.
        users: `(n_judged,)` int64, ascending rows of the judged.
        relevant: what they bought, by question; "never_bought" asks for what is not `known`.
        known: `(n_judged, n_items)` csr, what each had bought.
        weigh: returns the weights of everything known, `(n_users, n_items)`, above 0.
    """

    name: str
    users: NDArray[np.int64]
    relevant: dict[str, Relevance]
    known: sparse.csr_array[np.bool_, tuple[int, int]]
    weigh: Callable[[InteractionsConfig], Matrix]

    def lists(
        self, user_factors: Factors, item_factors: Factors, *, k: int, threads: int = 0
    ) -> dict[str, NDArray[np.int32]]:
        """Returns the best k of all items that have a vector, `(n_judged, k)` padded with -1, by question.

        Args:
            user_factors: `(n_judged, f)`, those of `users`.
            item_factors: `(n_items, f)`.
            k: length of the lists.
            threads: 0 means every core.
        """
        lists = {name: np.full((self.users.size, k), NO_ITEM, np.int32) for name in self.relevant}
        pool = np.flatnonzero(item_factors.any(axis=1))
        vectors = np.ascontiguousarray(item_factors[pool].T)
        known = self.known[:, pool]
        size = block_rows(max(pool.size, 1))

        def work(start: int) -> None:
            part = slice(start, start + size)
            scores = user_factors[part] @ vectors
            for name in (ALL, NEVER_BOUGHT):
                if name not in lists:
                    continue
                if name == NEVER_BOUGHT:
                    scores[known[part].nonzero()] = -np.inf
                best, values = top_k(scores, k)
                lists[name][part, : best.shape[1]] = np.where(np.isfinite(values), pool[best], NO_ITEM)

        for _ in in_threads(work, range(0, self.users.size if pool.size else 0, size), threads=threads):
            pass
        unknown = ~user_factors.any(axis=1)
        for held in lists.values():
            held[unknown] = NO_ITEM
        return lists

    def judge(
        self, user_factors: Factors, item_factors: Factors, *, k: int, threads: int = 0
    ) -> dict[tuple[str, str], float]:
        """Returns the means of `JUDGED_METRICS` of the lists, by question and metric; see `lists`.

        A shopper without relevant items does not count; 0 where nobody has any.
        """
        lists = self.lists(user_factors, item_factors, k=k, threads=threads)
        found = {}
        for name, relevant in self.relevant.items():
            measured = user_metrics(lists[name], relevant)
            for metric in JUDGED_METRICS:
                found[name, metric] = float(np.nanmean(measured[metric])) if relevant.keys.size else 0.0
        return found


def folds_of_events(
    purchases: pl.LazyFrame,
    behaviour: pl.LazyFrame,
    n_users: int,
    n_items: int,
    *,
    as_of: date,
    judged: EvaluateConfig,
    periods: int,
) -> list[Fold]:
    """Returns the periods right before those that `evaluate` judges, the latest first.

    Args:
        purchases: the `purchases` artefact.
        behaviour: the `behaviour` artefact.
        n_users: how many shoppers there are.
        n_items: how many items there are.
        as_of: the run's day.
        judged: says which days are the test's, which no fold touches.
        periods: how many.

    Raises:
        RunError: nobody bought in one of the periods what could be recommended, or nothing before it.
    """
    folds = []
    for back in range(judged.periods, judged.periods + periods):
        split = split_for(judged, as_of=as_of, back=back)
        bought = bought_pairs(purchases, split)
        users = judged_users(bought, judged)
        past = (pl.col("day") < split.start) & (pl.col("quantity") > 0)
        before = purchases.filter(past).select(*PAIR).unique().collect()
        if not users.size or not before.height:
            raise RunError(
                f"no purchases in or before the validation period from {split.start}; import more days, or "
                "lower training.search.periods, training.evaluate.periods or training.evaluate.test_days"
            )
        whole = relevance(bought, users, n_items)
        known = sparse.csr_array(
            (np.ones(before.height, bool), (before["user_row"].to_numpy(), before["item_row"].to_numpy())),
            shape=(n_users, n_items),
        )[users]
        targets = {ALL: whole, NEVER_BOUGHT: whole.without(_keys(known))}
        folds.append(
            Fold(
                str(split.start),
                users,
                targets,
                known,
                _weigher(purchases, behaviour, n_users, n_items, split),
            )
        )
    return folds


def fold_of_pairs(pairs: Matrix, *, held_out_share: float, rng: np.random.Generator) -> Fold:
    """Returns one fold for pairs without times: a share of them, drawn at random, is to be found.

    Args:
        pairs: `(n_users, n_items)`, above 0 where a pair met; the weights are taken as they are.
        held_out_share: above 0 and below 1.
        rng: draws.

    Raises:
        RunError: too few pairs to hold any out.
    """
    whole = pairs.tocoo()
    users, items = whole.coords
    held = rng.random(whole.nnz) < held_out_share
    if not held.any() or held.all():
        raise RunError(f"{whole.nnz} pairs are too few to hold {held_out_share:.0%} of them out")
    kept = sparse.csr_array((whole.data[~held], (users[~held], items[~held])), shape=pairs.shape)
    judged = np.unique(users[held]).astype(np.int64)
    keys = np.sort(pair_keys(np.searchsorted(judged, users[held]), items[held], pairs.shape[1]))
    relevant = Relevance(keys, np.zeros(keys.size), judged.size, pairs.shape[1])
    return Fold(
        "held out",
        judged,
        {NEVER_BOUGHT: relevant},
        sparse.csr_array(kept[judged] > 0),
        lambda _interactions: kept,
    )


def _keys(known: sparse.csr_array[np.bool_, tuple[int, int]]) -> NDArray[np.int64]:
    users = np.repeat(np.arange(known.shape[0]), np.diff(known.indptr))
    return np.sort(pair_keys(users, known.indices, known.shape[1]))


def _weigher(
    purchases: pl.LazyFrame, behaviour: pl.LazyFrame, n_users: int, n_items: int, split: Split
) -> Callable[[InteractionsConfig], Matrix]:
    def weigh(interactions: InteractionsConfig) -> Matrix:
        return build_interactions(
            purchases, behaviour, n_users, n_items, as_of=split.start, config=interactions
        )

    return weigh
