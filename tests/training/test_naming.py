from __future__ import annotations

import numpy as np
import pytest

from recdata.machine_code import compiled
from training.chances import mark_best
from training.naming import name_best

N_ITEMS = 600
CODE = 5


@pytest.mark.parametrize("count", [0, 1, 20, 400])
@pytest.mark.parametrize("levels", [3, 1000])  # few make many equals
@pytest.mark.parametrize("above", [-np.inf, 0.5])
def test_the_best_of_a_pool_are_those_that_a_sort_puts_first(count: int, levels: int, above: float) -> None:
    rng = np.random.default_rng(5)
    pool = rng.permutation(N_ITEMS)[:500].astype(np.int32)
    pool[rng.random(pool.size) < 0.1] = -1
    scores = (rng.integers(0, levels, (4, pool.size)) / levels).astype(np.float32)
    scores[3] = -np.inf  # a shopper of whom nothing is known
    bought = [np.sort(rng.choice(N_ITEMS, size, replace=False)).astype(np.int32) for size in (0, 3, 60, 2)]
    starts = np.concatenate([[0], np.cumsum([part.size for part in bought])])
    rows, sources = np.full((4, 500), -1, np.int32), np.zeros((4, 500), np.uint8)
    rows[:, 0], named = pool[pool >= 0][7], np.ones(4, np.int64)  # by another source
    compiled(name_best)(
        *(scores, pool, above, count, starts, np.concatenate(bought)),
        *(np.zeros(N_ITEMS, np.int64), rows, sources, named, CODE),
    )
    for user in range(4):
        order = np.argsort(-scores[user], kind="stable")
        fits = (pool[order] >= 0) & ~np.isin(pool[order], bought[user]) & (scores[user][order] > above)
        wanted = set(pool[order][fits][:count].tolist()) | {int(rows[user, 0])}
        found = rows[user, : named[user]].tolist()
        assert set(found) == wanted
        assert len(found) == len(wanted)
        assert (sources[user, 1 : named[user]] == CODE).all()
        assert (rows[user, named[user] :] == -1).all()


@pytest.mark.parametrize("best", [1, 3, 9])
def test_of_equals_the_first_are_marked(best: int) -> None:
    values = np.array([1.0, 2.0, 2.0, 0.0, 2.0, 5.0, 5.0, -1.0])
    groups = np.array([0, 0, 0, 0, 0, 3, 3, 7])
    chosen = np.zeros(8, bool)
    compiled(mark_best)(values, groups, best, chosen)
    for group in (0, 3, 7):
        places = np.flatnonzero(groups == group)
        order = places[np.argsort(-values[places], kind="stable")]
        assert np.flatnonzero(chosen & (groups == group)).tolist() == sorted(order[:best].tolist())
