"""Lists under rules, caps and rotation: by hand in the tiny shop, and as a property of random shops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recdata.live.records import RuleRecord
from recsvc.config import ServingConfig
from recsvc.errors import InvalidFieldError
from recsvc.live import LiveHold
from recsvc.pages import recommend_page
from recsvc.recommending import rank_items, recommend
from recsvc.serving import Generation
from recsvc.v1.catalog_service_pb2 import Rule, RuleAction
from recsvc.v1.common_pb2 import DegradationReason, ItemFilter, ReasonView, SourceType
from recsvc.v1.recommendation_service_pb2 import (
    Carousel,
    CarouselSource,
    RankItemsRequest,
    RankItemsResponse,
    RecommendPageRequest,
    RecommendPageResponse,
    RecommendRequest,
    RecommendResponse,
)
from tests.recsvc.bazaar import BRANDS, PATHS, Ware, open_bazaar, shopper, wares
from tests.recsvc.shop import Shop, open_shop

HIDE, PIN, BOOST, BURY = (
    RuleAction.RULE_ACTION_HIDE,
    RuleAction.RULE_ACTION_PIN,
    RuleAction.RULE_ACTION_BOOST,
    RuleAction.RULE_ACTION_BURY,
)


@pytest.fixture
def shop(tmp_path) -> Iterator[Shop]:
    with open_shop(tmp_path) as opened:
        yield opened


def put(shop: Shop, *rules: Rule) -> None:
    for number, rule in enumerate(rules):
        rule.rule_id = f"rule-{number}"
        shop.live.store.put_rule(RuleRecord(rule.rule_id, rule.SerializeToString()), expect="new")


def about(*item_ids: str, **fields) -> Rule:
    return Rule(target=ItemFilter(include_item_ids=item_ids), **fields)


def asked(shop: Shop, **fields) -> RecommendResponse:
    return shop.ask(recommend, RecommendRequest(**fields), RecommendResponse)


def ids(answer) -> list[str]:
    return [entry.item.item_id for entry in answer.results]


def missing(answer) -> set[str]:
    return {DegradationReason.Name(each.reason)[19:] for each in answer.info.degradations}


def page(shop: Shop, *carousels: Carousel, **fields) -> list[list[str]]:
    for number, carousel in enumerate(carousels):
        carousel.carousel_id = str(number)
    request = RecommendPageRequest(
        shopper=RecommendRequest(**{"user_id": "ann"} | fields), carousels=carousels
    )
    return [ids(each) for each in shop.ask(recommend_page, request, RecommendPageResponse).results]


def of(source: str, **fields) -> Carousel:
    return Carousel(source=CarouselSource.Value(f"CAROUSEL_SOURCE_{source}"), **fields)


def test_a_mild_boost_does_not_throw_out_the_bestsellers_of_a_visitor(shop):
    put(shop, about("wine", "pear", action=BOOST, factor=1.01))
    assert ids(asked(shop)) == ["beer", "apple", "bread", "pear", "wine"]  # as without the rule


def test_a_strong_boost_brings_items_up_that_would_not_be_in_the_list(shop):
    put(shop, about("wine", action=BOOST, factor=100))
    assert ids(asked(shop, page_size=2)) == ["wine", "beer"]
    assert ids(asked(shop, user_id="ann", page_size=2)) == ["wine", "bread"]


def test_a_factor_below_one_moves_the_bestsellers_of_a_visitor_down(shop):
    put(shop, about("beer", action=BOOST, factor=0.01))
    assert ids(asked(shop)) == ["apple", "bread", "pear", "wine", "beer"]


def test_a_pinned_item_counts_under_a_cap(shop):
    put(shop, about("pear", action=PIN, position=1))
    assert ids(asked(shop, user_id="ann", max_per_category=1)) == ["pear", "bread", "wine"]
    # What room there is goes to the top pin of a category.
    put_more = about("apple", action=PIN, position=2)
    put_more.rule_id = "second"
    shop.live.store.put_rule(RuleRecord("second", put_more.SerializeToString()), expect="new")
    assert ids(asked(shop, user_id="ann", max_per_category=1)) == ["pear", "bread", "wine"]


def test_an_item_that_a_pin_displaces_takes_no_room_on_a_page(shop):
    put(shop, about("beer", action=PIN, position=1))
    request = RecommendPageRequest(
        shopper=RecommendRequest(user_id="ann"),
        carousels=[Carousel(carousel_id="a", page_size=1), Carousel(carousel_id="b")],
        max_per_category=1,
    )
    answer = shop.ask(recommend_page, request, RecommendPageResponse)
    assert [ids(each) for each in answer.results] == [["beer"], ["bread", "apple"]]


def test_a_pin_past_the_page_is_not_on_it_and_past_the_list_is_its_end(shop):
    put(shop, about("bread", action=PIN, position=3))
    assert "bread" not in ids(asked(shop, user_id="ann", page_size=2))
    assert ids(asked(shop, user_id="ann", filter=ItemFilter(category="Food"))) == ["apple", "pear", "bread"]


def test_buried_items_come_last_and_in_the_shoppers_order(shop):
    put(shop, Rule(action=BURY, target=ItemFilter(category="Food")))
    answer = asked(shop, user_id="ann")
    assert ids(answer) == ["wine", "beer", "bread", "apple", "pear"]
    assert answer.results[2].source == SourceType.SOURCE_TYPE_REPEAT
    ranked = RankItemsRequest(shopper=RecommendRequest(user_id="ann"), item_ids=["pear", "apple", "bread"])
    assert ids(shop.ask(rank_items, ranked, RankItemsResponse)) == ["bread", "apple", "pear"]


def test_what_is_buried_or_boosted_gets_into_no_row_that_it_does_not_belong_to(shop):
    put(shop, about("beer", action=BURY), about("wine", action=BOOST, factor=100))
    assert page(shop, of("SIMILAR", item_id="apple")) == [["pear", "bread"]]


def test_a_row_of_bestsellers_is_a_count_that_no_boost_changes(shop):
    put(shop, about("beer", action=BURY), about("bread", action=BOOST, factor=100))
    assert page(shop, of("BESTSELLERS")) == [["beer", "apple", "bread"]]


def test_rotation_shows_visitors_other_items_too(shop):
    pages = {tuple(ids(asked(shop, rotation_seed=seed, page_size=2))) for seed in (-(2**63), -1, 0, 1, 2, 3)}
    assert len(pages) > 1


def test_a_rule_does_not_hide_that_nobody_is_known(shop):
    put(shop, about("wine", action=BOOST, factor=100))
    assert missing(asked(shop, page_size=1)) == {"UNKNOWN_USER"}


@dataclass
class Bazaar:
    """A random shop, with the same wares as the test knows them."""

    wares: list[Ware]
    shop: Shop


@pytest.fixture(scope="module", params=range(3))
def bazaar(request, tmp_path_factory) -> Iterator[Bazaar]:
    rng = np.random.default_rng(request.param)
    shop_wares = wares(request.param)
    home: Path = tmp_path_factory.mktemp("bazaar")
    users = {f"user-{number}": shopper(rng, len(shop_wares)) for number in range(5)}
    (home / "snapshot").mkdir()
    snapshot = open_bazaar(home / "snapshot", shop_wares, users=users)
    generation = Generation(snapshot, ServingConfig(default_language="en"))
    live = LiveHold(home, max_bytes=1 << 24)
    put(
        Shop(home, generation, live),
        Rule(action=HIDE, target=ItemFilter(brands=["blue"], category="A > B")),
        about("item-003", action=PIN, position=1),
        about("item-004", action=PIN, position=1),
        about("item-005", action=PIN, position=7),
        about("item-006", action=PIN, position=150),
        Rule(action=BOOST, target=ItemFilter(category="A"), factor=1.5),
        Rule(action=BOOST, target=ItemFilter(brands=["red"]), factor=0.3),
        Rule(action=BURY, target=ItemFilter(brands=["green"])),
    )
    yield Bazaar(shop_wares, Shop(home, generation, live))
    live.close()


requests = st.builds(
    lambda **fields: RecommendRequest(**{name: value for name, value in fields.items() if value is not None}),
    user_id=st.sampled_from(["", "user-0", "user-1", "user-2", "user-3", "user-4", "nobody"]),
    page_size=st.integers(1, 70),
    filter=st.builds(
        ItemFilter,
        category=st.sampled_from(["", "", *PATHS[1:]]),
        brands=st.lists(st.sampled_from(BRANDS[1:]), max_size=2, unique=True),
        include_out_of_stock=st.booleans(),
    ),
    exclude_purchased=st.booleans(),
    max_per_category=st.sampled_from([0, 0, 1, 3]),
    rotation_seed=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    context_item_ids=st.lists(st.sampled_from(["item-010", "item-011", "no such"]), max_size=2),
    session_item_ids=st.lists(st.sampled_from(["item-012", "item-013"]), max_size=2),
    reason_view=st.sampled_from(ReasonView.values()),
)


def matches(ware: Ware, request: RecommendRequest, purchased: set[str]) -> bool:
    filter_ = request.filter
    path = f"{ware.category} > "
    return (
        ware.active
        and (filter_.include_out_of_stock or ware.stock != 0)
        and (not filter_.category or path.startswith(f"{filter_.category} > "))
        and (not filter_.brands or ware.brand in filter_.brands)
        and not (ware.brand == "blue" and path.startswith("A > B > "))
        and ware.item_id not in request.context_item_ids
        and not (request.exclude_purchased and ware.item_id in purchased)
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests)
def test_a_list_is_as_long_as_what_matches_and_holds_nothing_else(bazaar, request):
    record = bazaar.shop.generation.snapshot.user(request.user_id) if request.user_id else None
    purchased = {bazaar.wares[row].item_id for row in ([] if record is None else record.purchased_rows)}
    found = {ware.item_id: ware for ware in bazaar.wares if matches(ware, request, purchased)}
    answer = bazaar.shop.ask(recommend, request, RecommendResponse)
    shown = ids(answer)
    assert len(shown) == len(set(shown))
    assert set(shown) <= found.keys()
    per_category = Counter(found[item_id].category for item_id in shown)
    cap = request.max_per_category
    if cap:
        room = Counter(ware.category for ware in found.values())
        most = sum(count if not category else min(cap, count) for category, count in room.items())
        assert all(count <= cap for category, count in per_category.items() if category)
    else:
        most = len(found)
    # A pin past the page is on no page, so that its room goes to another.
    late = {"item-005": 7, "item-006": 150}
    outside = {item for item, place in late.items() if item in found and place > request.page_size}
    assert len(shown) == min(request.page_size, most) or (
        outside and len(shown) >= min(request.page_size, most - len(outside))
    )
    pinned = [item for item in ("item-003", "item-004") if item in found and item in shown]
    assert shown[: len(pinned)] == pinned
    rest = [item for item in shown if item not in {"item-003", "item-004", *late}]
    buried = [found[item].brand == "green" for item in rest]
    assert buried == sorted(buried)
    assert all(entry.source for entry in answer.results)
    assert all(entry.reason.text for entry in answer.results)


def test_a_row_of_what_was_bought_ignores_that_purchases_are_left_out_elsewhere(shop):
    rows = page(shop, of("BUY_AGAIN"), of("PERSONAL"), exclude_purchased=True)
    assert rows == [["bread", "wine"], ["apple", "pear", "beer"]]


def test_a_row_about_the_context_is_about_all_of_its_items(shop):
    assert page(shop, of("BOUGHT_TOGETHER"), user_id="", context_item_ids=["beer", "wine"]) == [["apple"]]
    assert page(shop, of("SIMILAR"), user_id="", context_item_ids=["beer", "apple"]) == [["pear", "bread"]]
    assert page(shop, of("SIMILAR"), user_id="") == [[]]


def test_a_carousel_may_show_what_is_out_of_stock_where_the_page_has_no_filter(shop):
    also = of("PERSONAL", filter=ItemFilter(category="Drinks", include_out_of_stock=True))
    assert page(shop, also) == [["milk", "wine", "beer"]]
    assert page(shop, also, filter=ItemFilter(brands=["Orchard"])) == [[]]
    assert page(shop, also, filter=ItemFilter(category="Drinks")) == [["wine", "beer"]]


def test_a_rule_of_a_narrow_category_holds_in_a_carousel_of_it(shop):
    rule = about("apple", action=HIDE)
    rule.scope.category = "Food > Fruit"
    put(shop, rule)
    fruit = of("PERSONAL", filter=ItemFilter(category="Food > Fruit"))
    assert page(shop, fruit, filter=ItemFilter(category="Food")) == [["pear"]]
    assert page(shop, of("PERSONAL"), filter=ItemFilter(category="Food")) == [["bread", "apple", "pear"]]


def test_a_row_of_bestsellers_tells_that_its_segment_has_no_list_and_fills_under_a_filter(shop):
    request = RecommendPageRequest(
        shopper=RecommendRequest(user_id="ann", region="south", channel="app"),
        carousels=[of("BESTSELLERS", carousel_id="a", filter=ItemFilter(brands=["Orchard"]))],
    )
    answer = shop.ask(recommend_page, request, RecommendPageResponse)
    assert missing(answer) == {"NO_LIST_FOR_SEGMENT"}


def test_a_wrong_filter_of_a_carousel_is_named_as_it_stands(shop):
    wrong = of("PERSONAL", filter=ItemFilter(brands=["b"] * 101))
    with pytest.raises(InvalidFieldError) as caught:
        page(shop, of("PERSONAL"), wrong)
    assert caught.value.field == "carousels[1].filter.brands"
