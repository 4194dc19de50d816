"""Owns the nightly job: which stages there are, in which order, and which run they belong to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console

from recdata.config import DataConfig, load_config
from recdata.reviews import keep_reviews
from recdata.runs import RunFolder, Stage, StageRecord, digest_file, needed
from recdata.tables import TABLES
from selection.config import SelectionConfig
from selection.ledger.books import enter_picks, keep_past_picks
from selection.stages import selection_stages
from training.als import als_stage
from training.baskets import baskets_stage
from training.config import TrainingConfig
from training.erasures import keep_ledger
from training.evaluate import evaluate_stages
from training.evaluate.page.stage import page_stage
from training.evaluate.protocol import Recipe
from training.forecast import forecast_stage
from training.gate import GateSettings, RecordedRecipe
from training.places.stage import places_stage
from training.popularity import popularity_stage
from training.prepare import check_as_of, default_as_of, prepare_stage
from training.publish import publish_stage, published
from training.ranking import ranking_stage
from training.similar import similar_stage

#: The stages whose code has a part in what is recommended and how it is judged.
RECIPE_STAGES = ("prepare", "als", "ranking", "evaluate")


@dataclass(frozen=True, slots=True)
class NightlyConfig:
    """What decides a nightly job: the tables `[data]`, `[training]` and `[selection]` of one config file."""

    data: DataConfig
    training: TrainingConfig
    selection: SelectionConfig

    @classmethod
    def load(cls, path: Path | None) -> NightlyConfig:
        """Returns the three tables; raises `ConfigError` as `load_config` does."""
        return cls(
            load_config(path, "data", DataConfig),
            load_config(path, "training", TrainingConfig),
            load_config(path, "selection", SelectionConfig),
        )


def nightly_stages(config: NightlyConfig, *, force: str = "") -> list[Stage]:
    """Returns the whole chain, from checked tables to the published snapshot.

    Args:
        config: what decides each stage.
        force: the reason for publishing a snapshot that the gate refuses; "" where there is none.
    """
    data, training, selection = config.data, config.training, config.selection
    chain = [
        prepare_stage(data),
        als_stage(training.interactions, training.als),
        similar_stage(training.similar),
        baskets_stage(training.baskets),
        popularity_stage(training.popularity),
        ranking_stage(training.interactions, training.als, training.ranking),
        forecast_stage(training.forecast),
        places_stage(training.places, training.forecast),
        *evaluate_stages(training.interactions, training.als, training.ranking, training.evaluate),
        page_stage(training.interactions, training.als, training.ranking, training.evaluate, data),
        *selection_stages(selection, data),
    ]
    versions = {stage.name: stage.version for stage in chain if stage.name in RECIPE_STAGES}
    settings = GateSettings(training.gate, training.evaluate, _recipe(training, versions), force)
    return [*chain, publish_stage(data, settings)]


def stages_for(config: NightlyConfig, *names: str, force: str = "") -> list[Stage]:
    """Returns the named stages and all that they need, in the chain's order; for `force` see there."""
    return needed(nightly_stages(config, force=force), names)


def open_run(home: Path, config: NightlyConfig, *, as_of: date | None, console: Console) -> RunFolder:
    """Returns the run for the tables of a home folder: the same tables and day give the same run.

    Args:
        home: holds `tables/`.
        config: its time zone says what a day is.
        as_of: the first day that is not in the data; the business day after the last event where left out.
        console: where progress goes.

    Raises:
        TableError: nothing has been imported.
        RunError: no event is before `as_of`.
    """
    if as_of is not None:
        check_as_of(home, config.data, as_of)
    day = as_of or default_as_of(home, config.data)
    digest = hashlib.sha256()
    for name in TABLES:
        digest.update(digest_file(home / "tables" / f"{name}.parquet").encode())
    return RunFolder(home, f"{day:%Y%m%d}-{digest.hexdigest()[:8]}", day, console)


def _recipe(training: TrainingConfig, versions: dict[str, int]) -> RecordedRecipe:
    settings = Recipe(training.interactions, training.als, training.ranking)
    judged = (training.evaluate.k, training.evaluate.test_days)
    return RecordedRecipe(settings=settings, stages=versions, judged=judged)


def execute(run: RunFolder, stages: Sequence[Stage]) -> list[StageRecord]:
    """Runs a chain in a run folder; a publish whose snapshot has gone, or no longer serves, is done again.

    People erased since the last time are left out of all that is made; reviews made since, and the picks of
    the nights before, lie in the run folder. What was published is entered into the ledger of picks.

    Raises:
        GateRefusedError: the snapshot is worse than the live one.
        RunError: another job is at work in this home folder, or a stage failed.
        LiveStoreError: there is a live store, and it does not tell who was erased or what was reviewed.
    """
    keep_ledger(run)
    keep_reviews(run)
    keep_past_picks(run)
    records = run.execute(stages)
    if stages and stages[-1].name == "publish":
        if not published(run):
            run.forget("publish")
            records = run.execute(stages)
        enter_picks(run, today=datetime.now(UTC).date())
    return records
