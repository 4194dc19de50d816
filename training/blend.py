"""Owns the chance that a shopper buys an item in the coming weeks: two gradient-boosted models on one scale.

One weighs items bought before, by the shopper's own rhythm; the other weighs finds.  Both see the item's
sales, the shopper's habits, his closeness to the item's category, and the collaborative scores.  Both give
the chance of the same thing, so their candidates stand in one list.  They are learned from what was bought
in the last periods of the training days, by models fitted to the days before each; finds are learned from
just such candidates as will be weighed, so that being the best of a hundred thousand does not flatter.

Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree" (2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.machine_code import compiled
from training.als import AlsModel
from training.between import fill_models
from training.blocks import NO_ITEM, in_threads
from training.chances import Chances, Examples, chances_of, joined
from training.counts import ITEM_FEATURES
from training.discovery import Discovery, named_beside_vectors
from training.history import Floats, Floats32, History, Rows, is_member, pair_keys
from training.rhythm import PAIR_FEATURES

BETWEEN_MODELS = ("collaborative", "neighbours")
#: What the line of finds is made of.
FIND_LINE = (
    *("buyers_28", "new_buyers_28", "repeat_share", "growth", "price", "visits_28", "category_frequency"),
    *("category_share_of_new", "parent_share_of_new", *BETWEEN_MODELS),
)
CLOSER_LOOK = 100  # finds of a shopper that the trees look at, the best by the line
#: What the trees of finds do not see: it grows with the days that there are, so that it means something else
#: in the period that is learned from than at the time of asking.
GROWING = (
    *("buyers", "days_unsold", "median_gap_of_item", "items"),
    *("category_days", "category_items", "parent_days", "parent_items"),
)


@dataclass(frozen=True, slots=True)
class Blend:
    """The two models; None where there was nothing to learn from, and the plain rule below decides.

    Attributes:
        repeat: chance of items bought before, by `PAIR_FEATURES` and `between`.
        find: chance of items never bought, by `between`.
    """

    repeat: Chances | None
    find: Chances | None

    def repeat_chances(self, features: Floats32) -> Floats:
        """Returns the chance of each row, `(n,)`; without a model by frequency, then the vectors' score."""
        if self.repeat is not None:
            return self.repeat.of(features)
        names = (*PAIR_FEATURES, *ITEM_FEATURES)
        frequency, days, since = (
            np.log1p(features[:, names.index(name)]) for name in ("frequency_56", "days_bought", "days_since")
        )
        return chances_of(frequency + days - 0.2 * since + features[:, -2] - 4.0)

    def find_chances(self, features: Floats32, users: NDArray[np.integer]) -> Floats:
        """Returns the chance of each row, `(n,)`; without a model by the vectors' score and popularity.

        Args:
            features: `between`, one row a candidate.
            users: `(n,)` whose it is, ascending.
        """
        if self.find is not None:
            return self.find.of(features, groups=users, best=CLOSER_LOOK)
        recent, buyers = (
            np.log1p(features[:, ITEM_FEATURES.index(name)]) for name in ("buyers_28", "buyers")
        )
        return chances_of(0.5 * recent + 0.1 * buyers + 4.0 * features[:, -2] - 8.0)


#: Where no earlier period teaches better.
DEFAULT_BLEND = Blend(None, None)


def between(
    history: History, model: AlsModel, users: Rows, items: Rows, *, near: Floats32, start: int
) -> Floats32:
    """Returns the features of any pairs of a block, `(n_pairs, k)`, in the order of `between_names`.

    Args:
        history: what is known of both.
        model: vectors of the same shoppers and items.
        users: user rows of the block.
        items: item rows.
        near: `(n, p)` the block's scores by the item-item model; pairs outside its pool have NaN.
        start: the block's first user row.
    """
    table = history.features_between(users, items, spare=len(BETWEEN_MODELS))
    compiled(fill_models)(
        *(users, items, model.user_factors, model.item_factors),
        *(history.neighbours.place, near, start, table),
    )
    return table


def between_names(history: History) -> tuple[str, ...]:
    """Returns the names of the columns of `between`."""
    return (*history.between_names(), *BETWEEN_MODELS)


def examples_of(
    history: History,
    later: pl.LazyFrame,
    model: AlsModel,
    *,
    length: int,
    max_users: int,
    max_examples: int,
    seed: int,
    threads: int,
) -> tuple[Examples, Examples]:
    """Returns examples of items bought before and of finds, by what was bought in `later`.

    Args:
        history: pairs before the period.
        later: purchases of the period.
        model: fitted to the time of `history`.
        length: candidates for each shopper from the vectors.
        max_users: shoppers learned from, a sample where there are more with a history.
        max_examples: about how many examples of each kind come back at most; candidates that were bought all
            do, of the others a sample.
        seed: of the samples.
        threads: 0 means every core.  The examples do not depend on it.
    """
    seen = np.flatnonzero(np.diff(history.indptr))
    if seen.size > max_users:
        seen = np.sort(np.random.default_rng(seed).choice(seen, max_users, replace=False))
    history = history.of_users(seen)
    model = AlsModel(model.user_factors[seen], model.item_factors, model.losses)
    pairs = later.filter(pl.col("quantity") > 0).select("user_row", "item_row").unique().collect()
    users = pairs["user_row"].to_numpy().astype(np.int64)
    chosen = is_member(users, seen)
    bought = np.sort(
        pair_keys(np.searchsorted(seen, users[chosen]), pairs["item_row"].to_numpy()[chosen], history.n_items)
    )
    discovery = Discovery(history, model, np.ones(history.n_items, bool), length=length)

    finds = history.n_users * (length + named_beside_vectors(history))

    def block(start: int) -> tuple[Examples, Examples]:
        stop = min(start + discovery.size, history.n_users)
        rng = np.random.default_rng([seed, start])
        found = discovery.candidates(start, stop)

        def sampled(
            users: Rows, items: Rows, among: int
        ) -> tuple[NDArray[np.intp], NDArray[np.bool_], Floats32]:
            label = is_member(pair_keys(users, items, history.n_items), bought)
            share = min(1.0, max_examples / max(among, 1))
            kept = np.flatnonzero(label | (rng.random(label.size) < share))
            return kept, label[kept], np.where(label[kept], 1.0, 1.0 / share).astype(np.float32)

        known = history.pairs_of(start, stop)
        users, items = history.users[known], history.items[known]
        kept, label, weight = sampled(users, items, history.users.size)
        beside = between(history, model, users[kept], items[kept], near=found.near, start=start)
        repeat = Examples(np.column_stack([history.pair_features[known][kept], beside]), label, weight)
        at, column = np.nonzero(found.rows != NO_ITEM)
        users, items = (at + start).astype(np.int32), found.rows[at, column]
        kept, label, weight = sampled(users, items, finds)
        beside = between(history, model, users[kept], items[kept], near=found.near, start=start)
        return repeat, Examples(beside, label, weight)

    blocks = list(in_threads(block, range(0, history.n_users, discovery.size), threads=threads))
    return joined([repeat for repeat, _ in blocks]), joined([find for _, find in blocks])
