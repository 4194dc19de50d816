"""Owns the chance that a shopper buys an item in the coming weeks: logistic models on one scale.

For items bought before, the shopper's own rhythm speaks (how often, how lately), beside it the
collaborative score, the item's popularity, and how active the shopper is, also in the item's category.
Items never bought are found by a score that is linear in the vectors, then weighed by a model learned from
just such finds, so that being the best of a hundred thousand does not flatter.  All are chances of the same
thing, so their candidates stand in one list. The weights are learned on a validation period.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.als import AlsModel
from training.blocks import NO_ITEM
from training.discovery import Discovery
from training.history import (
    AFFINITY_FEATURES,
    ITEM_FEATURES,
    PAIR_FEATURES,
    USER_FEATURES,
    Floats,
    History,
    is_member,
    pair_keys,
)

BETWEEN_FEATURES = (*ITEM_FEATURES, *USER_FEATURES, *AFFINITY_FEATURES, "collaborative")
REPEAT_WEIGHTS = ("constant", *PAIR_FEATURES, *BETWEEN_FEATURES)
FIND_WEIGHTS = ("constant", *ITEM_FEATURES, "collaborative")
DISCOVERY_WEIGHTS = ("constant", *BETWEEN_FEATURES)
PAIR_BLOCK = 1 << 16
NEWTON_STEPS = 50
SMALLEST_SPREAD = 1e-6
LONGEST_STEP = 2.0  # in standard deviations, so that a separable sample cannot throw the weights away


@dataclass(frozen=True, slots=True)
class Blend:
    """Weights of the logistic models.

    Attributes:
        repeat: `(len(REPEAT_WEIGHTS),)` float64, ranks items bought before.
        find: `(len(FIND_WEIGHTS),)` float64, finds items never bought.
        discovery: `(len(DISCOVERY_WEIGHTS),)` float64, ranks what was found.
    """

    repeat: Floats
    find: Floats
    discovery: Floats


#: Where no validation period teaches better: own frequency first, the collaborative score and popularity
#: after it.
DEFAULT_BLEND = Blend(
    repeat=np.array([-4.0, 0.0, 1.0, 0.0, 1.0, -0.2, 0.0, 0.1, 0.0, 0.2, 0.0, 0.0, 1.0]),
    find=np.array([-8.0, 0.5, 0.1, 0.0, 4.0]),
    discovery=np.array([-8.0, 0.5, 0.1, 0.0, 0.0, 0.0, 4.0]),
)


def pair_scores(model: AlsModel, users: NDArray[np.integer], items: NDArray[np.integer]) -> Floats:
    """Returns the collaborative score of each pair, `(n_pairs,)`, in bounded memory."""
    scores = np.empty(users.size, np.float64)
    for start in range(0, users.size, PAIR_BLOCK):
        part = slice(start, start + PAIR_BLOCK)
        scores[part] = np.einsum("pf,pf->p", model.user_factors[users[part]], model.item_factors[items[part]])
    return scores


def between(
    history: History, model: AlsModel, users: NDArray[np.integer], items: NDArray[np.integer]
) -> Floats:
    """Returns `BETWEEN_FEATURES` of any pairs, `(n_pairs, len(BETWEEN_FEATURES))`."""
    return np.column_stack([history.features_between(users, items), pair_scores(model, users, items)])


def fit_blend(
    history: History,
    later: pl.LazyFrame,
    model: AlsModel,
    *,
    rng: np.random.Generator,
    negatives_per_user: int,
    candidates_per_user: int,
    max_users: int,
) -> Blend:
    """Returns weights learned from what the shoppers of `history` bought in `later`.

    Finding learns from every pair first bought in `later` and from a uniform sample of pairs that were not,
    each weighted by how many it stands for.  Where a model has nothing to learn from, it keeps its default.

    Args:
        history: pairs before the validation period.
        later: purchases of the validation period.
        model: fitted to the time of `history`.
        rng: draws shoppers and pairs never bought.
        negatives_per_user: sampled pairs per shopper.
        candidates_per_user: finds per shopper that discovery is learned from.
        max_users: shoppers learned from, a sample where there are more.
    """
    seen = np.flatnonzero(np.diff(history.indptr))
    if seen.size > max_users:
        seen = np.sort(rng.choice(seen, max_users, replace=False))
    history = history.of_users(seen)
    model = AlsModel(model.user_factors[seen], model.item_factors, model.losses)
    pairs = later.filter(pl.col("quantity") > 0).select("user_row", "item_row").unique().collect()
    users = pairs["user_row"].to_numpy().astype(np.int64)
    chosen = is_member(users, seen)
    items = pairs["item_row"].to_numpy()[chosen]
    bought = np.sort(pair_keys(np.searchsorted(seen, users[chosen]), items, history.n_items))
    find = _fit_find(history, bought, model, negatives_per_user=negatives_per_user, rng=rng)
    discovery = _fit_discovery(history, bought, model, find, length=candidates_per_user)
    return Blend(_fit_repeat(history, bought, model), find, discovery)


def _fit_repeat(history: History, bought: NDArray[np.int64], model: AlsModel) -> Floats:
    label = is_member(history.keys, bought)
    if not label.any() or label.all():
        return DEFAULT_BLEND.repeat
    features = (history.pair_features, between(history, model, history.users, history.items))
    return logistic(np.column_stack(features), label, np.ones(label.size))


def _fit_find(
    history: History,
    bought: NDArray[np.int64],
    model: AlsModel,
    *,
    negatives_per_user: int,
    rng: np.random.Generator,
) -> Floats:
    n_users, n_items = history.n_users, history.n_items
    first = bought[~is_member(bought, history.keys)]
    size = n_users * negatives_per_user
    drawn = pair_keys(
        np.repeat(np.arange(n_users), negatives_per_user), rng.integers(0, n_items, size), n_items
    )
    drawn = drawn[~is_member(drawn, history.keys) & ~is_member(drawn, bought)]
    if not first.size or not drawn.size:
        return DEFAULT_BLEND.find
    stands_for = (n_users * n_items - history.users.size - first.size) / drawn.size
    users, items = np.divmod(np.concatenate([first, drawn]), n_items)
    label = np.arange(users.size) < first.size
    features = np.column_stack([history.item_features[items], pair_scores(model, users, items)])
    return logistic(features, label, np.where(label, 1.0, stands_for))


def _fit_discovery(
    history: History, bought: NDArray[np.int64], model: AlsModel, find: Floats, *, length: int
) -> Floats:
    everything = np.ones(history.n_items, bool)
    discovery = Discovery(history, model, find, everything, length=length)
    starts = range(0, history.n_users, discovery.size)
    found = [discovery.candidates(at, min(at + discovery.size, history.n_users)) for at in starts]
    items = np.concatenate(found)
    users, column = np.nonzero(items != NO_ITEM)
    rows = items[users, column]
    label = is_member(pair_keys(users, rows, history.n_items), bought)
    if not label.any() or label.all():
        return np.concatenate([find[:-1], np.zeros(len(USER_FEATURES) + len(AFFINITY_FEATURES)), find[-1:]])
    return logistic(between(history, model, users, rows), label, np.ones(label.size))


def logistic(features: Floats, label: NDArray[np.bool_], weight: Floats, *, ridge: float = 1.0) -> Floats:
    """Returns the ridge logistic regression's coefficients, `(k + 1,)`, the constant first and unpenalised.

    Newton's method on standardised features; Hastie, Tibshirani and Friedman, "The Elements of Statistical
    Learning" (2009), equation 4.26.

    Args:
        features: `(n, k)`.
        label: `(n,)` what happened.
        weight: `(n,)` how many cases a row stands for.
        ridge: penalty on the standardised coefficients, in cases.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread < SMALLEST_SPREAD] = 1.0  # noise that scaling would only make loud
    design = np.column_stack([np.ones(len(features)), (features - mean) / spread])
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 0.0
    share = np.average(label, weights=weight)
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(share / (1.0 - share))
    for _ in range(NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -30.0, 30.0)))
        gradient = design.T @ (weight * (label - chance)) - penalty * beta
        curvature = (design * (weight * chance * (1.0 - chance))[:, None]).T @ design + np.diag(penalty)
        step = np.clip(np.linalg.solve(curvature, gradient), -LONGEST_STEP, LONGEST_STEP)
        beta += step
        if np.abs(step).max() < 1e-7:
            break
    coefficients = beta[1:] / spread
    return np.concatenate([[beta[0] - coefficients @ mean], coefficients])
