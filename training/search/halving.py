"""Owns the search itself: one choice of settings after the other, the poor ones given up after a few sweeps.

Asynchronous successive halving (Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020)
over sweeps, one trial after the other: a trial goes on where it is among the best of all that were judged
after as many sweeps, and did not do better after fewer.  Points come from anywhere first, and then from where
most is to be expected.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from recdata.errors import RunError
from training.als import PenalisedAls, confidences_of
from training.search.config import SearchConfig
from training.search.folds import NEVER_BOUGHT, Fold
from training.search.proposing import propose
from training.search.space import Point, Settings, Space
from training.solver import solve_rows
from training.weights import penalties_of

Found = dict[tuple[str, str], float]

TINY = 1e-12  # a weight that counts nothing and may be divided by


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One choice of settings and how it did.

    Attributes:
        point: where it stands in the space.
        settings: with the sweeps after which it did best.
        sweeps: how many were made.
        score: the mean of the measures' quotients with those of the first trial, weighted.
        found: mean over folds of each measure, by question and metric, after the best number of sweeps.
        seconds: what it took.
    """

    point: Point
    settings: Settings
    sweeps: int
    score: float
    found: Found
    seconds: float


class FoldFit:
    """A model on one fold's past, which can be swept on.

    Raises:
        RunError: nothing is left to learn from.
    """

    def __init__(self, fold: Fold, settings: Settings) -> None:
        self._fold = fold
        self._config = settings.als
        weights = fold.weigh(settings.interactions)
        if not weights.nnz:
            raise RunError(
                f"nothing is left to learn from before the validation period {fold.name}; lower "
                "training.interactions.min_item_users or min_user_items, or import more days"
            )
        self._confidences = confidences_of(weights, settings.als)
        self._penalties = penalties_of(
            self._confidences,
            regularization=settings.als.regularization,
            frequency_scaling=settings.als.frequency_scaling,
        )
        with threadpool_limits(limits=1, user_api="blas"):
            self._model = PenalisedAls(settings.als, self._penalties)

    def sweep(self, sweeps: int) -> None:
        """Sweeps on."""
        self._model.iterations = sweeps
        with threadpool_limits(limits=1, user_api="blas"):
            self._model.fit(sparse.csr_matrix(self._confidences), show_progress=False)

    def judge(self, k: int) -> Found:
        """Returns how the model does as it stands, by question and metric, in lists of k."""
        users, items = self._fold.users, np.asarray(self._model.item_factors)
        vectors = solve_rows(
            sparse.csr_array(self._confidences[users]),
            items,
            penalties=self._penalties.users[users],
            threads=self._config.threads,
        )
        return self._fold.judge(vectors, items, k=k, threads=self._config.threads)


class Search:
    """Tries settings and remembers how they did.

    Args:
        folds: what is judged; one or more.
        space: what is searched.
        config: the budget.
        k: length of the judged lists.

    Attributes:
        trials: in the order tried; the first one is of the configured settings.
    """

    def __init__(self, folds: Sequence[Fold], space: Space, config: SearchConfig, *, k: int) -> None:
        self._folds, self._space, self._config, self._k = folds, space, config, k
        self._rng = np.random.default_rng(config.seed)
        self._judged: dict[int, list[float]] = {sweeps: [] for sweeps in config.sweeps}
        self._base: Found = {}
        self.trials: list[Trial] = []

    def run(self, on_trial: Callable[[Trial], None] | None = None) -> None:
        """Searches until the budget is spent; the first trial is made in any case.

        Args:
            on_trial: called after every trial.
        """
        started = time.monotonic()
        while len(self.trials) < self._config.trials:
            spent = time.monotonic() - started
            if self.trials and spent >= self._config.seconds:
                break
            progress = max(len(self.trials) / self._config.trials, spent / self._config.seconds)
            self.trials.append(self._try(self._next(progress)))
            if on_trial is not None:
                on_trial(self.trials[-1])

    def best(self) -> list[Trial]:
        """Returns the trials from the best down, ties in the order tried."""
        return sorted(self.trials, key=lambda trial: -trial.score)

    def _next(self, progress: float) -> Point:
        if not self.trials:
            return self._space.given_point()
        if progress < self._config.explore_share or len(self.trials) == 1:
            return self._space.drawn(self._rng)
        return propose(
            self._space,
            [trial.point for trial in self.trials],
            [trial.score for trial in self.trials],
            self._rng,
        )

    def _try(self, point: Point) -> Trial:
        started = time.monotonic()
        settings = self._space.settings(point) if self.trials else self._space.given
        fits = [FoldFit(fold, settings) for fold in self._folds]
        judged: list[tuple[float, int, Found]] = []
        done = 0
        for sweeps in self._config.sweeps:
            for fit in fits:
                fit.sweep(sweeps - done)
            done = sweeps
            found = _mean([fit.judge(self._k) for fit in fits])
            score = self._score(found)
            worse = bool(judged) and score < judged[-1][0]
            judged.append((score, -sweeps, found))
            if not self._goes_on(sweeps, score) or worse:
                break
        score, fewest, found = max(judged, key=lambda each: each[:2])
        if not self.trials:
            self._base = found
            score = 1.0
            self._judged |= {-fewer: [self._score(each)] for _, fewer, each in judged}
        settings = Settings(settings.interactions, msgspec.structs.replace(settings.als, iterations=-fewest))
        return Trial(point, settings, done, score, found, time.monotonic() - started)

    def _score(self, found: Found) -> float:
        """Returns the weighted mean of the quotients with the first trial's best.

        Before the first trial has ended it is the weighted sum; measures that it has at 0 count nothing.
        """
        weights = {key: self._weight(*key) for key in found}
        if not self._base:
            return sum(weights[key] * value for key, value in found.items())
        asked = [key for key, value in self._base.items() if value > 0]
        weighted = sum(weights[key] * found[key] / self._base[key] for key in asked)
        return weighted / max(sum(weights[key] for key in asked), TINY)

    def _weight(self, question: str, metric: str) -> float:
        unknown, recall = self._config.never_bought_share, self._config.recall_share
        return (unknown if question == NEVER_BOUGHT else 1.0 - unknown) * (
            recall if metric == "recall" else 1.0 - recall
        )

    def _goes_on(self, sweeps: int, score: float) -> bool:
        """Returns whether a trial is among the best of all that were judged after as many sweeps."""
        scores = self._judged[sweeps]
        scores.append(score)
        return score >= float(np.quantile(scores, 1.0 - self._config.keep_share))


def _mean(found: list[Found]) -> Found:
    return {key: float(np.mean([each[key] for each in found])) for key in found[0]}
