"""Lists that know the visit: sessions, context, rotation, caps, batches, pages, and given items in order."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from recsvc.shopper import Shopper
from recsvc.v1.common_pb2 import (
    DegradationReason,
    ItemFilter,
    ReasonCode,
    ReasonView,
    SourceType,
)
from recsvc.v1.event_service_pb2 import Event, EventType, RecordEventsRequest
from recsvc.v1.recommendation_service_pb2 import (
    BatchRecommendRequest,
    Carousel,
    CarouselSource,
    ListBoughtTogetherRequest,
    RankItemsRequest,
    RecommendPageRequest,
    RecommendRequest,
)
from tests.recsvc.conftest import refusal

FULL = ReasonView.REASON_VIEW_FULL


def ids(results) -> list[str]:
    return [entry.item.item_id for entry in results]


def missing(answer) -> set[str]:
    return {DegradationReason.Name(each.reason)[19:] for each in answer.info.degradations}


def recommend(stubs, **fields):
    return stubs.recommendations.Recommend(RecommendRequest(**fields))


def record(stubs, item_id: str, kind: str = "VIEW", **fields) -> None:
    event = Event(
        event_id=uuid.uuid4().hex,
        item_id=item_id,
        event_type=EventType.Value(f"EVENT_TYPE_{kind}"),
        **fields,
    )
    assert stubs.events.RecordEvents(RecordEventsRequest(events=[event])).recorded_count == 1


@pytest.fixture
def visit() -> str:
    return uuid.uuid4().hex


def test_a_visitor_with_one_recorded_view_gets_what_is_like_it(stubs, visit):
    record(stubs, "apple", session_id=visit)
    answer = recommend(stubs, session_id=visit, page_size=2)
    assert set(ids(answer.results)) == {"pear", "bread"}  # milk cannot be sold
    assert not answer.info.degraded


def test_items_of_the_visit_may_stand_in_the_request(stubs):
    answer = recommend(stubs, session_item_ids=["apple"], page_size=2)
    assert set(ids(answer.results)) == {"pear", "bread"}


def test_an_unknown_item_of_the_visit_is_ignored_and_noted(stubs):
    answer = recommend(stubs, session_item_ids=["apple", "no such"], page_size=2)
    assert set(ids(answer.results)) == {"pear", "bread"}
    assert missing(answer) == {"UNKNOWN_CONTEXT_ITEM"}


def test_a_recorded_purchase_is_left_out_of_the_next_answer(stubs):
    user_id = uuid.uuid4().hex
    record(stubs, "beer", "PURCHASE", user_id=user_id)
    assert "beer" not in ids(recommend(stubs, user_id=user_id, exclude_purchased=True).results)
    assert "beer" in ids(recommend(stubs, user_id=user_id).results)


def test_a_known_shopper_keeps_the_nightly_list_beside_the_visit(stubs, visit):
    record(stubs, "apple", session_id=visit)
    answer = recommend(stubs, user_id="ann", session_id=visit, page_size=10)
    assert sorted(ids(answer.results)) == ["apple", "beer", "bread", "pear", "wine"]
    assert "TOO_FEW_PERSONAL" not in missing(answer)


def test_what_was_seen_in_the_visit_can_be_left_out(stubs, visit):
    record(stubs, "pear", "CLICK", session_id=visit)
    unseen = ItemFilter(exclude_seen_in_session=True)
    answer = recommend(stubs, session_id=visit, session_item_ids=["apple"], filter=unseen)
    assert sorted(ids(answer.results)) == ["beer", "bread", "wine"]


def test_the_page_at_hand_brings_up_what_goes_with_it(stubs):
    answer = recommend(stubs, user_id="ann", context_item_ids=["apple"], page_size=10)
    assert "apple" not in ids(answer.results)
    pear = next(entry for entry in answer.results if entry.item.item_id == "pear")
    assert pear.source == SourceType.SOURCE_TYPE_BOUGHT_TOGETHER
    assert ids(recommend(stubs, context_item_ids=["apple"], page_size=1).results) == ["pear"]


def test_too_many_context_items_are_refused(stubs):
    request = RecommendRequest(context_item_ids=["apple"] * 101)
    assert refusal(stubs.recommendations.Recommend, request).field == "context_item_ids"


def test_purchases_within_some_days_can_be_left_out(stubs):
    days_ago = datetime.now(UTC) - datetime(2025, 2, 21, tzinfo=UTC)

    def bought_within(span: timedelta) -> list[str]:
        within = Duration()
        within.FromTimedelta(span)
        return ids(recommend(stubs, user_id="ann", filter=ItemFilter(not_purchased_within=within)).results)

    assert "bread" in bought_within(days_ago - timedelta(days=3))
    assert "bread" not in bought_within(days_ago + timedelta(days=3))


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Shanghai"])
@pytest.mark.parametrize("hours", [1, 12, 23, 24])
def test_a_purchase_within_a_day_counts_in_every_zone_and_at_every_hour(zone, hours):
    """The snapshot knows its business day alone, which west of Greenwich ends when UTC's next has begun."""
    local = ZoneInfo(zone)
    for hour in range(24):
        now = datetime(2025, 3, 4, hour, 30, tzinfo=UTC)
        bought = (now - timedelta(hours=hours)).astimezone(local).date()
        days = np.array([(bought - date(1970, 1, 1)).days], np.int32)
        record = SimpleNamespace(purchased_rows=np.array([7], np.int32), purchased_days=days)
        assert Shopper(record).purchased_within(1, now=now, zone=local).tolist() == [7], hour
        assert not Shopper(record).purchased_within(1, now=now + timedelta(days=2), zone=local).size, hour


def test_recorded_purchases_count_by_their_days_of_utc():
    today = (date(2025, 3, 4) - date(1970, 1, 1)).days
    shopper = Shopper(None, recent=[(1, "purchase", today - 2), (2, "purchase", today), (3, "view", today)])
    now, zone = datetime(2025, 3, 4, 2, tzinfo=UTC), ZoneInfo("America/New_York")
    assert shopper.purchased_within(1, now=now, zone=zone).tolist() == [2]
    assert shopper.purchased_within(2, now=now, zone=zone).tolist() == [1, 2]
    assert shopper.purchased_within(10**12, now=now, zone=zone).tolist() == [1, 2]


def test_a_negative_time_without_purchases_is_refused(stubs):
    request = RecommendRequest(filter=ItemFilter(not_purchased_within=Duration(seconds=-1)))
    assert refusal(stubs.recommendations.Recommend, request).field == "filter.not_purchased_within"


def test_the_same_seed_gives_the_same_page_and_another_one_does_not_always(stubs):
    pages = [
        tuple(ids(recommend(stubs, user_id="ann", rotation_seed=seed, page_size=2).results))
        for seed in range(20)
    ]
    assert pages == [
        tuple(ids(recommend(stubs, user_id="ann", rotation_seed=seed, page_size=2).results))
        for seed in range(20)
    ]
    assert len(set(pages)) > 1


def test_at_most_so_many_items_of_one_category(stubs):
    answer = recommend(stubs, user_id="ann", max_per_category=1)
    assert ids(answer.results) == ["bread", "apple", "wine"]  # pear is fruit too, beer a drink


def test_given_items_come_back_in_the_shoppers_order(stubs):
    request = RankItemsRequest(
        shopper=RecommendRequest(user_id="ann"), item_ids=["beer", "milk", "apple", "none", "wine", "apple"]
    )
    answer = stubs.recommendations.RankItems(request)
    assert ids(answer.results) == ["apple", "wine", "beer"]
    assert list(answer.left_out_item_ids) == ["milk", "none"]


def test_given_items_of_nobody_known_come_back_in_the_order_of_sales(stubs):
    answer = stubs.recommendations.RankItems(RankItemsRequest(item_ids=["wine", "apple", "beer"]))
    assert ids(answer.results) == ["beer", "apple", "wine"]


@pytest.mark.parametrize("item_ids", [[], ["apple"] * 0, [f"i{number}" for number in range(1001)]])
def test_no_given_items_and_too_many_are_refused(stubs, item_ids):
    refused = refusal(stubs.recommendations.RankItems, RankItemsRequest(item_ids=item_ids))
    assert refused.field == "item_ids"


def test_a_batch_answers_as_single_calls_do_and_a_bad_entry_carries_its_own_status(stubs):
    requests = [
        RecommendRequest(user_id="ann", page_size=2),
        RecommendRequest(user_id="ann", page_size=-1),
        RecommendRequest(user_id="nobody", page_size=3),
        RecommendRequest(user_id="ann", snapshot_id="not mapped"),
    ]
    batch = stubs.recommendations.BatchRecommend(BatchRecommendRequest(requests=requests))
    kinds = [entry.WhichOneof("outcome") for entry in batch.results]
    assert kinds == ["response", "status", "response", "status"]
    assert ids(batch.results[0].response.results) == ["bread", "apple"]
    assert batch.results[1].status.code == 3
    assert missing(batch.results[2].response) == {"UNKNOWN_USER"}
    assert not batch.results[0].response.info.degraded
    assert batch.results[3].status.code == 9


def test_a_page_shows_no_item_twice(stubs):
    sources = ("PERSONAL", "BUY_AGAIN", "DISCOVER", "SIMILAR", "BOUGHT_TOGETHER", "BESTSELLERS")
    carousels = [
        Carousel(
            carousel_id=source,
            source=CarouselSource.Value(f"CAROUSEL_SOURCE_{source}"),
            item_id="apple",
            page_size=1,
        )
        for source in sources
    ]
    request = RecommendPageRequest(shopper=RecommendRequest(user_id="ann"), carousels=carousels)
    page = stubs.recommendations.RecommendPage(request)
    assert [result.carousel_id for result in page.results] == list(sources)
    shown = {result.carousel_id: ids(result.results) for result in page.results}
    assert shown["PERSONAL"] == ["bread"]
    assert shown["BUY_AGAIN"] == ["wine"]
    assert shown["DISCOVER"] == ["apple"]
    assert shown["SIMILAR"] == ["pear"]
    assert shown["BOUGHT_TOGETHER"] == []
    assert shown["BESTSELLERS"] == ["beer"]
    every = list(itertools.chain(*shown.values()))
    assert len(every) == len(set(every))


def test_a_carousels_filter_holds_beside_the_pages(stubs):
    request = RecommendPageRequest(
        shopper=RecommendRequest(user_id="ann", filter=ItemFilter(category="Food")),
        carousels=[
            Carousel(carousel_id="fruit", filter=ItemFilter(category="Food > Fruit")),
            Carousel(carousel_id="drinks", filter=ItemFilter(category="Drinks")),
            Carousel(carousel_id="all"),
        ],
    )
    page = stubs.recommendations.RecommendPage(request)
    assert [ids(result.results) for result in page.results] == [["apple", "pear"], [], ["bread"]]


def test_a_page_takes_at_most_so_many_items_of_a_category(stubs):
    carousels = [Carousel(carousel_id="a", page_size=1), Carousel(carousel_id="b")]
    request = RecommendPageRequest(
        shopper=RecommendRequest(user_id="ann"), carousels=carousels, max_per_category=1
    )
    page = stubs.recommendations.RecommendPage(request)
    assert [ids(result.results) for result in page.results] == [["bread"], ["apple", "wine"]]


@pytest.mark.parametrize(
    ("carousels", "field"),
    [
        ([], "carousels"),
        ([Carousel()], "carousels[0].carousel_id"),
        ([Carousel(carousel_id="a"), Carousel(carousel_id="a")], "carousels[1].carousel_id"),
        ([Carousel(carousel_id="a", page_size=-1)], "carousels[0].page_size"),
        ([Carousel(carousel_id="a", max_per_category=-1)], "carousels[0].max_per_category"),
        ([Carousel(carousel_id="a", source=99)], "carousels[0].source"),
    ],
)
def test_a_page_that_cannot_be_is_refused(stubs, carousels, field):
    refused = refusal(stubs.recommendations.RecommendPage, RecommendPageRequest(carousels=carousels))
    assert refused.field == field


@pytest.mark.parametrize(
    ("shopper", "field"),
    [
        ({"user_id": "u" * 257}, "shopper.user_id"),
        ({"context_item_ids": ["c"] * 101}, "shopper.context_item_ids"),
        ({"filter": ItemFilter(brands=["b"] * 101)}, "shopper.filter.brands"),
    ],
)
def test_a_wrong_shopper_of_a_page_or_a_ranking_is_named_from_the_request_down(stubs, shopper, field):
    who = RecommendRequest(**shopper)
    page = RecommendPageRequest(shopper=who, carousels=[Carousel(carousel_id="a")])
    ranking = RankItemsRequest(shopper=who, item_ids=["apple"])
    for method, request in (
        (stubs.recommendations.RecommendPage, page),
        (stubs.recommendations.RankItems, ranking),
    ):
        assert refusal(method, request).field == field


def test_the_filter_of_a_carousel_is_named_as_its_own(stubs):
    carousels = [Carousel(carousel_id="a", filter=ItemFilter(brands=["b"] * 101))]
    refused = refusal(stubs.recommendations.RecommendPage, RecommendPageRequest(carousels=carousels))
    assert refused.field == "carousels[0].filter.brands"


def test_a_ranking_does_not_read_how_many_of_a_page_or_category(stubs):
    shopper = RecommendRequest(user_id="ann", page_size=-1, max_per_category=-1)
    answer = stubs.recommendations.RankItems(RankItemsRequest(shopper=shopper, item_ids=["apple", "pear"]))
    assert set(ids(answer.results)) == {"apple", "pear"}


def test_a_page_size_that_the_shopper_states_is_named_there(stubs):
    shopper = RecommendRequest(page_size=-1)
    request = RecommendPageRequest(shopper=shopper, carousels=[Carousel(carousel_id="a")])
    assert refusal(stubs.recommendations.RecommendPage, request).field == "shopper.page_size"


def test_a_carousel_about_an_unknown_item_is_not_found(stubs):
    carousel = Carousel(carousel_id="a", source=CarouselSource.CAROUSEL_SOURCE_SIMILAR, item_id="no such")
    refused = refusal(stubs.recommendations.RecommendPage, RecommendPageRequest(carousels=[carousel]))
    assert refused.reason == "ITEM_NOT_FOUND"


def test_what_is_bought_together_comes_with_support_confidence_and_lift(stubs):
    answer = stubs.recommendations.ListBoughtTogether(ListBoughtTogetherRequest(item_ids=["apple"]))
    assert ids(entry.ranked_item for entry in answer.results) == ["pear", "wine"]
    pear = answer.results[0]
    assert (pear.with_item_id, pear.order_count, pear.lift) == ("apple", 12, 3.0)
    assert pear.support == pytest.approx(12 / 100)
    assert pear.confidence == pytest.approx(12 / 40)


def test_a_cart_asks_for_all_its_items_at_once_and_gets_none_of_them(stubs):
    request = ListBoughtTogetherRequest(item_ids=["apple", "wine", "no such"])
    assert ids(e.ranked_item for e in stubs.recommendations.ListBoughtTogether(request).results) == ["pear"]
    unknown = ListBoughtTogetherRequest(item_ids=["no such"])
    assert refusal(stubs.recommendations.ListBoughtTogether, unknown).reason == "ITEM_NOT_FOUND"


def test_the_pages_of_what_is_bought_together_go_on(stubs):
    first = stubs.recommendations.ListBoughtTogether(
        ListBoughtTogetherRequest(item_ids=["apple"], page_size=1)
    )
    second = stubs.recommendations.ListBoughtTogether(
        ListBoughtTogetherRequest(item_ids=["apple"], page_size=1, page_token=first.next_page_token)
    )
    assert ids(entry.ranked_item for entry in second.results) == ["wine"]
    assert second.next_page_token == ""


def test_a_full_reason_names_what_was_bought_and_its_share(stubs):
    answer = recommend(stubs, user_id="ann", reason_view=FULL, page_size=10)
    wine = next(entry for entry in answer.results if entry.item.item_id == "wine")
    # Of bread and wine, which ann bought, only bread may be the reason for wine.
    assert [item.item_id for item in wine.reason.items] == ["bread"]
    # Her wine explains the rest: the share is of all that adds to the score.
    assert 0 < wine.reason.items[0].share < 1
    assert wine.reason.code == ReasonCode.REASON_CODE_BECAUSE_YOU_BOUGHT
    assert wine.reason.text == "Because you bought Bread"
    pear = next(entry for entry in answer.results if entry.item.item_id == "pear")
    assert sum(item.share for item in pear.reason.items) == pytest.approx(1)


def test_a_full_reason_of_the_page_at_hand_names_it(stubs):
    answer = recommend(stubs, context_item_ids=["apple"], reason_view=FULL, page_size=1)
    (pear,) = answer.results
    assert pear.reason.code == ReasonCode.REASON_CODE_BOUGHT_TOGETHER
    assert [item.item_id for item in pear.reason.items] == ["apple"]
    assert pear.reason.text == "Often bought together with Apple"


def test_a_basic_reason_names_no_items(stubs):
    answer = recommend(stubs, user_id="ann", page_size=10)
    assert all(not entry.reason.items and not entry.reason.rule_id for entry in answer.results)
