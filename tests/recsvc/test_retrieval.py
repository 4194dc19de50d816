from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsvc.retrieval import Eligible, Picks, Segment, contains, top, widening

row_sets = st.sets(st.integers(0, 30)).map(lambda rows: np.array(sorted(rows), np.int32))


@given(row_sets, st.lists(st.integers(0, 30)))
def test_contains_tells_each_row_that_is_in_the_set(ascending, rows):
    found = contains(ascending, np.array(rows, np.int32))
    assert found.tolist() == [row in set(ascending.tolist()) for row in rows]


@given(st.lists(st.integers(-3, 3)), st.integers(0, 12))
def test_top_is_the_head_of_the_whole_order_by_score_then_place(scores, count):
    best = top(np.array(scores, np.float32), count)
    assert best.tolist() == sorted(range(len(scores)), key=lambda place: (-scores[place], place))[:count]


@given(row_sets, row_sets, row_sets, st.lists(st.booleans(), min_size=31, max_size=31))
def test_eligible_rows_are_those_that_pass_every_condition(within, without, excluded, sellable):
    eligible = Eligible(np.array(sellable), within, without, excluded)
    expected = [
        row
        for row in within.tolist()
        if sellable[row] and row not in without.tolist() and row not in excluded.tolist()
    ]
    assert eligible.rows(np.arange(31, dtype=np.int32)).tolist() == expected
    assert (
        Eligible(np.array(sellable)).rows(np.arange(31, dtype=np.int32)).tolist()
        == np.flatnonzero(sellable).tolist()
    )


def test_a_segment_is_widened_by_place_first_and_by_category_last():
    assert list(widening(Segment("A > B", "app", "north"))) == [
        Segment("A > B", "app", "north"),
        Segment("A > B", "app", ""),
        Segment("A > B", "", "north"),
        Segment("A > B", "", ""),
        Segment("A", "app", "north"),
        Segment("A", "app", ""),
        Segment("A", "", "north"),
        Segment("A", "", ""),
        Segment("", "app", "north"),
        Segment("", "app", ""),
        Segment("", "", "north"),
        Segment("", "", ""),
    ]
    assert list(widening(Segment())) == [Segment()]


def test_a_list_takes_an_item_once_and_stops_when_it_is_full():
    picks = Picks(3)
    picks.add_new(np.array([4, 2], np.int32), np.array([0.9, 0.8], np.float32), 1)
    picks.add_new(np.array([2, 4, 7, 1], np.int32), np.array([9, 8, 7, 6], np.float32), 4)
    assert picks.rows == [4, 2, 7]
    assert picks.sources == [1, 1, 4]
    assert picks.all_scores().tolist() == np.array([0.9, 0.8, 7], np.float32).tolist()
    assert picks.missing == 0
