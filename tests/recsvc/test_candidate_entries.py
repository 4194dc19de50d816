"""Candidates as bytes: what is kept and what is made anew are the same messages."""

from __future__ import annotations

import numpy as np
import pytest
from google.type.money_pb2 import Money

from recdata.releases import Releases
from recsvc.candidate_entries import CandidateEntries
from recsvc.review_book import UNTOUCHED
from recsvc.v1.common_pb2 import Language
from recsvc.v1.selection_service_pb2 import (
    GetCandidateResponse,
    ListCandidatesResponse,
    RescoreCandidatesResponse,
    ReviewState,
    ReviewStatus,
)
from recsvc.wire import money
from tests.recsvc.picks import shop
from tests.recsvc.tiny import ROWS, candidate

EN, ZH = Language.LANGUAGE_EN, Language.LANGUAGE_ZH
APPROVED = ReviewStatus(state=ReviewState.REVIEW_STATE_APPROVED, review_count=300).SerializeToString()


@pytest.fixture
def snapshot(tmp_path):
    shop().publish(tmp_path)
    opened = Releases(tmp_path).open_current()
    yield opened
    opened.close()


def listed(entries: CandidateEntries, places, reviews, language=EN, prices=None):
    return ListCandidatesResponse.FromString(entries.results(places, reviews, language, prices or {})).results


@pytest.mark.parametrize("max_kept", [1, 2, 100])
def test_an_entry_is_the_same_however_often_it_is_asked_for_and_let_go(snapshot, max_kept):
    entries = CandidateEntries(snapshot, max_kept=max_kept)
    places = [0, 3, 1, 4, 2]
    first = listed(entries, places, [UNTOUCHED] * 5)
    assert [entry.rank for entry in first] == [1, 4, 2, 5, 3]
    for _ in range(2):
        assert list(listed(entries, places, [UNTOUCHED] * 5)) == list(first)
        assert [entry.rank for entry in listed(entries, [4, 0], [UNTOUCHED] * 2, ZH)] == [5, 1]


def test_reviews_prices_and_languages_are_those_of_the_call(snapshot):
    entries = CandidateEntries(snapshot)
    for _ in range(2):
        touched, bare, plain = listed(entries, [0, 0, 0], [APPROVED, b"", UNTOUCHED])
        assert touched.review.state == ReviewState.REVIEW_STATE_APPROVED
        assert touched.review.review_count == 300
        assert not bare.HasField("review")
        assert plain.review.state == ReviewState.REVIEW_STATE_PENDING
        priced = listed(entries, [1], [UNTOUCHED], prices={ROWS["beer"]: 7.25})[0]
        assert (priced.item.price.units, priced.item.price.nanos) == (7, 250_000_000)
        assert listed(entries, [1], [UNTOUCHED])[0].item.price.units == 2
        assert listed(entries, [0], [UNTOUCHED], ZH)[0].against == ["价格偏高"]
        assert listed(entries, [0], [UNTOUCHED], EN)[0].against == ["It is dear"]


def test_a_rescored_entry_holds_the_listed_one(snapshot):
    entries = CandidateEntries(snapshot)
    reviews = [UNTOUCHED, APPROVED]
    made = entries.rescored([2, 0], [1, 91_648], [0.75, 0.0], reviews, EN, {})
    found = RescoreCandidatesResponse.FromString(made).results
    assert [(entry.rank, entry.score) for entry in found] == [(1, 0.75), (91_648, 0.0)]
    assert [entry.candidate for entry in found] == list(listed(entries, [2, 0], reviews))


def test_a_page_is_the_same_when_it_is_asked_for_again(snapshot):
    entries = CandidateEntries(snapshot)

    def page(review=UNTOUCHED, language=EN, prices=None) -> GetCandidateResponse:
        return GetCandidateResponse.FromString(entries.page(0, review, language, prices or {}))

    first = page()
    assert (first.candidate.changes, len(first.forecast.days)) == (["A tenth off"], 3)
    assert page() == first
    assert page(language=ZH).candidate.changes == ["降价一成"]
    assert page(APPROVED).candidate.review.review_count == 300
    assert not page(b"").candidate.HasField("review")
    assert page(prices={ROWS["pear"]: 3.5}).candidate.item.price.units == 3
    assert page() == first


@pytest.mark.parametrize("amount", [1e21, -1e19, 2.0**63, float("inf"), float("nan")])
def test_an_amount_that_money_has_no_room_for_is_absent_and_the_rest_is_told(tmp_path, amount):
    shop(candidates=[candidate(1, "pear", "push", "growth", expected_value=amount)]).publish(tmp_path)
    opened = Releases(tmp_path).open_current()
    (entry,) = listed(CandidateEntries(opened), [0], [UNTOUCHED])
    opened.close()
    assert (entry.rank, entry.HasField("expected_value")) == (1, False)


def test_the_largest_amount_that_money_holds_is_told():
    largest = np.nextafter(2.0**63, 0.0).item()
    assert money(largest, "CNY") == Money(currency_code="CNY", units=9_223_372_036_854_775_000)
