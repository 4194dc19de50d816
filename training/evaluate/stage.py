"""Owns the stage `evaluate`: the long table, and the headline figures that a snapshot carries."""

from __future__ import annotations

import msgspec

from recdata.artefacts import read_artefact, scan_artefact, write_artefact
from recdata.runs import Stage, StageContext
from training.als import AlsConfig
from training.evaluate.config import EvaluateConfig
from training.evaluate.protocol import Outcome, evaluate
from training.evaluate.split import Split, split_for
from training.history import category_codes
from training.interactions import InteractionsConfig
from training.ranking import RankingConfig

HEADLINE_METRICS = ("precision", "recall", "ndcg", "hit_rate", "value_captured", "user_coverage")


def evaluate_stage(
    interactions: InteractionsConfig, als: AlsConfig, ranking: RankingConfig, config: EvaluateConfig
) -> Stage:
    """Returns the stage that judges the recommendations on the end of the run's data."""

    def work(ctx: StageContext) -> dict[str, object]:
        split = split_for(config, as_of=ctx.run.as_of)
        with ctx.bar("training before the test period and judging", total=1) as advance:
            outcome = evaluate(
                scan_artefact(ctx.source("purchases.parquet"), "purchases"),
                scan_artefact(ctx.source("behaviour.parquet"), "behaviour"),
                read_artefact(ctx.source("users.parquet"), "users").height,
                category_codes(read_artefact(ctx.source("items.parquet"), "items")),
                split=split,
                interactions=interactions,
                als=als,
                ranking=ranking,
                config=config,
            )
            advance(1)
        if outcome.reason:
            ctx.console.print(f"   nothing to judge: {outcome.reason}", style="yellow")
        write_artefact(outcome.frame, ctx.target("evaluation.parquet"), "evaluation")
        headline = _headline(outcome, split, config)
        ctx.target("evaluation.json").write_bytes(msgspec.json.format(msgspec.json.encode(headline)))
        return headline

    return Stage(
        name="evaluate",
        version=5,
        inputs=("users.parquet", "items.parquet", "purchases.parquet", "behaviour.parquet"),
        outputs=("evaluation.parquet", "evaluation.json"),
        work=work,
        config={"interactions": interactions, "als": als, "ranking": ranking, "evaluate": config},
    )


def _headline(outcome: Outcome, split: Split, config: EvaluateConfig) -> dict[str, object]:
    metrics = {
        f"{target}.{model}.{metric}": round(value, 6)
        for target, segment, model, metric, value in outcome.frame.select(
            "target", "segment", "model", "metric", "value"
        ).iter_rows()
        if segment == "all"
    }
    return {
        "test_start": split.start.isoformat(),
        "test_end": split.end.isoformat(),
        "k": config.k,
        "users": outcome.n_users,
        "items": outcome.n_items,
        "reason": outcome.reason,
        "metrics": metrics,
    }
