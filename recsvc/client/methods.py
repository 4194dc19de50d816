"""Owns the client's methods: one line for each method of the contract."""

from __future__ import annotations

from typing import Any

from recsvc.client.method import Method
from recsvc.v1.bestseller_service_pb2 import ListBestsellersRequest, ListBestsellersResponse
from recsvc.v1.catalog_service_pb2 import (
    CreateRuleRequest,
    CreateRuleResponse,
    DeleteRuleRequest,
    DeleteRuleResponse,
    GetItemRequest,
    GetItemResponse,
    ListRulesRequest,
    ListRulesResponse,
    UpdateItemsRequest,
    UpdateItemsResponse,
    UpdateRuleRequest,
    UpdateRuleResponse,
)
from recsvc.v1.customer_service_pb2 import EraseCustomerRequest, EraseCustomerResponse
from recsvc.v1.event_service_pb2 import RecordEventsRequest, RecordEventsResponse
from recsvc.v1.recommendation_service_pb2 import (
    BatchRecommendRequest,
    BatchRecommendResponse,
    ListBoughtTogetherRequest,
    ListBoughtTogetherResponse,
    ListSimilarItemsRequest,
    ListSimilarItemsResponse,
    RankItemsRequest,
    RankItemsResponse,
    RecommendPageRequest,
    RecommendPageResponse,
    RecommendRequest,
    RecommendResponse,
)
from recsvc.v1.selection_service_pb2 import (
    GetCandidateRequest,
    GetCandidateResponse,
    GetForecastRequest,
    GetForecastResponse,
    ListCandidatesRequest,
    ListCandidatesResponse,
    RescoreCandidatesRequest,
    RescoreCandidatesResponse,
    ReviewCandidateRequest,
    ReviewCandidateResponse,
)
from recsvc.v1.snapshot_service_pb2 import (
    ActivateSnapshotRequest,
    ActivateSnapshotResponse,
    GetServingStateRequest,
    GetServingStateResponse,
    ListSnapshotsRequest,
    ListSnapshotsResponse,
)


class Methods:
    """Every method of the contract, by its name in lower case.

    Each takes the fields of its request as keywords, or the request itself, and returns the response. All
    but those marked `again=False` are sent again where nobody answered. Those are the ones that must not be:
    a rule added twice ends in ALREADY_EXISTS and one deleted twice in NOT_FOUND although all went well, and
    a snapshot activated late would undo what another operator did in between.
    """

    recommend = Method("RecommendationService", RecommendRequest, RecommendResponse)
    batch_recommend = Method("RecommendationService", BatchRecommendRequest, BatchRecommendResponse)
    recommend_page = Method("RecommendationService", RecommendPageRequest, RecommendPageResponse)
    rank_items = Method("RecommendationService", RankItemsRequest, RankItemsResponse)
    list_similar_items = Method("RecommendationService", ListSimilarItemsRequest, ListSimilarItemsResponse)
    list_bought_together = Method(
        "RecommendationService", ListBoughtTogetherRequest, ListBoughtTogetherResponse
    )
    list_bestsellers = Method("BestsellerService", ListBestsellersRequest, ListBestsellersResponse)
    record_events = Method("EventService", RecordEventsRequest, RecordEventsResponse)
    update_items = Method("CatalogService", UpdateItemsRequest, UpdateItemsResponse)
    get_item = Method("CatalogService", GetItemRequest, GetItemResponse)
    create_rule = Method("CatalogService", CreateRuleRequest, CreateRuleResponse, again=False)
    update_rule = Method("CatalogService", UpdateRuleRequest, UpdateRuleResponse)
    delete_rule = Method("CatalogService", DeleteRuleRequest, DeleteRuleResponse, again=False)
    list_rules = Method("CatalogService", ListRulesRequest, ListRulesResponse)
    erase_customer = Method("CustomerService", EraseCustomerRequest, EraseCustomerResponse)
    list_candidates = Method("SelectionService", ListCandidatesRequest, ListCandidatesResponse)
    get_candidate = Method("SelectionService", GetCandidateRequest, GetCandidateResponse)
    get_forecast = Method("SelectionService", GetForecastRequest, GetForecastResponse)
    rescore_candidates = Method("SelectionService", RescoreCandidatesRequest, RescoreCandidatesResponse)
    review_candidate = Method("SelectionService", ReviewCandidateRequest, ReviewCandidateResponse)
    list_snapshots = Method("SnapshotService", ListSnapshotsRequest, ListSnapshotsResponse)
    activate_snapshot = Method(
        "SnapshotService", ActivateSnapshotRequest, ActivateSnapshotResponse, again=False
    )
    get_serving_state = Method("SnapshotService", GetServingStateRequest, GetServingStateResponse)


#: The contract's methods, in the order of the table above.
METHODS: tuple[Method[..., Any, Any], ...] = tuple(
    method for method in vars(Methods).values() if isinstance(method, Method)
)
