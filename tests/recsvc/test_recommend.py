from __future__ import annotations

import pytest

from recsvc.v1.common_pb2 import DegradationReason, ItemFilter, Language, ReasonCode, SourceType
from recsvc.v1.recommendation_service_pb2 import RecommendRequest
from tests.recsvc.tiny import UNICODE_USER

SHORT = {
    SourceType.SOURCE_TYPE_COLLABORATIVE: "C",
    SourceType.SOURCE_TYPE_REPEAT: "R",
    SourceType.SOURCE_TYPE_BESTSELLER: "B",
    SourceType.SOURCE_TYPE_CATALOGUE: "K",
    SourceType.SOURCE_TYPE_SEGMENT: "S",
}


@pytest.fixture
def ask(stubs):
    def asking(**fields):
        filter_ = ItemFilter(
            category=fields.pop("category", ""), exclude_item_ids=fields.pop("exclude_item_ids", ())
        )
        return stubs.recommendations.Recommend(RecommendRequest(filter=filter_, **fields))

    return asking


def items(answer) -> str:
    return " ".join(f"{entry.item.item_id}:{SHORT[entry.source]}" for entry in answer.results)


def reasons(answer) -> list[str]:
    return [DegradationReason.Name(each.reason)[19:] for each in answer.info.degradations]


def test_a_known_shopper_gets_the_ranked_items_that_can_be_sold(ask):
    answer = ask(user_id="ann", page_size=2)
    assert items(answer) == "bread:R apple:C"
    assert [entry.score for entry in answer.results] == pytest.approx([0.9, 0.5])
    assert not answer.info.degraded


def test_when_the_ranked_items_run_out_the_exact_product_goes_on(ask):
    answer = ask(user_id="ann", page_size=10)
    assert items(answer) == "bread:R apple:C wine:C pear:C beer:C"
    assert [entry.score for entry in answer.results][2:] == [5, 4, 1]
    assert not answer.info.degraded


def test_what_was_purchased_can_be_left_out(ask):
    assert items(ask(user_id="ann", page_size=2, exclude_purchased=True)) == "apple:C pear:C"


def test_items_can_be_left_out_by_id_and_unknown_ids_are_ignored(ask):
    assert items(ask(user_id="ann", page_size=2, exclude_item_ids=["bread", "no such"])) == "apple:C wine:C"


def test_a_category_holds_all_below_it(ask):
    assert items(ask(user_id="ann", category="Food")) == "bread:R apple:C pear:C"
    assert items(ask(user_id="ann", category="Food > Fruit")) == "apple:C pear:C"
    assert items(ask(user_id="ann", category="Drinks")) == "wine:C beer:C"


def test_an_unknown_shopper_gets_the_bestsellers_of_the_channel_and_region(ask):
    answer = ask(user_id="nobody", page_size=2, channel="app", region="north")
    assert items(answer) == "pear:S wine:S"
    assert reasons(answer) == ["UNKNOWN_USER"]


def test_a_visitor_without_id_gets_bestsellers_too(ask):
    answer = ask(page_size=2)
    assert items(answer) == "beer:B apple:B"
    assert reasons(answer) == ["UNKNOWN_USER"]


def test_bestsellers_are_widened_until_the_page_is_full_and_the_catalogue_comes_last(ask):
    answer = ask(channel="app", region="north")
    assert items(answer) == "pear:S wine:S beer:S apple:B bread:B"
    assert items(ask(exclude_item_ids=["beer"])) == "apple:B bread:B pear:K wine:K"


def test_a_segment_without_a_list_gets_a_wider_one_and_says_so(ask):
    answer = ask(page_size=2, channel="app", region="south")
    assert items(answer) == "wine:S beer:S"
    assert reasons(answer) == ["NO_LIST_FOR_SEGMENT", "UNKNOWN_USER"]


def test_a_shopper_without_any_taste_yet_gets_bestsellers_and_is_told(ask):
    answer = ask(user_id="cold", page_size=2)
    assert items(answer) == "beer:B apple:B"
    assert reasons(answer) == ["TOO_FEW_PERSONAL"]


def test_bestsellers_of_a_category_come_before_those_of_the_shop(ask):
    answer = ask(category="Food")
    assert items(answer) == "bread:S apple:S pear:K"
    assert answer.results[0].reason.text == "Bestseller in Food"
    assert items(ask(category="Food > Bakery")) == "bread:S"


def test_the_answer_is_never_empty_while_one_item_matches(ask):
    assert items(ask(user_id="ann", exclude_item_ids=["apple", "beer", "bread", "wine"])) == "pear:C"
    assert items(ask(exclude_item_ids=["apple", "beer", "bread", "wine"])) == "pear:K"


def test_an_empty_category_gives_no_items_and_no_error(ask):
    assert items(ask(user_id="ann", category="Empty")) == ""


def test_an_unknown_category_matches_nothing_and_says_so(ask):
    answer = ask(user_id="ann", category="Toys")
    assert items(answer) == ""
    assert reasons(answer) == ["UNKNOWN_CATEGORY"]


def test_an_id_may_hold_any_characters_and_200_bytes(ask):
    assert len(UNICODE_USER.encode()) > 190
    answer = ask(user_id=UNICODE_USER, page_size=1)
    assert items(answer) == "pear:C"
    assert answer.results[0].item.title == "梨 🍐"
    assert not answer.info.degraded


def test_an_item_without_a_price_has_none_and_the_others_have_the_currency(ask):
    answer = ask(user_id="ann", page_size=4)
    assert [entry.item.HasField("price") for entry in answer.results] == [True, True, True, False]
    price = answer.results[1].item.price
    assert (price.currency_code, price.units, price.nanos) == ("CNY", 1, 500_000_000)


def test_reasons_come_in_the_language_asked_for(ask):
    def reason(language):
        return ask(user_id="ann", page_size=1, language=language).results[0].reason

    assert reason(Language.LANGUAGE_ZH).text == "您经常购买"
    assert reason(Language.LANGUAGE_EN).text == "You buy it regularly"
    assert reason(Language.LANGUAGE_UNSPECIFIED).text == "You buy it regularly"
    assert reason(99).text == "You buy it regularly"
    assert reason(Language.LANGUAGE_ZH).code == ReasonCode.REASON_CODE_BOUGHT_BEFORE


def test_every_answer_has_an_attribution_token_of_its_own(ask, running):
    infos = [ask(user_id="ann").info for _ in range(5)]
    assert len({info.attribution_token for info in infos}) == 5
    assert all(0 < len(info.attribution_token) <= 64 for info in infos)
    with running.serving.lease() as generation:
        assert {info.snapshot_id for info in infos} == {generation.snapshot_id}


def test_a_page_size_of_zero_is_the_default_and_a_huge_one_is_coerced(ask):
    assert len(ask(user_id="ann", page_size=0).results) == 5
    assert len(ask(user_id="ann", page_size=2**31 - 1).results) == 5
