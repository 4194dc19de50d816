from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from google.type.money_pb2 import Money
from hypothesis import given
from hypothesis import strategies as st

from recdata.live.records import ItemState
from recdata.releases import Releases
from recdata.snapshot import Snapshot
from recsvc.errors import InvalidFieldError
from recsvc.filtering import Conditions, Stock, compiled, contains, union
from recsvc.goods import Goods
from recsvc.v1.common_pb2 import AttributeCondition, ItemFilter
from tests.recsvc import bazaar
from tests.recsvc.tiny import ITEMS, Tiny

ALL = np.arange(6, dtype=np.int32)
SHOPS = [bazaar.wares(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def goods(tmp_path_factory):
    home = tmp_path_factory.mktemp("tiny")
    manifest = Tiny().publish(home)
    snapshot = Releases(home).open(manifest.snapshot_id, verify=False)
    yield Goods(snapshot)
    snapshot.close()


@pytest.fixture(scope="module")
def bazaars(tmp_path_factory):
    made = [bazaar.open_bazaar(tmp_path_factory.mktemp("bazaar") / "s", shop) for shop in SHOPS]
    yield made
    for snapshot in made:
        snapshot.close()


def money(amount: str, currency: str = "") -> Money:
    units, nanos = divmod(int(Decimal(amount) * 10**9), 10**9)
    return Money(units=units, nanos=nanos, currency_code=currency)


def names(rows) -> list[str]:
    return [list(ITEMS)[row] for row in rows]


def matching(goods: Goods, **fields) -> list[str]:
    conditions = compiled(goods, ItemFilter(**fields))
    assert names(ALL[conditions.among(ALL)]) == names(conditions.rows())
    assert conditions.count_at_most() >= len(conditions.rows())
    return names(conditions.rows())


def test_without_conditions_all_that_can_be_sold_is_eligible(goods):
    nothing = Conditions(goods)
    assert nothing.unfiltered
    assert names(nothing.rows()) == ["apple", "beer", "bread", "pear", "wine"]
    assert nothing.among(ALL[3:5]).tolist() == [False, True]
    assert matching(goods) == ["apple", "beer", "bread", "pear", "wine"]


def test_each_condition_holds_for_the_items_that_it_names(goods):
    assert matching(goods, category="Food") == ["apple", "bread", "pear"]
    assert matching(goods, category="Food > Fruit") == ["apple", "pear"]
    assert matching(goods, category="Empty") == []
    assert matching(goods, brands=["Orchard"]) == ["apple", "pear"]
    assert matching(goods, brands=["orchard", "None"]) == []
    assert matching(goods, sold_in_channel="app") == ["pear", "wine"]
    assert matching(goods, sold_in_region="north") == ["wine"]
    assert matching(goods, sold_in_region="south") == []
    organic = AttributeCondition(name="organic", values=["yes", "no"])
    assert matching(goods, attributes=[organic]) == ["apple", "bread"]
    assert matching(goods, include_item_ids=["wine", "milk", "none", "beer"]) == ["beer", "wine"]
    assert matching(goods, exclude_item_ids=["wine", "none", "beer"]) == ["apple", "bread", "pear"]
    assert matching(goods, include_out_of_stock=True, category="Drinks") == ["beer", "milk", "wine"]
    assert matching(goods, category="Food", attributes=[organic], brands=["Orchard"]) == ["apple"]


def test_price_bounds_include_their_end_and_leave_out_unknown_prices(goods):
    assert matching(goods, max_price=money("2.19")) == ["apple", "beer"]
    assert matching(goods, min_price=money("2.19", "CNY")) == ["beer", "bread", "wine"]
    assert matching(goods, min_price=money("1.6"), max_price=money("3")) == ["beer", "bread"]
    assert matching(goods, min_price=money("3"), max_price=money("2")) == []


def test_an_unknown_category_matches_nothing_and_says_so(goods):
    conditions = compiled(goods, ItemFilter(category="Toys"))
    assert conditions.unknown_category
    assert not conditions.rows().size
    assert not conditions.among(ALL).any()
    assert conditions.count_at_most() == 0
    assert not compiled(goods, ItemFilter(category="Empty")).unknown_category


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (ItemFilter(min_price=money("1", "USD")), "f.min_price.currency_code"),
        (ItemFilter(max_price=Money(units=1, nanos=-1)), "f.max_price.nanos"),
        (ItemFilter(max_price=Money(nanos=10**9)), "f.max_price.nanos"),
        (ItemFilter(brands=["b"] * 101), "f.brands"),
        (ItemFilter(exclude_item_ids=["i"] * 1001), "f.exclude_item_ids"),
        (ItemFilter(include_item_ids=["i"] * 1001), "f.include_item_ids"),
        (ItemFilter(include_item_ids=["i", "界" * 86]), "f.include_item_ids[1]"),
        (ItemFilter(sold_in_channel="c" * 257), "f.sold_in_channel"),
        (ItemFilter(sold_in_region="c" * 257), "f.sold_in_region"),
        (ItemFilter(attributes=[AttributeCondition(name="n", values=["v"])] * 21), "f.attributes"),
        (ItemFilter(attributes=[AttributeCondition(values=["v"])]), "f.attributes[0].name"),
        (ItemFilter(attributes=[AttributeCondition(name="n")]), "f.attributes[0].values"),
        (
            ItemFilter(attributes=[AttributeCondition(name="n", values=["v"] * 101)]),
            "f.attributes[0].values",
        ),
        (
            ItemFilter(attributes=[AttributeCondition(name="n", values=["v", "v" * 257])]),
            "f.attributes[0].values[1]",
        ),
    ],
)
def test_a_wrong_filter_is_refused_with_its_field(goods, wrong, field):
    with pytest.raises(InvalidFieldError) as caught:
        compiled(goods, wrong, "f")
    assert caught.value.field == field


def some(values):
    return st.lists(st.sampled_from(values), max_size=2)


filters = st.builds(
    ItemFilter,
    category=st.sampled_from(("", *bazaar.PATHS, "E", "Z")),
    brands=some((*bazaar.BRANDS, "none")),
    min_price=st.none() | st.decimals(0, 15, places=2).map(lambda amount: money(str(amount))),
    max_price=st.none() | st.decimals(0, 15, places=2).map(lambda amount: money(str(amount), "CNY")),
    sold_in_channel=st.sampled_from(("", "", *bazaar.CHANNELS, "fax")),
    sold_in_region=st.sampled_from(("", "", *bazaar.REGIONS)),
    include_out_of_stock=st.booleans(),
    attributes=st.lists(
        st.builds(
            AttributeCondition,
            name=st.just("colour"),
            values=st.lists(st.sampled_from(("warm", "cold", "loud")), min_size=1, max_size=2),
        ),
        max_size=2,
    ),
    exclude_item_ids=st.lists(st.sampled_from([w.item_id for w in SHOPS[0]] + ["none"]), max_size=9),
    include_item_ids=st.just([]) | st.lists(st.sampled_from([w.item_id for w in SHOPS[0]]), max_size=30),
)
states = st.dictionaries(
    st.integers(0, bazaar.N_ITEMS - 1),
    st.none()
    | st.builds(
        ItemState,
        stock=st.none() | st.integers(0, 2),
        price=st.none() | st.sampled_from([0.37, 5.0, 14.8]),
        status=st.sampled_from([None, "active", "discontinued"]),
        update_time_us=st.just(1),
    ),
    max_size=20,
)


def changed(ware: bazaar.Ware, state: ItemState | None) -> bazaar.Ware:
    if state is None:
        return ware
    return replace(
        ware,
        stock=ware.stock if state.stock is None else state.stock,
        price=ware.price if state.price is None else state.price,
        active=ware.active if state.status is None else state.status == "active",
    )


def amount(bound: Money) -> Decimal:
    return bound.units + Decimal(bound.nanos) / 10**9


def matches(ware: bazaar.Ware, asked: ItemFilter) -> bool:
    """The filter as its proto has it, one item at a time."""
    price = None if ware.price is None else Decimal(str(ware.price))
    return (
        ware.active
        and (asked.include_out_of_stock or ware.stock != 0)
        and (not asked.category or asked.category in bazaar.above(ware.category))
        and (not asked.brands or (bool(ware.brand) and ware.brand in asked.brands))
        and (not asked.HasField("min_price") or (price is not None and price >= amount(asked.min_price)))
        and (not asked.HasField("max_price") or (price is not None and price <= amount(asked.max_price)))
        and (not asked.sold_in_channel or asked.sold_in_channel in ware.sold_in)
        and (not asked.sold_in_region or asked.sold_in_region in ware.sold_in)
        and all(bool(ware.colour) and ware.colour in each.values for each in asked.attributes)
        and (not asked.include_item_ids or ware.item_id in asked.include_item_ids)
        and ware.item_id not in asked.exclude_item_ids
    )


@given(st.sampled_from(range(len(SHOPS))), filters, st.lists(states, max_size=3))
def test_conditions_agree_with_the_filter_read_item_by_item_after_every_change(
    bazaars, number, asked, patches
):
    goods, shop = Goods(bazaars[number]), SHOPS[number]
    every = np.arange(len(shop), dtype=np.int32)
    conditions = compiled(goods, asked)
    for patch in [{}, *patches]:
        goods.patch(patch)
        current = [changed(ware, goods.changed.get(row)) for row, ware in enumerate(shop)]
        expected = [row for row, ware in enumerate(current) if matches(ware, asked)]
        assert every[conditions.among(every)].tolist() == expected
        assert conditions.count_at_most() >= len(expected)
        assert conditions.rows().tolist() == expected
        assert compiled(goods, asked).rows().tolist() == expected
        assert not conditions.rows().flags.writeable
        for row, ware in enumerate(current):
            if ware.price != shop[row].price or row in goods.repriced:
                np.testing.assert_equal(goods.repriced[row], np.nan if ware.price is None else ware.price)


@given(filters)
def test_a_rule_is_about_items_whatever_their_stock(bazaars, asked):
    asked.include_out_of_stock = True
    every = np.arange(len(SHOPS[0]), dtype=np.int32)
    of_rule = compiled(Goods(bazaars[0]), asked, stock=Stock.ANY)
    expected = [row for row, ware in enumerate(SHOPS[0]) if matches(replace(ware, active=True), asked)]
    assert of_rule.rows().tolist() == expected
    assert every[of_rule.among(every)].tolist() == expected


row_sets = st.sets(st.integers(0, 30)).map(lambda rows: np.array(sorted(rows), np.int32))


@given(st.lists(row_sets, max_size=4), st.integers(31, 5000))
def test_a_union_has_each_row_of_any_list_once(lists, n_items):
    assert union(lists, n_items).tolist() == sorted({row for rows in lists for row in rows.tolist()})


@given(row_sets, st.lists(st.integers(0, 30)))
def test_contains_tells_each_row_that_is_in_the_set(ascending, rows):
    found = contains(ascending, np.array(rows, np.int32))
    assert found.tolist() == [row in set(ascending.tolist()) for row in rows]


def test_what_was_made_lasts_while_changes_touch_none_of_it(bazaars):
    goods = Goods(bazaars[0])
    conditions = compiled(goods, ItemFilter(category="A"))
    made = conditions.rows()
    outside = next(row for row, w in enumerate(SHOPS[0]) if w.category == "E > F" and w.active)
    goods.patch({outside: ItemState(0, None, "active", 1)})
    goods.patch({outside: ItemState(7, None, "active", 1)})
    assert conditions.rows() is made
    goods.patch({int(made[0]): ItemState(0, None, None, 1)})
    assert conditions.rows().tolist() == made[1:].tolist()


def test_the_snapshots_own_arrays_are_never_written(bazaars):
    snapshot: Snapshot = bazaars[0]
    before = snapshot.sellable.copy(), snapshot.active.copy(), snapshot.price.copy()
    goods = Goods(snapshot)
    goods.patch({row: ItemState(1, 99.0, "active", 1) for row in range(bazaar.N_ITEMS)})
    assert goods.sellable.all()
    assert (goods.price == 99).all()
    for now, then in zip((snapshot.sellable, snapshot.active, snapshot.price), before, strict=True):
        np.testing.assert_array_equal(now, then)
    goods.patch(dict.fromkeys(range(bazaar.N_ITEMS)))
    for now, then in zip((goods.sellable, goods.active, goods.price), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert not goods.changed
    assert set(goods.repriced) == set(range(bazaar.N_ITEMS))
    np.testing.assert_array_equal([goods.repriced[row] for row in range(bazaar.N_ITEMS)], before[2])
