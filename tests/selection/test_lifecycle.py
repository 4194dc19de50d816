"""The stage of an item's life follows the documented rules, the first that holds."""

import polars as pl
import pytest

from selection.config import LifecycleConfig
from selection.lifecycle import stage_expression

MATURE = {
    "age_days": 300,
    "days_since_sale": 2,
    "trend": 0.0,
    "trend_z": 0.0,
    "season_ratio": 1.0,
    "season_orders": 30.0,
}


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({}, "mature"),
        ({"trend": 0.3, "trend_z": 2.0}, "growth"),
        ({"trend": 0.3, "trend_z": 1.0}, "mature"),
        ({"trend": 0.1, "trend_z": 5.0}, "mature"),
        ({"trend": -0.3, "trend_z": -2.0}, "decline"),
        ({"age_days": 20, "trend": 0.3, "trend_z": 2.0}, "launch"),
        ({"days_since_sale": 84}, "mature"),
        ({"days_since_sale": 85}, "dead"),
        ({"days_since_sale": 85, "season_ratio": 3.0}, "seasonal"),
        ({"days_since_sale": 85, "season_ratio": 3.0, "season_orders": 5.0}, "dead"),
        ({"days_since_sale": None, "age_days": 20}, "launch"),
        ({"days_since_sale": None, "age_days": 120}, "dead"),
        ({"days_since_sale": None, "age_days": None}, "dead"),
        ({"season_ratio": None}, "mature"),
    ],
)
def test_the_stage_follows_the_rules(changes, stage):
    frame = pl.DataFrame([{**MATURE, **changes}], schema_overrides={"season_ratio": pl.Float64})
    frame = frame.with_columns(pl.col("age_days", "days_since_sale").cast(pl.Int32))
    found = frame.select(stage_expression(LifecycleConfig(), history_days=365).alias("stage"))
    assert found.item() == stage


def test_the_first_day_of_the_data_is_no_launch():
    frame = pl.DataFrame([{**MATURE, "age_days": 40}])
    found = frame.select(stage_expression(LifecycleConfig(), history_days=40).alias("stage"))
    assert found.item() == "mature"


def test_an_unsold_item_is_not_called_dead_when_the_data_is_young():
    frame = pl.DataFrame([{**MATURE, "age_days": None, "days_since_sale": None}]).cast(
        {"age_days": pl.Int32, "days_since_sale": pl.Int32}
    )
    found = frame.select(stage_expression(LifecycleConfig(), history_days=10).alias("stage"))
    assert found.item() == "launch"
