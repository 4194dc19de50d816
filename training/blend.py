"""Owns the probability that a shopper buys an item in the coming weeks: features, and the weights they are given.

Two logistic models share one scale.  For items bought before, the shopper's own rhythm speaks (how often, how
lately), and the collaborative score and the item's popularity beside it.  For items never bought there are only the
last two, which keeps the score linear in the vectors, so the best of a whole catalogue are found by one product.
The weights are learned on a validation period at the end of the training data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.interactions import check_rows

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]

RECENT_DAYS = 28  # popularity and activity look back this far
PAIR_BLOCK = 1 << 16
NEWTON_STEPS = 50
HALF_LIVES_DAYS = (14.0, 56.0, 224.0)
REPEAT_FEATURES = (
    *(f"log_frequency_{half_life:.0f}" for half_life in HALF_LIVES_DAYS),
    "log_days_bought",
    "log_days_since",
    "log_lateness",
    "log_repeat_share",
    "log_activity",
    "popularity",
    "collaborative",
)
DISCOVERY_FEATURES = ("popularity", "collaborative")


@dataclass(frozen=True, slots=True)
class History:
    """What is known of every pair of shopper and item that was bought before `as_of`; one row a pair.

    Attributes:
        users: `(n_pairs,)` int32, ascending.
        items: `(n_pairs,)` int32, ascending within a user.
        features: `(n_pairs, len(REPEAT_FEATURES) - 1)` float32: all but the collaborative score.
        popularity: `(n_items,)` float64, log2(1 + distinct buyers of the last 28 days).
        indptr: `(n_users + 1,)` int64: where each user's pairs start.
    """

    users: Rows
    items: Rows
    features: NDArray[np.float32]
    popularity: Floats
    indptr: NDArray[np.int64]

    @property
    def days_bought(self) -> NDArray[np.int64]:
        """Returns on how many days each pair was bought."""
        return self._whole_days("log_days_bought")

    @property
    def days_since(self) -> NDArray[np.int64]:
        """Returns how many days before `as_of` each pair was last bought; 1 is the day before."""
        return self._whole_days("log_days_since")

    def _whole_days(self, feature: str) -> NDArray[np.int64]:
        return np.rint(np.expm1(self.features[:, REPEAT_FEATURES.index(feature)])).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Blend:
    """Weights of the two logistic models.

    Attributes:
        repeat: `(1 + len(REPEAT_FEATURES),)` float64, the constant first.
        discovery: `(1 + len(DISCOVERY_FEATURES),)` float64, the constant first.
    """

    repeat: Floats
    discovery: Floats


#: Used where no validation period teaches better: the shopper's own frequency first, the model's score after it.
DEFAULT_BLEND = Blend(
    repeat=np.array([-4.0, 0.6, 0.6, 0.6, 0.4, -0.2, 0.0, 0.2, 0.0, 0.1, 1.0]),
    discovery=np.array([-8.0, 0.4, 4.0]),
)


def pair_history(purchases: pl.LazyFrame, n_users: int, n_items: int, *, as_of: date) -> History:
    """Returns every pair bought, net of returns, before `as_of`.

    Frequency counts days, not lines, each halved per half-life; lateness is the days since the last purchase over
    the mean gap between purchases (log 0 for a single purchase); the repeat share of an item is how many of its
    buyers bought it on two days or more, drawn towards 1 in 10 by ten imaginary buyers; activity is the shopper's
    days with a purchase in the last 28 days.

    Raises:
        RunError: a row lies outside `n_users` or `n_items`.
    """
    age = (pl.lit(as_of) - pl.col("day")).dt.total_days().cast(pl.Float64)
    known = purchases.filter(pl.col("day") < as_of)
    kept = known.group_by("user_row", "item_row").agg(pl.col("quantity").sum()).filter(pl.col("quantity") > 0)
    days = (
        known.filter(pl.col("quantity") > 0)
        .select("user_row", "item_row", "day", age=age)
        .unique(["user_row", "item_row", "day"])
        .join(kept, on=["user_row", "item_row"], how="semi")
    )
    pairs = (
        days.group_by("user_row", "item_row")
        .agg(
            *((pl.col("age") * (-np.log(2.0) / life)).exp().sum().alias(f"f{life:.0f}") for life in HALF_LIVES_DAYS),
            days=pl.len(),
            since=pl.col("age").min(),
            span=pl.col("age").max() - pl.col("age").min(),
        )
        .sort("user_row", "item_row")
        .collect(engine="streaming")
    )
    recent = days.filter(pl.col("age") <= RECENT_DAYS).collect(engine="streaming")
    users, items = pairs["user_row"].to_numpy(), pairs["item_row"].to_numpy()
    check_rows(users, n_users, "user_row")
    check_rows(items, n_items, "item_row")
    repeated = pairs["days"].to_numpy() > 1
    buyers = np.bincount(items, minlength=n_items)
    repeat_share = (np.bincount(items[repeated], minlength=n_items) + 1.0) / (buyers + 10.0)
    activity = _counts(recent.select("user_row", "day").unique(), "user_row", n_users)
    popularity = np.log2(1.0 + _counts(recent.select("user_row", "item_row").unique(), "item_row", n_items))
    gap = pairs["span"].to_numpy() / np.maximum(pairs["days"].to_numpy() - 1.0, 1.0)
    since = pairs["since"].to_numpy()
    features = [np.log1p(pairs[f"f{life:.0f}"].to_numpy()) for life in HALF_LIVES_DAYS]
    features += [
        np.log1p(pairs["days"].to_numpy()),
        np.log1p(since),
        np.where(repeated, np.log((since + 1.0) / (gap + 1.0)), 0.0),
        np.log(repeat_share)[items],
        np.log1p(activity)[users],
        popularity[items],
    ]
    starts = np.searchsorted(users, np.arange(n_users + 1)).astype(np.int64)
    return History(users, items, np.column_stack(features).astype(np.float32), popularity, starts)


def select_users(history: History, users: NDArray[np.int64]) -> History:
    """Returns the pairs of the given ascending user rows, whose positions become the user rows."""
    chosen = is_member(history.users.astype(np.int64), users)
    places = np.searchsorted(users, history.users[chosen]).astype(np.int32)
    starts = np.searchsorted(places, np.arange(users.size + 1)).astype(np.int64)
    return History(places, history.items[chosen], history.features[chosen], history.popularity, starts)


def pair_scores(
    user_factors: NDArray[np.float32], item_factors: NDArray[np.float32], users: Rows, items: Rows
) -> Floats:
    """Returns the collaborative score of each pair, float64 `(n_pairs,)`, in bounded memory."""
    scores = np.empty(users.size, np.float64)
    for start in range(0, users.size, PAIR_BLOCK):
        part = slice(start, start + PAIR_BLOCK)
        scores[part] = np.einsum("pf,pf->p", user_factors[users[part]], item_factors[items[part]])
    return scores


def fit_blend(
    history: History,
    later: pl.LazyFrame,
    user_factors: NDArray[np.float32],
    item_factors: NDArray[np.float32],
    *,
    rng: np.random.Generator,
    negatives_per_user: int,
    max_users: int,
) -> Blend:
    """Returns weights learned from what the shoppers of `history` bought in `later`.

    Discovery learns from every pair first bought in `later` and from a uniform sample of pairs that were not, each
    weighted by how many it stands for.

    Args:
        history: pairs before the validation period; the factors are of the same time.
        later: purchases of the validation period.
        user_factors: `(n_users, factors)` float32.
        item_factors: `(n_items, factors)` float32.
        rng: draws the pairs never bought.
        negatives_per_user: sampled pairs per shopper.
        max_users: shoppers learned from, a sample where there are more.
    """
    n_items = item_factors.shape[0]
    seen = np.flatnonzero(np.diff(history.indptr))
    if seen.size > max_users:
        seen = np.sort(rng.choice(seen, max_users, replace=False))
    chosen = np.isin(history.users, seen)
    pair_users, pair_items, features = history.users[chosen], history.items[chosen], history.features[chosen]
    bought = later.filter(pl.col("quantity") > 0).select("user_row", "item_row").unique().collect()
    bought_keys = np.sort(pair_keys(bought["user_row"].to_numpy(), bought["item_row"].to_numpy(), n_items))
    known_keys = pair_keys(pair_users, pair_items, n_items)
    label = is_member(known_keys, bought_keys)
    if not label.any() or label.all():
        return DEFAULT_BLEND
    collaborative = pair_scores(user_factors, item_factors, pair_users, pair_items)
    repeat = logistic(np.column_stack([features, collaborative]), label, np.ones(label.size))

    first = bought_keys[~is_member(bought_keys, known_keys) & np.isin(bought_keys // n_items, seen)]
    drawn = pair_keys(
        np.repeat(seen, negatives_per_user), rng.integers(0, n_items, seen.size * negatives_per_user), n_items
    )
    drawn = drawn[~is_member(drawn, known_keys) & ~is_member(drawn, bought_keys)]
    if not first.size or not drawn.size:
        return Blend(repeat, DEFAULT_BLEND.discovery)
    stands_for = (seen.size * n_items - known_keys.size - first.size) / drawn.size
    keys = np.concatenate([first, drawn])
    users, items = np.divmod(keys, n_items)
    discovery = logistic(
        np.column_stack([history.popularity[items], pair_scores(user_factors, item_factors, users, items)]),
        np.arange(keys.size) < first.size,
        np.where(np.arange(keys.size) < first.size, 1.0, stands_for),
    )
    return Blend(repeat, discovery)


def logistic(features: Floats, label: NDArray[np.bool_], weight: Floats, *, ridge: float = 1.0) -> Floats:
    """Returns the ridge logistic regression's coefficients, the constant first and unpenalised.

    Newton's method on standardised features; Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning"
    (2009), equation 4.26.

    Args:
        features: `(n, k)`.
        label: `(n,)` what happened.
        weight: `(n,)` how many cases a row stands for.
        ridge: penalty on the standardised coefficients, in cases.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread == 0.0] = 1.0
    design = np.column_stack([np.ones(len(features)), (features - mean) / spread])
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 1e-6
    share = np.clip(np.average(label, weights=weight), 1e-9, 1 - 1e-9)
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(share / (1.0 - share))
    for _ in range(NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -30.0, 30.0)))
        gradient = design.T @ (weight * (label - chance)) - penalty * beta
        curvature = (design * (weight * chance * (1.0 - chance))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        beta += np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-8:
            break
    coefficients = beta[1:] / spread
    return np.concatenate([[beta[0] - coefficients @ mean], coefficients])


def pair_keys(users: NDArray[np.integer], items: NDArray[np.integer], n_items: int) -> NDArray[np.int64]:
    """Returns one int64 a pair that sorts by user, then item."""
    return users.astype(np.int64) * n_items + items


def is_member(keys: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns whether each key stands in the sorted keys `among`."""
    if not among.size:
        return np.zeros(keys.shape, bool)
    return among[np.minimum(np.searchsorted(among, keys), among.size - 1)] == keys


def _counts(frame: pl.DataFrame, column: str, size: int) -> Floats:
    return np.bincount(frame[column].to_numpy(), minlength=size).astype(np.float64)
