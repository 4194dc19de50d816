"""Owns the back-test: past selections against plain rules, scored by what was really sold afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import msgspec
import numpy as np
import polars as pl

from selection.actions import STAGES
from selection.backtest_lists import Listed, score_lists
from selection.candidates import Candidates, candidates_at
from selection.config import BacktestConfig, SelectionConfig, WeightsConfig
from selection.history import Tables, horizon_days
from selection.outcomes.facts import facts_of
from selection.picking import Picks, compare, of_list, pick, pick_stage
from selection.score import COMPONENTS, Floats, weighted_score
from selection.summary import BACKTEST, BASELINE, METHODS, SCOPES, WITHOUT, summarise
from selection.weights import Lesson, telling, weights_for

Row = dict[str, object]

#: Whose picks are told apart by category and by stage.
TOLD_APART = ("selection", BASELINE)


@dataclass(slots=True)
class Walk:
    """A walk over the origins, oldest first: what each taught, and what was picked at the last one.

    Attributes:
        lessons: the end of an origin's horizon, and what it taught.
        picked: scope and method -> ids picked at the origin before.
        listed: the lists of next hits and drops of the origin before.
    """

    lessons: list[tuple[date, Lesson]] = field(default_factory=list)
    picked: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    listed: Listed = field(default_factory=Listed)

    def weights(self, origin: date, config: SelectionConfig) -> tuple[WeightsConfig, int]:
        """Returns the weights that could be known at an origin, and how many origins taught them."""
        told = [lesson for end, lesson in self.lessons if end <= origin]
        weights = weights_for(told, config.weights, config.weight_limits, config.learning)
        return weights, len(telling(told, config.learning))


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a back-test found.

    Attributes:
        frame: `BACKTEST`.
        weights: what the run's own day scores with.
        taught_by: how many origins taught them.
    """

    frame: pl.DataFrame
    weights: WeightsConfig
    taught_by: int


def backtest_origins(tables: Tables, config: BacktestConfig) -> list[date]:
    """Returns the origins whose horizon lies inside the data and that have history enough, oldest first."""
    first_day = tables.daily_sales.select(pl.col("day").min()).collect().item()
    if first_day is None:
        return []
    horizons = tables.forecast_totals.group_by("origin").agg(pl.col("horizon_days").max()).sort("origin")
    return [
        origin
        for origin, days in horizons.iter_rows()
        if origin + timedelta(days=days) <= tables.as_of
        and (origin - first_day).days >= config.min_history_days
    ]


def run_backtest(
    tables: Tables, *, config: SelectionConfig, advance: Callable[[int], None] = lambda _: None
) -> Backtest:
    """Returns the figures of all origins, empty when there is none to stand on, and the weights learned.

    At each origin the score has the weights that could be known then: learned from the origins before it
    whose horizons had ended.

    Args:
        tables: what the run knows.
        config: the room's.
        advance: called with 1 after each origin.
    """
    rows: list[Row] = []
    walk = Walk()
    facts = facts_of(tables, category_depth=config.features.category_depth)
    for origin in backtest_origins(tables, config.backtest):
        candidates = candidates_at(tables, origin, config)
        weights, _ = walk.weights(origin, config)
        candidates.scores.update(_own_scores(candidates, weights))
        found = [*score_picks(candidates, config.backtest), *told_apart(candidates, config.backtest)]
        found += turnover(candidates, config.backtest, walk)
        if facts is not None:
            found += score_lists(candidates, facts, origin, config, walk.listed)
        rows += [{"part": "origin", "origin": origin, "n_origins": 1, "segment": "", **row} for row in found]
        end = origin + timedelta(days=horizon_days(tables.forecast_totals, origin))
        walk.lessons.append((end, candidates.lesson()))
        advance(1)
    frame = pl.DataFrame(rows, schema=BACKTEST)
    weights, taught_by = walk.weights(tables.as_of, config)
    return Backtest(pl.concat([frame, summarise(frame, config.backtest)]), weights, taught_by)


def _own_scores(candidates: Candidates, weights: WeightsConfig) -> dict[str, Floats]:
    """Returns the selection's score, and the score without each component that has a weight."""
    scores = {"selection": weighted_score(candidates.parts, weights)}
    for name in COMPONENTS:
        left = msgspec.structs.asdict(weights) | {name: 0.0}
        if getattr(weights, name) > 0 and any(left.values()):
            scores[f"{WITHOUT}{name}"] = weighted_score(candidates.parts, WeightsConfig(**left))
    return scores


def score_picks(candidates: Candidates, config: BacktestConfig) -> Iterator[Row]:
    """Yields scope x method x metric rows of one origin; metrics as in `compare`.

    For methods that promise money there is also expected_ratio, promised over realised revenue of the picks.
    """
    for scope in SCOPES:
        truth = pick(candidates, "oracle", scope, config)
        if not len(truth.rows):
            continue
        for method in _methods(candidates):
            mine = pick(candidates, method, scope, config)
            figures = compare(candidates.realised, mine, truth)
            if method in candidates.expected:
                figures |= _promised(candidates, method, mine)
            for metric, value in figures.items():
                yield {"scope": scope, "method": method, "metric": metric, "value": value}


def told_apart(candidates: Candidates, config: BacktestConfig) -> Iterator[Row]:
    """Yields the figures of the selection and the baseline by category, and by stage of life."""
    methods = [method for method in TOLD_APART if method in candidates.scores]
    truth = pick(candidates, "oracle", "category", config)
    lists = {method: pick(candidates, method, "category", config) for method in methods}
    for code in np.unique(truth.list_of).tolist():
        of_truth = of_list(truth, code)
        for method, picks in lists.items():
            figures = compare(candidates.realised, of_list(picks, code), of_truth)
            yield from _rows("category", candidates.group_names[code], method, figures)
    for stage in STAGES:
        best = pick_stage(candidates, "oracle", stage, config)
        if not len(best.rows):
            continue
        for method in methods:
            mine = pick_stage(candidates, method, stage, config)
            yield from _rows("stage", stage, method, compare(candidates.realised, mine, best))


def turnover(candidates: Candidates, config: BacktestConfig, walk: Walk) -> Iterator[Row]:
    """Yields the share of an origin's picks that were none at the origin before, and remembers them."""
    for scope in SCOPES:
        for method in METHODS:
            if method not in candidates.scores:
                continue
            picks = pick(candidates, method, scope, config)
            now = set(candidates.item_ids[picks.rows].tolist())
            before = walk.picked.get((scope, method))
            if before and now:
                share = len(now - before) / len(now)
                yield {"scope": scope, "method": method, "metric": "turnover", "value": share}
            walk.picked[scope, method] = now


def _methods(candidates: Candidates) -> list[str]:
    left_out = sorted(name for name in candidates.scores if name.startswith(WITHOUT))
    return [method for method in METHODS if method in candidates.scores] + left_out


def _promised(candidates: Candidates, method: str, picks: Picks) -> dict[str, float]:
    promised, had = candidates.expected[method][picks.rows], float(candidates.realised[picks.rows].sum())
    if had <= 0 or np.isnan(promised).any():
        return {}
    return {"expected_ratio": float(promised.sum()) / had}


def _rows(scope: str, segment: str, method: str, figures: Mapping[str, float]) -> Iterator[Row]:
    for metric in ("precision", "capture"):
        yield {
            "scope": scope,
            "segment": segment,
            "method": method,
            "metric": metric,
            "value": figures[metric],
        }
