"""Owns what a process counts of its calls: plain numbers that cost a call less than a microsecond.

There are no locks. Python switches threads at calls and at jumps backward, so adding to a place of a list, or
to a key of a dict that is there, is not interrupted; a key is put there by `setdefault`, which is one step.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec

#: Upper bounds of the histogram's buckets, in seconds; one more bucket holds what is longer than all.
BOUNDS_SECONDS = (
    0.0001,
    0.0002,
    0.0003,
    0.0005,
    0.00075,
    0.001,
    0.0015,
    0.002,
    0.003,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
)
_BUCKETS = len(BOUNDS_SECONDS) + 1


class MethodTotals(msgspec.Struct, kw_only=True):
    """What one method has answered since its process started.

    Attributes:
        seconds: by main source ("" where a method has none): how many answers each bucket holds, then the sum
            of their seconds.
        failures: by name of the status code: how many calls ended in it.
    """

    seconds: dict[str, list[float]] = {}
    failures: dict[str, int] = {}

    def add(self, other: MethodTotals) -> None:
        """Adds another process's totals to these."""
        for source, row in other.seconds.items():
            mine = self.seconds.setdefault(source, [0.0] * len(row))
            for place, number in enumerate(row):
                mine[place] += number
        _add(self.failures, other.failures)


class Totals(msgspec.Struct, kw_only=True):
    """What a process has counted since it started.

    Attributes:
        methods: by full name, such as "recsvc.v1.RecommendationService/Recommend".
        degradations: answers by what they had to do without, such as "UNKNOWN_USER".
    """

    methods: dict[str, MethodTotals] = {}
    degradations: dict[str, int] = {}

    def add(self, other: Totals) -> None:
        """Adds another process's totals to these."""
        for name, method in other.methods.items():
            self.methods.setdefault(name, MethodTotals()).add(method)
        _add(self.degradations, other.degradations)


class MethodMeter:
    """Counts one method's calls."""

    __slots__ = ("_failures", "_rows")

    def __init__(self) -> None:
        self._rows: dict[str, list[float]] = {}
        self._failures: dict[str, int] = {}

    def answered(self, seconds: float, source: str = "") -> None:
        """Counts an answer: how long it took, and the source of its first item."""
        row = self._rows.get(source)
        if row is None:
            row = self._rows.setdefault(source, [0.0] * (_BUCKETS + 1))
        place = bisect_left(BOUNDS_SECONDS, seconds)
        row[place] += 1
        row[-1] += seconds

    def failed(self, code: str) -> None:
        """Counts a call that ended in an error's status, such as "NOT_FOUND"."""
        self._failures.setdefault(code, 0)
        self._failures[code] += 1

    def totals(self) -> MethodTotals:
        """Returns a copy of what was counted."""
        return MethodTotals(
            seconds={source: list(row) for source, row in list(self._rows.items())},
            failures=dict(self._failures),
        )


class Meter:
    """Counts what one process does; any thread may count, one thread reads."""

    def __init__(self) -> None:
        self._methods: dict[str, MethodMeter] = {}
        self._degradations: dict[str, int] = {}

    def method(self, name: str) -> MethodMeter:
        """Returns the meter of a method, by its full name; keep it, so that a call does not look it up."""
        return self._methods.setdefault(name, MethodMeter())

    def degraded(self, reason: str) -> None:
        """Counts an answer that had to do without something, such as "UNKNOWN_USER"."""
        self._degradations.setdefault(reason, 0)
        self._degradations[reason] += 1

    def totals(self) -> Totals:
        """Returns a copy of what was counted."""
        return Totals(
            methods={name: meter.totals() for name, meter in list(self._methods.items())},
            degradations=dict(self._degradations),
        )


def _add(mine: dict[str, int], others: dict[str, int]) -> None:
    for key, number in others.items():
        mine[key] = mine.get(key, 0) + number
