"""Whatever a client sends, a call ends in an answer or in a refusal that says whose fault it is."""

from __future__ import annotations

import base64

import grpc
import msgspec
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recsvc.client import METHODS
from recsvc.v1.bestseller_service_pb2 import ListBestsellersRequest
from recsvc.v1.catalog_service_pb2 import (
    CreateRuleRequest,
    GetItemRequest,
    ListRulesRequest,
    UpdateItemsRequest,
)
from recsvc.v1.common_pb2 import ItemFilter
from recsvc.v1.customer_service_pb2 import EraseCustomerRequest
from recsvc.v1.recommendation_service_pb2 import (
    BatchRecommendRequest,
    Carousel,
    ListBoughtTogetherRequest,
    ListSimilarItemsRequest,
    RankItemsRequest,
    RecommendPageRequest,
    RecommendRequest,
)
from recsvc.v1.selection_service_pb2 import (
    CandidateFilter,
    ComponentWeight,
    GetCandidateRequest,
    GetForecastRequest,
    ListCandidatesRequest,
    RescoreCandidatesRequest,
    ReviewCandidateRequest,
)
from recsvc.v1.snapshot_service_pb2 import ActivateSnapshotRequest, GetServingStateRequest
from tests.recsvc.running import two_workers
from tests.recsvc.tiny import Tiny

OK, INVALID, NOT_FOUND = grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
NOT_MAPPED = grpc.StatusCode.FAILED_PRECONDITION  # a snapshot_id that is none
ALLOWED = {OK, INVALID, NOT_FOUND, NOT_MAPPED, grpc.StatusCode.ALREADY_EXISTS}
PATHS = {method.name: method.path for method in METHODS}
REQUESTS = {method.name: method.request for method in METHODS}
RESPONSES = {method.name: method.response for method in METHODS}
WRITES = (
    *("RecordEvents", "UpdateItems", "CreateRule", "UpdateRule", "DeleteRule", "EraseCustomer"),
    "ReviewCandidate",
)
ITEM_IDS = st.sampled_from(["apple", "beer", "bread", "milk", "pear", "wine", "", "none", "\0", "x" * 10_000])
NAMES = st.sampled_from(
    ["", "ann", "cold", "apple", "Food", "Empty", "app", "north", "s", "\0", "梨", "x" * 300, "界" * 5000]
)
#: What gets a message past the first check, so that the later ones and what comes after them are met too.
LIKELY = {
    "rule_id": st.sampled_from(["rule-1", "rule-2", "rule-3"]),
    "event_id": st.integers(0, 99).map(str),
    "request_id": st.integers(0, 99).map(str),
    "order_by": st.sampled_from(
        ["", "score desc", "demand, rank desc", "discount", "rank,,", "\0", "score  up"]
    ),
    "name": st.sampled_from(["demand", "trend", "trend", "charm", ""]),
    "weight": st.sampled_from([0.0, 0.5, 1.0, 1e308, 5e-324]) | st.floats(),
    "year": st.sampled_from([2030, 2030, 0]) | st.integers(-(2**31), 2**31 - 1),
    "month": st.integers(1, 12) | st.integers(-(2**31), 2**31 - 1),
    "day": st.integers(1, 28) | st.integers(-(2**31), 2**31 - 1),
    "item_id": ITEM_IDS,
    "user_id": st.sampled_from(["ann", "cold", "new", ""]),
    "session_id": st.sampled_from(["s", "t", ""]),
    "currency_code": st.sampled_from(["", "CNY", "EUR"]),
    "snapshot_id": st.sampled_from(["", "", "20200101-x"]),
    "factor": st.sampled_from([0.01, 0.5, 2.0, 100.0]) | st.floats(),
    "units": st.integers(0, 9) | st.integers(-(2**63), 2**63 - 1),
    "seconds": st.sampled_from([0, 86_400, 1_740_000_000, 253_402_300_800])
    | st.integers(-(2**63), 2**63 - 1),
    "nanos": st.sampled_from([0, 999_999_999]) | st.integers(-(2**31), 2**31 - 1),
}
LIKELY |= dict.fromkeys(("item_ids", "include_item_ids", "exclude_item_ids", "context_item_ids"), ITEM_IDS)
NEEDED = {
    *("rule", "rule_id", "action", "target", "item_id", "item_ids", "event_id", "user_id", "event_type"),
    *("updates", "events", "requests", "shopper", "carousels", "carousel_id", "position", "factor"),
    *("request_id", "reviewer", "decision", "weights", "name", "weight", "year", "month", "day"),
}
INTEGERS = {FieldDescriptor.TYPE_INT32: 31, FieldDescriptor.TYPE_INT64: 63, FieldDescriptor.TYPE_ENUM: 31}


def values(field: FieldDescriptor) -> st.SearchStrategy:
    """Values of a field, the usual ones and the extremes."""
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return messages(field.message_type)
    if field.name in LIKELY:
        return LIKELY[field.name]
    if field.type == FieldDescriptor.TYPE_STRING:
        return NAMES | st.text(max_size=30)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return st.floats()
    bits = INTEGERS[field.type]
    return st.integers(-2, 7) | st.integers(-(2**bits), 2**bits - 1)


def messages(descriptor: Descriptor) -> st.SearchStrategy[dict[str, object]]:
    """Keyword arguments of a message; each field may be absent, those that are needed seldom are."""
    fields = {
        field.name: st.lists(values(field), max_size=3) if field.is_repeated else values(field)
        for field in descriptor.fields
    }
    needed = {name: fields.pop(name) for name in NEEDED & fields.keys()}
    optional = st.fixed_dictionaries({}, optional=needed | fields)
    return optional | st.fixed_dictionaries(needed, optional=fields)


@pytest.fixture(scope="module")
def send(tmp_path_factory):
    """Sends bytes to a method of two workers; checks that it ends as it may, and returns the code."""
    home = tmp_path_factory.mktemp("fuzz")
    Tiny().publish(home)
    with two_workers(home) as running, grpc.insecure_channel(running.address) as channel:

        def sending(name: str, content: bytes) -> grpc.StatusCode:
            call = channel.unary_unary(PATHS[name]).future(content, timeout=10)
            assert call.code() in ALLOWED, (name, call.code(), call.details(), content)
            assert len(call.details()) < 2000
            if call.code() is OK and name == "BatchRecommend":
                answer = RESPONSES[name].FromString(call.result())
                codes = {result.status.code for result in answer.results}
                assert codes <= {code.value[0] for code in ALLOWED}, content
            return call.code()

        yield sending
        assert running.events("worker died") == []
        assert running.events("call failed") == []


fuzzed = settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", PATHS)
@fuzzed
@given(data=st.data())
def test_any_message_is_answered_or_refused(send, name, data):
    request = REQUESTS[name](**data.draw(messages(REQUESTS[name].DESCRIPTOR)))
    send(name, request.SerializeToString())
    assert send("Recommend", RecommendRequest(user_id="ann").SerializeToString()) is OK


LISTS = {
    "Recommend": RecommendRequest(user_id="ann", session_id="s", reason_view=2),
    "RecommendPage": RecommendPageRequest(
        shopper=RecommendRequest(user_id="new", session_id="t"),
        carousels=[Carousel(carousel_id=str(source), source=source, item_id="apple") for source in range(7)],
    ),
    "RankItems": RankItemsRequest(
        shopper=RecommendRequest(user_id="cold", session_id="s"), item_ids=["apple", "beer", "milk", "wine"]
    ),
    "ListBestsellers": ListBestsellersRequest(),
    "ListSimilarItems": ListSimilarItemsRequest(item_id="apple"),
    "ListBoughtTogether": ListBoughtTogetherRequest(item_ids=["apple", "wine"]),
    "GetItem": GetItemRequest(item_id="apple"),
    "ListRules": ListRulesRequest(),
    "ListCandidates": ListCandidatesRequest(filter=CandidateFilter(review_state=1), order_by="score"),
    "GetCandidate": GetCandidateRequest(item_id="pear"),
    "RescoreCandidates": RescoreCandidatesRequest(weights=[ComponentWeight(name="trend", weight=1)]),
}


@settings(fuzzed, max_examples=12)
@given(data=st.data())
def test_whatever_was_written_lists_are_answered_afterwards(send, data):
    for name in WRITES:
        request = REQUESTS[name](**data.draw(messages(REQUESTS[name].DESCRIPTOR)))
        send(name, request.SerializeToString())
    for name, request in LISTS.items():
        assert send(name, request.SerializeToString()) is OK


@pytest.mark.parametrize(
    "name",
    [
        *("ListSimilarItems", "ListBestsellers", "ListCandidates", "RescoreCandidates"),
        *("ListSnapshots", "ListRules"),
    ],
)
@fuzzed
@given(data=st.data())
def test_a_page_token_that_was_tampered_with_is_answered_or_refused(send, name, data):
    version, start = (
        data.draw(st.integers(-2, 2)),
        data.draw(st.integers(-3, 9) | st.integers(-(2**63), 2**64 - 1)),
    )
    parts = [version, data.draw(NAMES), data.draw(st.binary(max_size=8) | NAMES), start]
    content = msgspec.msgpack.encode(data.draw(st.permutations(parts) | st.just(parts) | st.just(parts[:3])))
    token = base64.urlsafe_b64encode(content).decode().rstrip("=") + data.draw(
        st.sampled_from(["", "=", "é", "AA"])
    )
    needed = {
        "ListSimilarItems": {"item_id": "apple"},
        "RescoreCandidates": {"weights": [ComponentWeight(name="trend", weight=1)]},
    }
    send(name, REQUESTS[name](page_token=token, **needed.get(name, {})).SerializeToString())


@pytest.mark.parametrize("name", PATHS)
@fuzzed
@given(content=st.binary(max_size=60))
@example(content=b"\xff")
@example(content=b"\x0a\x03\xed\xa0\x80")  # a lone surrogate in the first field
def test_any_bytes_are_answered_or_refused(send, name, content):
    send(name, content)


@pytest.mark.parametrize("name", PATHS)
def test_bytes_that_are_no_message_are_the_callers_fault(send, name):
    assert send(name, b"\x0a\xff") is INVALID


LONG = "界" * 300_000
STOCKS = [{"item_id": f"{each}", "stock": 2**63 - 1} for each in range(1001)]


@pytest.mark.parametrize(
    ("name", "request_", "code"),
    [
        ("Recommend", RecommendRequest(user_id=LONG), INVALID),
        ("Recommend", RecommendRequest(filter=ItemFilter(category=LONG)), OK),
        ("Recommend", RecommendRequest(filter=ItemFilter(category=" > ".join(["a"] * 500_000))), OK),
        ("Recommend", RecommendRequest(filter=ItemFilter(exclude_item_ids=[LONG])), INVALID),
        ("ListSimilarItems", ListSimilarItemsRequest(item_id=LONG), INVALID),
        ("ListSimilarItems", ListSimilarItemsRequest(item_id="apple", page_token=LONG), INVALID),
        ("ListSimilarItems", ListSimilarItemsRequest(item_id="apple", page_token="kgAA" * 10**5), INVALID),
        ("ListBestsellers", ListBestsellersRequest(category=LONG), NOT_FOUND),
        ("ListBestsellers", ListBestsellersRequest(window={"seconds": 2**62}), INVALID),
        ("ListBestsellers", ListBestsellersRequest(window={"seconds": 86400, "nanos": -1}), INVALID),
        ("ListCandidates", ListCandidatesRequest(filter=CandidateFilter(category=LONG)), NOT_FOUND),
        ("ListCandidates", ListCandidatesRequest(filter=CandidateFilter(sold_in_region=LONG)), NOT_FOUND),
        ("ListCandidates", ListCandidatesRequest(order_by="rank," * 10**5), INVALID),
        ("RescoreCandidates", RescoreCandidatesRequest(weights=[{"name": LONG, "weight": 1}]), INVALID),
        ("RescoreCandidates", RescoreCandidatesRequest(weights=[{"name": "trend"}] * 10**5), INVALID),
        ("GetCandidate", GetCandidateRequest(item_id=LONG), INVALID),
        ("ReviewCandidate", ReviewCandidateRequest(request_id=LONG), INVALID),
        ("ReviewCandidate", ReviewCandidateRequest(request_id="r", item_id="pear", decision=1, reviewer=LONG),
         INVALID),
        ("ReviewCandidate", ReviewCandidateRequest(request_id="r", item_id="pear", decision=4, reviewer="a",
                                                   note=LONG), INVALID),
        ("GetForecast", GetForecastRequest(level=4, key=LONG), NOT_FOUND),
        ("GetServingState", GetServingStateRequest(), OK),
        ("UpdateItems", UpdateItemsRequest(updates=STOCKS[:1000]), OK),
        ("UpdateItems", UpdateItemsRequest(updates=STOCKS), INVALID),
        ("UpdateItems", UpdateItemsRequest(updates=[{"item_id": "a", "price": {"units": 10**15}}]), INVALID),
        ("RankItems", RankItemsRequest(item_ids=[f"{each}" for each in range(1000)]), OK),
        ("RankItems", RankItemsRequest(item_ids=[f"{each}" for each in range(1001)]), INVALID),
        ("Recommend", RecommendRequest(user_id="ann", context_item_ids=["apple"] * 100), OK),
        ("Recommend", RecommendRequest(user_id="ann", session_item_ids=["apple"] * 101), INVALID),
        ("BatchRecommend", BatchRecommendRequest(requests=[RecommendRequest()] * 1000), OK),
        ("BatchRecommend", BatchRecommendRequest(requests=[RecommendRequest()] * 1001), INVALID),
        ("EraseCustomer", EraseCustomerRequest(user_id=LONG), INVALID),
        ("CreateRule", CreateRuleRequest(rule={"rule_id": LONG}), INVALID),
        ("ActivateSnapshot", ActivateSnapshotRequest(snapshot_id="../../CURRENT"), NOT_FOUND),
        ("ActivateSnapshot", ActivateSnapshotRequest(snapshot_id="\0"), NOT_FOUND),
    ],
)  # fmt: skip
def test_extremes_are_refused_in_a_message_that_reaches_the_caller(send, name, request_: Message, code):
    assert send(name, request_.SerializeToString()) is code
