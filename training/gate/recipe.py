"""Owns how a snapshot remembers its recipe, so that a later night can judge it on its own data."""

from __future__ import annotations

import msgspec

from recdata.snapshot import Manifest
from training.evaluate.protocol import Recipe

LINEAGE_KEY = "recipe"


class RecordedRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """What decides the recommendations beside the data, as JSON in the manifest's lineage.

    Attributes:
        settings: the tables of the config.
        stages: version of each stage that has a part in it, by name.
        judged: what it was judged by: length of the lists, and of the held-out period in days.
    """

    settings: Recipe
    stages: dict[str, int]
    judged: tuple[int, int]

    def encode(self) -> str:
        """Returns the recipe as JSON."""
        return msgspec.json.encode(self, order="deterministic").decode()

    def same_settings(self, other: RecordedRecipe) -> bool:
        """Returns whether both have the same settings; a number of threads makes no difference."""
        return _without_threads(self.settings) == _without_threads(other.settings)


def recipe_of(manifest: Manifest) -> RecordedRecipe | None:
    """Returns the recipe that a manifest names; None where it names none, or settings unknown here."""
    try:
        return msgspec.json.decode(manifest.lineage.get(LINEAGE_KEY, ""), type=RecordedRecipe)
    except msgspec.DecodeError:
        return None


def _without_threads(settings: Recipe) -> dict[str, dict[str, object]]:
    tables: dict[str, dict[str, object]] = msgspec.to_builtins(settings)
    return {
        name: {key: value for key, value in table.items() if key != "threads"}
        for name, table in tables.items()
    }
