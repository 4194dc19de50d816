"""Owns the stage `evaluation_page`, which shows every test period of a run on one page."""

from __future__ import annotations

import msgspec

from recdata.config import DataConfig
from recdata.runs import Stage, StageContext
from training.als import AlsConfig
from training.evaluate.config import EvaluateConfig
from training.evaluate.page.render import PageInputs, render_page
from training.evaluate.results import read_evaluation
from training.evaluate.stage import period_files, stage_names
from training.interactions import InteractionsConfig
from training.ranking import RankingConfig

PAGE_STAGE = "evaluation_page"
PAGE_NAME = "evaluation.html"


def page_stage(
    interactions: InteractionsConfig,
    als: AlsConfig,
    ranking: RankingConfig,
    config: EvaluateConfig,
    data: DataConfig,
) -> Stage:
    """Returns the stage that writes evaluation.html from what the stages of the test periods left."""
    settings = {
        "training.interactions": msgspec.to_builtins(interactions),
        "training.als": msgspec.to_builtins(als),
        "training.ranking": msgspec.to_builtins(ranking),
        "training.evaluate": msgspec.to_builtins(config),
    }

    def work(ctx: StageContext) -> dict[str, object]:
        records = [ctx.run.record(name) for name in stage_names(config)]
        page = render_page(
            PageInputs(
                as_of=ctx.run.as_of,
                run_id=ctx.run.run_id,
                found=read_evaluation(ctx.run, config.periods),
                currency=data.currency,
                settings=settings,
                records=[record for record in records if record is not None],
            )
        ).encode("utf-8")
        ctx.target(PAGE_NAME).write_bytes(page)
        return {"html_bytes": len(page)}

    return Stage(
        name=PAGE_STAGE,
        version=1,
        inputs=tuple(name for back in range(config.periods) for name in period_files(back)),
        outputs=(PAGE_NAME,),
        work=work,
        config={"settings": settings, "currency": data.currency},
    )
