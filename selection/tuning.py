"""Owns choosing the score's weights from past origins, so that the defaults can be found again.

Run on a finished run folder as `python -m selection.tuning RUN_FOLDER`; it prints weights for
`[selection.weights]`. Only origins that the back-test's headline leaves out are looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recdata.runs import RunFolder
from selection.backtest import Candidates, backtest_origins, candidates_at, compare, pick
from selection.commands import run_day
from selection.config import BacktestConfig, SelectionConfig, WeightsConfig
from selection.history import tables_of
from selection.score import COMPONENTS, weighted_score
from selection.summary import SCOPES, held_out_parts

#: Where weights are looked for (a Dirichlet's parameters, in the order of `COMPONENTS`): forecast and
#: recent sales carry most of what can be known, the others may correct it.
PRIOR = (4.0, 4.0, 2.0, 1.0, 0.5, 0.5, 0.7, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3)
BEST_SHARE = 0.1


def tune_weights(
    origins: Sequence[Candidates], config: BacktestConfig, *, draws: int, rng: np.random.Generator
) -> WeightsConfig:
    """Returns the mean of the best tenth of `draws` random weights, rounded to hundredths.

    The mean of several, not the single best: with a few origins the best is the luckiest. Weights are
    judged by the mean of precision and capture in both scopes over the origins.
    """
    weights = rng.dirichlet(PRIOR, size=draws)
    truths = [
        {scope: pick(past, past.scores["oracle"], scope, config) for scope in SCOPES} for past in origins
    ]
    values = np.zeros(draws)
    for number, draw in enumerate(weights):
        candidate = WeightsConfig(**dict(zip(COMPONENTS, draw.tolist(), strict=True)))
        figures: list[float] = []
        for past, truth in zip(origins, truths, strict=True):
            score = weighted_score(past.parts, candidate)
            for scope in SCOPES:
                if len(truth[scope]):
                    mine = pick(past, score, scope, config)
                    figures += compare(past.realised, mine, truth[scope]).values()
        values[number] = np.mean(figures) if figures else 0.0
    best = np.argsort(-values, kind="stable")[: max(1, round(draws * BEST_SHARE))]
    mean = weights[best].mean(axis=0).round(2)
    return WeightsConfig(**dict(zip(COMPONENTS, mean.tolist(), strict=True)))


def main(folder: Path) -> None:
    """Prints weights tuned on the origins of a run folder that are not held out."""
    config = SelectionConfig()
    run = RunFolder(folder.parent.parent, folder.name, run_day(folder))
    tables = tables_of(run)
    parts = held_out_parts(backtest_origins(tables, config.backtest), config.backtest)
    earlier = [origin for origin in parts.get("all", []) if origin not in parts["held_out"]]
    origins = [candidates_at(tables, origin, config) for origin in earlier]
    tuned = tune_weights(origins, config.backtest, draws=120, rng=np.random.default_rng(7))
    sys.stdout.write(f"# tuned on {', '.join(map(str, earlier))}\n[selection.weights]\n")
    for name in COMPONENTS:
        sys.stdout.write(f"{name} = {getattr(tuned, name)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
