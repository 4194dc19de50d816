from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
from google.type.money_pb2 import Money

from recdata.live import ItemChange, LiveStore, RuleRecord
from recdata.live.records import MAX_ITEM_LOG
from recdata.releases import Releases
from recsvc.catalogue import CatalogueKeeper, ConditionsCache
from recsvc.filtering import compiled
from recsvc.goods import Goods
from recsvc.v1.catalog_service_pb2 import Rule, RuleAction
from recsvc.v1.common_pb2 import ItemFilter
from tests.recsvc import bazaar
from tests.recsvc.tiny import ITEMS, ROWS, Tiny

IMPORTED_US = int(bazaar.CATALOGUE_AT.timestamp()) * 1_000_000  # as tiny's


@pytest.fixture
def snapshot(tmp_path):
    manifest = Tiny().publish(tmp_path)
    opened = Releases(tmp_path).open(manifest.snapshot_id, verify=False)
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path):
    with LiveStore.open(tmp_path, max_bytes=1 << 26) as opened:
        yield opened


def now(keeper: CatalogueKeeper, store: LiveStore):
    with store.view() as view:
        return keeper.current(view)


def after(**fields) -> ItemChange:
    return ItemChange(update_time_us=IMPORTED_US + 1, **fields)


def shown(catalogue) -> list[str]:
    return [list(ITEMS)[row] for row in catalogue.everything.rows()]


def test_without_a_live_store_the_catalogue_is_the_snapshots(snapshot):
    catalogue = CatalogueKeeper(snapshot).current(None)
    assert catalogue.sellable is snapshot.sellable
    assert shown(catalogue) == ["apple", "beer", "bread", "pear", "wine"]
    assert not catalogue.changed
    assert len(catalogue.rules) == 0


def test_updates_lie_over_the_snapshot_and_the_same_view_gives_the_same_catalogue(snapshot, store):
    keeper = CatalogueKeeper(snapshot)
    first = now(keeper, store)
    assert now(keeper, store) is first
    store.update_items(
        {
            "milk": after(stock=3),
            "beer": after(stock=0),
            "wine": after(status="discontinued"),
            "pear": after(price=4.5),
            "unknown": after(stock=0),
        }
    )
    second = now(keeper, store)
    assert second is not first
    assert now(keeper, store) is second
    assert shown(second) == ["apple", "bread", "milk", "pear"]
    assert second.repriced == {ROWS["pear"]: 4.5}
    assert set(second.changed) == {ROWS[item_id] for item_id in ("milk", "beer", "wine", "pear")}
    cheap = second.conditions(ItemFilter(max_price=Money(units=4, nanos=500_000_000)))
    assert [list(ITEMS)[row] for row in cheap.rows()] == ["apple", "bread", "milk", "pear"]
    store.update_items({"wine": after(status="active"), "pear": after(price=5.0)})
    third = now(keeper, store)
    assert shown(third) == ["apple", "bread", "milk", "pear", "wine"]
    assert third.repriced == {ROWS["pear"]: 5.0}
    # Conditions are of now, whichever catalogue they were asked from.
    assert [list(ITEMS)[row] for row in cheap.rows()] == ["apple", "bread", "milk"]


def test_an_update_from_before_the_catalogue_was_imported_is_void(snapshot, store):
    keeper = CatalogueKeeper(snapshot)
    store.update_items({"beer": ItemChange(update_time_us=IMPORTED_US, stock=0)})
    catalogue = now(keeper, store)
    assert "beer" in shown(catalogue)
    assert not catalogue.changed
    store.update_items({"beer": after(price=9.0)})
    catalogue = now(keeper, store)
    assert "beer" in shown(catalogue)
    assert catalogue.price[ROWS["beer"]] == 9.0


def test_a_reader_far_behind_sees_every_change(snapshot, store):
    keeper = CatalogueKeeper(snapshot)
    now(keeper, store)
    store.update_items({"beer": after(stock=0)})
    for number in range(MAX_ITEM_LOG + 3):
        store.update_items({"wine": after(stock=number)})
    assert shown(now(keeper, store)) == ["apple", "bread", "pear", "wine"]
    with store.view() as view:
        assert set(view.items_since(view.catalogue_version - 1)) == {"wine"}
        assert set(view.items_since(view.catalogue_version)) == set()
        assert set(view.items_since(0)) == {"beer", "wine"}


def test_a_view_that_is_behind_takes_nothing_back(snapshot, store):
    keeper = CatalogueKeeper(snapshot)
    written = threading.Event()

    def write() -> None:
        store.update_items({"beer": after(stock=0)})
        now(keeper, store)
        written.set()

    with store.view() as old:
        writer = threading.Thread(target=write)
        writer.start()
        assert written.wait(10)
        writer.join()
        assert old.catalogue_version == 0
        assert "beer" not in shown(keeper.current(old))


def test_a_changed_rule_is_obeyed_and_a_broken_one_left_out(snapshot, store):
    keeper = CatalogueKeeper(snapshot)
    hide = Rule(rule_id="h", action=RuleAction.RULE_ACTION_HIDE, target=ItemFilter(category="Drinks"))
    store.put_rule(RuleRecord("h", hide.SerializeToString()), expect="new")
    store.put_rule(RuleRecord("x", b"\xff\xff"), expect="new")
    foreign = Rule(rule_id="y", target=ItemFilter(max_price=Money(currency_code="USD", units=1)))
    store.put_rule(RuleRecord("y", foreign.SerializeToString()), expect="new")
    assert len(now(keeper, store).rules) == 1
    store.delete_rule("h")
    assert len(now(keeper, store).rules) == 0


def test_the_same_filter_is_compiled_once_and_none_costs_nothing(snapshot):
    catalogue = CatalogueKeeper(snapshot).current(None)
    assert catalogue.conditions(None) is catalogue.everything
    assert catalogue.conditions(ItemFilter()) is catalogue.everything
    food = catalogue.conditions(ItemFilter(category="Food"))
    assert catalogue.conditions(ItemFilter(category="Food")) is food
    assert not food.unfiltered


def test_kept_conditions_are_bounded_in_number_and_bytes(snapshot):
    goods = Goods(snapshot)
    few = ConditionsCache(goods, max_filters=2)

    def ask(cache: ConditionsCache, item_id: str):
        asked = ItemFilter(exclude_item_ids=[item_id])
        return cache.get(asked.SerializeToString(), asked, "filter")

    apple = ask(few, "apple")
    ask(few, "beer")
    assert ask(few, "apple") is apple
    ask(few, "wine")  # beer is the one that was not asked for lately
    assert len(few) == 2
    assert ask(few, "apple") is apple

    small = ConditionsCache(goods, max_bytes=2500)
    kept = ask(small, "apple")
    ask(small, "beer")
    assert len(small) == 2
    bytes_before = small.kept_bytes
    kept.rows()
    assert small.kept_bytes == bytes_before + kept.rows().nbytes
    ask(small, "wine")
    assert len(small) == 2
    assert small.kept_bytes <= 2500
    kept.rows()  # let go of, and still right
    assert (
        ask(small, "wine").rows().tolist()
        == compiled(goods, ItemFilter(exclude_item_ids=["wine"])).rows().tolist()
    )


def test_a_keeper_that_is_let_go_of_is_gone_at_once(snapshot, store):
    hide = Rule(rule_id="h", action=RuleAction.RULE_ACTION_HIDE, target=ItemFilter(category="Drinks"))
    store.put_rule(RuleRecord("h", hide.SerializeToString()), expect="new")
    store.update_items({"beer": after(stock=0)})
    keeper = CatalogueKeeper(snapshot)
    catalogue = now(keeper, store)
    catalogue.conditions(ItemFilter(category="Food")).rows()
    assert catalogue.rules.active("", "", "", "", bazaar.CATALOGUE_AT) is not None
    gone = weakref.ref(keeper), weakref.ref(catalogue._cache), weakref.ref(catalogue.rules)
    gc.disable()
    try:
        del keeper, catalogue
        assert [each() for each in gone] == [None] * 3
    finally:
        gc.enable()


def test_readers_beside_a_writer_see_each_item_before_or_after_its_update(tmp_path, store):
    shop = bazaar.wares(1)
    snapshot = bazaar.open_bazaar(tmp_path / "bazaar", shop)
    keeper = CatalogueKeeper(snapshot)
    done = threading.Event()
    wrong: list[object] = []
    every = np.arange(bazaar.N_ITEMS, dtype=np.int32)
    first, second = ItemFilter(category="A"), ItemFilter(category="A", include_out_of_stock=True)

    def read() -> None:
        while not done.is_set():
            catalogue = now(keeper, store)
            narrow, wide = catalogue.conditions(first), catalogue.conditions(second)
            if not set(narrow.rows().tolist()) <= set(wide.rows().tolist()):
                wrong.append((narrow.rows(), wide.rows()))
            if narrow.among(every).size != every.size:
                wrong.append(narrow)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(60):
        store.update_items({shop[number % 7].item_id: after(stock=number % 2, price=float(number))})
    done.set()
    for reader in readers:
        reader.join()
    assert not wrong
    last = now(keeper, store)
    assert last.price[:7].tolist() == [56.0, 57.0, 58.0, 59.0, 53.0, 54.0, 55.0]
    expected = [row for row in every.tolist() if shop[row].active and (row < 7 or shop[row].stock != 0)]
    odd = {row for row in range(7) if last.changed[row].stock == 0}
    assert last.everything.rows().tolist() == [row for row in expected if row not in odd]
    snapshot.close()
