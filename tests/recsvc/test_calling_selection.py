"""`recsvc call` on the selection: candidates, one candidate's page, other weights, reviews."""

from __future__ import annotations

import json
from io import StringIO

import click
import pytest
from rich.cells import cell_len
from rich.console import Console

from recdata.cli import Door
from recdata.reviews import read_reviews
from recsvc.calling import call
from recsvc.client import ExistsError, InvalidRequestError, NotFoundError
from tests.recsvc.picks import shop


@pytest.fixture
def home(tmp_path):
    shop().publish(tmp_path)
    return tmp_path


@pytest.fixture
def printed(home, start):
    address = start(home).address

    def calling(*options: str, width: int = 120) -> str:
        out = StringIO()
        console = Console(file=out, width=width)
        door = Door(home=home, config=None, console=console, out=console)
        call.main([*options, "--address", address], obj=door, standalone_mode=False)
        return out.getvalue()

    return calling


def order(said: str) -> list[str]:
    """Returns the titles of a table of candidates, in its order."""
    titles = ("梨 🍐", "Beer", "Apple", "Wine", "Bread")
    lines = said.splitlines()
    return [title for line in lines for title in titles if title in line]


def test_candidates_are_listed_in_the_order_and_of_the_state_asked_for(printed):
    assert order(printed("candidates", "--order-by", "demand desc")) == [
        "Beer",
        "Wine",
        "梨 🍐",
        "Bread",
        "Apple",
    ]
    printed("review", "--item", "beer", "--decision", "reject", "--reviewer", "li")
    assert order(printed("candidates", "--review", "rejected")) == ["Beer"]
    assert "rejected" in printed("candidates")
    assert order(printed("candidates", "--in-channel", "app", "--review", "pending")) == ["梨 🍐", "Wine"]


@pytest.mark.parametrize("width", [80, 120])
def test_a_candidates_page_tells_all_that_is_known_and_cuts_nothing_off(printed, width):
    printed("review", "--item", "pear", "--decision", "approve", "--reviewer", "li", "--note", "库存够")
    said = printed("candidate", "--item", "pear", width=width)
    assert "…" not in said
    assert max(map(cell_len, said.splitlines())) <= width
    for text in (
        *("1. 梨 🍐 (pear)", "push", "growth", "approved", "40 (80 – 130)", "+50%", "25%", "2025-02-14"),
        *("120.50 CNY", "80.00 CNY – 160.25 CNY", "-1.50 (-2.00 – -1.00)", "12%", "yes"),
        *("Demand is rising", "It is dear", "A tenth off", "0.900", "Apple", "0.75"),
        *("Forecast of item pear (croston): 3 days, 6 units", "▁▅█", "approve", "to push", "库存够"),
    ):
        assert text in said, text


def test_a_page_leaves_out_what_is_not_known(printed):
    said = printed("candidate", "--item", "wine")
    for text in ("elasticity", "alarm", "discount", "assortment", "Forecast", "Reviews", "Against"):
        assert text not in said


def test_other_weights_show_the_rank_before(printed):
    said = printed("rescore", "--weight", "trend=1", "--category", "Drinks")
    beer, wine = (line.split() for line in said.splitlines() if "Beer" in line or "Wine" in line)
    assert beer[:3] == ["1", "2", "Beer"]
    assert wine[:3] == ["3", "4", "Wine"]
    assert (beer[-2:], wine[-2:]) == (["0.800", "0.800"], ["0.600", "0.600"])


def test_a_review_says_what_is_stored_and_where_the_candidate_stands(printed, home):
    options = ("review", "--item", "apple", "--decision", "snooze", "--reviewer", "li", "--request", "r1")
    said = printed(*options, "--until", "2030-05-01")
    assert "review r1: li says snooze to drop apple" in said
    assert "now snoozed until 2030-05-01" in said
    answer = json.loads(printed(*options, "--until", "2030-05-01", "--json"))
    assert answer["status"]["state"] == "REVIEW_STATE_SNOOZED"
    with pytest.raises(ExistsError, match="REVIEW_EXISTS"):
        printed(*options, "--until", "2030-05-02")
    printed("review", "--item", "apple", "--decision", "note", "--reviewer", "li", "--note", "a")
    printed("review", "--item", "apple", "--decision", "note", "--reviewer", "li", "--note", "a")
    assert len(read_reviews(home)) == 3  # without --request each is a review of its own


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("rescore", "--weight", "demand"), "write it like demand=0.5"),
        (("rescore", "--weight", "demand=nan"), "write it like demand=0.5"),
        (("rescore",), "--weight"),
        (("review", "--item", "a", "--decision", "snooze", "--reviewer", "li"), "--until says"),
        (
            ("review", "--item", "a", "--decision", "note", "--reviewer", "li", "--until", "2030-01-01"),
            "--until says",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_before_it_is_sent(printed, options, says):
    with pytest.raises(click.UsageError) as caught:
        printed(*options)
    assert says in caught.value.format_message()


def test_the_servers_refusals_name_the_remedy(printed):
    with pytest.raises(NotFoundError, match="CANDIDATE_NOT_FOUND"):
        printed("candidate", "--item", "milk")
    with pytest.raises(InvalidRequestError, match="give rank, score"):
        printed("candidates", "--order-by", "charm")
    with pytest.raises(InvalidRequestError, match="demand, trend, hit"):
        printed("rescore", "--weight", "charm=1")
    with pytest.raises(InvalidRequestError, match="give a finite number, 0 or more"):
        printed("rescore", "--weight", "trend=-1")


@pytest.mark.parametrize("width", [80, 120])
def test_in_chinese_all_that_a_merchandiser_reads_is_chinese(printed, width):
    zh = ("--language", "zh")
    said = "".join(
        printed(*options, *zh, width=width)
        for options in (
            ("review", "--item", "pear", "--decision", "snooze", "--until", "2030-09-01", "--reviewer", "li"),
            ("candidate", "--item", "pear"),
            ("candidates",),
            ("rescore", "--weight", "demand=1"),
            ("forecast", "--level", "item", "--key", "pear"),
        )
    )
    for text in (
        *("选品候选：5 / 5", "商品与理由", "预测销量", "80% 区间", "主推", "成长期", "已搁置 至 2030-09-01"),
        *("价格弹性", "列入选品组合", "理由", "何种变化会改变建议", "预测需求 demand", "相似品", "li"),
        *(
            "搁置 至 2030-09-01",
            "对“主推”",
            "原名次",
            "商品编号 pear 的需求预测（croston）：3 天，共 6 件",
            "快照",
        ),
    ):
        assert text in said, text
    for english in (
        "action",
        "stage",
        "growth",
        "push",
        "snoozed",
        "advice",
        "Why",
        "snapshot ",
        "Forecast",
    ):
        assert english not in said, english
    assert max(map(cell_len, said.splitlines())) <= width
