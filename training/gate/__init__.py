"""Owns whether a new snapshot may take the live one's place: quality, sanity, the verdict and its record."""

from training.gate.checks import Check, GateReport, gate_table
from training.gate.config import GateConfig
from training.gate.gate import GATE_NAME, Gate, GateSettings
from training.gate.recipe import LINEAGE_KEY, RecordedRecipe, recipe_of

__all__ = [
    "GATE_NAME",
    "LINEAGE_KEY",
    "Check",
    "Gate",
    "GateConfig",
    "GateReport",
    "GateSettings",
    "RecordedRecipe",
    "gate_table",
    "recipe_of",
]
