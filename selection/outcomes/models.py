"""Owns the learned part: a chance or an amount by boosted trees, and its correction by what came true.

Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree" (2017); Platt, "Probabilistic
outputs for support vector machines" (1999), whose two numbers are fitted here to forecasts that were made
before the fact and whose answer is known by now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np

from selection.outcomes.config import OutcomesConfig
from selection.outcomes.facts import Floats
from selection.outcomes.labels import Flags
from selection.outcomes.panel import Floats32

MAX_BINS = 63
LEAF_EXAMPLES = 100  # that a leaf needs, fewer where there are few
LEAST_CHANCE = 1e-5
#: Weight of "the chances are right as they are" in a correction, in examples that got there.
PRIOR_POSITIVES = 25.0
TWEEDIE_POWER = 1.3


@dataclass(frozen=True, slots=True)
class Correction:
    """Corrected log odds = shift + slope x log odds; the identity until there is something to learn from.

    Attributes:
        shift, slope: Platt's two numbers.
        rest: the chance of those for whom the model was not asked and whose chance is exactly 0.
    """

    shift: float = 0.0
    slope: float = 1.0
    rest: float = 0.0

    def applied(self, chance: Floats) -> Floats:
        """Returns the corrected chances, `(n,)`."""
        return np.where(chance > 0, _chance(self.shift + self.slope * log_odds(chance)), self.rest)


def fit_chance(
    features: Floats32,
    label: Flags,
    weight: Floats32,
    *,
    names: Sequence[str],
    config: OutcomesConfig,
) -> lightgbm.Booster | None:
    """Returns the model of a chance; None where too few got there, or too few did not.

    Equal examples give equal models.

    Args:
        features: `(n, k)`.
        label: `(n,)`, who got there.
        weight: `(n,)`, how many items an example stands for.
        names: of the columns.
        config: size of the model, least number of examples.
    """
    if min(int(label.sum()), int((~label).sum())) < config.min_positives:
        return None
    return _fit("binary", features, label.astype(np.float32), weight, names=names, config=config)


def fit_amount(
    features: Floats32, amount: Floats, weight: Floats32, *, names: Sequence[str], config: OutcomesConfig
) -> lightgbm.Booster | None:
    """Returns the model of an amount of 0 or more (Tweedie); None where too few are above 0."""
    if int((amount > 0).sum()) < config.min_positives:
        return None
    return _fit("tweedie", features, amount.astype(np.float32), weight, names=names, config=config)


def predicted(model: lightgbm.Booster, features: Floats32) -> Floats:
    """Returns the model's chance or amount of each row, `(n,)` float64."""
    if not len(features):
        return np.zeros(0)
    return np.asarray(model.predict(features, num_threads=1), np.float64)


def fit_correction(chance: Floats, label: Flags, *, rest: float = 0.0) -> Correction:
    """Returns Platt's two numbers by Newton's method, drawn towards the identity; see `PRIOR_POSITIVES`.

    Args:
        chance: `(n,)` chances as they were given before the fact.
        label: `(n,)` what came true.
        rest: see `Correction`.
    """
    if not chance.size or not label.any():
        return Correction(rest=rest)
    x = np.column_stack([np.ones(chance.size), log_odds(chance)])
    want = np.array([0.0, 1.0])
    strength = np.array([PRIOR_POSITIVES, PRIOR_POSITIVES])
    beta = want.copy()
    for _ in range(25):
        p = _chance(x @ beta)
        gradient = x.T @ (label - p) - strength * (beta - want)
        curvature = (x * (p * (1 - p))[:, None]).T @ x + np.diag(strength)
        step = np.linalg.solve(curvature, gradient)
        beta = beta + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-9:
            break
    return Correction(float(beta[0]), float(beta[1]), rest)


def log_odds(chance: Floats) -> Floats:
    """Returns ln(p / (1 - p)), p kept a little away from 0 and 1."""
    p = np.clip(chance, LEAST_CHANCE, 1 - LEAST_CHANCE)
    return np.asarray(np.log(p / (1 - p)))


def _fit(
    objective: str,
    features: Floats32,
    label: Floats32,
    weight: Floats32,
    *,
    names: Sequence[str],
    config: OutcomesConfig,
) -> lightgbm.Booster:
    data = lightgbm.Dataset(
        features,
        label,
        weight=weight,
        feature_name=list(names),
        params={"max_bin": MAX_BINS, "verbose": -1},
    )
    parameters = {
        "objective": objective,
        "num_leaves": config.leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": max(5, min(LEAF_EXAMPLES, label.size // 200)),
        "lambda_l2": 10.0,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "seed": config.seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    if objective == "tweedie":
        parameters["tweedie_variance_power"] = TWEEDIE_POWER
    return lightgbm.train(parameters, data, num_boost_round=config.trees)


def _chance(logits: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0))))
