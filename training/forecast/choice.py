"""Owns which method a segment of series gets: the one, or the mean of some, that earlier origins favour.

Only origins whose horizon had ended are counted, so that a past origin is forecast by the method that would
have been chosen on that morning. Until there is such an origin every segment has the plain mean of two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Strings = npt.NDArray[np.object_]

#: Between the methods of a mean.
AND = " + "
#: An origin's errors weigh so much of what the next one's do: the latest ones look most like the next.
MEMORY = 0.5
#: An origin's errors are divided by the least of them, and by no less than this.
LEAST_ERROR = 1e-9
#: Units a day added to a series' usual rate where errors are divided by it.
USUAL_FLOOR = 0.01


def mixtures(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Returns each method alone, each pair, and all of them."""
    found: list[tuple[str, ...]] = [(name,) for name in names] + list(combinations(names, 2))
    return [*found, tuple(names)] if len(names) > 2 else found


def mean_of(mixture: Sequence[str], candidates: Mapping[str, Floats], rows: npt.NDArray[np.int64]) -> Floats:
    """Returns the plain mean of the methods' forecasts of some rows."""
    total = np.zeros((len(rows), next(iter(candidates.values())).shape[1]))
    for name in mixture:
        total += candidates[name][rows]
    return np.asarray(total / len(mixture), dtype=np.float64)


@dataclass(slots=True)
class Choice:
    """Errors by segment and mixture of methods, of the origins that have ended, the latest counting most.

    Attributes:
        preferred: methods whose mean a segment gets before anything has ended, most wanted first.
        counts: whether the series are counts that are mostly 0, judged by squares instead of distances.
        needed: origins that must have ended before errors decide.
    """

    preferred: tuple[str, ...]
    counts: bool = False
    needed: int = 1
    _errors: dict[str, dict[tuple[str, ...], list[float]]] = field(default_factory=dict)
    _origins: dict[str, int] = field(default_factory=dict)

    def learn(self, segments: Strings, candidates: Mapping[str, Floats], actual: Floats) -> None:
        """Adds the errors of an origin: candidates and actual are units by week or day, `(n, k)`."""
        if not len(segments):
            return
        usual = USUAL_FLOOR + np.mean(
            [said.mean(axis=1) for said in candidates.values() if np.isfinite(said).all()], axis=0
        ).reshape(-1, 1)
        for segment in sorted(set(segments)):
            rows = np.flatnonzero(segments == segment)
            errors = self._errors.setdefault(segment, {})
            self._origins[segment] = self._origins.get(segment, 0) + 1
            found: dict[tuple[str, ...], float] = {}
            for mixture in mixtures(self.able(candidates, rows)):
                distance = mean_of(mixture, candidates, rows) - actual[rows]
                # An item's week is mostly 0, so the least absolute error would be that of forecasting 0.
                # Squares over the usual rate, the variance of a count, ask for the mean.
                parts = distance**2 / usual[rows] if self.counts else np.abs(distance)
                found[mixture] = float(parts.sum())
            # In units of the least error, or an origin at which everything went wrong would decide alone.
            least = max(min(found.values(), default=0.0), LEAST_ERROR)
            for mixture, error in found.items():
                errors.setdefault(mixture, []).append(error / least)

    def best(self, segment: str, names: Sequence[str]) -> tuple[str, ...]:
        """Returns the mixture of these methods with the least error; ties: fewer, then by name."""
        errors = self._errors.get(segment, {})
        judged = [mixture for mixture in mixtures(names) if mixture in errors]
        if judged and self._origins[segment] >= self.needed:
            return self._least({mixture: errors[mixture] for mixture in judged})
        wanted = [name for name in self.preferred if name in names]
        return tuple(sorted(wanted[:2])) or tuple(names[:1])

    def choose(self, segments: Strings, candidates: Mapping[str, Floats]) -> tuple[Floats, Strings]:
        """Returns the chosen forecasts, float64 `(n, k)`, and the name of each one's method."""
        shape = next(iter(candidates.values())).shape
        chosen, method = np.zeros(shape), np.full(shape[0], "", dtype=object)
        for segment in sorted(set(segments)):
            rows = np.flatnonzero(segments == segment)
            mixture = self.best(segment, self.able(candidates, rows))
            chosen[rows] = mean_of(mixture, candidates, rows)
            method[rows] = AND.join(mixture)
        return chosen, method

    @staticmethod
    def able(candidates: Mapping[str, Floats], rows: npt.NDArray[np.int64]) -> list[str]:
        """Returns the methods that forecast every one of the rows, in the order of their names."""
        return [name for name in sorted(candidates) if np.isfinite(candidates[name][rows]).all()]

    def figures(self) -> dict[str, str]:
        """Returns the mixture that leads in each segment."""
        return {
            segment: AND.join(self._least(errors))
            for segment, errors in sorted(self._errors.items())
            if errors
        }

    def _least(self, errors: Mapping[tuple[str, ...], Sequence[float]]) -> tuple[str, ...]:
        def error(mixture: tuple[str, ...]) -> float:
            weights = MEMORY ** np.arange(len(errors[mixture]))[::-1]
            return float((weights * errors[mixture]).sum() / weights.sum())

        return min(errors, key=lambda mixture: (error(mixture), len(mixture), mixture))
