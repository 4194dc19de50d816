"""The compiled fusion of orders against the same said plainly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsvc.fusing import COLLABORATIVE, RANK_OFFSET, SIMILAR, TOGETHER, fuser, gatherer

N_ITEMS, WIDE, NARROW = 12, 4, 3
REPEAT = 2
ROWS = st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=N_ITEMS)
SEEDS = st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=3)


def tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is similar to and bought together with each item, padded with −1; and factors."""
    rng = np.random.default_rng(11)
    similar = np.stack([rng.permutation(N_ITEMS)[:WIDE] for _ in range(N_ITEMS)]).astype(np.int32)
    together = np.stack([rng.permutation(N_ITEMS)[:NARROW] for _ in range(N_ITEMS)]).astype(np.int32)
    similar[::3, 2:], together[::2, 1:] = -1, -1
    return similar, together, rng.normal(size=(N_ITEMS, 2)).astype(np.float32)


def plainly(nightly, keep, most, led, about, vector):
    """Returns by row: score, source, seed."""
    similar, together, factors = tables()
    nightly = [row for row in nightly if keep[row]][:most]
    candidates, source, because, at_hand = set(nightly), {}, {}, set()
    orders = []
    for seed in led:
        rows = [row for row in similar[seed].tolist() if row >= 0 and keep[row]]
        candidates |= set(rows)
        source |= dict.fromkeys(rows, SIMILAR)
        because |= dict.fromkeys(rows, seed)
        if vector is None:
            orders.append((1.0, rows))
    weight = (0.25 if nightly else 1.0) / max(1, len(about))
    for table, of in ((similar, SIMILAR), (together, TOGETHER)):
        for seed in about:
            rows = [row for row in table[seed].tolist() if row >= 0 and keep[row]]
            candidates |= set(rows)
            source |= dict.fromkeys(rows, of)
            because |= dict.fromkeys(rows, seed)
            at_hand |= set(rows)
            orders.append((weight, rows))
    source |= {row: REPEAT for row in nightly if source.get(row) != TOGETHER}
    orders.append((1.0, nightly))
    if vector is not None:
        product = {row: float(factors[row] @ vector) for row in candidates}
        orders.append((1.0, sorted(candidates, key=lambda row: (-product[row], row))))
        loose = [row for row in candidates if source[row] == SIMILAR and row not in at_hand]
        source |= dict.fromkeys(loose, COLLABORATIVE)
    scores = dict.fromkeys(candidates, 0.0)
    for weight, rows in orders:
        for rank, row in enumerate(rows, 1):
            scores[row] += weight / (RANK_OFFSET + rank)
    return {row: (score, source[row], because.get(row, -1)) for row, score in scores.items()}


@settings(max_examples=200, deadline=None)
@given(ROWS, st.sets(st.integers(0, N_ITEMS - 1)), st.integers(1, 8), SEEDS, SEEDS, st.booleans())
def test_orders_are_fused_as_said_plainly(nightly, hidden, most, led, about, folded):
    similar, together, factors = tables()
    keep = np.array([row not in hidden for row in range(N_ITEMS)])
    vector = np.array([0.7, -0.3], np.float32) if folded else np.empty(0, np.float32)
    seeds = np.array(led + about, np.int32)
    rows = gatherer()(np.array(nightly, np.int32), len(led), seeds, similar, together)
    marks = np.full(len(nightly), REPEAT, np.uint8)
    numbers = 0.25, 1.0, factors, vector
    fused, scores, sources, because = fuser()(rows, keep[rows], marks, most, len(led), seeds, WIDE, *numbers)
    expected = plainly(nightly, keep, most, led, about, vector if folded else None)
    assert sorted(fused.tolist()) == sorted(expected)
    for row, *said in zip(fused.tolist(), scores.tolist(), sources.tolist(), because.tolist(), strict=True):
        assert said == [pytest.approx(expected[row][0], rel=1e-5), *expected[row][1:]]
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    tied = list(zip((-scores).tolist(), fused.tolist(), strict=True))
    assert tied == sorted(tied)


@pytest.mark.parametrize("seed", [-1, N_ITEMS])
def test_a_seed_that_is_no_item_is_an_error_and_no_crash(seed):
    similar, together, _ = tables()
    with pytest.raises(IndexError):
        gatherer()(np.empty(0, np.int32), 0, np.array([seed], np.int32), similar, together)
