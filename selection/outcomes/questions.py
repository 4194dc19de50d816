"""Owns the four questions that a selection has to answer better than plain rules do, and their figures.

Every rule picks as many items as the model from the same candidates at the same origins; ties go to the
lower item_row, so to the lower item_id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selection.outcomes.config import OutcomesConfig
from selection.outcomes.examples import fresh_at, fresh_best
from selection.outcomes.facts import Facts, Floats, Ints
from selection.outcomes.labels import Flags, alive_at, is_hit, labels_at, top_of_group
from selection.outcomes.plain import plain_rules
from selection.outcomes.walk import Outlook

#: The model's name among the rules.
MODEL = "model"
#: What cannot be beaten, and what must be.
ORACLE, RANDOM = "oracle", "random"
QUESTIONS = ("top of category", "next hits", "new items", "drop list")
#: For a drop list a small figure is good.
SMALL_IS_GOOD = {"drop list"}
CATEGORY_LEAST = 30
NEXT_HITS = 100
NEW_ITEMS = 50


@dataclass(frozen=True, slots=True)
class Answer:
    """A rule's mean over origins with its 95% bootstrap interval, and the model's ratio to it (paired)."""

    rule: str
    value: float
    low: float
    high: float
    ratio: float
    ratio_low: float
    ratio_high: float


def question_days(question: str, config: OutcomesConfig) -> int:
    """Returns how many days after an origin a question is decided."""
    return config.keep_days if question in {"new items", "drop list"} else config.horizon_days


def ask(question: str, facts: Facts, outlook: Outlook, config: OutcomesConfig) -> dict[str, float]:
    """Returns rule -> figure of one origin; empty where there was nothing to pick from or to find.

    - top of category: share of the truly best `category_top_k` by revenue that were picked, over categories
      with at least `CATEGORY_LEAST` items that sold in 84 days;
    - next hits: share of 100 picks, none a hit in the last horizon, that are one in the next;
    - new items: share of 50 picks among items at most `new_days` old that are in the top 5% of them by units
      of the next `keep_days`;
    - drop list: share of the dropped (`drop_share` of the items that sold in `keep_days`) that sell something
      worth keeping after all.
    """
    panel, rows = outlook.panel, outlook.panel.rows
    labels = labels_at(facts, panel.origin, config)
    group = facts.group[rows]
    luck = np.random.default_rng([config.seed, panel.origin]).random(rows.size)
    if question == "top of category":
        sold = panel.columns["units_84"] > 0
        counts = np.bincount(group[sold], minlength=int(group.max(initial=-1)) + 1)
        eligible = (counts >= CATEGORY_LEAST)[group]
        k = config.category_top_k
        truth = top_of_group(labels.revenue[rows], eligible, group, k)
        scores = plain_rules(panel, money=True) | {
            MODEL: top_score(outlook),
            "expected value": outlook.raw["value"],
            "chance of the top": outlook.chances["top"],
            RANDOM: luck,
            ORACLE: labels.revenue[rows],
        }
        wanted = float(truth.sum())
        return {
            rule: float((truth & top_of_group(_above_zero(score), eligible, group, k)).sum()) / wanted
            for rule, score in scores.items()
            if wanted
        }
    if question == "next hits":
        alive = alive_at(facts, panel.origin, config)
        before = is_hit(
            facts, panel.origin - config.horizon_days, panel.origin, alive=alive, ratio=config.hit_ratio
        )
        scores = plain_rules(panel, money=False) | {MODEL: outlook.chances["hit"]}
        return _shares(scores, ~before[rows], labels.hit[rows], NEXT_HITS, luck)
    if question == "new items":
        best = fresh_best(facts, panel, config)
        scores = plain_rules(panel, money=False) | {MODEL: outlook.chances["fresh"]}
        scores["early sales"] = scores.pop("last 28 days")
        return _shares(scores, fresh_at(panel, config), best, NEW_ITEMS, luck)
    candidates = panel.columns["since_sale"] <= config.keep_days
    scores = {rule: -score for rule, score in plain_rules(panel, money=False).items()}
    scores |= {
        "last 84 days, money": -panel.columns["revenue_84"].astype(np.float64),
        MODEL: -outlook.chances["keep"],
    }
    length = int(candidates.sum() * config.drop_share)
    return _shares(scores, candidates, labels.keep[rows], length, luck, found=False)


def top_score(outlook: Outlook) -> Floats:
    """Returns `(n,)` by what the top of a category is picked: expected value weighted by its chance."""
    score: Floats = outlook.raw["value"] * np.sqrt(outlook.chances["top"] + 1e-6)
    return score


def _shares(
    scores: dict[str, Floats],
    candidates: Flags,
    wanted: Flags,
    length: int,
    luck: Floats,
    *,
    found: bool = True,
) -> dict[str, float]:
    """Returns rule -> the share of its picks that are wanted; the oracle finds them, or avoids them."""
    if not candidates.any() or length < 1:
        return {}
    every = scores | {RANDOM: luck, ORACLE: np.where(wanted, 1.0, 0.0) * (1 if found else -1)}
    return {rule: float(wanted[_best(score, candidates, length)].mean()) for rule, score in every.items()}


def _best(score: Floats, among: Flags, length: int) -> Ints:
    rows = np.flatnonzero(among)
    return rows[np.argsort(-score[rows], kind="stable")[:length]]


def _above_zero(score: Floats) -> Floats:
    """Returns the score lifted above 0, since a category's picks are as many as it has items."""
    return np.asarray(score - min(float(score.min(initial=0.0)), 0.0) + 1e-12)


def summarise(
    by_origin: Sequence[Mapping[str, float]], *, samples: int = 10_000, seed: int = 20180101
) -> list[Answer]:
    """Returns each rule's mean with 95% bootstrap interval over origins, the model's ratio paired.

    Args:
        by_origin: rule -> figure, one an origin; origins without a figure are left out.
        samples: bootstrap samples.
        seed: of the bootstrap.
    """
    full = [figures for figures in by_origin if figures]
    if not full:
        return []
    draws = np.random.default_rng([seed, len(full)]).integers(0, len(full), size=(samples, len(full)))
    values = {rule: np.array([figures[rule] for figures in full]) for rule in full[0]}
    boot = {rule: value[draws].mean(axis=1) for rule, value in values.items()}
    answers = []
    for rule, value in values.items():
        low, high = np.quantile(boot[rule], [0.025, 0.975])
        ratio, ratio_low, ratio_high = np.nan, np.nan, np.nan
        if value.mean() > 0 and (boot[rule] > 0).all():
            ratio = float(values[MODEL].mean() / value.mean())
            ratio_low, ratio_high = np.quantile(boot[MODEL] / boot[rule], [0.025, 0.975])
        answers.append(
            Answer(
                rule, float(value.mean()), float(low), float(high), ratio, float(ratio_low), float(ratio_high)
            )
        )
    return answers


def strongest(question: str, answers: Sequence[Answer]) -> Answer | None:
    """Returns the plain rule with the best mean, chosen with hindsight, so against the model."""
    others = {MODEL, ORACLE, RANDOM, "expected value", "chance of the top"}
    plain = [answer for answer in answers if answer.rule not in others]
    if not plain:
        return None
    return (min if question in SMALL_IS_GOOD else max)(plain, key=lambda answer: answer.value)
