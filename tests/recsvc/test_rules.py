from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recdata.live.records import ItemState, RuleRecord
from recdata.releases import Releases
from recsvc.goods import Goods
from recsvc.rules import Pin, RuleBook, is_within, place_pins, settle
from recsvc.v1.catalog_service_pb2 import Rule, RuleAction, RuleScope
from recsvc.v1.common_pb2 import ItemFilter
from tests.recsvc.test_filtering import money
from tests.recsvc.tiny import ITEMS, ROWS, Tiny, rows

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    home = tmp_path_factory.mktemp("tiny")
    manifest = Tiny().publish(home)
    opened = Releases(home).open(manifest.snapshot_id, verify=False)
    yield opened
    opened.close()


@pytest.fixture
def goods(snapshot):
    return Goods(snapshot)


def about(**conditions) -> ItemFilter:
    return ItemFilter(**conditions)


def rule(rule_id: str, action: str, target: ItemFilter, **fields) -> Rule:
    return Rule(rule_id=rule_id, action=RuleAction.Value(f"RULE_ACTION_{action}"), target=target, **fields)


def pin(rule_id: str, item_id: str, position: int, **fields) -> Rule:
    return rule(rule_id, "PIN", about(include_item_ids=[item_id]), position=position, **fields)


def book(goods: Goods, *rules: Rule) -> RuleBook:
    return RuleBook([RuleRecord(each.rule_id, each.SerializeToString()) for each in rules], goods)


def active(rule_book: RuleBook, *, channel="", region="", placement="", category="", now=NOW):
    return rule_book.active(channel, region, placement, category, now)


def names(found) -> list[str]:
    return [list(ITEMS)[row] for row in found]


def test_without_rules_or_without_items_of_theirs_nothing_holds(goods):
    assert active(book(goods)) is None
    unknown = book(goods, rule("h", "HIDE", about(brands=["None"])), pin("p", "none", 1))
    assert len(unknown) == 2
    assert active(unknown) is None


def test_each_action_comes_to_its_rows(goods):
    rules = active(
        book(
            goods,
            rule("hide", "HIDE", about(category="Food > Bakery")),
            pin("pin", "wine", 2),
            rule("boost", "BOOST", about(brands=["Orchard"]), factor=2),
            rule("bury", "BURY", about(include_item_ids=["beer"])),
        )
    )
    assert names(rules.hidden) == ["bread"]
    assert rules.pins == (Pin(2, ROWS["wine"], "pin"),)
    assert names(rules.pin_rows) == ["wine"]
    assert (names(rules.moved), rules.factors.tolist()) == (["apple", "pear"], [2, 2])
    assert names(rules.buried) == ["beer"]
    assert rules.rule_ids(rows("wine", "apple", "milk", "beer", "bread")) == {
        ROWS["wine"]: "pin",
        ROWS["apple"]: "boost",
        ROWS["beer"]: "bury",
    }


def test_hide_goes_before_pin_pin_before_the_others_and_a_buried_item_is_not_boosted(goods):
    rules = active(
        book(
            goods,
            rule("h", "HIDE", about(include_item_ids=["apple"])),
            pin("p1", "apple", 1),
            pin("p2", "beer", 2),
            rule("m", "BOOST", about(category="Drinks"), factor=3),
            rule("n", "BOOST", about(include_item_ids=["apple", "pear", "milk"]), factor=0.5),
            rule("u", "BURY", about(include_item_ids=["apple", "beer", "wine"])),
        )
    )
    assert names(rules.hidden) == ["apple"]
    assert [each.rule_id for each in rules.pins] == ["p2"]
    assert names(rules.buried) == ["wine"]
    assert (names(rules.moved), rules.factors.tolist()) == (["milk", "pear"], [1.5, 0.5])


def test_many_boosts_of_one_item_stay_a_number(goods):
    many = [rule(f"b{n}", "BOOST", about(category="Food"), factor=100) for n in range(30)]
    assert np.isfinite(active(book(goods, *many)).factors).all()


def test_a_rule_holds_in_its_scope_only(goods):
    scope = RuleScope(channels=["app", "web"], regions=["north"], placements=["home"], category="Food")
    scoped = book(goods, rule("h", "HIDE", about(category="Drinks"), scope=scope))
    inside = {"channel": "web", "region": "north", "placement": "home", "category": "Food > Fruit"}
    for _ in range(2):  # looked up, then kept
        assert active(scoped, **inside) is not None
        assert active(scoped, **(inside | {"category": "Food"})) is not None
        for outside in (
            {"channel": "shop"},
            {"channel": ""},
            {"region": "south"},
            {"placement": "cart"},
            {"category": ""},
            {"category": "Foodstuff"},
            {"category": "Drinks"},
        ):
            assert active(scoped, **(inside | outside)) is None


def test_a_rule_holds_from_its_start_up_to_its_end_in_any_order_of_asking(goods):
    bounded = rule("h", "HIDE", about(category="Food"))
    bounded.start_time.FromDatetime(NOW)
    bounded.end_time.FromDatetime(NOW + HOUR)
    rules = book(goods, bounded, pin("p", "wine", 1, scope=RuleScope(channels=["app"])))
    second = timedelta(seconds=1)
    for moment, holds in [
        (NOW + HOUR, False),
        (NOW, True),
        (NOW - second, False),
        (NOW + HOUR - second, True),
        (NOW + HOUR, False),
    ]:
        assert (active(rules, now=moment) is not None) is holds
        assert active(rules, channel="app", now=moment).hidden.size == (3 if holds else 0)


def test_what_holds_is_made_once_until_a_price_makes_it_another(goods):
    rules = book(goods, rule("h", "HIDE", about(max_price=money("2"))))
    first = active(rules)
    assert names(first.hidden) == ["apple", "milk"]
    goods.patch({ROWS["wine"]: ItemState(None, 11.0, None, 1)})
    assert active(rules) is first
    goods.patch({ROWS["wine"]: ItemState(None, 1.0, None, 2)})
    assert names(active(rules).hidden) == ["apple", "milk", "wine"]


def test_rules_that_have_not_changed_are_taken_over_as_they_are(goods):
    hide = rule("h", "HIDE", about(category="Drinks"))
    first = book(goods, hide, pin("p", "apple", 1))
    made = active(first).hidden
    records = [RuleRecord("h", hide.SerializeToString())]
    second = RuleBook(records, goods, before=first)
    assert len(second) == 1
    assert names(active(second).hidden) == names(made)
    hide.action = RuleAction.RULE_ACTION_BURY
    third = RuleBook([RuleRecord("h", hide.SerializeToString())], goods, before=second)
    assert names(active(third).buried) == names(made)


def test_of_two_pins_for_one_position_the_smaller_id_has_it_and_the_other_the_next_free_one():
    pins = [Pin(1, 10, "b"), Pin(1, 11, "a"), Pin(2, 12, "z"), Pin(5, 13, "c")]
    assert settle(pins) == (Pin(1, 11, "a"), Pin(2, 12, "z"), Pin(3, 10, "b"), Pin(5, 13, "c"))
    assert settle([Pin(3, 10, "b"), Pin(1, 10, "c"), Pin(3, 11, "d")]) == (
        Pin(1, 10, "c"),
        Pin(3, 11, "d"),
    )


def test_pinned_items_stand_at_their_positions_and_leave_their_places():
    placed = place_pins([7, 8, 9, 5], [Pin(3, 7, "a"), Pin(1, 4, "b")])
    assert placed.rows == [4, 8, 7, 9, 5]
    assert placed.origins == [-1, 1, 0, 2, 3]
    assert placed.pinned == {0: Pin(1, 4, "b"), 2: Pin(3, 7, "a")}


def test_a_pin_past_the_end_comes_at_the_end():
    placed = place_pins([7], [Pin(9, 4, "b"), Pin(5, 3, "a")])
    assert placed.rows == [7, 3, 4]
    assert placed.pinned == {1: Pin(5, 3, "a"), 2: Pin(9, 4, "b")}


def test_a_path_is_within_itself_and_those_above():
    assert is_within("A > B", "A > B")
    assert is_within("A > B", "A")
    assert not is_within("A & B", "A")
    assert not is_within("A", "A > B")


some_rows = st.lists(st.integers(0, 20), unique=True, max_size=12)


@given(st.lists(st.builds(Pin, st.integers(1, 8), st.integers(0, 20), st.sampled_from("abcdefgh")),
                unique_by=lambda each: each.rule_id), some_rows)  # fmt: skip
def test_placed_pins_keep_every_item_once_and_the_others_in_order(pins, order):
    placed = place_pins(order, pins)
    settled = settle(pins)
    assert len({each.position for each in settled}) == len(settled)
    assert {each.row for each in settled} == {each.row for each in pins}
    assert len(set(placed.rows)) == len(placed.rows)
    assert set(placed.rows) == {*order, *(each.row for each in pins)}
    pinned = {each.row for each in pins}
    assert [row for row in placed.rows if row not in pinned] == [row for row in order if row not in pinned]
    for row, origin in zip(placed.rows, placed.origins, strict=True):
        assert (order[origin] == row) if origin >= 0 else row not in order
    for each in settled:
        place = placed.rows.index(each.row)
        assert placed.pinned[place] == each
        assert place == each.position - 1 or (
            place < each.position - 1 and all(row in pinned for row in placed.rows[place:])
        )


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["HIDE", "PIN", "BOOST", "BURY"]),
            st.lists(st.sampled_from(list(ITEMS)), min_size=1, max_size=3),
            st.integers(1, 4),
        ),
        max_size=6,
    )
)
def test_rules_together_come_to_what_each_item_alone_would_get(snapshot, drawn):
    made = []
    for number, (action, item_ids, value) in enumerate(drawn):
        if action == "PIN":
            made.append(pin(f"r{number}", item_ids[0], value))
        else:
            target = about(include_item_ids=item_ids)
            made.append(rule(f"r{number}", action, target, factor=2**value if action == "BOOST" else 0))
    found = active(book(Goods(snapshot), *made))
    if found is None:
        assert not drawn
        return
    of_item = {
        item_id: {each[0] for each in drawn if item_id in (each[1][:1] if each[0] == "PIN" else each[1])}
        for item_id in ITEMS
    }
    first = {
        item_id: next((kind for kind in ("HIDE", "PIN", "BURY", "BOOST") if kind in kinds), None)
        for item_id, kinds in of_item.items()
    }
    assert names(found.hidden) == [item_id for item_id, kind in first.items() if kind == "HIDE"]
    assert sorted(names(found.pin_rows)) == [item_id for item_id, kind in first.items() if kind == "PIN"]
    assert names(found.buried) == [item_id for item_id, kind in first.items() if kind == "BURY"]
    assert names(found.moved) == [item_id for item_id, kind in first.items() if kind == "BOOST"]
    for item_id, factor in zip(names(found.moved), found.factors.tolist(), strict=True):
        of_rules = [2**value for kind, ids, value in drawn if kind == "BOOST" and item_id in ids]
        assert factor == np.prod(of_rules)
