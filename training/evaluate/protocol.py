"""Owns the protocol: train before the split, judge after it, by target and segment, with paired intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.artefacts import EVALUATION
from training.als import AlsConfig, fit_als
from training.blend import Blend
from training.evaluate.config import EvaluateConfig
from training.evaluate.metrics import METRICS, bootstrap_means, catalogue_coverage, interval, user_metrics
from training.evaluate.orders import goods_before, judge_orders
from training.evaluate.rivals import MODELS, TARGETS, Rivals, Shown
from training.evaluate.split import Relevance, Split, bought_pairs, judged_users, relevance
from training.history import Rows, pair_history
from training.interactions import InteractionsConfig, build_interactions
from training.ranking import RankingConfig, learn_blend

RATIO_METRICS = ("ndcg", "hit_rate", "value_captured")
BASELINE = "bestsellers"
Lists = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation found.

    Attributes:
        frame: the `evaluation` artefact; empty where there was nothing to judge.
        n_users: judged shoppers.
        n_items: items sold before the test period.
        blend: weights that the served lists were made with; None where nothing was trained.
        reason: why there is nothing to judge, else "".
    """

    frame: pl.DataFrame
    n_users: int
    n_items: int
    blend: Blend | None
    reason: str


def evaluate(
    purchases: pl.LazyFrame,
    behaviour: pl.LazyFrame,
    n_users: int,
    categories: Rows,
    *,
    split: Split,
    interactions: InteractionsConfig,
    als: AlsConfig,
    ranking: RankingConfig,
    config: EvaluateConfig,
) -> Outcome:
    """Returns every measure of every model, by target and segment.

    Models and blend are learned from days before `split.start` only.  Judged are all shoppers who bought in
    the test period, also those without history; relevant is everything they bought, also items never sold
    before.
    """
    n_items = categories.size
    bought = bought_pairs(purchases, split)
    users = judged_users(bought, config)
    history = pair_history(purchases, n_users, categories, as_of=split.start)
    catalogue = np.unique(history.items).astype(np.int64)
    if not users.size or not catalogue.size:
        side = f"before {split.start}" if users.size else f"from {split.start} to before {split.end}"
        empty = pl.DataFrame(schema=EVALUATION)
        return Outcome(empty, users.size, catalogue.size, None, f"no purchases {side}")
    blend = learn_blend(
        purchases,
        behaviour,
        n_users,
        categories,
        as_of=split.start,
        interactions=interactions,
        als=als,
        config=ranking,
    )
    matrix = build_interactions(
        purchases, behaviour, n_users, n_items, as_of=split.start, config=interactions
    )
    rivals = Rivals.of(users, history, fit_als(matrix, als), blend)
    orders = _orders(purchases, split, n_users)[users]
    buyers = np.bincount(history.items, minlength=n_items)
    relevant = relevance(bought, users, n_items)
    ranked = rivals.ranked(ranking)
    lists = rivals.lists(config.k, ranked[0])
    targets = {"all": relevant, "never_bought": relevant.without(rivals.history.keys)}
    frame = _judge(lists, targets, activity_segments(orders), popularity_segments(buyers), catalogue, config)
    orders_frame = judge_orders(
        ranked,
        rivals.bestsellers(config.k, np.empty(0, np.int64)),
        relevant,
        goods_before(purchases, n_items, split.start),
        catalogue=catalogue,
        config=config,
    )
    return Outcome(pl.concat([frame, orders_frame]), users.size, catalogue.size, blend, "")


def activity_segments(orders: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Returns which shoppers had no, few, some or many orders; the latter three are thirds of those with any.

    Shoppers with equally many orders stay together, so the thirds may differ in size.
    """
    some = orders[orders > 0]
    low, high = np.quantile(some, (1 / 3, 2 / 3), method="lower") if some.size else (0, 0)
    return {
        "activity:none": orders == 0,
        "activity:low": (orders > 0) & (orders <= low),
        "activity:middle": (orders > low) & (orders <= high),
        "activity:high": orders > high,
    }


def popularity_segments(buyers: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Returns which items are head, torso and tail: each a third of all known pairs of buyer and item.

    Items are taken from the most to the least bought; the tail holds those never bought before, too.
    """
    order = np.lexsort((np.arange(buyers.size), -buyers))
    before = np.empty(buyers.size)
    before[order] = np.cumsum(buyers[order]) - buyers[order]
    share = before / max(int(buyers.sum()), 1)
    tail = (share >= 2 / 3) | (buyers == 0)
    return {
        "popularity:head": (share < 1 / 3) & ~tail,
        "popularity:torso": (share >= 1 / 3) & ~tail,
        "popularity:tail": tail,
    }


def _orders(purchases: pl.LazyFrame, split: Split, n_users: int) -> NDArray[np.int64]:
    counts = (
        purchases.filter((pl.col("day") < split.start) & (pl.col("quantity") > 0))
        .group_by("user_row")
        .agg(orders=pl.col("order_id").n_unique())
        .collect()
    )
    orders = np.zeros(n_users, np.int64)
    orders[counts["user_row"].to_numpy()] = counts["orders"].to_numpy()
    return orders


def _judge(
    shown_by: dict[tuple[str, str], Shown],
    targets: dict[str, Relevance],
    by_user: dict[str, NDArray[np.bool_]],
    by_item: dict[str, NDArray[np.bool_]],
    catalogue: NDArray[np.int64],
    config: EvaluateConfig,
) -> pl.DataFrame:
    """Returns the long table; one bootstrap draws the same shoppers for all of its columns."""
    names: list[tuple[str, str, str, str]] = []
    columns: list[NDArray[np.float64]] = []
    coverage: list[dict[str, object]] = []
    for target in TARGETS:
        for model in MODELS:
            shown, covered = shown_by[model, target].lists, shown_by[model, target].covered
            whole = user_metrics(shown, targets[target], covered)
            segments = {"all": whole}
            for name, members in by_user.items():
                segments[name] = {m: np.where(members, values, np.nan) for m, values in whole.items()}
            for name, chosen in by_item.items():
                part = targets[target].where(chosen[targets[target].items])
                segments[name] = user_metrics(shown, part, covered)
            for segment, measured in segments.items():
                names += [(model, target, segment, metric) for metric in METRICS]
                columns += [measured[metric] for metric in METRICS]
                part_of = catalogue[by_item[segment][catalogue]] if segment in by_item else catalogue
                to_whom = shown[np.isfinite(measured["precision"])]
                share = catalogue_coverage(to_whom, part_of)
                coverage.append(
                    _row(model, target, segment, "catalogue_coverage", share, None, None, len(to_whom))
                )
    values = np.column_stack(columns)
    samples = bootstrap_means(values, resamples=config.resamples, rng=np.random.default_rng(config.seed))
    rows = _mean_rows(names, values, samples, config) + _ratio_rows(names, values, samples, config) + coverage
    frame = pl.DataFrame(rows, schema=EVALUATION, orient="row")
    order = {name: place for place, name in enumerate(MODELS)}
    return frame.filter(pl.col("n_users") > 0).sort(
        "target", "segment", pl.col("model").replace_strict(order, return_dtype=pl.Int32), "metric"
    )


def _mean_rows(
    names: list[tuple[str, str, str, str]],
    values: NDArray[np.float64],
    samples: NDArray[np.float64],
    config: EvaluateConfig,
) -> list[dict[str, object]]:
    counted = np.isfinite(values).sum(axis=0)
    means = np.nansum(values, axis=0) / np.maximum(counted, 1)
    low, high = interval(samples, confidence=config.confidence)
    return [
        _row(*name, means[at], low[at], high[at], int(counted[at]))
        for at, name in enumerate(names)
        if counted[at]
    ]


def _ratio_rows(
    names: list[tuple[str, str, str, str]],
    values: NDArray[np.float64],
    samples: NDArray[np.float64],
    config: EvaluateConfig,
) -> list[dict[str, object]]:
    place = {name: at for at, name in enumerate(names)}
    rows = []
    for (model, target, segment, metric), at in place.items():
        base = place[BASELINE, target, segment, metric]
        counted = int(np.isfinite(values[:, at]).sum())
        if segment != "all" or model == BASELINE or metric not in RATIO_METRICS or not counted:
            continue
        below = np.nanmean(values[:, base])
        if below <= 0:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            quotients = samples[:, [at]] / samples[:, [base]]
        low, high = interval(quotients, confidence=config.confidence)
        value = float(np.nanmean(values[:, at]) / below)
        rows.append(_row(model, target, segment, f"{metric}_vs_{BASELINE}", value, low[0], high[0], counted))
    return rows


def _row(
    model: str,
    target: str,
    segment: str,
    metric: str,
    value: float,
    low: float | None,
    high: float | None,
    n_users: int,
) -> dict[str, object]:
    return {
        "model": model,
        "target": target,
        "segment": segment,
        "metric": metric,
        "value": float(value),
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
        "n_users": n_users,
    }
