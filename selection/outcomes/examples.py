"""Owns the examples that models are learned from: a sample of the items of earlier days, and how they fared.

A day teaches a model only when all that the answer looks at lies before the origin.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selection.outcomes.config import OutcomesConfig
from selection.outcomes.facts import Facts, Floats, Ints
from selection.outcomes.labels import Flags, Labels, units_between
from selection.outcomes.panel import Floats32, Panel

#: What is learned; see `lessons`.
LESSONS = ("hit", "top", "keep", "value", "fresh")
#: Items further down their category than this have no say in who is its top.
CONTENDERS = 25
#: New items among the best so much by units of `keep_days` are the ones to find.
FRESH_TOP = 0.05
#: An item without sales has the chance to be an example of one with so many units.
QUIET_UNITS = 0.15


@dataclass(frozen=True, slots=True)
class Taught:
    """Examples of one day for one model: `(n, k)` columns, `(n,)` weights, `(n,)` answers."""

    features: Floats32
    weight: Floats32
    answer: Floats


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learned: whose examples, answered after how many days, a chance or an amount."""

    days: int
    chance: bool


def lessons(config: OutcomesConfig) -> dict[str, Lesson]:
    """Returns the lessons by name; `fresh` is for the question about new items alone."""
    return {
        "hit": Lesson(config.horizon_days, chance=True),
        "top": Lesson(config.horizon_days, chance=True),
        "keep": Lesson(config.keep_days, chance=True),
        "value": Lesson(config.horizon_days, chance=False),
        "fresh": Lesson(config.keep_days, chance=True),
    }


def fresh_at(panel: Panel, config: OutcomesConfig) -> Flags:
    """Returns bool `(n,)`: the panel's items that are new."""
    return np.asarray(panel.columns["age"] <= config.new_days)


def fresh_best(facts: Facts, panel: Panel, config: OutcomesConfig) -> Flags:
    """Returns bool `(n,)`: new items among the best `FRESH_TOP` of them by units of the next `keep_days`."""
    rows = np.flatnonzero(fresh_at(panel, config))
    later = units_between(facts, panel.origin, panel.origin + config.keep_days)[panel.rows[rows]]
    best = np.zeros(panel.rows.size, bool)
    if rows.size:
        wanted = max(1, round(FRESH_TOP * rows.size))
        order = np.lexsort((rows, -later))[:wanted]
        best[rows[order[later[order] > 0]]] = True
    return best


def answers(facts: Facts, panel: Panel, labels: Labels, config: OutcomesConfig) -> dict[str, Floats]:
    """Returns lesson -> `(n,)` float64, how the panel's items fared."""
    rows = panel.rows
    return {
        "hit": labels.hit[rows].astype(np.float64),
        "top": labels.top[rows].astype(np.float64),
        "keep": labels.keep[rows].astype(np.float64),
        "value": labels.revenue[rows],
        "fresh": fresh_best(facts, panel, config).astype(np.float64),
    }


def contenders(panel: Panel) -> Flags:
    """Returns bool `(n,)`: items near enough to the top of their category to get there."""
    place = np.fmin(panel.columns["rank_revenue_84"], panel.columns["rank_revenue_28"])
    return np.asarray(place < CONTENDERS)


def teach(
    panel: Panel, fared: Mapping[str, Floats], config: OutcomesConfig, *, wanted: Collection[str] = LESSONS
) -> dict[str, Taught]:
    """Returns the examples that one day gives to each of the wanted lessons.

    What sells is what there is to learn from: an item is drawn by the root of its units, and weighs as
    many as it stands for.  Who is drawn does not depend on how he fared.
    """
    matrix = panel.matrix()
    rng = np.random.default_rng([config.seed, panel.origin])
    luck = rng.random(panel.rows.size)
    units = panel.columns["units_84"].astype(np.float64)
    chance = _chances(np.sqrt(QUIET_UNITS + units), config.sample_items)
    general = np.flatnonzero(luck < chance)
    near = _at_most(np.flatnonzero(contenders(panel)), luck, config.sample_items)
    fresh = _at_most(np.flatnonzero(fresh_at(panel, config)), luck, config.sample_items)
    one = np.ones(panel.rows.size)
    chosen = [
        (("hit", "keep", "value"), general, chance),
        (("top",), near, one),
        (("fresh",), fresh, one),
    ]
    taught: dict[str, Taught] = {}
    for names, rows, among in chosen:
        # Lessons with the same examples share their columns.
        columns, weight = matrix[rows], (1.0 / among[rows]).astype(np.float32)
        taught |= {name: Taught(columns, weight, fared[name][rows]) for name in names if name in wanted}
    return taught


def joined(parts: Sequence[Taught]) -> Taught:
    """Returns all examples in one, in their order; at least one part."""
    return Taught(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.weight for part in parts]),
        np.concatenate([part.answer for part in parts]),
    )


def _chances(size: Floats, wanted: int) -> Floats:
    """Returns chances in proportion to size, at most 1, that make about `wanted` examples."""
    chance = np.minimum(size * wanted / max(float(size.sum()), 1e-9), 1.0)
    for _ in range(5):  # those who are sure leave room for the others
        sure = chance >= 1.0
        room = float(size[~sure].sum())
        if room <= 0:
            break
        rest = max(wanted - int(sure.sum()), 1)
        chance = np.where(sure, 1.0, np.minimum(size * rest / room, 1.0))
    return chance


def _at_most(rows: Ints, luck: Floats, most: int) -> Ints:
    if rows.size <= most:
        return rows
    return np.sort(rows[np.argsort(luck[rows], kind="stable")[:most]])
