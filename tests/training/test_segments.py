from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from recdata.tables import TABLES
from recdata.training_artefacts import PURCHASES, USERS
from training.evaluate import EvaluateConfig
from training.evaluate.segments import (
    popularity_segments,
    third_segments,
    user_segments,
    value_segments,
)
from training.evaluate.split import Split

START = date(2024, 5, 1)


def test_thirds_of_activity_keep_equal_shoppers_together() -> None:
    segments = third_segments("activity", np.array([0, 1, 1, 2, 3, 8, 9]))
    assert segments["activity:none"].tolist() == [True] + [False] * 6
    assert segments["activity:low"].tolist() == [False, True, True, False, False, False, False]
    assert segments["activity:middle"].tolist() == [False, False, False, True, True, False, False]
    assert segments["activity:high"].tolist() == [False] * 5 + [True, True]


def test_head_torso_and_tail_share_the_buyers_and_the_unsold_are_tail() -> None:
    segments = popularity_segments(np.array([3, 0, 30, 10, 10, 10, 27]))
    assert np.flatnonzero(segments["popularity:head"]).tolist() == [2]
    assert np.flatnonzero(segments["popularity:torso"]).tolist() == [3, 6]
    assert np.flatnonzero(segments["popularity:tail"]).tolist() == [0, 1, 4, 5]


def test_the_most_common_values_are_segments_and_the_rest_is_other() -> None:
    found = value_segments("tier", ["gold", "tin", "gold", None, "zinc", "", "iron", "iron"], largest=2)
    assert {name: np.flatnonzero(mask).tolist() for name, mask in found.items()} == {
        "tier:gold": [0, 2],
        "tier:iron": [6, 7],
        "tier:other": [1, 4],
    }


def test_a_value_that_is_called_other_is_not_lost() -> None:
    found = value_segments("tier", ["other", "other", "tin", "zinc"], largest=2)
    assert np.flatnonzero(found["tier:other"]).tolist() == [0, 1, 3]


def test_values_of_few_people_are_other_however_many_segments_there_may_be() -> None:
    values = ["a"] * 50 + ["b"] * 46 + ["c"] * 4
    assert {name: mask.sum() for name, mask in value_segments("region", values, largest=6).items()} == {
        "region:a": 50,
        "region:b": 46,
        "region:other": 4,
    }
    assert value_segments("region", [str(at) for at in range(100)], largest=6) == {}


def test_a_value_that_all_share_is_no_segment() -> None:
    assert value_segments("channel", ["store", "store", None], largest=5) == {}


@pytest.fixture
def found() -> dict[str, np.ndarray]:
    lines = [
        (date(2024, 4, 1), 0, 0, "a", 1.0, 1.0, "web", ""),
        (date(2024, 4, 2), 0, 0, "b", 1.0, 1.0, "web", ""),
        (date(2024, 4, 2), 0, 1, "b", 1.0, 1.0, "store", ""),
        (date(2024, 4, 3), 2, 0, "c", 1.0, 1.0, "web", ""),
        (date(2024, 4, 3), 2, 1, "c", 1.0, 1.0, "store", ""),
        (START, 2, 0, "d", 1.0, 1.0, "web", ""),  # from here on it is the test period
        (START, 3, 0, "e", 1.0, 1.0, "web", ""),
    ]
    users = [(row, f"u{row}", region, None, None, 0) for row, region in enumerate(["n", "s", "s", "n"])]
    customers = pl.DataFrame(
        {"user_id": ["u0", "u2", "u9"], "attributes": ['{"tier":"gold","age":3}', '{"tier":"tin"}', "{}"]},
    )
    return user_segments(
        pl.DataFrame(lines, schema=PURCHASES, orient="row").lazy(),
        pl.DataFrame(users, schema=USERS, orient="row"),
        pl.concat([pl.DataFrame(schema=TABLES["customers"].schema), customers], how="diagonal").lazy(),
        np.array([0, 2, 3]),
        split=Split(START, date(2024, 5, 29)),
        config=EvaluateConfig(user_attributes=("tier", "unheard_of", "age")),
    )


def test_the_usual_channel_is_that_of_most_lines_before_the_split(found: dict[str, np.ndarray]) -> None:
    assert found["channel:web"].tolist() == [True, False, False]
    assert found["channel:store"].tolist() == [False, True, False]  # as many lines: the smaller name


def test_activity_counts_orders_before_the_split(found: dict[str, np.ndarray]) -> None:
    assert found["activity:none"].tolist() == [False, False, True]
    assert found["spend:low"].tolist() == [False, True, False]  # 2 against 3 before the split
    assert found["spend:none"].tolist() == [False, False, True]


def test_regions_and_attributes_are_the_customers_own(found: dict[str, np.ndarray]) -> None:
    assert found["region:n"].tolist() == [True, False, True]
    assert found["customers.tier:gold"].tolist() == [True, False, False]
    assert found["customers.tier:tin"].tolist() == [False, True, False]
    assert not any("age" in name or "unheard_of" in name for name in found)
