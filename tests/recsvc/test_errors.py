from __future__ import annotations

from datetime import timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from recsvc import paging
from recsvc.errors import code_of, status_of
from recsvc.v1.bestseller_service_pb2 import ListBestsellersRequest
from recsvc.v1.common_pb2 import ItemFilter
from recsvc.v1.recommendation_service_pb2 import ListSimilarItemsRequest, RecommendRequest
from recsvc.v1.selection_service_pb2 import (
    CandidateFilter,
    ForecastLevel,
    GetForecastRequest,
    ListCandidatesRequest,
)
from tests.recsvc.conftest import refusal

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND


def test_a_negative_page_size_is_refused_by_every_list(stubs):
    for method, request in (
        (stubs.recommendations.Recommend, RecommendRequest(page_size=-1)),
        (stubs.recommendations.ListSimilarItems, ListSimilarItemsRequest(item_id="apple", page_size=-1)),
        (stubs.bestsellers.ListBestsellers, ListBestsellersRequest(page_size=-1)),
        (stubs.selection.ListCandidates, ListCandidatesRequest(page_size=-1)),
    ):
        refused = refusal(method, request)
        assert (refused.code, refused.reason, refused.field) == (INVALID, "INVALID_FIELD", "page_size")
        assert "-1" in refused.message


@pytest.mark.parametrize("field", ["user_id", "channel", "region"])
def test_a_name_above_256_bytes_is_refused(stubs, field):
    fits = RecommendRequest(**{field: "界" * 85})
    assert stubs.recommendations.Recommend(fits).results
    refused = refusal(stubs.recommendations.Recommend, RecommendRequest(**{field: "界" * 86}))
    assert (refused.code, refused.field) == (INVALID, field)
    assert "258 bytes" in refused.message


def test_too_many_excluded_items_are_refused(stubs):
    many = ItemFilter(exclude_item_ids=["apple"] * 1001)
    refused = refusal(stubs.recommendations.Recommend, RecommendRequest(filter=many))
    assert (refused.code, refused.field) == (INVALID, "filter.exclude_item_ids")


def test_an_unknown_item_is_named_with_its_snapshot(stubs, running):
    refused = refusal(stubs.recommendations.ListSimilarItems, ListSimilarItemsRequest(item_id="梨"))
    assert (refused.code, refused.reason) == (NOT_FOUND, "ITEM_NOT_FOUND")
    with running.serving.lease() as generation:
        assert refused.metadata == {"item_id": "梨", "snapshot_id": generation.snapshot_id}
    assert "'梨'" in refused.message


def test_no_item_at_all_is_a_bad_request(stubs):
    refused = refusal(stubs.recommendations.ListSimilarItems, ListSimilarItemsRequest())
    assert (refused.code, refused.field) == (INVALID, "item_id")


def test_an_unknown_category_is_not_found_where_it_names_the_list(stubs):
    toys = ItemFilter(category="Toys")
    for method, request in (
        (stubs.bestsellers.ListBestsellers, ListBestsellersRequest(category="Toys")),
        (stubs.recommendations.ListSimilarItems, ListSimilarItemsRequest(item_id="apple", filter=toys)),
        (stubs.selection.ListCandidates, ListCandidatesRequest(filter=CandidateFilter(category="Toys"))),
    ):
        refused = refusal(method, request)
        assert (refused.code, refused.reason) == (NOT_FOUND, "CATEGORY_NOT_FOUND")
        assert refused.metadata["category"] == "Toys"


@pytest.mark.parametrize("window", [timedelta(days=3), timedelta(hours=30), timedelta(days=-28)])
def test_a_window_without_lists_is_refused_and_the_others_are_named(stubs, window):
    duration = Duration()
    duration.FromTimedelta(window)
    refused = refusal(stubs.bestsellers.ListBestsellers, ListBestsellersRequest(window=duration))
    assert (refused.code, refused.field) == (INVALID, "window")
    assert "28 days" in refused.message
    assert "7 days" in refused.message


def test_a_kind_that_is_not_known_is_refused(stubs):
    refused = refusal(stubs.bestsellers.ListBestsellers, ListBestsellersRequest(kind=77))
    assert (refused.code, refused.field) == (INVALID, "kind")


@pytest.mark.parametrize("token", ["x", "!!!", "kA", "gaFh", "é"])
def test_a_page_token_that_is_not_ours_is_refused(stubs, token):
    refused = refusal(stubs.bestsellers.ListBestsellers, ListBestsellersRequest(page_token=token))
    assert (refused.code, refused.field) == (INVALID, "page_token")


def test_a_page_token_of_another_snapshot_says_that_the_snapshot_changed(stubs):
    token = paging.next_token(ListCandidatesRequest(), "20240101-000000000000", 1)
    refused = refusal(stubs.selection.ListCandidates, ListCandidatesRequest(page_token=token))
    assert (refused.code, refused.reason, refused.field) == (INVALID, "SNAPSHOT_CHANGED", "page_token")


def test_a_page_token_of_another_request_is_refused(stubs):
    token = stubs.bestsellers.ListBestsellers(ListBestsellersRequest(page_size=1)).next_page_token
    refused = refusal(
        stubs.bestsellers.ListBestsellers, ListBestsellersRequest(category="Food", page_token=token)
    )
    assert (refused.code, refused.reason) == (INVALID, "PAGE_TOKEN_MISMATCH")


def test_a_forecast_needs_a_level_a_key_and_days_that_exist(stubs):
    ask = stubs.selection.GetForecast
    assert refusal(ask, GetForecastRequest()).field == "level"
    total = ForecastLevel.FORECAST_LEVEL_TOTAL
    assert refusal(ask, GetForecastRequest(level=total, days=-1)).field == "days"
    refused = refusal(ask, GetForecastRequest(level=ForecastLevel.FORECAST_LEVEL_ITEM, key="pear"))
    assert (refused.code, refused.reason) == (NOT_FOUND, "FORECAST_NOT_FOUND")
    assert refused.metadata["key"] == "pear"


@pytest.mark.parametrize(
    ("level", "remedy"),
    [
        ("TOTAL", "leave key empty"),
        ("CHANNEL", "channels with little revenue"),
        ("REGION", "regions with little revenue"),
        ("CATEGORY", "give its path"),
        ("ITEM", "ask for their category"),
    ],
)
def test_a_forecast_that_is_not_there_says_what_to_ask_for_instead(stubs, level, remedy):
    asked = GetForecastRequest(level=ForecastLevel.Value(f"FORECAST_LEVEL_{level}"), key="x")
    refused = refusal(stubs.selection.GetForecast, asked)
    assert refused.code == NOT_FOUND
    assert f"{level.lower()} 'x'; " in refused.message
    assert remedy in refused.message


def test_a_defect_ends_as_internal_and_keeps_its_words_in_the_log():
    status = status_of(ZeroDivisionError("secret"))
    assert code_of(ZeroDivisionError()) is grpc.StatusCode.INTERNAL
    assert "secret" not in str(status)
