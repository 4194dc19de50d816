"""Owns walking forward: at each day only what had come true by then teaches, and the rest is foretold.

Weekly days teach.  On fit days (the origins, and warm-up days before the first) every model is fitted anew to
the days whose answers had ended, foretells every item, and is corrected by what its forerunners' chances
turned out to be worth.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import lightgbm
import numpy as np

from selection.outcomes.config import OutcomesConfig
from selection.outcomes.examples import Lesson, Taught, answers, contenders, joined, lessons, teach
from selection.outcomes.facts import Facts, Floats, Ints
from selection.outcomes.labels import labels_at
from selection.outcomes.models import Correction, fit_amount, fit_chance, fit_correction, predicted
from selection.outcomes.panel import Floats32, Panel, panel_at
from selection.outcomes.plain import PlainChances, plain_chances
from selection.outcomes.value import Scale, corrected_values, fit_scale

#: Days between two warm-up fits before the first origin, and the least history of one.
WARM_UP_DAYS = 28
LEAST_HISTORY_DAYS = 28


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is foretold of the items of an origin; arrays are `(n,)` float64 in the panel's order.

    Attributes:
        panel: what was known.
        chances: hit, top, keep and, where asked for, fresh -> chance 0..1, corrected.
        raw: lesson -> the same before any correction (value: the revenue predicted).
        value, low, high: expected revenue of the horizon with its 80% interval.
        learned: lessons that a model gave; the others come from the plain rates.
    """

    panel: Panel
    chances: Mapping[str, Floats]
    raw: Mapping[str, Floats]
    value: Floats
    low: Floats
    high: Floats
    learned: frozenset[str]


@dataclass(frozen=True, slots=True)
class Walked:
    """Everything foretold on the way.

    Attributes:
        outlooks: fit day -> outlook, warm-up days included.
        weekly: day -> rows of items that sold lately, and their chance of a hit, for the alarm.
    """

    outlooks: dict[int, Outlook]
    weekly: dict[int, tuple[Ints, Floats]]


@dataclass(slots=True)
class _Past:
    """What has been taught and foretold so far, by day."""

    taught: dict[int, dict[str, Taught]] = field(default_factory=dict)
    fared: dict[int, dict[str, Floats]] = field(default_factory=dict)
    outlooks: dict[int, Outlook] = field(default_factory=dict)


def walk_days(facts: Facts, origins: Sequence[int], config: OutcomesConfig) -> tuple[list[int], list[int]]:
    """Returns the days to go through and, of these, the fit days; both rising.

    Args:
        facts: the run's.
        origins: day numbers, at least one.
        config: steps and how far back to learn.
    """
    first = min(origins)
    warm = range(first - WARM_UP_DAYS, max(LEAST_HISTORY_DAYS, first - config.learn_days) - 1, -WARM_UP_DAYS)
    earliest = max(LEAST_HISTORY_DAYS, first - config.learn_days - config.keep_days)
    weekly = range(facts.n_days, earliest - 1, -config.step_days)
    fits = sorted({*origins, *warm})
    return sorted({*weekly, *fits}), fits


def walk(
    facts: Facts,
    origins: Sequence[int],
    config: OutcomesConfig,
    *,
    wanted: Sequence[str] = ("hit", "top", "keep", "value"),
    advance: Callable[[int], None] = lambda _: None,
) -> Walked:
    """Returns what is foretold at every origin, each from what had come true by then.

    Args:
        facts: the run's.
        origins: day numbers.
        config: the room's.
        wanted: lessons to learn.
        advance: called with 1 after each day.
    """
    days, fits = walk_days(facts, origins, config)
    every = {name: lesson for name, lesson in lessons(config).items() if name in wanted}
    past = _Past()
    weekly: dict[int, tuple[Ints, Floats]] = {}
    model: lightgbm.Booster | None = None
    correction = Correction()
    for day in days:
        panel = panel_at(facts, day, config)
        plain = plain_chances(facts, panel, config)
        panel = _with_plain(panel, plain)
        if day in fits:
            fitted = _fit(past, day, every, config, list(panel.columns))
            model = fitted.get("hit")
            corrections = {
                name: _correction(past, day, name, lesson)
                for name, lesson in every.items()
                if name in fitted and lesson.chance
            }
            correction = corrections.get("hit", Correction())
            scale = _scale(past, day, every["value"]) if "value" in every else None
            past.outlooks[day] = _outlook(panel, plain, fitted, corrections, scale, every)
            if model is not None:
                weekly[day] = (panel.rows, past.outlooks[day].chances["hit"])
        elif model is not None:
            rows = np.flatnonzero(panel.columns["units_28"] > 0)
            chance = correction.applied(predicted(model, panel.matrix()[rows]))
            weekly[day] = (panel.rows[rows], chance)
        if day + config.horizon_days <= facts.n_days:
            fared = answers(facts, panel, labels_at(facts, day, config), config)
            past.taught[day] = teach(panel, fared, config, wanted=tuple(every))
            if day in fits:
                past.fared[day] = fared
        advance(1)
    return Walked(past.outlooks, weekly)


def _with_plain(panel: Panel, plain: PlainChances) -> Panel:
    columns = {
        f"plain_{name}": values.astype(np.float32)
        for name, values in (
            ("hit", plain.hit),
            ("keep", plain.keep),
            ("top", plain.top),
            ("value", plain.value),
        )
    }
    return Panel(panel.origin, panel.rows, {**panel.columns, **columns})


def _fit(
    past: _Past, day: int, every: Mapping[str, Lesson], config: OutcomesConfig, names: list[str]
) -> dict[str, lightgbm.Booster]:
    """Returns the models of the lessons that can be learned by a day."""

    def one(name: str) -> lightgbm.Booster | None:
        lesson = every[name]
        known = [then for then in sorted(past.taught) if day - config.learn_days <= then + lesson.days <= day]
        if not known:
            return None
        taught = joined([past.taught[then][name] for then in known])
        if lesson.chance:
            label = taught.answer > 0
            return fit_chance(taught.features, label, taught.weight, names=names, config=config)
        return fit_amount(taught.features, taught.answer, taught.weight, names=names, config=config)

    # Models side by side, each on one thread: boosting a small table does not get faster on two.
    workers = config.threads or os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        found = dict(zip(every, pool.map(one, every), strict=True))
    return {name: model for name, model in found.items() if model is not None}


def _ended(past: _Past, day: int, lesson: Lesson, name: str) -> list[int]:
    """Returns earlier fit days on which a model foretold what is known by now."""
    return [
        then
        for then, outlook in past.outlooks.items()
        if then + lesson.days <= day and name in outlook.learned and then in past.fared
    ]


def _correction(past: _Past, day: int, name: str, lesson: Lesson) -> Correction:
    days = _ended(past, day, lesson, name)
    if not days:
        return Correction()
    chance = np.concatenate([past.outlooks[then].raw[name] for then in days])
    label = np.concatenate([past.fared[then][name] for then in days]) > 0
    asked = chance > 0  # the top is asked of contenders only
    rest = float(label[~asked].mean()) if (~asked).any() else 0.0
    return fit_correction(chance[asked], label[asked], rest=rest)


def _scale(past: _Past, day: int, lesson: Lesson) -> Scale:
    days = _ended(past, day, lesson, "value")
    return fit_scale(
        [past.outlooks[then].raw["value"] for then in days],
        [past.fared[then]["value"] for then in days],
        horizons=(days[-1] - days[0]) / lesson.days + 1.0 if days else 0.0,
    )


def _outlook(
    panel: Panel,
    plain: PlainChances,
    fitted: Mapping[str, lightgbm.Booster],
    corrections: Mapping[str, Correction],
    scale: Scale | None,
    every: Mapping[str, Lesson],
) -> Outlook:
    matrix: Floats32 = panel.matrix()
    fallback = {
        "hit": plain.hit,
        "top": plain.top,
        "keep": plain.keep,
        "value": plain.value,
        "fresh": plain.keep,
    }
    raw = {name: predicted(fitted[name], matrix) if name in fitted else fallback[name] for name in every}
    if "top" in fitted:
        # The model has seen contenders only; the others' chance is nil for it.
        raw["top"] = np.where(contenders(panel), raw["top"], 0.0)
    chances = {
        name: corrections[name].applied(raw[name]) if name in corrections else raw[name]
        for name, lesson in every.items()
        if lesson.chance
    }
    nothing = np.zeros(panel.rows.size)
    value, low, high = nothing, nothing, nothing
    if scale is not None:
        price = np.nan_to_num(panel.columns["price"].astype(np.float64))
        value, low, high = corrected_values(scale, raw["value"], price)
    return Outlook(panel, chances, raw, value, low, high, frozenset(fitted))
