"""Owns the figures of a run's own past: calibration, expected against realised value, the alarm's lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

import numpy as np

from selection.outcomes.alarm import lead_times
from selection.outcomes.config import OutcomesConfig
from selection.outcomes.examples import lessons
from selection.outcomes.facts import Facts
from selection.outcomes.labels import labels_at, top_of_group
from selection.outcomes.quality import PickedValue, Reliability, calibration_error, picked_value, reliability
from selection.outcomes.walk import Walked

CHANCES = ("hit", "top", "keep")
#: Picks of the shop whose expected value is compared with what came.
SHOP_PICKS = 50
BANDS_ABOVE = 0.1


def figures(
    facts: Facts | None, walked: Walked, origins: Sequence[date], config: OutcomesConfig
) -> dict[str, object]:
    """Returns the JSON-able figures of the origins whose answers are known by now.

    Keys: origins; `learned`, origin -> what was learned there (what is missing came from plain rates);
    `calibration`, chance -> reliability table and error, over all items and over those above 10%;
    `value`, scope -> expected, realised and their ratio; `alarm`, lead times at equal precision and
    at the configured threshold. Parts for which there is nothing to say are left out.
    """
    if facts is None:
        return {"origins": 0}
    numbers = [facts.number(origin) for origin in origins if facts.number(origin) in walked.outlooks]
    found: dict[str, object] = {
        "origins": len(numbers),
        "learned": {facts.day(day).isoformat(): sorted(walked.outlooks[day].learned) for day in numbers},
    }
    tables = {name: calibration(facts, walked, numbers, name, config) for name in CHANCES}
    found["calibration"] = {
        name: {
            "error": round(calibration_error(table), 6),
            "error_above": round(calibration_error(table, above=BANDS_ABOVE), 6),
            "table": [_rounded(asdict(line)) for line in table],
        }
        for name, table in tables.items()
        if table
    }
    values = {
        scope: picks_value(facts, walked, numbers, config, scope=scope) for scope in ("shop", "category")
    }
    found["value"] = {
        scope: _rounded(asdict(value)) | {"ratio": round(value.ratio, 6)}
        for scope, value in values.items()
        if value is not None
    }
    alarms = {
        "equal_precision": lead_times(facts, walked.weekly, config),
        "configured": lead_times(facts, walked.weekly, config, threshold=config.alarm_probability),
    }
    found["alarm"] = {name: _rounded(asdict(lead)) for name, lead in alarms.items() if lead is not None}
    return found


def calibration(
    facts: Facts, walked: Walked, numbers: Sequence[int], name: str, config: OutcomesConfig
) -> list[Reliability]:
    """Returns the reliability table of a chance over the origins whose answer is known; else nothing."""
    days = lessons(config)[name].days
    ended = [day for day in numbers if day + days <= facts.n_days]
    if not ended:
        return []
    chance = np.concatenate([walked.outlooks[day].chances[name] for day in ended])
    label = np.concatenate(
        [getattr(labels_at(facts, day, config), name)[walked.outlooks[day].panel.rows] for day in ended]
    )
    return reliability(chance, label)


def picks_value(
    facts: Facts, walked: Walked, numbers: Sequence[int], config: OutcomesConfig, *, scope: str
) -> PickedValue | None:
    """Returns expected against realised revenue of the picks by expected value; None where nothing is known.

    Args:
        facts: the run's.
        walked: what was foretold.
        numbers: day numbers of the origins.
        config: length of the horizon and picks of a category.
        scope: "shop" picks `SHOP_PICKS`, "category" picks `category_top_k` of every category.
    """
    picked = []
    for day in numbers:
        if day + config.horizon_days > facts.n_days:
            continue
        outlook = walked.outlooks[day]
        rows = outlook.panel.rows
        came = labels_at(facts, day, config).revenue[rows]
        if scope == "shop":
            chosen = np.argsort(-outlook.value, kind="stable")[:SHOP_PICKS]
        else:
            every = np.ones(rows.size, bool)
            best = top_of_group(outlook.value, every, facts.group[rows], config.category_top_k)
            chosen = np.flatnonzero(best)
        if chosen.size:
            columns = (outlook.raw["value"], outlook.value, outlook.low, outlook.high, came)
            raw, value, low, high, came = (column[chosen] for column in columns)
            picked.append((raw, value, low, high, came))
    return picked_value(picked) if picked else None


def _rounded(record: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in record.items()}
