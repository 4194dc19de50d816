from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recdata.snapshot.records import Source
from recdata.training_artefacts import PURCHASES
from training.als import AlsModel
from training.blend import between_names
from training.discovery import Discovery
from training.history import pair_history
from training.trending import (
    LISTED,
    PRIOR_BUYERS,
    SEGMENTS,
    TRENDING_FEATURES,
    Wanted,
    segments_of,
    trending_of,
)

AS_OF = date(2024, 3, 1)
N_USERS, N_ITEMS = 40, 8
#: Items 0 to 3 are of one category, 4 to 7 of the other.
CATEGORIES = (np.arange(N_ITEMS) // 4).astype(np.int32)
RISING = 3  # the first half of the shoppers starts to buy it
NOBODY = N_USERS - 1


def shop(*later: tuple[int, int, int], first: int = 80) -> pl.LazyFrame:
    """Half of the shoppers buys 0 and 1 each time, the others 4 and 5; `later` has (days ago, user, item)."""
    lines = [
        (age, user, item + 4 * (user >= N_USERS // 2))
        for age in (first, 40, 10)
        for user in range(NOBODY)
        for item in (0, 1)
    ]
    rows = [
        (AS_OF - timedelta(days=age), user, item, f"o{user}-{age}", 1.0, 2.0, "app", "north")
        for age, user, item in (*lines, *later)
    ]
    frame = pl.DataFrame(rows, schema=PURCHASES, orient="row")
    return frame.sort("day", "user_row", "item_row").lazy()


def risen(*, first: int = 80) -> pl.LazyFrame:
    """The shop in which twelve shoppers of the first half, not 0 to 7, bought `RISING` lately."""
    return shop(*((5, user, RISING) for user in range(8, 20)), first=first)


ALL = Wanted(per_user=2, features=True)
ONE = Wanted(per_user=1)


def history(purchases: pl.LazyFrame, *, trending: Wanted | None = ALL, as_of: date = AS_OF):
    return pair_history(purchases, N_USERS, CATEGORIES, as_of=as_of, trending=trending)


def test_shoppers_of_the_same_favourite_category_are_a_segment() -> None:
    segments = history(risen()).trending.segments
    assert np.unique(segments[: N_USERS // 2]).size == 1
    assert np.unique(segments[N_USERS // 2 : NOBODY]).size == 1
    assert segments[0] != segments[N_USERS // 2]
    assert segments[NOBODY] == SEGMENTS - 1


def test_a_favourite_is_what_sets_a_shopper_apart_not_what_everybody_buys() -> None:
    # Everybody buys most in category 0; the first also in 1, the second in 2, the third in nothing else.
    keys = np.array([0, 1, 3, 5, 6], np.int64)
    kept = np.zeros((5, 6), np.float32)
    kept[:, 2] = [6, 2, 6, 2, 8]
    segments = segments_of([(keys, kept)], 3, 3)
    assert np.unique(segments).size == 3
    apart = segments_of([(keys[:2], kept[:2]), (keys[2:], kept[2:])], 3, 3)
    assert segments.tolist() == apart.tolist()


def test_only_the_most_frequent_favourites_have_a_segment_of_their_own() -> None:
    users = SEGMENTS + 3
    categories = np.concatenate([np.arange(users), [0]])  # the last shopper is of the first one's kind
    keys = np.arange(users + 1) * np.int64(users) + categories
    segments = segments_of([(keys, np.ones((users + 1, 6), np.float32))], users + 1, users)
    assert segments[0] == segments[-1] == 0
    assert (np.bincount(segments)[1 : SEGMENTS - 1] == 1).all()
    assert (segments == SEGMENTS - 1).sum() == users - (SEGMENTS - 1)


def test_growth_is_drawn_towards_the_shops_by_imaginary_buyers() -> None:
    # Segment 0 buys item 0 ten times as before; both segments buy item 1 as much as before, twenty times.
    segments = np.repeat(np.array([0, 1], np.int32), 20)
    steady = np.arange(40)
    now = np.concatenate([steady, np.arange(10)]), np.repeat([1, 0], [40, 10])
    before = np.concatenate([steady, [0]]), np.repeat([1, 0], [40, 1])
    found = trending_of(segments, now, before, 2, ALL)
    of_shop = (10 + PRIOR_BUYERS) / (1 * 50 / 41 + PRIOR_BUYERS)
    own = (10 + PRIOR_BUYERS * of_shop) / (1 * 30 / 21 + PRIOR_BUYERS)
    without = (0 + PRIOR_BUYERS * of_shop) / (0 + PRIOR_BUYERS)
    growth = found.features[:, 0, TRENDING_FEATURES.index("segment_growth")]
    assert growth[:2] == pytest.approx(np.log2([own, without]), rel=1e-6)
    buyers = found.features[:, :, TRENDING_FEATURES.index("segment_buyers")]
    assert buyers[:2].tolist() == [[500, 1000], [0, 1000]]
    usual = 30 * 10 / 50
    lift = found.features[0, 0, TRENDING_FEATURES.index("segment_lift")]
    assert lift == pytest.approx(np.log2((10 + PRIOR_BUYERS) / (usual + PRIOR_BUYERS)), rel=1e-6)
    assert found.lists.shape == (SEGMENTS, LISTED)
    assert found.lists[0, :2].tolist() == [0, -1]


def test_what_few_bought_is_not_trending() -> None:
    segments = np.zeros(10, np.int32)
    nothing = np.zeros(0, np.int32), np.zeros(0, np.int32)
    four, five = (trending_of(segments, (np.arange(n), np.zeros(n, int)), nothing, 1, ONE) for n in (4, 5))
    assert (four.lists == -1).all()
    assert five.lists[0, 0] == 0


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other source names anything."""
    monkeypatch.setattr("training.discovery.NEIGHBOURS", 0)
    monkeypatch.setattr("training.discovery.NEWLY_BOUGHT", 0)


def blank_model() -> AlsModel:
    """Vectors that name nobody anything."""
    return AlsModel(np.zeros((N_USERS, 2), np.float32), np.zeros((N_ITEMS, 2), np.float32), losses=())


@pytest.mark.usefixtures("alone")
def test_what_is_trending_in_his_segment_is_named_to_who_did_not_buy_it() -> None:
    known = history(risen(), trending=ONE)
    found = Discovery(known, blank_model(), np.ones(N_ITEMS, bool), length=2).candidates(0, N_USERS)
    named = (found.rows == RISING).any(axis=1)
    assert named[:8].all()
    assert not named[8:20].any()


@pytest.mark.usefixtures("alone")
def test_its_candidates_are_marked_and_may_be_sold() -> None:
    known = history(risen(), trending=ONE)
    found = Discovery(known, blank_model(), np.ones(N_ITEMS, bool), length=2).candidates(0, 8)
    assert found.rows[:, 0].tolist() == [RISING] * 8
    assert found.sources[:, 0].tolist() == [Source.TRENDING] * 8
    unsold = np.arange(N_ITEMS) != RISING
    assert (Discovery(known, blank_model(), unsold, length=2).candidates(0, 8).rows == -1).all()


def test_an_item_that_two_sources_name_is_one_candidate_of_the_first() -> None:
    known = history(risen(), trending=ONE)
    found = Discovery(known, blank_model(), np.ones(N_ITEMS, bool), length=2).candidates(0, N_USERS)
    assert (found.sources[found.rows == RISING] != Source.TRENDING).all()
    assert (found.rows == RISING).any(axis=1).sum() == N_USERS - 12
    for row in found.rows:
        assert np.unique(row[row >= 0]).size == np.count_nonzero(row >= 0)


def test_without_the_source_there_is_neither_candidate_nor_feature() -> None:
    off, on = history(risen(), trending=Wanted()), history(risen())
    assert off.trending is None
    assert between_names(history(risen(), trending=ONE)) == between_names(off)
    assert set(between_names(on)) - set(between_names(off)) == set(TRENDING_FEATURES)
    users, items = np.array([0, 30], np.int32), np.array([RISING, RISING], np.int32)
    assert on.features_between(users, items).shape[1] == len(on.between_names())
    assert np.array_equal(
        on.features_between(users, items)[:, : -len(TRENDING_FEATURES)],
        off.features_between(users, items),
        equal_nan=True,
    )


def test_features_are_those_of_the_shoppers_segment_also_after_a_choice_of_shoppers() -> None:
    known = history(risen())
    growth = TRENDING_FEATURES.index("segment_growth") - len(TRENDING_FEATURES)
    of = known.features_between(np.array([0, 30]), np.array([RISING, RISING]))[:, growth]
    assert of[0] > of[1] > 0  # the other segment is drawn towards the shop's growth
    chosen = known.of_users(np.array([30]))
    assert chosen.features_between(np.array([0]), np.array([RISING]))[0, growth] == of[1]


def test_nothing_on_or_after_the_day_is_looked_at() -> None:
    before = AS_OF - timedelta(days=20)
    early, whole = (history(lines, as_of=before).trending for lines in (shop(), risen()))
    assert np.array_equal(early.features, whole.features)
    assert np.array_equal(early.lists, whole.lists)
    assert not np.array_equal(early.features, history(risen()).trending.features)


def test_it_is_the_same_however_many_parts_the_history_is_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    one = history(risen()).trending
    monkeypatch.setattr("training.history.PART_LINES", 7)
    two = history(risen()).trending
    assert np.array_equal(one.segments, two.segments)
    assert np.array_equal(one.features, two.features)
    assert np.array_equal(one.lists, two.lists)


@pytest.mark.parametrize(("first", "trending"), [(55, False), (56, True)])
def test_nothing_is_trending_where_the_time_before_is_not_whole(first: int, trending: bool) -> None:
    assert (history(risen(first=first)).trending.lists >= 0).any() == trending


def test_a_shop_without_purchases_has_nothing_trending() -> None:
    empty = history(shop().clear())
    assert (empty.trending.lists == -1).all()
    assert np.isfinite(empty.trending.features).all()
