"""Owns look-alikes: the finished launches most like an item, sought in its own part of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selection.launches.cohort import Bools, Floats, Ints
from selection.launches.config import LaunchesConfig
from selection.launches.traits import Matrix, Traits

#: Similarities made at a time: 32 MB.
CHUNK_CELLS = 4_000_000
#: Of equally similar launches the one whose id comes first wins by this much a place.
TIE = 1e-9
#: Similarity of a launch with itself, which is no look-alike.
SELF = -1.0


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """The launches most like each asked item, most alike first.

    Attributes:
        rows: int64 (n_asked, k), positions in the cohort, -1 where there are fewer.
        similarity: float64 (n_asked, k), 0..1; 0 where there are fewer.
    """

    rows: Ints
    similarity: Floats


@dataclass(frozen=True, slots=True)
class Similarity:
    """How alike any two items of a cohort are, as known at one origin: see `similarity_at`."""

    matrix: Matrix
    present: Floats
    log_price: Floats
    config: LaunchesConfig

    def between(self, asked: Ints, launches: Ints) -> Floats:
        """Returns the similarity, 0..1, (n_asked, n_launches): the mean over what is known of the asked."""
        config = self.config
        product = self.matrix[asked] @ self.matrix[launches].T
        sims = np.asarray(product.toarray(), dtype=np.float64)
        total = self.present[asked].copy()
        if config.price_weight > 0:
            price = self.log_price[asked]
            apart = (price[:, None] - self.log_price[launches][None, :]) / config.price_width
            sims += config.price_weight * np.where(np.isnan(apart), 0.0, np.exp(-(apart**2)))
            total += np.where(np.isnan(price), 0.0, config.price_weight)
        known = total[:, None] > 0
        return np.clip(np.divide(sims, total[:, None], out=np.zeros_like(sims), where=known), 0.0, 1.0)


def similarity_at(traits: Traits, price: Floats, there: Bools, config: LaunchesConfig) -> Similarity:
    """Returns how alike items are.

    Args:
        traits: of the whole cohort.
        price: (n_items,), nan where unknown.
        there: the items known at the origin, over which rare traits are told from common ones.
        config: weights.
    """
    weights = (
        config.category_weight,
        config.brand_weight,
        config.title_weight,
        config.attributes_weight,
    )
    matrix, present = traits.weighted(weights, there)
    return Similarity(matrix, present.astype(np.float64), np.log(price), config)


def find_look_alikes(
    similarity: Similarity, asked: Ints, launches: Ints, *, levels: Sequence[Ints], latest_first: Ints
) -> LookAlikes:
    """Returns the launches most like each asked item; an item is no look-alike of its own.

    Sought in the deepest category with `min_pool` launches, among the `max_pool` latest of them. Equally
    similar ones: lower row first.

    Args:
        similarity: of the whole cohort.
        asked: positions in the cohort.
        launches: positions of the finished launches, rising.
        levels: category numbers of the whole cohort, deepest first.
        latest_first: (n_items,), launch day of the cohort.
    """
    config = similarity.config
    k = min(config.look_alikes, len(launches))
    rows = np.full((len(asked), k), -1, np.int64)
    sims = np.zeros((len(asked), k))
    waiting = np.ones(len(asked), bool)
    everything = np.zeros(len(latest_first), np.int64)
    for number, level in enumerate([*levels, everything]):
        members: dict[int, Ints] = dict(_groups(level[launches], launches))
        enough = 0 if number == len(levels) else config.min_pool
        todo = np.flatnonzero(waiting)
        for code, places in _groups(level[asked[todo]], todo):
            pool = members.get(code)
            if pool is None or len(pool) < enough:
                continue
            waiting[places] = False
            if len(pool) > config.max_pool:
                newest = np.lexsort((pool, -latest_first[pool]))[: config.max_pool]
                pool = np.sort(pool[newest])
            step = max(1, CHUNK_CELLS // len(pool))
            for start in range(0, len(places), step):
                part = places[start : start + step]
                rows[part], sims[part] = _nearest(similarity, asked[part], pool, k)
    return LookAlikes(rows, sims)


def _groups(codes: Ints, values: Ints) -> list[tuple[int, Ints]]:
    """Returns (code, its values in their order) for each code."""
    if not len(codes):
        return []
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.r_[0, np.flatnonzero(np.diff(ordered)) + 1]
    return list(zip(ordered[starts].tolist(), np.split(values[order], starts[1:]), strict=True))


def _nearest(similarity: Similarity, asked: Ints, pool: Ints, k: int) -> tuple[Ints, Floats]:
    sims = similarity.between(asked, pool)
    sims[asked[:, None] == pool[None, :]] = SELF
    judged = sims - TIE * np.arange(len(pool))
    width = min(k, len(pool))
    top = np.argpartition(-judged, width - 1, axis=1)[:, :width]
    order = np.argsort(-np.take_along_axis(judged, top, 1), axis=1)
    top = np.take_along_axis(top, order, 1)
    found = np.take_along_axis(sims, top, 1)
    itself = found == SELF
    rows = np.full((len(asked), k), -1, np.int64)
    values = np.zeros((len(asked), k))
    rows[:, :width] = np.where(itself, -1, pool[top])
    values[:, :width] = np.where(itself, 0.0, found)
    return rows, values
