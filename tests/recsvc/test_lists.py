from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from recdata.live import ItemChange, RuleRecord
from recsvc.bestselling import list_bestsellers
from recsvc.errors import InvalidFieldError
from recsvc.v1.bestseller_service_pb2 import (
    BestsellerKind,
    ListBestsellersRequest,
    ListBestsellersResponse,
)
from recsvc.v1.catalog_service_pb2 import Rule, RuleAction, RuleScope
from recsvc.v1.common_pb2 import DegradationReason, ItemFilter, Language, SourceType
from recsvc.v1.recommendation_service_pb2 import ListSimilarItemsRequest
from recsvc.v1.selection_service_pb2 import (
    CandidateFilter,
    ForecastLevel,
    GetForecastRequest,
    LifecycleStage,
    ListCandidatesRequest,
    SelectionAction,
)
from recsvc.v1.snapshot_service_pb2 import GetServingStateRequest
from tests.recsvc.shop import open_shop
from tests.recsvc.tiny import Tiny, ranked_list


def days(number: int) -> Duration:
    window = Duration()
    window.FromTimedelta(timedelta(days=number))
    return window


def sold(answer) -> list[str]:
    return [entry.ranked_item.item.item_id for entry in answer.results]


def test_similar_items_come_most_similar_first_without_those_that_cannot_be_sold(stubs):
    answer = stubs.recommendations.ListSimilarItems(ListSimilarItemsRequest(item_id="apple"))
    assert [entry.item.item_id for entry in answer.results] == ["pear", "bread"]
    assert [entry.score for entry in answer.results] == pytest.approx([0.9, 0.7])
    assert {entry.source for entry in answer.results} == {SourceType.SOURCE_TYPE_SIMILAR}
    assert answer.next_page_token == ""


def test_similar_items_can_be_filtered_and_paged(stubs):
    ask = stubs.recommendations.ListSimilarItems
    fruit = ItemFilter(category="Food > Fruit")
    assert [e.item.item_id for e in ask(ListSimilarItemsRequest(item_id="apple", filter=fruit)).results] == [
        "pear"
    ]
    first = ask(ListSimilarItemsRequest(item_id="apple", page_size=1))
    second = ask(ListSimilarItemsRequest(item_id="apple", page_size=1, page_token=first.next_page_token))
    assert [e.item.item_id for e in (*first.results, *second.results)] == ["pear", "bread"]
    assert second.next_page_token == ""


def test_an_item_without_similar_ones_has_an_empty_list(stubs):
    assert not stubs.recommendations.ListSimilarItems(ListSimilarItemsRequest(item_id="wine")).results


def test_bestsellers_of_the_longest_window_come_without_a_window(stubs):
    answer = stubs.bestsellers.ListBestsellers(ListBestsellersRequest())
    assert sold(answer) == ["beer", "apple", "bread"]
    assert [entry.buyers for entry in answer.results] == [40, 20, 10]
    assert answer.window == days(28)
    assert not answer.info.degraded


def test_window_kind_and_category_choose_the_list(stubs):
    ask = stubs.bestsellers.ListBestsellers
    assert sold(ask(ListBestsellersRequest(window=days(7)))) == ["wine"]
    assert sold(ask(ListBestsellersRequest(category="Food"))) == ["bread", "apple"]
    trending = ask(ListBestsellersRequest(kind=BestsellerKind.BESTSELLER_KIND_TRENDING))
    assert sold(trending) == ["wine", "pear"]
    assert trending.results[0].ranked_item.source == SourceType.SOURCE_TYPE_TRENDING
    assert trending.results[0].ranked_item.reason.text == "Trending"


def test_a_channel_without_a_list_gets_the_wider_one_and_says_so(stubs):
    ask = stubs.bestsellers.ListBestsellers
    assert sold(ask(ListBestsellersRequest(channel="app", region="north"))) == ["pear", "wine"]
    wider = ask(ListBestsellersRequest(channel="app", region="south"))
    assert sold(wider) == ["wine", "beer"]
    assert wider.info.degraded
    assert "'south'" in wider.info.degradations[0].detail


def test_a_kind_without_any_list_and_a_category_without_one_are_empty(stubs):
    ask = stubs.bestsellers.ListBestsellers
    assert not ask(ListBestsellersRequest(kind=BestsellerKind.BESTSELLER_KIND_NEW)).results
    assert not ask(ListBestsellersRequest(category="Empty")).results


def test_bestsellers_are_paged_without_gap_or_repeat(stubs):
    seen, token = [], ""
    while True:
        answer = stubs.bestsellers.ListBestsellers(ListBestsellersRequest(page_size=2, page_token=token))
        seen += sold(answer)
        token = answer.next_page_token
        if not token:
            break
    assert seen == ["beer", "apple", "bread"]


@pytest.fixture
def shop(tmp_path):
    with open_shop(tmp_path) as shop:
        yield shop


def bestsellers(shop, **fields):
    return shop.ask(list_bestsellers, ListBestsellersRequest(**fields), ListBestsellersResponse)


def put_rule(shop, rule_id: str, action: str, item_ids: list[str], **fields) -> None:
    rule = Rule(
        rule_id=rule_id,
        action=RuleAction.Value(f"RULE_ACTION_{action}"),
        target=ItemFilter(include_item_ids=item_ids),
        **fields,
    )
    shop.live.store.put_rule(RuleRecord(rule_id, rule.SerializeToString()), expect="new")


def test_bestsellers_obey_the_filter_beside_the_category(shop):
    assert sold(bestsellers(shop, filter=ItemFilter(exclude_item_ids=["apple"]))) == ["beer", "bread"]
    assert sold(bestsellers(shop, filter=ItemFilter(brands=["Orchard"]))) == ["apple"]
    assert sold(bestsellers(shop, category="Food", filter=ItemFilter(brands=["Orchard"]))) == ["apple"]
    out = bestsellers(shop, filter=ItemFilter(include_out_of_stock=True))
    assert sold(out) == ["beer", "milk", "apple", "bread"]
    with pytest.raises(InvalidFieldError) as caught:
        bestsellers(shop, filter=ItemFilter(brands=["b"] * 101))
    assert caught.value.field == "filter.brands"


def test_a_filter_with_a_category_that_is_not_there_matches_nothing_and_says_so(shop):
    answer = bestsellers(shop, filter=ItemFilter(category="Toys"))
    assert not answer.results
    assert [each.reason for each in answer.info.degradations] == [
        DegradationReason.DEGRADATION_REASON_UNKNOWN_CATEGORY
    ]


def test_a_filtered_list_goes_on_in_the_lists_of_the_categories_below(tmp_path):
    lists = {
        ("best", 28, "", "", ""): ranked_list("beer", "milk"),
        ("best", 28, "Food", "", ""): ranked_list("apple"),
        ("best", 28, "Food > Fruit", "", ""): ranked_list("apple", "pear"),
        ("best", 28, "Drinks", "", ""): ranked_list("beer", "milk", "wine"),
    }
    with open_shop(tmp_path, Tiny(lists=lists)) as shop:
        assert sold(bestsellers(shop)) == ["beer"]
        known = ItemFilter(include_item_ids=["beer", "pear", "apple", "wine", "milk"])
        # By score, then by item: beer 2, then what the lists below add: apple 1, pear 1, wine 1.
        assert sold(bestsellers(shop, filter=known)) == ["beer", "apple", "pear", "wine"]
        assert sold(bestsellers(shop, category="Food", filter=known)) == ["apple", "pear"]
        seen, token = [], ""
        for _ in range(4):
            page = bestsellers(shop, filter=known, page_size=1, page_token=token)
            seen += sold(page)
            token = page.next_page_token
        assert (seen, token) == (["beer", "apple", "pear", "wine"], "")


def test_bestsellers_show_the_stock_and_price_of_now(shop):
    after = 1 + 1_740_790_800_000_000  # 2025-03-01 01:00 UTC, when the catalogue was imported
    shop.live.store.update_items(
        {
            "beer": ItemChange(update_time_us=after, stock=0),
            "milk": ItemChange(update_time_us=after, stock=5, price=1.25),
        }
    )
    answer = bestsellers(shop)
    assert sold(answer) == ["milk", "apple", "bread"]
    price = answer.results[0].ranked_item.item.price
    assert (price.currency_code, price.units, price.nanos) == ("CNY", 1, 250_000_000)


def test_hidden_items_are_in_no_list_and_pinned_ones_stand_where_they_are_pinned(shop):
    put_rule(shop, "hide", "HIDE", ["apple"])
    put_rule(shop, "pin", "PIN", ["bread"], position=1)
    put_rule(shop, "unsold", "PIN", ["wine"], position=3)
    put_rule(shop, "out", "PIN", ["milk"], position=2)  # cannot be sold
    put_rule(shop, "boost", "BOOST", ["bread"], factor=100)  # counts are not boosted
    answer = bestsellers(shop)
    assert sold(answer) == ["bread", "beer", "wine"]
    assert [entry.ranked_item.source for entry in answer.results] == [
        SourceType.SOURCE_TYPE_RULE,
        SourceType.SOURCE_TYPE_BESTSELLER,
        SourceType.SOURCE_TYPE_RULE,
    ]
    assert [entry.buyers for entry in answer.results] == [10, 40, 0]
    assert answer.results[2].ranked_item.reason.text == "Picked by the shop"
    assert sold(bestsellers(shop, category="Food")) == ["bread"]
    assert sold(bestsellers(shop, filter=ItemFilter(exclude_item_ids=["bread"]))) == ["beer", "wine"]
    first = bestsellers(shop, page_size=2)
    second = bestsellers(shop, page_size=2, page_token=first.next_page_token)
    assert sold(first) + sold(second) == ["bread", "beer", "wine"]


def test_rules_of_a_placement_or_a_category_hold_there_only(shop):
    put_rule(shop, "home", "HIDE", ["beer"], scope=RuleScope(placements=["home"]))
    put_rule(shop, "food", "HIDE", ["bread"], scope=RuleScope(category="Food"))
    assert sold(bestsellers(shop)) == ["beer", "apple", "bread"]
    assert sold(bestsellers(shop, placement="home")) == ["apple", "bread"]
    assert sold(bestsellers(shop, category="Food")) == ["apple"]
    assert sold(bestsellers(shop, filter=ItemFilter(category="Food"))) == ["apple"]


def test_candidates_come_by_rank_with_all_that_is_known_of_them(stubs):
    answer = stubs.selection.ListCandidates(ListCandidatesRequest(language=Language.LANGUAGE_EN))
    assert [(entry.rank, entry.item.item_id) for entry in answer.results] == [
        (1, "pear"),
        (2, "beer"),
        (3, "apple"),
    ]
    assert answer.total_size == 3
    best = answer.results[0]
    assert best.action == SelectionAction.SELECTION_ACTION_PUSH
    assert best.stage == LifecycleStage.LIFECYCLE_STAGE_GROWTH
    assert (best.demand, best.demand_q10, best.demand_q90) == (100, 80, 130)
    assert (best.revenue_at_stake.units, best.revenue_at_stake.nanos) == (150, 500_000_000)
    assert {part.name: part.value for part in best.components} == {"demand": 0.7, "trend": 0.6}
    assert list(best.reasons) == ["Demand is rising"]


def test_candidates_can_be_filtered_by_category_action_and_stage(stubs):
    def ask(**fields):
        answer = stubs.selection.ListCandidates(ListCandidatesRequest(filter=CandidateFilter(**fields)))
        assert answer.total_size == len(answer.results)
        return [entry.item.item_id for entry in answer.results]

    assert ask(category="Food") == ["pear", "apple"]
    assert ask(category="Food", action=SelectionAction.SELECTION_ACTION_DROP) == ["apple"]
    assert ask(stage=LifecycleStage.LIFECYCLE_STAGE_MATURE) == ["beer"]
    assert ask(action=SelectionAction.SELECTION_ACTION_LAUNCH) == []


def test_candidates_are_paged_and_reasons_follow_the_language(stubs):
    ask = stubs.selection.ListCandidates
    first = ask(ListCandidatesRequest(page_size=2))
    second = ask(
        ListCandidatesRequest(page_size=2, page_token=first.next_page_token, language=Language.LANGUAGE_ZH)
    )
    assert [entry.rank for entry in (*first.results, *second.results)] == [1, 2, 3]
    assert list(second.results[0].reasons) == ["需求上升"]
    assert second.next_page_token == ""


def test_a_forecast_has_a_day_after_the_other_from_the_snapshots_day_on(stubs):
    ask = stubs.selection.GetForecast
    forecast = ask(GetForecastRequest(level=ForecastLevel.FORECAST_LEVEL_TOTAL)).forecast
    assert forecast.method == "prophet"
    assert [(day.day.year, day.day.month, day.day.day) for day in forecast.days] == [
        (2025, 3, 1),
        (2025, 3, 2),
        (2025, 3, 3),
    ]
    assert [(day.q10, day.mean, day.q90) for day in forecast.days] == [(2, 3, 4), (3, 4, 5), (4, 5, 6)]
    short = ask(GetForecastRequest(level=ForecastLevel.FORECAST_LEVEL_TOTAL, days=2)).forecast
    assert len(short.days) == 2


def test_the_serving_state_tells_what_serves(stubs):
    state = stubs.snapshots.GetServingState(GetServingStateRequest())
    snapshot = state.snapshot
    assert snapshot.snapshot_id == state.published_snapshot_id
    assert (snapshot.as_of.year, snapshot.as_of.month, snapshot.as_of.day) == (2025, 3, 1)
    assert (snapshot.item_count, snapshot.user_count, snapshot.candidate_count) == (6, 3, 3)
    assert [(window.kind, window.window) for window in snapshot.windows] == [
        ("best", days(28)),
        ("best", days(7)),
        ("trending", days(28)),
    ]
    assert [(metric.name, metric.value) for metric in snapshot.metrics] == [("ndcg_at_20", 0.25)]
    assert snapshot.create_time.ToJsonString() == "2025-03-01T02:00:00Z"
    assert not state.HasField("load_failure")
