"""Owns the calls that tests of faults put to a server: every read, writes, and what must come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from recdata.live import LiveStore
from recsvc.v1.bestseller_service_pb2 import ListBestsellersRequest
from recsvc.v1.catalog_service_pb2 import (
    CreateRuleRequest,
    GetItemRequest,
    ItemUpdate,
    Rule,
    RuleAction,
    UpdateItemsRequest,
)
from recsvc.v1.common_pb2 import DegradationReason, ItemFilter
from recsvc.v1.event_service_pb2 import Event, EventType, RecordEventsRequest
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
    ComponentWeight,
    GetCandidateRequest,
    GetForecastRequest,
    ListCandidatesRequest,
    RescoreCandidatesRequest,
    ReviewCandidateRequest,
)
from tests.recsvc.conftest import Stubs

UNAVAILABLE = DegradationReason.DEGRADATION_REASON_LIVE_STORE_UNAVAILABLE
ANN = RecommendRequest(user_id="ann", session_id="s")
STOCK = UpdateItemsRequest(updates=[ItemUpdate(item_id="apple", stock=5)])
READS = [
    ("recommendations", "Recommend", ANN),
    ("recommendations", "BatchRecommend", BatchRecommendRequest(requests=[ANN, ANN])),
    (
        "recommendations",
        "RecommendPage",
        RecommendPageRequest(shopper=ANN, carousels=[Carousel(carousel_id="a"), Carousel(carousel_id="b")]),
    ),
    ("recommendations", "RankItems", RankItemsRequest(shopper=ANN, item_ids=["apple", "wine"])),
    ("recommendations", "ListSimilarItems", ListSimilarItemsRequest(item_id="apple")),
    ("recommendations", "ListBoughtTogether", ListBoughtTogetherRequest(item_ids=["apple"])),
    ("bestsellers", "ListBestsellers", ListBestsellersRequest()),
    ("selection", "ListCandidates", ListCandidatesRequest()),
    ("selection", "GetCandidate", GetCandidateRequest(item_id="pear")),
    (
        "selection",
        "RescoreCandidates",
        RescoreCandidatesRequest(weights=[ComponentWeight(name="trend", weight=1)]),
    ),
    ("selection", "GetForecast", GetForecastRequest(level=1)),
    ("catalog", "GetItem", GetItemRequest(item_id="apple")),
]


def view(event_id: str, **fields) -> Event:
    return Event(
        event_id=event_id, user_id="ann", item_id="apple", event_type=EventType.EVENT_TYPE_VIEW, **fields
    )


def hide(rule_id: str) -> CreateRuleRequest:
    target = ItemFilter(include_item_ids=["apple"])
    return CreateRuleRequest(rule=Rule(rule_id=rule_id, action=RuleAction.RULE_ACTION_HIDE, target=target))


def writes(number: int) -> list[tuple[str, str, object]]:
    """Calls that write, each for the first time."""
    return [
        ("events", "RecordEvents", RecordEventsRequest(events=[view(f"more-{number}")])),
        ("catalog", "UpdateItems", STOCK),
        ("catalog", "CreateRule", hide(f"more-{number}")),
        (
            "selection",
            "ReviewCandidate",
            ReviewCandidateRequest(request_id=f"more-{number}", item_id="pear", decision=1, reviewer="li"),
        ),
    ]


def called(stubs: Stubs, service: str, method: str) -> Callable:
    return getattr(getattr(stubs, service), method)


def answers(stubs: Stubs, *, degraded: bool = False) -> None:
    """Checks that every read answers, and whether it says that the live store is not in the answer."""
    for service, method, request in READS:
        answer = called(stubs, service, method)(request, wait_for_ready=True, timeout=10)
        if method == "BatchRecommend":
            infos = [result.response.info for result in answer.results]
        else:
            infos = [answer.info]
        for info in infos:
            told = [each.reason for each in info.degradations]
            assert (UNAVAILABLE in told) is (degraded and method != "GetForecast"), (method, told)


def stored(home: Path) -> Counter[str]:
    with LiveStore.open(home, max_bytes=0) as store, store.view() as moment:
        return Counter(event.event_id for _, event in moment.events())
