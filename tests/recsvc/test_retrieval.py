from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recdata.releases import Releases
from recsvc.catalogue import CatalogueKeeper
from recsvc.filtering import contains
from recsvc.retrieval import Eligible, Picks, Segment, top, widening
from recsvc.v1.common_pb2 import ItemFilter
from tests.recsvc.tiny import ITEMS, ROWS, Tiny

row_sets = st.sets(st.integers(0, 30)).map(lambda rows: np.array(sorted(rows), np.int32))


@given(row_sets, st.lists(st.integers(0, 30)))
def test_contains_tells_each_row_that_is_in_the_set(ascending, rows):
    found = contains(ascending, np.array(rows, np.int32))
    assert found.tolist() == [row in set(ascending.tolist()) for row in rows]


@given(st.lists(st.integers(-3, 3)), st.integers(0, 12))
def test_top_is_the_head_of_the_whole_order_by_score_then_place(scores, count):
    best = top(np.array(scores, np.float32), count)
    assert best.tolist() == sorted(range(len(scores)), key=lambda place: (-scores[place], place))[:count]


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    Tiny().publish(home)
    snapshot = Releases(home).open_current()
    yield CatalogueKeeper(snapshot).current(None)
    snapshot.close()


small_sets = st.sets(st.integers(0, 5)).map(lambda rows: np.array(sorted(rows), np.int32))


@given(st.lists(small_sets, max_size=3), st.none() | small_sets, st.sampled_from(["", "Food", "Drinks"]))
def test_eligible_rows_are_those_that_pass_every_condition(everything, without, only, category):
    conditions = (everything.everything, everything.conditions(ItemFilter(category=category)))
    eligible = Eligible(conditions, tuple(without), only)
    expected = [
        row
        for row, (_, path, _) in enumerate(ITEMS.values())
        if row != ROWS["milk"]
        and path.startswith(category)
        and (only is None or row in only)
        and not any(row in rows for rows in without)
    ]
    assert eligible.rows().tolist() == expected
    every = np.arange(6, dtype=np.int32)
    assert every[eligible.among(every)].tolist() == expected
    assert eligible.count_at_most() >= len(expected)


def test_a_pin_takes_its_place_and_the_room_kept_for_it():
    picks = Picks(3)
    assert picks.reserve(9)
    picks.add(np.array([4, 2, 7], np.int32), np.array([3, 2, 1], np.float32), np.ones(3, np.uint8))
    picks.pin(9, 2)
    assert (picks.rows.tolist(), picks.scores.tolist()) == ([4, 9, 2], [3, 0, 2])
    assert not picks.reserve(5)


def test_room_is_kept_under_the_caps_of_the_list_and_of_the_page():
    codes = np.array([0, 0, 1, -1, -1], np.int32)
    picks = Picks(9, cap=1, category_codes=codes)
    assert [picks.reserve(row) for row in range(5)] == [True, False, True, True, True]
    below = Picks(9, page_cap=1, category_codes=codes, taken=picks.taken)
    assert [below.reserve(row) for row in range(5)] == [False, False, False, True, True]


def test_a_cap_leaves_items_out_and_goes_on():
    picks = Picks(3, cap=1, category_codes=np.array([0, 0, 1, 1, -1, -1], np.int32))
    picks.add(np.array([0, 1, 2], np.int32), np.array([3, 2, 1], np.float32), np.ones(3, np.uint8))
    picks.add(np.array([3, 4, 5], np.int32), np.array([3, 2, 1], np.float32), np.ones(3, np.uint8))
    assert picks.rows.tolist() == [0, 2, 4]


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
    assert picks.rows.tolist() == [4, 2, 7]
    assert picks.sources.tolist() == [1, 1, 4]
    assert picks.scores.tolist() == np.array([0.9, 0.8, 7], np.float32).tolist()
    assert picks.missing == 0
