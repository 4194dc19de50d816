"""Owns what recurring events do to sales: one effect an event and phase, pooled over series, with its dips.

A phase is a stretch before, during or after an event. Its effect is the ratio of what was sold to what the
days around it let expect. Every category's effect is drawn to the shop's as far as its own days are noisy,
and the shop's to 1 as far as it could be chance, so one year of an event is enough to carry it to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from training.forecast.events import Event

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Phases before an event by how many days are left, and after it by how many have passed: (first, last).
BEFORE = ((14, 8), (7, 4), (3, 1))
AFTER = ((1, 3), (4, 7))
#: Days of an event that are phases of their own; the later ones are one more.
OWN_DAYS = 2
#: What stands before the number of an event's own day in its phase's name.
DURING = "/day "
#: Half a window of days around a day from which it is expected, in days.
AROUND = 28
#: At least so many days without any event are needed in that window; more of them in the whole history.
MIN_AROUND, MIN_FREE = 7, 14
#: A shop's effect of so many standard errors is taken for chance altogether, one of twice that for 3/4 true.
DOUBT = 2.0
#: No effect leaves this range: ratios to the usual day.
LIMITS = (0.1, 10.0)


@dataclass(frozen=True, slots=True)
class Phases:
    """Which phase of which event each day is in.

    Attributes:
        names: "event/phase" of every code.
        code: position in `names` by day, int64 `(days,)`, -1 on a day without any event.
        occurrence: number of the event's occurrence by day, int64 `(days,)`, -1 likewise.
    """

    names: tuple[str, ...]
    code: Ints
    occurrence: Ints

    def during(self) -> npt.NDArray[np.bool_]:
        """Returns whether each day is one of an event itself, not before or after it, `(days,)`."""
        inside = np.array([DURING in name for name in self.names] + [False])
        return np.asarray(inside[self.code], dtype=np.bool_)


def phases_of(events: Sequence[Event], first: date, n_days: int) -> Phases:
    """Returns the phases of the days from `first` on; where two events claim a day, the nearer has it."""
    best = np.full(n_days, np.iinfo(np.int64).max)
    occurrence = np.full(n_days, -1)
    labels = [""] * n_days
    for number, event in enumerate(events):
        start = (event.first - first).days
        for offset in range(-BEFORE[0][0], event.days + AFTER[-1][1]):
            day = start + offset
            distance = max(-offset, offset - event.days + 1, 0)
            if 0 <= day < n_days and distance < best[day] and (label := _label(offset, event.days)):
                best[day], occurrence[day], labels[day] = distance, number, f"{event.name}/{label}"
    names = tuple(sorted(set(labels) - {""}))
    position = {name: code for code, name in enumerate(names)} | {"": -1}
    return Phases(names, np.array([position[label] for label in labels], dtype=np.int64), occurrence)


def _label(offset: int, days: int) -> str:
    if offset < 0:
        return next((f"-{a}" for a, b in BEFORE if a >= -offset >= b), "")
    if offset < days:
        return f"{DURING[1:]}{min(offset, OWN_DAYS) + 1}"
    passed = offset - days + 1
    return next((f"+{b}" for a, b in AFTER if a <= passed <= b), "")


def event_factors(units: Floats, phases: Phases, origin: int) -> Floats | None:
    """Returns each series' factor of every day, float64 `(n_series + 1, days)`; the last row is the shop's.

    Args:
        units: a day by series, float64 `(n_series, at least origin)`; only days before `origin` are read.
        phases: of the days of history and horizon.
        origin: day number.

    None where no phase of the horizon or the history has an effect that is more than chance.
    """
    code = phases.code[:origin]
    if origin < AROUND or not (code >= 0).any():
        return None
    every = np.concatenate([units[:, :origin], units[:, :origin].sum(axis=0, keepdims=True)])
    every = np.maximum(every, 0.0)
    expected = _expected(every, code < 0)
    known = np.isfinite(expected[-1])
    free = known & (code < 0)
    if free.sum() < MIN_FREE:
        return None
    noise = np.log((every[:, free] + 0.5) / (expected[:, free] + 0.5)).std(axis=1)
    factors = np.ones((len(every), len(phases.code)))
    found = False
    for phase in range(len(phases.names)):
        days = known & (code == phase)
        if not days.any():
            continue
        effect = _effect(every, expected, days, noise, len(set(phases.occurrence[:origin][days])))
        if effect is not None:
            found = True
            factors[:, phases.code == phase] = effect[:, None]
    return factors if found else None


def _effect(
    every: Floats, expected: Floats, days: npt.NDArray[np.bool_], noise: Floats, seen: int
) -> Floats | None:
    sold, usual = every[:, days].sum(axis=1), expected[:, days].sum(axis=1)
    log_ratio = np.log((sold + 0.5) / (usual + 0.5))
    # Days of one occurrence share their luck, so only occurrences count as independent.
    variance = noise**2 / seen
    shop = log_ratio[-1]
    trust = max(0.0, 1.0 - DOUBT**2 * variance[-1] / max(shop**2, 1e-12))
    if trust == 0.0:
        return None
    apart = log_ratio[:-1] - shop
    spread = max(0.0, float(np.mean(apart**2 - variance[:-1]))) if len(apart) else 0.0
    own = spread / np.maximum(spread + DOUBT**2 * variance, 1e-12)
    own[-1] = 0.0
    effect = trust * (shop + own * (log_ratio - shop))
    return np.asarray(np.clip(np.exp(effect), *LIMITS), dtype=np.float64)


def _expected(every: Floats, free: npt.NDArray[np.bool_]) -> Floats:
    """Returns what each day lets expect: the level of the free days around it times its weekday's share."""
    n_days = every.shape[1]
    weekday = np.arange(n_days) % 7
    mean = np.maximum(every[:, free].mean(axis=1) if free.any() else every.mean(axis=1), 1e-12)
    share = np.ones((len(every), 7))
    for day in range(7):
        here = free & (weekday == day)
        if here.any():
            # A week's worth of the series' mean keeps a weekday of few sales from having none.
            share[:, day] = (every[:, here].sum(axis=1) + mean) / (mean * (here.sum() + 1))
    flat = np.where(free, every / share[:, weekday], 0.0)
    starts = np.maximum(np.arange(n_days) - AROUND, 0)
    ends = np.minimum(np.arange(n_days) + AROUND + 1, n_days)

    def window(values: Floats) -> Floats:
        sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
        return np.asarray(sums[:, ends] - sums[:, starts], dtype=np.float64)

    count = window(free[None].astype(np.float64))
    level = np.where(count >= MIN_AROUND, window(flat) / np.maximum(count, 1.0), np.nan)
    return np.asarray(level * share[:, weekday], dtype=np.float64)
