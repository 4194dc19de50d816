"""Owns the alarm for hits: the first day on which the chance was high enough, and whether it comes early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from selection.outcomes.config import OutcomesConfig
from selection.outcomes.facts import Facts, Floats, Ints
from selection.outcomes.labels import Flags, alive_at, group_mean, is_hit, units_between

NO_DAY = -1
#: Thresholds that are tried for equal precision.
THRESHOLDS = np.round(np.arange(0.02, 0.99, 0.01), 2)

Weekly = Mapping[int, tuple[Ints, Floats]]


@dataclass(frozen=True, slots=True)
class LeadTimes:
    """How early the alarm rings for later hits, against cumulative sales passing the category's hit level.

    Attributes:
        threshold: chance from which on the alarm rang; where it is chosen, on the earlier half of the
            launches, for a precision at least the rule's. The rest is of the later half.
        precision, rule_precision: share of the alarms that were followed by a hit.
        recall, rule_recall: share of the later hits that were announced.
        days, rule_days: mean days from launch to alarm, over the later hits that both announced.
        hits: how many later hits there were.
        both: how many of them both announced.
    """

    threshold: float
    precision: float
    rule_precision: float
    recall: float
    rule_recall: float
    days: float
    rule_days: float
    hits: int
    both: int


def first_alarms(weekly: Weekly, n_items: int, threshold: float, until: int) -> Ints:
    """Returns `(n_items,)` int64, the first day up to `until` with a chance of `threshold`; else `NO_DAY`."""
    found = np.full(n_items, NO_DAY, np.int64)
    for day in sorted(weekly):
        if day <= until:
            rows, chance = weekly[day]
            rang = rows[chance >= threshold]
            found[rang[found[rang] == NO_DAY]] = day
    return found


def rule_alarms(facts: Facts, days: list[int], config: OutcomesConfig) -> Ints:
    """Returns `(n_items,)` int64, the first day on which sales since launch passed the hit level."""
    found = np.full(facts.n_items, NO_DAY, np.int64)
    for day in days:
        total = units_between(facts, 0, day)
        recent = units_between(facts, day - config.horizon_days, day)
        level = config.hit_ratio * group_mean(recent, alive_at(facts, day, config), facts.group)
        rang = (total > 0) & (total >= level) & (found == NO_DAY)
        found[rang] = day
    return found


def lead_times(
    facts: Facts, weekly: Weekly, config: OutcomesConfig, *, threshold: float | None = None
) -> LeadTimes | None:
    """Returns how early the alarm is; None where no launch became a hit in either half of the time.

    Args:
        facts: the run's.
        weekly: day -> rows and their chance of a hit.
        config: what a hit is.
        threshold: of the alarm; chosen for equal precision where left out.
    """
    days = [day for day in sorted(weekly) if day + config.horizon_days <= facts.n_days]
    if not days:
        return None
    last_hit = np.full(facts.n_items, NO_DAY, np.int64)
    for day in days:
        alive = alive_at(facts, day, config)
        hit = is_hit(facts, day, day + config.horizon_days, alive=alive, ratio=config.hit_ratio)
        last_hit[hit] = day
    launched = (facts.born >= days[0]) & (facts.born <= days[-1])
    middle = (days[0] + days[-1]) // 2
    early, late = launched & (facts.born < middle), launched & (facts.born >= middle)
    rule = rule_alarms(facts, days, config)
    if not (early & (last_hit >= 0)).any() or not (late & (last_hit >= 0)).any():
        return None
    if threshold is None:
        threshold = float(THRESHOLDS[-1])
        wanted = _precision(rule, last_hit, early)
        for tried in THRESHOLDS:
            alarms = first_alarms(weekly, facts.n_items, float(tried), days[-1])
            if _precision(alarms, last_hit, early) >= wanted:
                threshold = float(tried)
                break
    alarms = first_alarms(weekly, facts.n_items, threshold, days[-1])
    hits = late & (last_hit >= 0)
    both = hits & _right(alarms, last_hit) & _right(rule, last_hit)

    def lag(alarm: Ints) -> float:
        return float((alarm[both] - facts.born[both]).mean()) if both.any() else 0.0

    return LeadTimes(
        threshold=threshold,
        precision=_precision(alarms, last_hit, late),
        rule_precision=_precision(rule, last_hit, late),
        recall=float(_right(alarms, last_hit)[hits].mean()),
        rule_recall=float(_right(rule, last_hit)[hits].mean()),
        days=lag(alarms),
        rule_days=lag(rule),
        hits=int(hits.sum()),
        both=int(both.sum()),
    )


def _right(alarm: Ints, last_hit: Ints) -> Flags:
    """Returns who was announced before the horizon of a hit began, or on its first day."""
    return np.asarray((alarm != NO_DAY) & (alarm <= last_hit))


def _precision(alarm: Ints, last_hit: Ints, among: Flags) -> float:
    rang = among & (alarm != NO_DAY)
    return float(_right(alarm, last_hit)[rang].mean()) if rang.any() else 0.0
