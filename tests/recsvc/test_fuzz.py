"""Whatever a client sends, a call ends in an answer or in a refusal that says whose fault it is."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recsvc.client import METHODS
from recsvc.v1.bestseller_service_pb2 import ListBestsellersRequest
from recsvc.v1.common_pb2 import ItemFilter
from recsvc.v1.recommendation_service_pb2 import ListSimilarItemsRequest, RecommendRequest
from recsvc.v1.selection_service_pb2 import CandidateFilter, GetForecastRequest, ListCandidatesRequest
from recsvc.v1.snapshot_service_pb2 import GetServingStateRequest

OK, INVALID, NOT_FOUND = grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
NOT_MAPPED = grpc.StatusCode.FAILED_PRECONDITION  # a snapshot_id that is none
FUZZED = {
    *("Recommend", "ListSimilarItems", "ListBestsellers", "ListCandidates", "GetForecast", "GetServingState"),
}
PATHS = {method.name: method.path for method in METHODS if method.name in FUZZED}
REQUESTS = {method.name: method.request for method in METHODS if method.name in FUZZED}
NAMES = st.sampled_from(
    ["", "ann", "cold", "apple", "Food", "Empty", "app", "\0", "梨", "x" * 300, "界" * 5000]
)
INTEGERS = {FieldDescriptor.TYPE_INT32: 31, FieldDescriptor.TYPE_INT64: 63, FieldDescriptor.TYPE_ENUM: 31}


def values(field: FieldDescriptor) -> st.SearchStrategy:
    """Values of a field, the usual ones and the extremes."""
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return messages(field.message_type)
    if field.type == FieldDescriptor.TYPE_STRING:
        return NAMES | st.text(max_size=30)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return st.floats()
    bits = INTEGERS[field.type]
    return st.integers(-2, 7) | st.integers(-(2**bits), 2**bits - 1)


def messages(descriptor: Descriptor) -> st.SearchStrategy[dict[str, object]]:
    """Keyword arguments of a message; each field may be absent."""
    fields = {
        field.name: st.lists(values(field), max_size=3) if field.is_repeated else values(field)
        for field in descriptor.fields
    }
    return st.fixed_dictionaries({}, optional=fields)


@pytest.fixture(scope="module")
def send(running):
    """Sends bytes to a method; checks that it ends as it may, and returns the code."""
    with grpc.insecure_channel(running.address) as channel:

        def sending(name: str, content: bytes) -> grpc.StatusCode:
            call = channel.unary_unary(PATHS[name]).future(content, timeout=10)
            assert call.code() in {OK, INVALID, NOT_FOUND, NOT_MAPPED}, (call.code(), call.details(), content)
            assert len(call.details()) < 2000
            return call.code()

        yield sending


fuzzed = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", PATHS)
@fuzzed
@given(data=st.data())
def test_any_message_is_answered_or_refused(send, name, data):
    request = REQUESTS[name](**data.draw(messages(REQUESTS[name].DESCRIPTOR)))
    send(name, request.SerializeToString())
    assert send("Recommend", RecommendRequest(user_id="ann").SerializeToString()) is OK


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
        ("GetForecast", GetForecastRequest(level=4, key=LONG), NOT_FOUND),
        ("GetServingState", GetServingStateRequest(), OK),
    ],
)  # fmt: skip
def test_extremes_are_refused_in_a_message_that_reaches_the_caller(send, name, request_: Message, code):
    assert send(name, request_.SerializeToString()) is code
