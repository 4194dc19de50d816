"""The head of a shopper's list, read from the record's bytes wherever they lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recdata.snapshot import UserRecord, UserView

N_ITEMS = 9


def view(ranked: list[int], bought: list[int], *, offset: int = 0) -> UserView:
    """A shopper's record, that many bytes into its buffer."""
    record = UserRecord(
        user_row=3,
        tier=1,
        factors=np.ones(2, np.float32),
        purchased_rows=np.array(sorted(bought), np.int32),
        purchased_days=np.zeros(len(bought), np.int32),
        ranked_rows=np.array(ranked, np.int32),
        ranked_scores=np.linspace(1, 0.5, len(ranked), dtype=np.float32),
        ranked_sources=np.arange(len(ranked), dtype=np.uint8),
        interacted_rows=np.array([1], np.int32),
        confidences=np.ones(1, np.float32),
    )
    return UserView(memoryview(bytes(offset) + record.encode())[offset:])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, N_ITEMS - 1), unique=True),
    st.sets(st.integers(0, N_ITEMS - 1)),
    st.sets(st.integers(0, N_ITEMS - 1)),
    st.integers(0, N_ITEMS + 1),
    st.booleans(),
    st.integers(0, 3),
)
def test_the_head_is_the_first_items_that_may_be_shown(ranked, bought, allowed, limit, fresh_only, offset):
    shopper = view(ranked, list(bought), offset=offset)
    mask = np.array([row in allowed for row in range(N_ITEMS)])
    rows, scores, sources = shopper.head(mask, limit, fresh_only=fresh_only)
    wanted = [row for row in ranked if row in allowed and not (fresh_only and row in bought)][:limit]
    assert rows.tolist() == wanted
    places = [ranked.index(row) for row in wanted]
    assert scores.tolist() == shopper.ranked_scores[places].tolist()
    assert sources.tolist() == places


@pytest.mark.parametrize("row", [-1, N_ITEMS, 2**31 - 1])
def test_a_damaged_row_is_an_error_and_no_crash(row):
    with pytest.raises(IndexError):
        view([row], []).head(np.ones(N_ITEMS, np.bool_), 5, fresh_only=False)
