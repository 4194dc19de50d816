"""Candidates in any order, under any weights and one by one, as a caller sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.type.money_pb2 import Money

from recsvc import paging
from recsvc.candidates import weighted_mean
from recsvc.server import Server
from recsvc.v1.catalog_service_pb2 import UpdateItemsRequest
from recsvc.v1.common_pb2 import Language
from recsvc.v1.selection_service_pb2 import (
    CandidateFilter,
    GetCandidateRequest,
    ListCandidatesRequest,
    RescoreCandidatesRequest,
    ReviewState,
    SelectionAction,
)
from selection.config import WeightsConfig
from selection.score import COMPONENTS, weighted_score
from tests.recsvc.conftest import CONFIG, Stubs, refusal
from tests.recsvc.picks import ids, shop, weights
from tests.recsvc.tiny import Tiny

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
EN, ZH = Language.LANGUAGE_EN, Language.LANGUAGE_ZH


@pytest.fixture(scope="module")
def selection(tmp_path_factory) -> Iterator:
    home: Path = tmp_path_factory.mktemp("picks")
    shop().publish(home)
    server = Server(home, CONFIG)
    server.start()
    with grpc.insecure_channel(server.address) as channel:
        yield Stubs(channel).selection
    server.stop()


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        ("", ["pear", "beer", "apple", "wine", "bread"]),
        ("rank", ["pear", "beer", "apple", "wine", "bread"]),
        ("rank desc", ["bread", "wine", "apple", "beer", "pear"]),
        ("trend desc", ["pear", "wine", "bread", "apple", "beer"]),
        ("  trend  ", ["beer", "apple", "bread", "wine", "pear"]),
        # Equals come by rank: beer before wine.
        ("demand desc", ["beer", "wine", "pear", "bread", "apple"]),
        ("demand desc, trend desc", ["wine", "beer", "pear", "bread", "apple"]),
        # What is not known comes last, in either direction.
        ("expected_value desc", ["beer", "wine", "pear", "apple", "bread"]),
        ("expected_value", ["pear", "wine", "beer", "apple", "bread"]),
        ("hit_probability desc,rank desc", ["apple", "pear", "bread", "wine", "beer"]),
    ],
)
def test_candidates_come_in_the_order_asked_for(selection, order_by, expected):
    assert ids(selection.ListCandidates(ListCandidatesRequest(order_by=order_by))) == expected


@pytest.mark.parametrize(
    ("order_by", "reason", "why"),
    [
        ("popularity", "UNKNOWN_ORDER_FIELD", "'popularity'"),
        ("score desc,,rank", "UNKNOWN_ORDER_FIELD", "''"),
        ("Score", "UNKNOWN_ORDER_FIELD", "give rank, score"),
        ("score down", "INVALID_FIELD", '"desc" for the largest'),
        ("score desc desc", "INVALID_FIELD", "desc desc"),
        ("rank,rank,rank,rank,rank,rank", "INVALID_FIELD", "6 fields"),
        ("x" * 600, "INVALID_FIELD", "600 bytes"),
    ],
)
def test_an_order_that_names_no_field_is_refused_with_the_fields_there_are(selection, order_by, reason, why):
    refused = refusal(selection.ListCandidates, ListCandidatesRequest(order_by=order_by))
    assert (refused.code, refused.reason, refused.field) == (INVALID, reason, "order_by")
    assert why in refused.message


def test_candidates_can_be_filtered_by_where_they_sold(selection):
    def ask(**fields):
        return selection.ListCandidates(ListCandidatesRequest(filter=CandidateFilter(**fields)))

    assert ids(ask(sold_in_channel="app")) == ["pear", "wine"]
    assert ids(ask(sold_in_region="north")) == ["wine"]
    assert ask(sold_in_channel="app", category="Food").total_size == 1
    assert ids(ask(sold_in_channel="app", action=SelectionAction.SELECTION_ACTION_KEEP)) == []


@pytest.mark.parametrize(
    ("fields", "code", "reason", "field"),
    [
        ({"sold_in_channel": "fax"}, NOT_FOUND, "CHANNEL_NOT_FOUND", ""),
        ({"sold_in_region": "moon"}, NOT_FOUND, "REGION_NOT_FOUND", ""),
        ({"category": "Toys"}, NOT_FOUND, "CATEGORY_NOT_FOUND", ""),
        ({"action": 99}, INVALID, "INVALID_FIELD", "filter.action"),
        ({"stage": -1}, INVALID, "INVALID_FIELD", "filter.stage"),
        ({"review_state": 7}, INVALID, "INVALID_FIELD", "filter.review_state"),
    ],
)
def test_a_filter_that_names_what_is_not_there_is_refused(selection, fields, code, reason, field):
    asked = CandidateFilter(**fields)
    for method, request in (
        (selection.ListCandidates, ListCandidatesRequest(filter=asked)),
        (selection.RescoreCandidates, RescoreCandidatesRequest(filter=asked, weights=weights(trend=1))),
    ):
        refused = refusal(method, request)
        assert (refused.code, refused.reason, refused.field) == (code, reason, field)


def test_one_candidate_comes_with_every_piece_of_evidence(selection):
    answer = selection.GetCandidate(GetCandidateRequest(item_id="pear", language=EN))
    found = answer.candidate
    assert (found.rank, found.item.item_id, found.item.title) == (1, "pear", "梨 🍐")
    assert (found.hit_probability, found.top_probability, found.keep_probability) == (0.25, 0.5, 0.875)
    assert (found.hit_alarm_on.year, found.hit_alarm_on.month, found.hit_alarm_on.day) == (2025, 2, 14)
    assert found.expected_value == Money(currency_code="CNY", units=120, nanos=500_000_000)
    assert (found.expected_value_q10.units, found.expected_value_q90.nanos) == (80, 250_000_000)
    assert (found.price_place, found.discount, found.chosen) == (0.75, 0.125, True)
    assert (found.elasticity.value, found.elasticity.low, found.elasticity.high) == (-1.5, -2.0, -1.0)
    assert [(each.item_id, each.title, each.similarity) for each in found.look_alikes] == [
        ("apple", "Apple", 0.75),
        ("gone", "", 0.5),
    ]
    texts = (list(found.reasons), list(found.against), list(found.changes))
    assert texts == (["Demand is rising"], ["It is dear"], ["A tenth off"])
    assert (answer.forecast.method, [day.mean for day in answer.forecast.days]) == ("croston", [1, 2, 3])
    assert found.review.state == ReviewState.REVIEW_STATE_PENDING
    assert list(answer.reviews) == []
    chinese = selection.GetCandidate(GetCandidateRequest(item_id="pear", language=ZH)).candidate
    assert (list(chinese.against), list(chinese.changes)) == (["价格偏高"], ["降价一成"])


def test_what_is_not_known_of_a_candidate_is_absent_and_not_zero(selection):
    answer = selection.GetCandidate(GetCandidateRequest(item_id="wine"))
    for name in (
        *("hit_probability", "hit_alarm_on", "top_probability", "keep_probability", "expected_value_q10"),
        *("price_place", "elasticity", "discount", "chosen"),
    ):
        assert not answer.candidate.HasField(name), name
    assert answer.candidate.expected_value.units == 300
    assert not answer.HasField("forecast")
    bread = selection.GetCandidate(GetCandidateRequest(item_id="bread")).candidate
    assert bread.HasField("chosen")
    assert not bread.chosen


def test_a_list_has_what_is_known_but_for_changes_and_look_alikes(selection):
    listed = selection.ListCandidates(ListCandidatesRequest(language=EN)).results[0]
    full = selection.GetCandidate(GetCandidateRequest(item_id="pear", language=EN)).candidate
    assert (len(listed.changes), len(listed.look_alikes)) == (0, 0)
    del full.changes[:], full.look_alikes[:]
    assert listed == full


@pytest.mark.parametrize(
    ("item_id", "code", "reason"),
    [
        ("milk", NOT_FOUND, "CANDIDATE_NOT_FOUND"),
        ("none", NOT_FOUND, "ITEM_NOT_FOUND"),
        ("", INVALID, "INVALID_FIELD"),
        ("x" * 300, INVALID, "INVALID_FIELD"),
    ],
)
def test_what_is_no_candidate_cannot_be_got(selection, item_id, code, reason):
    refused = refusal(selection.GetCandidate, GetCandidateRequest(item_id=item_id))
    assert (refused.code, refused.reason) == (code, reason)
    if code is NOT_FOUND:
        assert refused.metadata["item_id"] == item_id


def test_other_weights_give_another_order_with_ranks_and_scores_old_and_new(selection):
    # Half demand, half hit: pear .7, apple .65, beer .3, wine .3 (equal, by item id), bread .05.
    answer = selection.RescoreCandidates(RescoreCandidatesRequest(weights=weights(hit=2, demand=2)))
    assert ids(answer) == ["pear", "apple", "beer", "wine", "bread"]
    assert [entry.rank for entry in answer.results] == [1, 2, 3, 4, 5]
    assert [entry.score for entry in answer.results] == pytest.approx([0.7, 0.65, 0.3, 0.3, 0.05])
    assert [entry.candidate.rank for entry in answer.results] == [1, 3, 2, 4, 5]
    assert [entry.candidate.score for entry in answer.results] == pytest.approx([0.9, 0.7, 0.8, 0.6, 0.5])
    assert answer.total_size == 5


def test_a_component_that_is_not_named_weighs_nothing(selection):
    answer = selection.RescoreCandidates(RescoreCandidatesRequest(weights=weights(trend=0.1, hit=0)))
    assert ids(answer) == ["beer", "apple", "wine", "pear", "bread"]
    assert [entry.score for entry in answer.results] == pytest.approx([0.8, 0.6, 0.6, 0.2, 0.0])


def test_a_filter_leaves_the_new_ranks_as_they_are(selection):
    answer = selection.RescoreCandidates(
        RescoreCandidatesRequest(weights=weights(trend=1), filter=CandidateFilter(category="Food"))
    )
    assert [(entry.rank, entry.candidate.item.item_id) for entry in answer.results] == [
        (2, "apple"),
        (4, "pear"),
        (5, "bread"),
    ]


@pytest.mark.parametrize(
    ("asked", "reason", "field"),
    [
        ([], "INVALID_FIELD", "weights"),
        (weights(trend=0, hit=0), "INVALID_FIELD", "weights"),
        (weights(trend=1, hit=-0.5), "INVALID_FIELD", "weights[1].weight"),
        (weights(trend=float("nan")), "INVALID_FIELD", "weights[0].weight"),
        (weights(trend=float("inf")), "INVALID_FIELD", "weights[0].weight"),
        (weights(trend=1, charm=1), "UNKNOWN_COMPONENT", "weights[1].name"),
        (weights(trend=1) + weights(trend=2), "INVALID_FIELD", "weights[1].name"),
        (weights(trend=1) * 101, "INVALID_FIELD", "weights"),
    ],
)
def test_weights_that_cannot_be_are_refused(selection, asked, reason, field):
    refused = refusal(selection.RescoreCandidates, RescoreCandidatesRequest(weights=asked))
    assert (refused.code, refused.reason, refused.field) == (INVALID, reason, field)
    if reason == "UNKNOWN_COMPONENT":
        assert "demand, trend, hit" in refused.message
    if field == "weights[0].weight":
        assert "give a finite number, 0 or more" in refused.message


@pytest.mark.parametrize(
    "given", [[1e308, 1e308, 1e308], [5e-324, 0.0, 0.0], [1.0, 2.0, 3.0]], ids=["huge", "tiny", "plain"]
)
def test_the_weighted_mean_stays_between_0_and_1_whatever_the_size_of_the_weights(given):
    parts = [np.array([0.0, 1.0, 0.25]), np.array([0.0, 1.0, 0.5]), np.array([0.0, 1.0, 1.0])]
    shares = np.array(given) / max(given)
    expected = np.average(parts, axis=0, weights=shares)
    assert weighted_mean(parts, given) == pytest.approx(expected)


@pytest.mark.parametrize("order_by", ["", "demand desc", "hit_probability"])
def test_pages_put_together_are_the_whole_list(selection, order_by):
    whole = ids(selection.ListCandidates(ListCandidatesRequest(order_by=order_by)))
    found, token = [], ""
    while True:
        request = ListCandidatesRequest(order_by=order_by, page_size=2, page_token=token)
        answer = selection.ListCandidates(request)
        assert answer.total_size == 5
        found += ids(answer)
        token = answer.next_page_token
        if not token:
            break
    assert found == whole


def test_rescored_pages_put_together_are_the_whole_list(selection):
    asked = weights(trend=1, hit=1)
    first = selection.RescoreCandidates(RescoreCandidatesRequest(weights=asked, page_size=3))
    request = RescoreCandidatesRequest(weights=asked, page_size=3, page_token=first.next_page_token)
    second = selection.RescoreCandidates(request)
    assert [entry.rank for entry in (*first.results, *second.results)] == [1, 2, 3, 4, 5]
    assert second.next_page_token == ""


def test_a_token_is_of_one_order_one_filter_and_one_set_of_weights(selection):
    token = selection.ListCandidates(ListCandidatesRequest(page_size=1)).next_page_token
    for method, request in (
        (selection.ListCandidates, ListCandidatesRequest(page_token=token, order_by="demand")),
        (selection.ListCandidates, ListCandidatesRequest(page_token=token, filter={"category": "Food"})),
        (selection.RescoreCandidates, RescoreCandidatesRequest(page_token=token, weights=weights(hit=1))),
    ):
        refused = refusal(method, request)
        assert (refused.code, refused.reason) == (INVALID, "PAGE_TOKEN_MISMATCH")
    request = RescoreCandidatesRequest(weights=weights(hit=1), page_size=1)
    token = selection.RescoreCandidates(request).next_page_token
    other = RescoreCandidatesRequest(weights=weights(hit=1, trend=1), page_token=token)
    assert refusal(selection.RescoreCandidates, other).reason == "PAGE_TOKEN_MISMATCH"


def test_a_token_that_points_past_the_end_ends_the_list(selection):
    snapshot_id = selection.ListCandidates(ListCandidatesRequest()).info.snapshot_id
    token = paging.next_token(ListCandidatesRequest(), snapshot_id, 2**64 - 1)
    answer = selection.ListCandidates(ListCandidatesRequest(page_token=token))
    assert (len(answer.results), answer.next_page_token, answer.total_size) == (0, "", 5)


def test_a_candidate_has_the_price_of_now_in_every_answer(tmp_path, start):
    shop().publish(tmp_path)
    server = start(tmp_path)
    with grpc.insecure_channel(server.address) as channel:
        stubs = Stubs(channel)
        stubs.selection.ListCandidates(ListCandidatesRequest())  # fills the entries that are kept
        price = Money(currency_code="CNY", units=7, nanos=250_000_000)
        stubs.catalog.UpdateItems(UpdateItemsRequest(updates=[{"item_id": "beer", "price": price}]))
        listed = stubs.selection.ListCandidates(ListCandidatesRequest())
        assert listed.results[1].item.price == price
        assert listed.results[2].item.price.units == 1
        rescored = stubs.selection.RescoreCandidates(RescoreCandidatesRequest(weights=weights(trend=1)))
        assert rescored.results[0].candidate.item.price == price
        got = stubs.selection.GetCandidate(GetCandidateRequest(item_id="beer"))
        assert got.candidate.item.price == price


def test_a_snapshot_without_candidates_has_an_empty_list_and_no_component(tmp_path, start):
    Tiny(candidates=[]).publish(tmp_path)
    server = start(tmp_path)
    with grpc.insecure_channel(server.address) as channel:
        selection = Stubs(channel).selection
        answer = selection.ListCandidates(ListCandidatesRequest(order_by="score desc"))
        assert (len(answer.results), answer.total_size) == (0, 0)
        refused = refusal(selection.RescoreCandidates, RescoreCandidatesRequest(weights=weights(trend=1)))
        assert refused.reason == "UNKNOWN_COMPONENT"
        refused = refusal(selection.GetCandidate, GetCandidateRequest(item_id="apple"))
        assert refused.reason == "CANDIDATE_NOT_FOUND"


def test_the_published_weights_give_the_published_score():
    config = WeightsConfig()
    parts = dict(zip(COMPONENTS, np.random.default_rng(5).random((len(COMPONENTS), 100)), strict=True))
    weighed = {name: weight for name in COMPONENTS if (weight := getattr(config, name))}
    mine = weighted_mean([parts[name] for name in weighed], list(weighed.values()))
    assert mine.tolist() == weighted_score(parts, config).tolist()
