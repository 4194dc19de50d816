"""How a list comes about, called in process: the clock, live events, exact shares, rules, orders of value."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from recdata.live import EventRecord, ItemChange
from recdata.ordering import OrderConfig
from recdata.releases import Releases
from recsvc.beside import list_similar_items
from recsvc.call import Call
from recsvc.config import ServingConfig
from recsvc.errors import InvalidFieldError
from recsvc.live import LiveHold
from recsvc.recommending import batch_recommend, rank_items, recommend
from recsvc.serving import Generation
from recsvc.shopper import identify, live_from_us
from recsvc.v1.common_pb2 import (
    DegradationReason,
    ItemFilter,
    Language,
    RankedItem,
    ReasonCode,
    ReasonView,
    SourceType,
)
from recsvc.v1.recommendation_service_pb2 import (
    BatchRecommendRequest,
    BatchRecommendResponse,
    ListSimilarItemsRequest,
    ListSimilarItemsResponse,
    RankItemsRequest,
    RankItemsResponse,
    RecommendRequest,
    RecommendResponse,
)
from recsvc.wording import endings, named
from tests.recsvc.tiny import ROWS, Tiny

SETTINGS = ServingConfig(default_language="en")
NOON_US = int(datetime(2025, 3, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000


@dataclass
class Left:
    """A caller who waits so long."""

    seconds: float | None

    def time_remaining(self) -> float | None:
        return self.seconds


@pytest.fixture
def shop(tmp_path):
    Tiny().publish(tmp_path)
    generation = Generation(Releases(tmp_path).open_current(), SETTINGS)
    hold = LiveHold(tmp_path, max_bytes=1 << 24)
    shop = Shop(tmp_path, generation, hold)
    yield shop
    hold.close()


@dataclass
class Shop:
    home: object
    generation: Generation
    live: LiveHold
    events: int = 0

    def ask(self, *, left: float | None = None, **fields) -> RecommendResponse:
        return self.call(
            lambda call: RecommendResponse.FromString(recommend(call, RecommendRequest(**fields))), left
        )

    def call(self, work, left: float | None = None):
        view = self.live.view()
        try:
            return work(Call(self.generation, view=view, live=self.live, home=self.home, patience=Left(left)))
        finally:
            if view is not None:
                self.live.leave(view)

    def record(
        self, item_id: str, kind: str = "view", *, user_id: str = "", session_id: str = "", at=NOON_US
    ):
        self.events += 1
        event = EventRecord(str(self.events), user_id, session_id, item_id, kind, at, at)
        assert self.live.store.record([event]).recorded == 1


def ids(answer) -> list[str]:
    return [entry.item.item_id for entry in answer.results]


def missing(answer) -> set[str]:
    return {DegradationReason.Name(each.reason)[19:] for each in answer.info.degradations}


def test_a_caller_who_cannot_wait_gets_the_cheaper_answer_and_is_told(shop):
    shop.record("apple", user_id="ann")
    hurried = shop.ask(user_id="ann", left=1e-9)
    assert missing(hurried) == {"DEADLINE", "TOO_FEW_PERSONAL"}
    assert sorted(ids(hurried)) == ["apple", "beer", "bread", "pear", "wine"]
    assert not shop.ask(user_id="ann", left=5.0).info.degraded
    assert not shop.ask(user_id="ann", left=None).info.degraded


def test_a_live_store_that_cannot_be_read_costs_the_events_and_not_the_answer(tmp_path):
    Tiny().publish(tmp_path)
    live = tmp_path / "live"
    live.write_text("not a folder")
    hold = LiveHold(tmp_path, max_bytes=1 << 24)
    shop = Shop(tmp_path, Generation(Releases(tmp_path).open_current(), SETTINGS), hold)
    answer = shop.ask(user_id="ann", page_size=2)
    assert ids(answer) == ["bread", "apple"]
    assert missing(answer) == {"LIVE_STORE_UNAVAILABLE"}
    hold.close()


def test_events_that_the_snapshot_knows_are_not_counted_again(shop):
    early = live_from_us(shop.generation.snapshot.manifest) - 1
    shop.record("beer", "purchase", user_id="new", at=early)
    assert missing(shop.ask(user_id="new", exclude_purchased=True)) == {"UNKNOWN_USER"}


def test_an_erased_shopper_is_unknown_at_once_and_may_begin_anew(shop):
    assert ids(shop.ask(user_id="ann", page_size=1)) == ["bread"]
    shop.record("apple", user_id="ann")
    shop.live.store.erase("ann", now=datetime.now(UTC))
    assert missing(shop.ask(user_id="ann", page_size=1)) == {"UNKNOWN_USER"}
    shop.record("apple", user_id="ann")
    assert ids(shop.ask(user_id="ann", page_size=1)) in (["pear"], ["bread"])
    assert "wine" in ids(shop.ask(user_id="ann", exclude_purchased=True))


def test_the_shares_of_a_full_reason_are_the_exact_parts_of_the_score(shop):
    shop.record("beer", user_id="ann")

    def look(call: Call):
        shopper = identify(call, user_id="ann", session_id="", session_item_ids=(), context_item_ids=())
        return shopper.taste(call)

    taste = shop.call(look)
    factors = shop.generation.snapshot.item_factors
    parts = taste.contributions(np.arange(6, dtype=np.int32))
    np.testing.assert_allclose(parts.sum(axis=1), factors @ taste.vector, rtol=1e-4)
    # By hand: the normal equations of weighted least squares, one row an item.
    interacted = {ROWS["bread"]: 2.0, ROWS["wine"]: 2.0}
    n_sold, fold_in = 6, shop.generation.snapshot.manifest.fold_in
    assert fold_in.bm25_k1 == 0
    assert n_sold == len(factors)
    interacted[ROWS["beer"]] = fold_in.alpha * fold_in.event_weights["view"]
    confidence = np.zeros(6)
    for row, value in interacted.items():
        confidence[row] = value
    left = factors.T @ ((1.0 + confidence)[:, None] * factors) + fold_in.penalty * np.eye(2)
    expected = np.linalg.solve(left, factors.T @ confidence)
    np.testing.assert_allclose(taste.vector, expected, rtol=1e-4)
    answer = shop.ask(user_id="ann", reason_view=ReasonView.REASON_VIEW_FULL, page_size=10)
    pear = next(entry for entry in answer.results if entry.item.item_id == "pear")
    rows = taste.rows.tolist()
    positive = np.clip(parts[ROWS["pear"]], 0, None)
    shares = {row: part / positive.sum() for row, part in zip(rows, positive.tolist(), strict=True)}
    for item in pear.reason.items:
        assert item.share == pytest.approx(shares[ROWS[item.item_id]], rel=1e-3)


def test_an_order_of_value_moves_items_within_what_is_eligible(shop):
    snapshot = shop.generation.snapshot
    by_value = msgspec.structs.replace(SETTINGS, order=OrderConfig(value=5.0))
    shop.generation = Generation(snapshot, by_value)
    assert ids(shop.ask(user_id="ann", page_size=2)) == ["bread", "apple"]  # 3.00 and 1.50
    shop.live.store.update_items({"apple": ItemChange(price=30.0, update_time_us=NOON_US)})
    assert ids(shop.ask(user_id="ann", page_size=2)) == ["apple", "bread"]


def test_a_filter_that_names_nothing_known_gives_an_empty_answer_and_no_error(shop):
    answer = shop.ask(user_id="ann", filter=ItemFilter(category="No > Such"))
    assert ids(answer) == []
    assert missing(answer) >= {"UNKNOWN_CATEGORY"}


def test_the_live_store_may_vanish_between_two_calls(shop):
    shop.record("apple", session_id="s")
    assert "pear" in ids(shop.ask(session_id="s"))
    shutil.rmtree(shop.home / "live")
    assert len(ids(shop.ask(session_id="s"))) == 5


def test_a_share_is_of_all_positive_contributions_the_items_own_among_them(shop):
    snapshot = shop.generation.snapshot
    factors, fold_in = snapshot.item_factors.astype(float), snapshot.manifest.fold_in
    bought = [ROWS["bread"], ROWS["wine"]]
    confidence = np.zeros(6)
    confidence[bought] = 2.0
    left = factors.T @ ((1.0 + confidence)[:, None] * factors) + fold_in.penalty * np.eye(2)
    parts = [2.0 * factors[ROWS["wine"]] @ np.linalg.solve(left, factors[row]) for row in bought]
    assert min(parts) > 0
    answer = shop.ask(user_id="ann", reason_view=ReasonView.REASON_VIEW_FULL, page_size=10)
    wine = next(entry for entry in answer.results if entry.item.item_id == "wine")
    assert [item.item_id for item in wine.reason.items] == ["bread"]
    assert wine.reason.items[0].share == pytest.approx(parts[0] / sum(parts), rel=1e-4)


def test_what_was_only_shown_or_sent_back_leads_to_nothing(shop):
    shop.record("apple", "impression", session_id="s")
    shop.record("wine", "return", session_id="s")
    assert missing(shop.ask(session_id="s")) == {"UNKNOWN_USER"}
    unseen = shop.ask(session_id="s", filter=ItemFilter(exclude_seen_in_session=True))
    assert ids(unseen) == ["beer", "bread", "pear"]


def test_the_page_at_hand_is_named_before_an_earlier_step_of_the_visit(shop):
    shop.record("apple", session_id="s")
    answer = shop.ask(
        session_id="s", context_item_ids=["apple"], reason_view=ReasonView.REASON_VIEW_FULL, page_size=1
    )
    assert ids(answer) == ["pear"]
    assert answer.results[0].source == SourceType.SOURCE_TYPE_BOUGHT_TOGETHER


@pytest.mark.parametrize("field", ["session_item_ids", "context_item_ids"])
def test_too_long_an_id_of_the_visit_is_refused(shop, field):
    with pytest.raises(InvalidFieldError) as caught:
        shop.ask(**{field: ["apple", "界" * 86]})
    assert caught.value.field == f"{field}[1]"
    assert not shop.ask(**{field: ["界" * 85]}).results[0].reason.items


def test_given_items_all_come_back_whatever_the_cap_and_too_long_an_id_is_refused(shop):
    def rank(*item_ids: str) -> RankItemsResponse:
        request = RankItemsRequest(shopper=RecommendRequest(max_per_category=1), item_ids=item_ids)
        return shop.call(lambda call: RankItemsResponse.FromString(rank_items(call, request)))

    assert ids(rank("wine", "beer", "apple", "pear")) == ["beer", "apple", "pear", "wine"]
    with pytest.raises(InvalidFieldError) as caught:
        rank("wine", "w" * 257)
    assert caught.value.field == "item_ids[1]"


def test_a_list_that_was_begun_can_be_read_on_with_its_snapshot_pinned(shop):
    def page(**fields) -> ListSimilarItemsResponse:
        request = ListSimilarItemsRequest(item_id="apple", page_size=1, **fields)
        return shop.call(lambda call: ListSimilarItemsResponse.FromString(list_similar_items(call, request)))

    first = page()
    rest = page(page_token=first.next_page_token, snapshot_id=first.info.snapshot_id)
    assert ids(first) + ids(rest) == ["pear", "bread"]
    assert rest.next_page_token == ""


def test_a_purchase_stays_left_out_however_much_is_looked_at_after_it(shop):
    shop.record("beer", "purchase", user_id="new", at=NOON_US)
    views = [
        EventRecord(f"view-{place}", "new", "", "apple", "impression", NOON_US + place, NOON_US)
        for place in range(1, 251)
    ]
    shop.live.store.record(views)
    assert "beer" not in ids(shop.ask(user_id="new", exclude_purchased=True))


def test_every_list_and_full_reasons_show_the_price_of_now(shop):
    shop.live.store.update_items({"bread": ItemChange(price=7.25, update_time_us=NOON_US)})
    for view in ReasonView.values():
        bread = shop.ask(user_id="ann", reason_view=view).results[0]
        assert (bread.item.item_id, bread.item.price.units, bread.item.price.nanos) == (
            "bread",
            7,
            250_000_000,
        )


def test_each_list_of_a_batch_has_a_token_of_its_own(shop):
    request = BatchRecommendRequest(requests=[RecommendRequest(user_id="ann")] * 5)
    batch = shop.call(lambda call: BatchRecommendResponse.FromString(batch_recommend(call, request)))
    tokens = {entry.response.info.attribution_token for entry in batch.results}
    assert len(tokens) == 5
    assert all(0 < len(token) <= 64 for token in tokens)


@pytest.mark.parametrize("language", [Language.LANGUAGE_ZH, Language.LANGUAGE_EN])
def test_every_source_has_words_in_both_languages(language):
    for category in ("", "Food > Fruit"):
        made = [RankedItem.FromString(ending) for ending in endings(language, category)]
        assert [entry.source for entry in made] == SourceType.values()
        assert all(entry.reason.text and entry.reason.code for entry in made[1:])
        assert all(entry.reason.text.isascii() == (language == Language.LANGUAGE_EN) for entry in made[1:])
    leading = ("BECAUSE_YOU_BOUGHT", "BECAUSE_YOU_VIEWED", "SIMILAR_ITEM", "BOUGHT_TOGETHER")
    for name in leading:
        assert "{x}" in named(ReasonCode.Value(f"REASON_CODE_{name}"), "{x}", language)
