"""Owns the gate's question of quality: does the new recipe find what shoppers buy as well as the live one?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from recdata.artefacts import read_artefact, scan_artefact
from recdata.runs import RunFolder
from recdata.snapshot import Manifest
from recdata.tables import scan_table
from training.evaluate import EvaluateConfig
from training.evaluate.bootstrap import compare
from training.evaluate.metrics import Floats
from training.evaluate.protocol import Recipe, Shop, evaluate
from training.evaluate.split import split_for
from training.gate.checks import Check
from training.gate.config import GateConfig
from training.gate.recipe import RecordedRecipe, recipe_of

#: What is compared of what is served: the target, and the measure.
COMPARED = (("all", "ndcg"), ("all", "value_captured"), ("never_bought", "ndcg"))
BASELINES = ("bestsellers", "own_frequency")
TITLES = {"all": "all items", "never_bought": "never bought"}
Values = Mapping[tuple[str, str], Floats]


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known of the quality of a run's recommendations.

    Attributes:
        checks: in the order of `COMPARED`.
        notes: what could not be compared, and why.
    """

    checks: list[Check]
    notes: list[str]


def judge_quality(
    run: RunFolder, live: Manifest | None, recipe: RecordedRecipe, config: EvaluateConfig, gate: GateConfig
) -> Quality:
    """Returns the checks of quality.

    By itself: what is served against bestsellers. Against the live snapshot: with other settings, both are
    trained on the days before tonight's held-out period and judged on it, shopper by shopper; with the same
    settings only the data moved on, so tonight's quotients against the plain baselines are compared with
    those that the live manifest names.

    Raises:
        RunError: an artefact is missing.
    """
    pairs = read_artefact(run.resolve("evaluation_pairs.parquet"), "evaluation_pairs")
    served = pairs.filter(pl.col("ratio_high").is_not_null(), model="served")
    if served.is_empty():
        return Quality([], ["nobody bought in the held-out period, so quality was not judged"])
    alone = _ratio_checks(served, {}, gate)
    if live is None:
        return Quality(alone, [])
    old = recipe_of(live)
    if old is None:
        said = "the live snapshot names no recipe that this version knows, so quality was not compared"
        return Quality(alone, [said])
    if not recipe.same_settings(old):
        mine, theirs = (served_values(run, each.settings, config) for each in (recipe, old))
        return Quality([*alone, *recipe_checks(mine, theirs, config, gate)], [])
    if recipe.judged != old.judged:
        said = "the live snapshot was judged on other terms (list length, days), so quality was not compared"
        return Quality(alone, [said])
    notes = [] if recipe.stages == old.stages else ["the code of a stage is another than the live snapshot's"]
    return Quality(_ratio_checks(served, live.metrics, gate), notes)


def served_values(run: RunFolder, recipe: Recipe, config: EvaluateConfig) -> Values:
    """Returns each measure of `COMPARED` of what a recipe would have served, float64 `(n_judged,)`.

    All is learned from the run's days before the held-out period; judged are those of the stage `evaluate`.
    """
    shop = Shop(
        purchases=scan_artefact(run.resolve("purchases.parquet"), "purchases"),
        behaviour=scan_artefact(run.resolve("behaviour.parquet"), "behaviour"),
        users=read_artefact(run.resolve("users.parquet"), "users"),
        items=read_artefact(run.resolve("items.parquet"), "items"),
        customers=scan_table(run.home, "customers"),
        promoted_days=scan_artefact(run.resolve("promoted_days.parquet"), "promoted_days"),
    )
    outcome = evaluate(shop, recipe, split=split_for(config, as_of=run.as_of), config=config)
    return {(target, metric): outcome.values["served", target, "all", metric] for target, metric in COMPARED}


def recipe_checks(new: Values, live: Values, config: EvaluateConfig, gate: GateConfig) -> list[Check]:
    """Returns the checks of two recipes' measures of the same shoppers.

    A measure fails whose loss is above the tolerance and certain: its bootstrap interval lies below 0.

    Args:
        new: each measure of `COMPARED`, float64 `(n_users,)`, NaN for a shopper who does not count.
        live: the same of the live recipe.
        config: resamples, confidence and seed.
        gate: the tolerance.
    """
    found = compare(
        np.column_stack([new[key] for key in COMPARED]),
        np.column_stack([live[key] for key in COMPARED]),
        resamples=config.resamples,
        confidence=config.confidence,
        rng=np.random.default_rng(config.seed),
    )
    checks = []
    for (target, metric), each in zip(COMPARED, found, strict=True):
        if np.isfinite(each.ratio):
            change, low, high = each.ratio - 1.0, each.ratio_low - 1.0, each.ratio_high - 1.0
            failed = change < -gate.max_quality_drop and high < 0.0
            told = f"≥ live − {gate.max_quality_drop:.0%}; {change:+.1%} ({low:+.1%} to {high:+.1%})"
            both = np.isfinite(new[target, metric]) & np.isfinite(live[target, metric])
            mean = float(live[target, metric][both].mean())
            checks.append(Check(_title(target, metric), mean, mean + each.difference, told, not failed))
    return checks


def _ratio_checks(served: pl.DataFrame, live: Mapping[str, float], gate: GateConfig) -> list[Check]:
    """Returns a check for each quotient against a baseline that has a limit.

    NDCG has a limit of its own against bestsellers, and each one a limit below the live one's. A quotient
    fails whose whole interval lies below.

    Args:
        served: rows of `evaluation_pairs`.
        live: the live manifest's metrics; empty where nothing is compared.
        gate: the limits.
    """
    checks = []
    for target, metric in COMPARED:
        for baseline in BASELINES:
            alone = (target, metric, baseline) == ("all", "ndcg", "bestsellers")
            before = live.get(f"{target}.served.{metric}_vs_{baseline}")
            found = served.filter(target=target, metric=metric, against=baseline)
            if found.is_empty() or (before is None and not alone):
                continue
            ratio, high = found.select("ratio", "ratio_high").row(0)
            floor = max(
                gate.min_ratio_to_bestsellers if alone else 0.0, (before or 0.0) * (1.0 - gate.max_ratio_drop)
            )
            told = f"≥ {floor:.3f}; interval up to {high:.3f}"
            checks.append(Check(_title(target, metric, baseline), before, ratio, told, high >= floor))
    return checks


def _title(target: str, metric: str, baseline: str = "") -> str:
    times = f" × {baseline}" if baseline else ""
    return f"{metric}{times}, {TITLES[target]}".replace("_", " ")
