"""Owns picking at an origin, and what the picks turned out to be worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selection.candidates import SHOP_SHARE, Candidates
from selection.config import BacktestConfig
from selection.score import Floats


@dataclass(frozen=True, slots=True)
class Picks:
    """Some items, best first inside their list.

    Attributes:
        rows: positions among the candidates, intp.
        place: place in its list from 0, intp; one list for the shop, or one a category.
        list_of: int64, which list.
    """

    rows: NDArray[np.intp]
    place: NDArray[np.intp]
    list_of: NDArray[np.int64]


def pick(candidates: Candidates, method: str, scope: str, config: BacktestConfig) -> Picks:
    """Returns a scope's picks: the greatest scores of a method, ties by item id up.

    Scope shop picks `top_k` items, but no more than one in `SHOP_SHARE` of those that sold in the base
    window; scope category picks `category_top_k` in every eligible category.
    """
    order = candidates.order(method)
    if scope == "shop":
        return _one_list(order[: min(config.top_k, candidates.shop_most)])
    order = order[candidates.eligible[order]]
    group = candidates.group[order]
    by_group = np.argsort(group, kind="stable")
    starts = np.r_[0, np.flatnonzero(np.diff(group[by_group])) + 1] if len(order) else np.array([], dtype=int)
    sizes = np.diff(np.r_[starts, len(order)])
    place = np.arange(len(order)) - np.repeat(starts, sizes)
    first = place < config.category_top_k
    rows = order[by_group[first]]
    return Picks(rows, place[first], candidates.group[rows])


def pick_stage(candidates: Candidates, method: str, stage: str, config: BacktestConfig) -> Picks:
    """Returns the picks among the items in one stage of life: `top_k`, or one in `SHOP_SHARE` of them."""
    order = candidates.order(method)
    order = order[candidates.stage[order] == stage]
    return _one_list(order[: min(config.top_k, len(order) // SHOP_SHARE)])


def compare(realised: Floats, picks: Picks, truth: Picks) -> dict[str, float]:
    """Returns metric -> figure of some picks against the truly best ones of the same size.

    - precision: share of the picks that are among the truly best
    - capture: the picks' revenue over that of the best
    - ndcg: as capture, with a pick's revenue over log2(2 + place), so that order counts
    - regret: the revenue that the best picks had more, in money
    """
    best, had = float(realised[truth.rows].sum()), float(realised[picks.rows].sum())
    ideal = _discounted(realised, truth)
    return {
        "precision": len(np.intersect1d(picks.rows, truth.rows)) / len(truth.rows),
        "capture": had / best if best > 0 else 0.0,
        "ndcg": _discounted(realised, picks) / ideal if ideal > 0 else 0.0,
        "regret": best - had,
    }


def of_list(picks: Picks, which: int) -> Picks:
    """Returns the picks of one of the lists."""
    at = picks.list_of == which
    return Picks(picks.rows[at], picks.place[at], picks.list_of[at])


def _one_list(rows: NDArray[np.intp]) -> Picks:
    return Picks(rows, np.arange(len(rows)), np.zeros(len(rows), dtype=np.int64))


def _discounted(realised: Floats, picks: Picks) -> float:
    return float((realised[picks.rows] / np.log2(2.0 + picks.place)).sum())
