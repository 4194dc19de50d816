from __future__ import annotations

import contextlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recdata.errors import LiveStoreUnavailableError, RecsvcError, RuleExistsError, RuleNotFoundError
from recsvc import cataloguing
from recsvc.bestselling import list_bestsellers
from recsvc.errors import InvalidFieldError, RequestError, UnknownNameError, code_of
from recsvc.v1.bestseller_service_pb2 import ListBestsellersRequest, ListBestsellersResponse
from recsvc.v1.catalog_service_pb2 import (
    CreateRuleRequest,
    CreateRuleResponse,
    DeleteRuleRequest,
    DeleteRuleResponse,
    GetItemRequest,
    GetItemResponse,
    ItemStatus,
    ItemUpdate,
    ListRulesRequest,
    ListRulesResponse,
    Rule,
    RuleAction,
    RuleScope,
    UpdateItemsRequest,
    UpdateItemsResponse,
    UpdateRuleRequest,
    UpdateRuleResponse,
)
from recsvc.v1.common_pb2 import ItemFilter
from tests.recsvc.shop import open_shop
from tests.recsvc.test_fuzz import messages

ACTIVE, DISCONTINUED = ItemStatus.ITEM_STATUS_ACTIVE, ItemStatus.ITEM_STATUS_DISCONTINUED
HIDE, PIN = RuleAction.RULE_ACTION_HIDE, RuleAction.RULE_ACTION_PIN
BOOST, BURY = RuleAction.RULE_ACTION_BOOST, RuleAction.RULE_ACTION_BURY
DRINKS = ItemFilter(category="Drinks")
WINE = ItemFilter(include_item_ids=["wine"])


@pytest.fixture
def shop(tmp_path):
    with open_shop(tmp_path) as shop:
        yield shop


def update(shop, *updates: ItemUpdate):
    request = UpdateItemsRequest(updates=updates)
    return shop.ask(cataloguing.update_items, request, UpdateItemsResponse)


def item(shop, item_id: str):
    return shop.ask(cataloguing.get_item, GetItemRequest(item_id=item_id), GetItemResponse)


def create(shop, **fields) -> Rule:
    fields = {"rule_id": "r", "action": HIDE, "target": DRINKS} | fields
    request = CreateRuleRequest(rule=Rule(**fields))
    return shop.ask(cataloguing.create_rule, request, CreateRuleResponse).rule


def create_default(shop) -> None:
    with contextlib.suppress(RuleExistsError):
        create(shop)


def change(shop, rule: Rule, *paths: str) -> Rule:
    request = UpdateRuleRequest(rule=rule, update_mask=FieldMask(paths=paths))
    return shop.ask(cataloguing.update_rule, request, UpdateRuleResponse).rule


def rules(shop, **fields):
    return shop.ask(cataloguing.list_rules, ListRulesRequest(**fields), ListRulesResponse)


def sold(shop) -> list[str]:
    answer = shop.ask(list_bestsellers, ListBestsellersRequest(), ListBestsellersResponse)
    return [entry.ranked_item.item.item_id for entry in answer.results]


def refused(field: str):
    return pytest.raises(InvalidFieldError, match=re.escape(field)) if field else pytest.raises(RecsvcError)


def test_an_item_is_as_the_catalogue_says_until_it_is_updated(shop):
    before = item(shop, "milk")
    assert (before.stock, before.status) == (0, ACTIVE)
    assert not before.HasField("update_time")
    assert before.item.title == "Milk"
    assert not item(shop, "wine").HasField("stock")
    began = datetime.now(UTC)
    answer = update(
        shop,
        ItemUpdate(item_id="milk", stock=7, price=Money(units=1, nanos=50_000_000)),
        ItemUpdate(item_id="beer", status=DISCONTINUED),
        ItemUpdate(item_id="new", stock=1),
    )
    assert list(answer.unknown_item_ids) == ["new"]
    after = item(shop, "milk")
    assert (after.stock, after.status) == (7, ACTIVE)
    assert (after.item.price.units, after.item.price.nanos) == (1, 50_000_000)
    assert after.item.price.currency_code == "CNY"
    assert after.update_time.ToDatetime(tzinfo=UTC) >= began - timedelta(milliseconds=1)
    assert after.info.snapshot_id == shop.generation.snapshot_id
    assert item(shop, "beer").status == DISCONTINUED
    assert sold(shop) == ["milk", "apple", "bread"]
    update(shop, ItemUpdate(item_id="milk", stock=0), ItemUpdate(item_id="beer", status=ACTIVE))
    assert item(shop, "milk").item.price.nanos == 50_000_000
    assert sold(shop) == ["beer", "apple", "bread"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "updates[1].item_id"),
        ({"item_id": "a" * 257, "stock": 1}, "updates[1].item_id"),
        ({"item_id": "beer"}, "updates[1]"),
        ({"item_id": "beer", "stock": -1}, "updates[1].stock"),
        ({"item_id": "beer", "price": Money(units=-1)}, "updates[1].price"),
        ({"item_id": "beer", "price": Money(units=2**63 - 1)}, "updates[1].price"),  # no Money can tell it
        ({"item_id": "beer", "price": Money(currency_code="EUR")}, "updates[1].price.currency_code"),
        ({"item_id": "beer", "status": 9}, "updates[1].status"),
        ({"item_id": "apple", "stock": 1}, "updates[1].item_id"),
    ],
)
def test_one_wrong_update_refuses_all(shop, wrong, field):
    with pytest.raises(InvalidFieldError) as caught:
        update(shop, ItemUpdate(item_id="apple", stock=0), ItemUpdate(**wrong))
    assert caught.value.field == field
    assert not item(shop, "apple").HasField("stock")


def test_updates_are_at_least_one_and_at_most_a_thousand(shop):
    with refused("updates has 0"):
        update(shop)
    with refused("updates has 1001"):
        update(shop, *(ItemUpdate(item_id=str(number), stock=1) for number in range(1001)))
    assert len(update(shop, *(ItemUpdate(item_id=str(n), stock=1) for n in range(1000))).unknown_item_ids)


def test_an_item_must_be_named_and_known(shop):
    with refused("item_id is empty"):
        item(shop, "")
    with pytest.raises(UnknownNameError) as caught:
        item(shop, "none")
    assert caught.value.reason == "ITEM_NOT_FOUND"


def test_a_rule_is_created_listed_changed_and_deleted(shop):
    made = create(shop, description="no alcohol", update_time=Timestamp(seconds=1))
    assert made.update_time.seconds > 1_700_000_000
    assert list(rules(shop).results) == [made]
    assert rules(shop).effective_within == Duration()
    assert sold(shop) == ["apple", "bread"]
    only_text = change(shop, Rule(rule_id="r", description="new", action=BURY), "description")
    assert (only_text.description, only_text.action, only_text.target) == ("new", HIDE, DRINKS)
    other = change(shop, Rule(rule_id="r", target=ItemFilter(category="Food")), "target", "description")
    assert (other.target.category, other.description) == ("Food", "")
    assert sold(shop) == ["beer"]
    whole = change(shop, Rule(rule_id="r", action=PIN, target=WINE, position=2))
    assert (whole.action, whole.position) == (PIN, 2)
    assert sold(shop) == ["beer", "wine", "apple", "bread"]
    request = DeleteRuleRequest(rule_id="r")
    assert shop.ask(cataloguing.delete_rule, request, DeleteRuleResponse) == DeleteRuleResponse()
    assert not rules(shop).results
    assert sold(shop) == ["beer", "apple", "bread"]


def test_a_rule_that_is_there_or_is_not_ends_in_its_own_status(shop):
    create(shop)
    with pytest.raises(RuleExistsError) as exists:
        create(shop)
    assert code_of(exists.value) == grpc.StatusCode.ALREADY_EXISTS
    with pytest.raises(RuleNotFoundError) as missing:
        change(shop, Rule(rule_id="none", action=HIDE, target=DRINKS))
    assert code_of(missing.value) == grpc.StatusCode.NOT_FOUND
    with pytest.raises(RuleNotFoundError):
        shop.ask(cataloguing.delete_rule, DeleteRuleRequest(rule_id="none"), DeleteRuleResponse)


def test_two_updates_of_other_fields_from_the_same_moment_both_hold(shop):
    create(shop, action=BOOST, factor=2)
    request = UpdateRuleRequest(rule=Rule(rule_id="r", factor=3), update_mask=FieldMask(paths=["factor"]))
    began, other_done = threading.Event(), threading.Event()

    def waits(call, asked):
        began.set()  # its view of the live store is of this moment
        assert other_done.wait(10)
        return cataloguing.update_rule(call, asked)

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(shop.ask, waits, request, UpdateRuleResponse)
        assert began.wait(10)
        change(shop, Rule(rule_id="r", description="new"), "description")
        other_done.set()
        answer = late.result(10).rule
    assert (answer.factor, answer.description) == (3, "new")
    assert list(rules(shop).results) == [answer]


def test_an_update_may_not_leave_a_rule_that_says_nothing(shop):
    create(shop)
    with refused("rule.position"):
        change(shop, Rule(rule_id="r", action=PIN, target=WINE), "action", "target")
    with refused("names no items"):
        change(shop, Rule(rule_id="r"), "target")
    with refused("no field of a rule"):
        change(shop, Rule(rule_id="r"), "target.category")
    with refused("rule.rule_id"):
        change(shop, Rule(action=HIDE, target=DRINKS))
    assert rules(shop).results[0].target == DRINKS
    assert change(shop, Rule(rule_id="r", position=3), "rule_id", "update_time", "position").position == 3


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rule_id": ""}, "rule.rule_id"),
        ({"rule_id": "A"}, "rule.rule_id"),
        ({"rule_id": "a\n"}, "rule.rule_id"),
        ({"rule_id": "a" * 65}, "rule.rule_id"),
        ({"action": 0}, "rule.action"),
        ({"action": 99}, "rule.action"),
        ({"target": None}, "rule.target"),
        ({"target": ItemFilter(include_out_of_stock=True)}, "rule.target"),
        ({"target": ItemFilter(category="Food", exclude_seen_in_session=True)},
         "rule.target.exclude_seen_in_session"),
        ({"target": ItemFilter(category="Food", not_purchased_within=Duration())},
         "rule.target.not_purchased_within"),
        ({"target": ItemFilter(max_price=Money(currency_code="USD"))}, "rule.target.max_price.currency_code"),
        ({"target": ItemFilter(brands=["b"] * 101)}, "rule.target.brands"),
        ({"action": PIN, "position": 1}, "rule.target.include_item_ids"),
        ({"action": PIN, "target": ItemFilter(include_item_ids=["a", "b"]), "position": 1},
         "rule.target.include_item_ids"),
        ({"action": PIN, "target": WINE}, "rule.position"),
        ({"action": PIN, "target": WINE, "position": 201}, "rule.position"),
        ({"action": BOOST}, "rule.factor"),
        ({"action": BOOST, "factor": 0.009}, "rule.factor"),
        ({"action": BOOST, "factor": 101}, "rule.factor"),
        ({"action": BOOST, "factor": float("nan")}, "rule.factor"),
        ({"scope": RuleScope(channels=["c"] * 101)}, "rule.scope.channels"),
        ({"scope": RuleScope(regions=["c", ""])}, "rule.scope.regions[1]"),
        ({"scope": RuleScope(placements=["c" * 257])}, "rule.scope.placements[0]"),
        ({"start_time": Timestamp(seconds=5), "end_time": Timestamp(seconds=5)}, "rule.end_time"),
        ({"start_time": Timestamp(seconds=2**60)}, "rule.start_time"),
        ({"end_time": Timestamp(nanos=-1)}, "rule.end_time"),
        ({"description": "界" * 501}, "rule.description"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_refused_with_its_field(shop, fields, field):
    with pytest.raises(InvalidFieldError) as caught:
        create(shop, **fields)
    assert caught.value.field == field
    assert not rules(shop).results


def test_rules_at_the_edge_of_what_is_allowed_are_taken(shop):
    create(shop, rule_id="a-z_0", action=BOOST, factor=0.01, description="界" * 500)
    create(shop, rule_id="b", action=PIN, target=WINE, position=200)
    create(shop, rule_id="c", action=BOOST, factor=100, scope=RuleScope(channels=["c"] * 100))
    create(shop, rule_id="d" * 64, action=BURY, end_time=Timestamp(seconds=1))
    assert len(rules(shop).results) == 4


def test_rules_are_paged_by_id_whatever_comes_and_goes_between(shop):
    for name in ("d", "b", "a", "c"):
        create(shop, rule_id=name)
    first = rules(shop, page_size=2)
    assert [rule.rule_id for rule in first.results] == ["a", "b"]
    shop.ask(cataloguing.delete_rule, DeleteRuleRequest(rule_id="a"), DeleteRuleResponse)
    create(shop, rule_id="bb")
    second = rules(shop, page_size=2, page_token=first.next_page_token)
    assert [rule.rule_id for rule in second.results] == ["bb", "c"]
    last = rules(shop, page_size=2, page_token=second.next_page_token)
    assert [rule.rule_id for rule in last.results] == ["d"]
    assert last.next_page_token == ""
    with refused("page_size"):
        rules(shop, page_size=-1)
    for token in ("nonsense", "é", "gqE"):
        with refused("page_token"):
            rules(shop, page_token=token)


ASKED = [
    (cataloguing.update_items, UpdateItemsRequest, UpdateItemsResponse),
    (cataloguing.get_item, GetItemRequest, GetItemResponse),
    (cataloguing.create_rule, CreateRuleRequest, CreateRuleResponse),
    (cataloguing.update_rule, UpdateRuleRequest, UpdateRuleResponse),
    (cataloguing.delete_rule, DeleteRuleRequest, DeleteRuleResponse),
    (cataloguing.list_rules, ListRulesRequest, ListRulesResponse),
]


@pytest.mark.parametrize(("method", "request_type", "answer"), ASKED)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_message_is_answered_or_refused_as_the_callers_fault(shop, method, request_type, answer, data):
    create_default(shop)
    request = request_type(**data.draw(messages(request_type.DESCRIPTOR)))
    if request_type is UpdateRuleRequest and data.draw(st.booleans()):
        request.rule.rule_id = "r"
    try:
        shop.ask(method, request, answer)
    except (RequestError, RuleExistsError, RuleNotFoundError) as error:
        assert str(error)  # noqa: PT017 - any of them, or none
    sold(shop)


def test_without_a_live_store_reads_go_on_and_writes_say_why_not(shop):
    update(shop, ItemUpdate(item_id="milk", stock=7))
    shop.live.close()
    shop.live.problem = "it is gone"
    assert item(shop, "milk").stock == 0
    assert item(shop, "milk").info.degraded
    for ask in (lambda: update(shop, ItemUpdate(item_id="milk", stock=7)), lambda: create(shop),
                lambda: rules(shop), lambda: change(shop, Rule(rule_id="r"))):  # fmt: skip
        with pytest.raises(LiveStoreUnavailableError) as caught:
            ask()
        assert code_of(caught.value) == grpc.StatusCode.FAILED_PRECONDITION
