"""Owns the stages of the evaluation: one for each test period, and the page that shows them all."""

from __future__ import annotations

import msgspec

from recdata.artefacts import read_artefact, scan_artefact, write_artefact
from recdata.runs import Stage, StageContext
from recdata.tables import scan_table
from training.als import AlsConfig
from training.evaluate.config import EvaluateConfig
from training.evaluate.headline import Headline, headline_metrics
from training.evaluate.protocol import Outcome, Recipe, Shop, evaluate
from training.evaluate.split import Split, split_for
from training.interactions import InteractionsConfig
from training.ranking import RankingConfig


def evaluate_stages(
    interactions: InteractionsConfig, als: AlsConfig, ranking: RankingConfig, config: EvaluateConfig
) -> list[Stage]:
    """Returns a stage a test period, the last one first, each learning from its own past alone."""
    recipe = Recipe(interactions, als, ranking)
    return [_period_stage(recipe, config, back) for back in range(config.periods)]


def stage_names(config: EvaluateConfig) -> list[str]:
    """Returns the names of the stages of all test periods, the last one first."""
    return [_stage_name(back) for back in range(config.periods)]


def period_files(back: int) -> tuple[str, str, str]:
    """Returns the names of the means, the pairs and the headline of the period so many before the last."""
    suffix = f"_{back + 1}" if back else ""
    return f"evaluation{suffix}.parquet", f"evaluation_pairs{suffix}.parquet", f"evaluation{suffix}.json"


def _period_stage(recipe: Recipe, config: EvaluateConfig, back: int) -> Stage:
    means, pairs, headline = period_files(back)

    def work(ctx: StageContext) -> dict[str, object]:
        split = split_for(config, as_of=ctx.run.as_of, back=back)
        shop = Shop(
            purchases=scan_artefact(ctx.source("purchases.parquet"), "purchases"),
            behaviour=scan_artefact(ctx.source("behaviour.parquet"), "behaviour"),
            users=read_artefact(ctx.source("users.parquet"), "users"),
            items=read_artefact(ctx.source("items.parquet"), "items"),
            customers=scan_table(ctx.run.home, "customers"),
            promoted_days=scan_artefact(ctx.source("promoted_days.parquet"), "promoted_days"),
        )
        with ctx.bar(f"training before {split.start} and judging", total=1) as advance:
            outcome = evaluate(shop, recipe, split=split, config=config)
            advance(1)
        if outcome.reason:
            ctx.console.print(f"   nothing to judge: {outcome.reason}", style="yellow")
        write_artefact(outcome.frame, ctx.target(means), "evaluation")
        write_artefact(outcome.pairs, ctx.target(pairs), "evaluation_pairs")
        found = _headline(outcome, split, config)
        ctx.target(headline).write_bytes(msgspec.json.format(msgspec.json.encode(found)))
        return {name: value for name, value in msgspec.to_builtins(found).items() if name != "metrics"}

    return Stage(
        name=_stage_name(back),
        version=9,
        inputs=(
            "users.parquet",
            "items.parquet",
            "purchases.parquet",
            "behaviour.parquet",
            "promoted_days.parquet",
            "tables:customers",
        ),
        outputs=(means, pairs, headline),
        work=work,
        # How many periods there are changes none of them.
        config={"recipe": recipe, "evaluate": msgspec.structs.replace(config, periods=1)},
    )


def _stage_name(back: int) -> str:
    return f"evaluate_{back + 1}" if back else "evaluate"


def _headline(outcome: Outcome, split: Split, config: EvaluateConfig) -> Headline:
    return Headline(
        test_start=split.start,
        test_end=split.end,
        k=config.k,
        users=outcome.shoppers.size,
        items=outcome.n_items,
        reason=outcome.reason,
        metrics=headline_metrics(outcome.frame, outcome.pairs, config.k),
    )
