from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from recsvc.v1.bestseller_service_pb2 import BestsellerKind, ListBestsellersRequest
from recsvc.v1.common_pb2 import ItemFilter, Language, SourceType
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
