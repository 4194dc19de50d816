"""Owns taking the lists apart: from what every model shows to the tables of means and of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import date
from math import isfinite

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.training_artefacts import EVALUATION, EVALUATION_PAIRS
from training.evaluate.beyond import Ground, gini, history_measures, list_measures
from training.evaluate.bootstrap import bootstrap_means, compare, interval
from training.evaluate.config import EvaluateConfig
from training.evaluate.metrics import METRICS, Floats, catalogue_coverage, metric_curves, user_metrics
from training.evaluate.orders import SERVED
from training.evaluate.rivals import MODELS, Shown
from training.evaluate.split import Relevance

#: Model, target, segment, metric.
Column = tuple[str, str, str, str]
Mask = NDArray[np.bool_]

HISTORY = "history"  # stands where a model does, for what the shoppers had bought themselves
SEGMENT_METRICS = ("ndcg", "recall", "hit_rate", "value_captured")
PAIR_METRICS = ("ndcg", "recall", "hit_rate", "value_captured", "revenue_captured")
POPULARITY = "popularity"


@dataclass(frozen=True, slots=True)
class Judged:
    """What the lists are worth.

    Attributes:
        frame: rows of the `evaluation` artefact.
        pairs: the `evaluation_pairs` artefact.
        values: each shopper's value of every column that has means, `(n_users,)`.
    """

    frame: pl.DataFrame
    pairs: pl.DataFrame
    values: dict[Column, Floats]


def judge(
    shown_by: Mapping[tuple[str, str], Shown],
    targets: Mapping[str, Relevance],
    orders: Mapping[tuple[str, str], Floats],
    ground: Ground,
    by_user: Mapping[str, Mask],
    by_item: Mapping[str, Mask],
    *,
    catalogue: NDArray[np.int64],
    period: date,
    config: EvaluateConfig,
) -> Judged:
    """Returns means with intervals, and every model compared with every other.

    Args:
        shown_by: (model, target) -> lists at least as long as `config.k`.
        targets: target -> what the same shoppers bought of it.
        orders: (order of the served list, metric) -> each shopper's value.
        ground: what was known of shoppers and items.
        by_user: segment -> shoppers in it; there every relevant item counts.
        by_item: segment -> items in it; there only those are relevant, while the lists stay as they are.
        catalogue: rows of the items sold before the test period.
        period: the first day of the test period.
        config: length of the lists, resamples, seed.
    """
    values: dict[Column, Floats] = {}
    told: list[dict[str, object]] = []
    for (model, target), shown in shown_by.items():
        lists, relevant = shown.lists[:, : config.k], targets[target]
        whole = user_metrics(lists, relevant, shown.covered)
        judged = np.isfinite(whole["precision"])
        values |= {(model, target, "all", metric): whole[metric] for metric in METRICS}
        for metric, found in list_measures(lists, ground).items():
            values[model, target, "all", metric] = np.where(judged, found, np.nan)
        for segment, members in by_user.items():
            for metric in SEGMENT_METRICS:
                values[model, target, segment, metric] = np.where(members, whole[metric], np.nan)
        for segment, chosen in by_item.items():
            part = user_metrics(lists, relevant.where(chosen[relevant.items]), shown.covered)
            values |= {(model, target, segment, metric): part[metric] for metric in SEGMENT_METRICS}
        about = (int(judged.sum()), period)
        for segment, part_of in [
            ("all", catalogue),
            *((s, catalogue[m[catalogue]]) for s, m in by_item.items()),
        ]:
            share = catalogue_coverage(lists[judged], part_of)
            told.append(_row((model, target, segment, "catalogue_coverage"), config.k, share, *about))
        uneven = gini(lists[judged], catalogue, relevant.n_items)
        told.append(_row((model, target, "all", "gini"), config.k, uneven, *about))
        for metric, curve in metric_curves(shown.lists, relevant).items():
            told += [
                _row((model, target, "all", metric), k, value, *about)
                for k, value in enumerate(curve.tolist(), 1)
                if k != config.k
            ]
    for target in targets:
        judged = np.isfinite(values[SERVED, target, "all", "precision"])
        for metric, found in history_measures(ground).items():
            values[HISTORY, target, "all", metric] = np.where(judged, found, np.nan)
    values |= {(order, "all", "all", metric): found for (order, metric), found in orders.items()}
    rows = _mean_rows(values, period, config) + told
    frame = pl.DataFrame(rows, schema=EVALUATION, orient="row").filter(
        pl.col("n_users") > 0, pl.col("value").is_finite()
    )
    names = [name for name in EVALUATION if name not in {"value", "low", "high", "n_users"}]
    return Judged(frame.sort(names), _pairs(values, list(targets), period, config), values)


def _mean_rows(
    values: Mapping[Column, Floats], period: date, config: EvaluateConfig
) -> list[dict[str, object]]:
    stacked = np.column_stack(list(values.values()))
    samples = bootstrap_means(stacked, resamples=config.resamples, rng=np.random.default_rng(config.seed))
    counted = np.isfinite(stacked).sum(axis=0)
    means = np.nansum(stacked, axis=0) / np.maximum(counted, 1)
    low, high = interval(samples, confidence=config.confidence)
    return [
        _row(column, config.k, means[at], int(counted[at]), period) | {"low": low[at], "high": high[at]}
        for at, column in enumerate(values)
        if counted[at]
    ]


def _pairs(
    values: Mapping[Column, Floats], targets: list[str], period: date, config: EvaluateConfig
) -> pl.DataFrame:
    """Returns all ordered pairs of models, other orders against served, popularity against the history."""
    wanted = [
        (target, metric, model, against)
        for target in targets
        for metric in PAIR_METRICS
        for model in MODELS
        for against in MODELS
        if model != against
    ]
    wanted += [(target, POPULARITY, model, HISTORY) for target in targets for model in MODELS]
    orders = dict.fromkeys(model for model, *_ in values if model not in {*MODELS, HISTORY})
    wanted += [("all", metric, order, SERVED) for order in orders for metric in PAIR_METRICS]
    kept = [
        (target, metric, model, against)
        for target, metric, model, against in wanted
        if (model, target, "all", metric) in values and (against, target, "all", metric) in values
    ]
    first = np.column_stack([values[model, target, "all", metric] for target, metric, model, _ in kept])
    second = np.column_stack([values[other, target, "all", metric] for target, metric, _, other in kept])
    found = compare(
        first,
        second,
        resamples=config.resamples,
        confidence=config.confidence,
        rng=np.random.default_rng(config.seed),
    )
    rows = [
        (period, *pair, *(None if isinstance(x, float) and not isfinite(x) else x for x in astuple(each)))
        for pair, each in zip(kept, found, strict=True)
        if each.n_users
    ]
    return pl.DataFrame(rows, schema=EVALUATION_PAIRS, orient="row").sort(list(EVALUATION_PAIRS)[:5])


def _row(column: Column, k: int, value: float, n_users: int, period: date) -> dict[str, object]:
    """Returns a row of `evaluation` without an interval."""
    model, target, segment, metric = column
    return {
        "period": period,
        "model": model,
        "target": target,
        "segment": segment,
        "metric": metric,
        "k": k,
        "value": float(value),
        "low": None,
        "high": None,
        "n_users": n_users,
    }
