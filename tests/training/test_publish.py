"""Candidates on their way from the run's artefacts into the snapshot."""

from __future__ import annotations

from datetime import date

import polars as pl

from recdata.selection_artefacts import ASSORTMENT, SELECTION
from training.publish import candidate_records

KNOWN = {
    "rank": [2, 1],
    "item_row": [0, 1],
    "item_id": ["a", "b"],
    "category": ["A", "A"],
    "action": ["keep", "push"],
    "stage": ["mature", "growth"],
    "price_band": ["mid", "mid"],
    "components": ['{"demand":0.5}', '{"demand":0.75}'],
    "look_alikes": ["[]", '[["a",0.5]]'],
    "hit_probability": [None, 0.25],
    "hit_alarm_on": [None, date(2025, 2, 1)],
    "breakout": [None, True],
}
TEXTS = [f"{kind}_{language}" for kind in ("reasons", "against", "changes") for language in ("zh", "en")]


def selection() -> pl.DataFrame:
    texts = {name: ["[]", f'["{name}"]'] for name in TEXTS}
    rest = {name: [1.0, 2.0] for name in SELECTION if name not in KNOWN and name not in texts}
    return pl.DataFrame({name: (KNOWN | texts | rest)[name] for name in SELECTION}, schema=SELECTION)


def test_candidates_come_best_first_with_their_json_opened_and_nulls_as_none() -> None:
    best, other = candidate_records(selection(), None)
    assert (best.rank, best.item_row, other.rank) == (1, 1, 2)
    assert best.components == {"demand": 0.75}
    assert list(best.look_alikes[0]) == ["a", 0.5]
    assert (best.against_en, best.changes_zh) == (["against_en"], ["changes_zh"])
    assert (best.hit_probability, best.hit_alarm_on) == (0.25, date(2025, 2, 1))
    assert (other.hit_probability, other.hit_alarm_on, other.reasons_en) == (None, None, [])


def test_what_the_assortment_chose_is_told_of_those_that_could_be_chosen_only() -> None:
    row = {
        "item_row": 1,
        "chosen": True,
        "value": 1.0,
        "cost": 1.0,
        "slot_category": "A",
        "price_band": "mid",
    }
    assortment = pl.DataFrame([row], schema=ASSORTMENT)
    assert [each.chosen for each in candidate_records(selection(), assortment)] == [True, None]
    assert [each.chosen for each in candidate_records(selection(), None)] == [None, None]


def test_limits_that_nothing_keeps_are_no_advice_to_drop_everything() -> None:
    columns = {"item_row": [0, 1], "chosen": [False, False], "value": [1.0, 1.0], "cost": [1.0, 1.0]}
    texts = {"slot_category": ["A", "A"], "price_band": ["mid", "mid"]}
    impossible = pl.DataFrame(columns | texts, schema=ASSORTMENT)
    assert [each.chosen for each in candidate_records(selection(), impossible)] == [None, None]


def test_what_is_no_number_is_not_known() -> None:
    table = selection().with_columns(elasticity=pl.lit(float("nan")), keep_probability=pl.lit(0.5))
    assert [(each.elasticity, each.keep_probability) for each in candidate_records(table, None)] == [
        (None, 0.5),
        (None, 0.5),
    ]
