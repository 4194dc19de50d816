"""Owns learning the chance that an example was bought: a smooth line, and boosted trees for what it leaves.

The line is a logistic regression on the logarithms of a few features, above all of how the item sells.  A
period shows one draw of each item's fortune, which trees would learn by heart; they add what depends on the
shopper.  Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning" (2009), equation 4.26;
Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree" (2017).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from recdata.machine_code import compiled
from training.forest import Forest

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

MAX_BINS = 63
SPARE_DEPTH = 1  # how much deeper a tree may be than one whose leaves are all alike
LEAF_EXAMPLES = 100  # that a leaf needs, fewer where there are few
RIDGE = 10.0  # penalty on the line's squared weights, in examples
NEWTON_STEPS = 20
SMALLEST_SPREAD = 1e-6
FARTHEST = 5.0  # standard deviations; beyond them the line is level
LONGEST_STEP = 2.0  # in standard deviations, so that a separable sample cannot throw the weights away


@dataclass(frozen=True, slots=True)
class Examples:
    """What a model is learned from: candidates of one period, and whether they were bought in it.

    Attributes:
        features: `(n, k)` float32.
        label: `(n,)` bool.
        weight: `(n,)` float32, how many candidates an example stands for.
    """

    features: Floats32
    label: NDArray[np.bool_]
    weight: Floats32


@dataclass(frozen=True, slots=True)
class Line:
    """A logistic regression on the logarithms of some features, 0 where one is missing.

    Attributes:
        columns: `(c,)` of the features.
        mean: `(c,)` of the logarithms.
        spread: `(c,)` their standard deviations.
        missing: `(m,)` positions among the columns whose absence has a weight of its own.
        weights: `(1 + c + m,)`, the constant first.
    """

    columns: NDArray[np.intp]
    mean: Floats32
    spread: Floats32
    missing: NDArray[np.intp]
    weights: Floats

    @classmethod
    def fitted(cls, examples: Examples, columns: NDArray[np.intp]) -> Line:
        """Returns the ridge regression by Newton's method; some of the examples were bought, some not."""
        logs = _logs(examples.features, columns)
        known = np.isfinite(logs)
        mean = np.nan_to_num(np.where(known, logs, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
        spread = np.where(known, logs - mean, 0.0).std(axis=0)
        spread[spread < SMALLEST_SPREAD] = 1.0  # noise that scaling would only make loud
        line = cls(
            columns,
            mean.astype(np.float32),
            spread.astype(np.float32),
            np.flatnonzero(~known.all(axis=0)),
            np.zeros(0),
        )
        design, label = line._design(logs), examples.label
        weight = examples.weight.astype(np.float64)
        penalty = np.full(design.shape[1], RIDGE)
        penalty[0] = 0.0
        share = np.average(label, weights=weight)
        weights = np.zeros(design.shape[1])
        weights[0] = np.log(share / (1.0 - share))
        for _ in range(NEWTON_STEPS):
            chance = chances_of(design @ weights)
            gradient = design.T @ (weight * (label - chance)) - penalty * weights
            curvature = (design * (weight * chance * (1.0 - chance))[:, None]).T @ design + np.diag(penalty)
            step = np.clip(np.linalg.solve(curvature, gradient), -LONGEST_STEP, LONGEST_STEP)
            weights += step
            if np.abs(step).max() < 1e-6:
                break
        return cls(line.columns, line.mean, line.spread, line.missing, weights)

    def logits(self, features: Floats32) -> Floats:
        """Returns the log of the odds of each of the rows `(n, k)`, `(n,)`."""
        return self._design(_logs(features, self.columns)) @ self.weights

    def _design(self, logs: Floats32) -> Floats:
        known = np.isfinite(logs)
        places = np.where(known, np.clip((logs - self.mean) / self.spread, -FARTHEST, FARTHEST), 0.0)
        return np.column_stack([np.ones(len(logs)), places, ~known[:, self.missing]])


@dataclass(frozen=True, slots=True)
class Chances:
    """A fitted model.

    Attributes:
        line: added to the trees; None where they stand alone.
        forest: the trees.
    """

    line: Line | None
    forest: Forest

    def of(self, features: Floats32, *, groups: NDArray[np.integer] | None = None, best: int = 0) -> Floats:
        """Returns the chance of each of the rows `(n, k)`, `(n,)`.

        Args:
            features: one row a candidate.
            groups: `(n,)` ascending; the trees look at the `best` of each by the line alone, the others stay
                as the line has them.  Without groups, or without a line, they look at all.
            best: how many, 1 or more; only looked at beside groups.
        """
        if self.line is None:
            return chances_of(self.forest.logits(features))
        logits = self.line.logits(features)
        if groups is None:
            return chances_of(logits + self.forest.logits(features))
        chosen = np.zeros(groups.size, bool)
        compiled(mark_best)(logits, groups, best, chosen)
        logits[chosen] += self.forest.logits(features[chosen])
        return chances_of(logits)


def mark_best(values: NDArray[Any], groups: NDArray[Any], best: int, chosen: NDArray[np.bool_]) -> None:
    """Sets `chosen` where a value is one of the best of its group, among equals the first; numba compiles it.

    Args:
        values: `(n,)` without NaN.
        groups: `(n,)`, those of one group side by side.
        best: how many of each; 1 or more.
        chosen: `(n,)` False.
    """
    start = 0
    while start < values.size:
        stop = start + 1
        while stop < values.size and groups[stop] == groups[start]:
            stop += 1
        size = stop - start
        if size <= best:
            chosen[start:stop] = True
        else:
            least = np.partition(values[start:stop], size - best)[size - best]
            left = best
            for at in range(start, stop):
                if values[at] > least:
                    chosen[at] = True
                    left -= 1
            for at in range(start, stop):
                if left > 0 and values[at] == least:
                    chosen[at] = True
                    left -= 1
        start = stop


def chances_of(logits: NDArray[np.floating]) -> Floats:
    """Returns the chances whose odds have the given logarithms."""
    return 1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float64), -30.0, 30.0)))


def joined(parts: Sequence[Examples]) -> Examples:
    """Returns all examples in one, the parts in their order; at least one part."""
    return Examples(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )


def fit_chances(
    examples: Examples,
    names: Sequence[str],
    *,
    line: Collection[str] = (),
    unseen: Collection[str] = (),
    trees: int,
    leaves: int,
    rate: float,
    seed: int,
    threads: int,
) -> Chances | None:
    """Returns the model of the chance that an example was bought; None where all or none were.

    Equal examples give equal models on any number of threads.

    Args:
        examples: at least one.
        names: of the features.
        line: features that the line is made of; without any the trees stand alone.
        unseen: features that the trees do not see.
        trees: how many.
        leaves: of a tree at most.
        rate: how much a tree counts.
        seed: of the samples that each tree is grown from.
        threads: 0 means every core.
    """
    if not examples.label.any() or examples.label.all():
        return None
    depth = (leaves - 1).bit_length() + SPARE_DEPTH
    base = Line.fitted(examples, np.flatnonzero([name in line for name in names])) if line else None
    seen = np.flatnonzero([name not in unseen for name in names])
    data = lightgbm.Dataset(
        examples.features[:, seen],
        examples.label.astype(np.float32),
        weight=examples.weight,
        init_score=None if base is None else base.logits(examples.features),
        feature_name=[names[column] for column in seen.tolist()],
        params={"max_bin": MAX_BINS, "verbose": -1},
    )
    parameters = {
        "objective": "binary",
        "num_leaves": leaves,
        "max_depth": depth,
        "learning_rate": rate,
        "min_data_in_leaf": max(5, min(LEAF_EXAMPLES, examples.label.size // 200)),
        "lambda_l2": 10.0,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    model = lightgbm.train(parameters, data, num_boost_round=trees)
    return Chances(base, Forest.of(model, seen, depth=depth))


def _logs(features: Floats32, columns: NDArray[np.intp]) -> Floats32:
    chosen = features[:, columns]
    logs: Floats32 = np.copysign(np.log1p(np.abs(chosen)), chosen)
    return logs
