from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recdata.snapshot import ItemRecord
from recsvc.v1.common_pb2 import Language, RankedItem, SourceType
from recsvc.v1.recommendation_service_pb2 import RecommendResponse
from recsvc.wire import ItemBytes, item_message, money, varint
from recsvc.wording import endings

prices = st.none() | st.floats(0, 1e9) | st.just(float("nan"))
records = st.builds(
    ItemRecord,
    st.text(),
    st.text(max_size=3000),
    st.text(),
    st.text(),
    prices,
    st.none(),
    st.just(""),
    st.none(),
)


@settings(deadline=None)  # the first one may make machine code
@given(
    st.lists(records, min_size=1, max_size=4),
    st.lists(
        st.tuples(st.integers(0, 3), st.floats(width=32, allow_nan=False), st.integers(0, 7)), max_size=8
    ),
    st.sampled_from([Language.LANGUAGE_ZH, Language.LANGUAGE_EN]),
    st.booleans(),
)
def test_joined_bytes_parse_as_the_message_that_the_classes_make(shelf, picks, language, keep):
    picks = [(row % len(shelf), score, source) for row, score, source in picks]
    by_source = endings(language, "Food > 水果")
    made = ItemBytes(shelf.__getitem__, currency="CNY")
    asked = (
        np.array([row for row, _, _ in picks], np.int32),
        np.array([score for _, score, _ in picks], np.float32),
        np.array([source for _, _, source in picks], np.uint8),
        by_source,
    )
    joined = made.results(*asked, keep_as=language if keep else None)
    assert (
        made.results(*asked, keep_as=language if keep else None) == joined
    )  # from what was kept, where it was
    expected = RecommendResponse()
    for row, score, source in picks:
        entry = RankedItem.FromString(by_source[source])
        entry.item.CopyFrom(item_message(shelf[row], "CNY"))
        entry.score = score
        expected.results.append(entry)
    assert RecommendResponse.FromString(joined) == expected


@pytest.mark.parametrize(
    ("number", "coded"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")]
)
def test_a_varint_has_seven_bits_a_byte_lowest_first(number, coded):
    assert varint(number) == coded


@pytest.mark.parametrize(
    ("amount", "units", "nanos"),
    [
        (2.19, 2, 190_000_000),
        (0.1 + 0.2, 0, 300_000_000),
        (-1.5, -1, -500_000_000),
        (0.0, 0, 0),
        (1e12, 10**12, 0),
    ],
)
def test_money_is_exact_to_a_billionth(amount, units, nanos):
    made = money(amount, "CNY")
    assert (made.units, made.nanos, made.currency_code) == (units, nanos, "CNY")


@pytest.mark.parametrize("amount", [None, float("nan"), float("inf")])
def test_an_amount_that_is_not_known_is_no_money(amount):
    assert money(amount, "CNY") is None


@pytest.mark.parametrize("language", [Language.LANGUAGE_ZH, Language.LANGUAGE_EN])
def test_every_source_has_words_in_both_languages(language):
    for source in SourceType.values()[1:]:
        for category in ("", "Food > Fruit"):
            said = RankedItem.FromString(endings(language, category)[source])
            assert said.source == source
            assert said.reason.code
            assert said.reason.text
            assert "{" not in said.reason.text


def test_what_is_kept_is_bounded_and_what_was_let_go_is_made_again():
    made = ItemBytes(
        lambda row: ItemRecord(f"item-{row}", "", "", "", None, None, "", None), currency="CNY", max_kept=50
    )

    def ask(rows: list[int]) -> list[str]:
        content = made.results(
            np.array(rows, np.int32),
            np.zeros(len(rows), np.float32),
            np.ones(len(rows), np.uint8),
            endings(Language.LANGUAGE_EN, ""),
            keep_as=Language.LANGUAGE_EN,
        )
        return [entry.item.item_id for entry in RecommendResponse.FromString(content).results]

    for first in [*range(0, 3000, 7), 0]:
        rows = list(range(first, first + 20))
        assert ask(rows) == [f"item-{row}" for row in rows]
        assert len(made._items) <= 50
        assert sum(len(kept) for kept in made._entries.values()) <= 50
