"""The ledger keeps what a night advised as it was advised, and scores it by what was sold since."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import polars as pl
import pytest
from rich.console import Console

from recdata.artefacts import read_artefact, write_artefact
from recdata.config import DataConfig
from recdata.errors import RunError
from recdata.reviews import Review
from recdata.runs import RunFolder
from recdata.selection_artefacts import LEDGER, PICKS, SELECTION
from recdata.training_artefacts import FORECAST_TOTALS
from selection.config import SelectionConfig
from selection.ledger.books import PAST_NAME, book_path, enter_picks, keep_past_picks, nights
from selection.ledger.scoring import decisions, score_nights, summary_of
from selection.ledger.stage import ledger_stage
from selection.ledger.table import print_ledger
from selection.stages import selection_stages

NIGHT = date(2024, 6, 1)
END = NIGHT + timedelta(days=28)


def book(night=NIGHT, horizon=28, **advised):
    """item=(action, expected value) or item=action."""
    rows = [
        {
            "as_of": night,
            "horizon_days": horizon,
            "rank": rank,
            "item_id": item,
            "action": advice[0] if isinstance(advice, tuple) else advice,
            "stage": "mature",
            "score": 0.5,
            "expected_value": advice[1] if isinstance(advice, tuple) else 0.0,
            "hit_probability": None,
            "keep_probability": None,
        }
        for rank, (item, advice) in enumerate(advised.items(), 1)
    ]
    return pl.DataFrame(rows, schema=PICKS)


def review(item, decision, action, days=1, number=0):
    at = datetime(2024, 6, 1, 9, tzinfo=UTC) + timedelta(days=days, minutes=number)
    return Review(f"r{number}{item}{days}", item, decision, "", "lin", at, None, "s", action)


def scored(tables, picks, reviews=(), as_of=END, keep_days=28):
    return score_nights(
        picks,
        tables.items,
        tables.daily_sales,
        reviews,
        as_of=as_of,
        category_depth=2,
        keep_share=0.25,
        keep_days=keep_days,
        launch_days=56,
    )


@pytest.fixture
def shop(make_tables):
    """After the night a sold 60, b 30, c 10 and d nothing; before it b was the bestseller."""
    after = [("a", 60.0), ("b", 30.0), ("c", 10.0)]
    before = [("b", 50.0), ("c", 20.0), ("d", 10.0), ("a", 1.0)]
    purchases = [(item, NIGHT + timedelta(days=3), 0, 1.0, money) for item, money in after]
    purchases += [(item, NIGHT - timedelta(days=3), 1, 1.0, money) for item, money in before]
    return make_tables(purchases, as_of=END)


def test_bets_are_held_against_what_was_expected_the_bestsellers_and_hindsight(shop):
    row = scored(shop, book(a=("push", 50.0), c=("push", 20.0))).row(0, named=True)
    assert (row["items"], row["finished"], row["days_seen"]) == (2, True, 28)
    assert (row["expected_value"], row["realised_value"]) == (70.0, 70.0)
    assert row["hit_rate"] == 0.5  # a is among the best two, c is not
    assert row["bestsellers_value"] == 40.0  # b and c
    assert row["best_value"] == 90.0
    assert row["false_kills"] is None


def test_launches_are_held_against_items_as_young(make_tables):
    """old sells most, but only new and newer are rivals of a launch."""
    sold = [("old", 90.0), ("new", 20.0), ("newer", 10.0)]
    purchases = [(item, NIGHT + timedelta(days=3), 0, 1.0, money) for item, money in sold]
    purchases += [(item, NIGHT - timedelta(days=9), 1, 1.0, money) for item, money in sold]
    purchases.append(("old", NIGHT - timedelta(days=200), 1, 1.0, 1.0))
    row = scored(make_tables(purchases, as_of=END), book(newer=("launch", 5.0))).row(0, named=True)
    assert (row["bestsellers_value"], row["best_value"], row["hit_rate"]) == (20.0, 20.0, 0.0)


def test_dropping_what_was_worth_keeping_is_a_false_kill(shop):
    # The category's items that sold had 33 on average; 10 is more than a quarter of it.
    row = scored(shop, book(c="drop", d="drop")).row(0, named=True)
    assert row["false_kills"] == 0.5
    assert row["hit_rate"] is None


def test_false_kills_wait_until_the_days_to_sell_are_over(make_tables):
    """d sells nothing in 28 days and much in 84: it was worth keeping."""
    after = [("a", 5, 60.0), ("b", 5, 30.0), ("d", 70, 80.0)]
    purchases = [(item, NIGHT + timedelta(days=day), 0, 1.0, money) for item, day, money in after]
    tables = make_tables(purchases, as_of=NIGHT + timedelta(days=84), items={"c": {}})
    picks = book(c="drop", d="drop", a="push")

    def kills(days):
        frame = scored(tables, picks, as_of=NIGHT + timedelta(days=days), keep_days=84)
        found = {row["action"]: row for row in summary_of(frame)}
        return found["drop"], printed(frame)

    waiting, text = kills(83)
    assert (waiting["false_kills"], waiting["judged"], waiting["nights"]) == (None, 0, 1)
    assert re.search(r"Drop .*pending", text)
    assert "keep_days" in text
    known, text = kills(84)
    assert (known["false_kills"], known["judged"]) == (0.5, 1)
    assert "pending" not in text


def test_a_night_whose_horizon_runs_is_scored_so_far(shop):
    row = scored(shop, book(a=("push", 56.0)), as_of=NIGHT + timedelta(days=7)).row(0, named=True)
    assert (row["days_seen"], row["finished"]) == (7, False)
    assert (row["expected_value"], row["realised_value"]) == (14.0, 60.0)
    assert list(summary_of(scored(shop, book(a="push"), as_of=NIGHT + timedelta(days=7)))) == []


def test_what_people_decided_is_scored_apart(shop):
    picks = book(a=("push", 50.0), b=("push", 50.0), c=("push", 20.0))
    reviews = [review("a", "approve", "push"), review("b", "reject", "push")]
    frame = scored(shop, picks, reviews)
    assert dict(frame.select("decision", "realised_value").iter_rows()) == {
        "": 10.0,
        "approve": 60.0,
        "reject": 30.0,
    }


@pytest.mark.parametrize(
    ("reviews", "found"),
    [
        ([review("a", "approve", "push"), review("a", "reject", "push", days=2)], {"a": "reject"}),
        ([review("a", "approve", "push"), review("a", "note", "push", days=2)], {"a": "approve"}),
        ([review("a", "approve", "push"), review("a", "reopen", "push", days=2)], {}),
        ([review("a", "approve", "drop")], {}),  # about another night's advice
        ([review("a", "approve", "push", days=-1)], {}),
        ([review("a", "approve", "push", days=28)], {}),
        ([review("unknown", "approve", "push")], {}),
    ],
)
def test_a_decision_counts_for_the_advice_that_it_was_about(reviews, found):
    assert dict(decisions(reviews, book(a="push"), NIGHT, END).iter_rows()) == found


def test_a_review_has_the_day_of_the_shop_not_of_greenwich(shop):
    early = datetime(2024, 5, 31, 20, tzinfo=UTC)  # in Shanghai it is four in the morning of the night itself
    late = datetime(2024, 6, 28, 20, tzinfo=UTC)  # and here the horizon is over
    picks = book(a="push", b="push")
    reviews = [
        Review("1", "a", "approve", "", "lin", early, None, "s", "push"),
        Review("2", "b", "approve", "", "lin", late, None, "s", "push"),
    ]
    assert dict(decisions(reviews, picks, NIGHT, END, zone="Asia/Shanghai").iter_rows()) == {"a": "approve"}
    config, run_zone = SelectionConfig(), DataConfig(business_timezone="Asia/Shanghai")
    assert ledger_stage(config, run_zone).config["zone"] == "Asia/Shanghai"
    assert selection_stages(config, run_zone)[-2].config == ledger_stage(config, run_zone).config


def test_an_item_that_has_left_the_tables_sold_nothing(shop):
    row = scored(shop, book(gone=("push", 10.0))).row(0, named=True)
    assert (row["items"], row["realised_value"], row["hit_rate"]) == (1, 0.0, 0.0)


def test_sums_over_finished_nights_are_ratios_of_sums(shop):
    picks = pl.concat([book(a=("push", 90.0)), book(NIGHT - timedelta(days=1), b=("push", 30.0), d="drop")])
    found = {row["action"]: row for row in summary_of(scored(shop, picks))}
    assert found["push"]["nights"] == 2
    assert found["push"]["expected_over_realised"] == pytest.approx((90 + 30) / (60 + 30))
    # The bestseller of both nights was b, which sold 30 after each.
    assert found["push"]["lift"] == pytest.approx(90 / 60 - 1)
    assert found["push"]["hit_rate"] == 0.5
    assert found["drop"]["false_kills"] == 0.0


def test_without_nights_the_ledger_is_empty(shop):
    frame = scored(shop, pl.DataFrame(schema=PICKS))
    assert frame.is_empty()
    assert dict(frame.schema) == LEDGER


def printed(frame):
    out = StringIO()
    print_ledger(Console(file=out, width=100), frame, "CNY")
    return out.getvalue()


def test_the_table_says_what_came_of_each_action_and_of_peoples_word(shop):
    picks = book(a=("push", 50.0), b=("push", 50.0), c="drop")
    text = printed(scored(shop, picks, [review("b", "reject", "push")]))
    assert "picks of 1 nights came out (0 more still run)" in text
    assert re.search(r"Push +– +1 +¥60\.00 +0\.83 +\+100% +100% +–", text)
    assert re.search(r"Push +rejected +1 +¥30\.00", text)
    assert re.search(r"Drop +– +1 +¥10\.00 +0\.00 +– +– +100%", text)


def test_a_ledger_without_finished_nights_says_so(shop):
    text = printed(scored(shop, book(a="push"), as_of=NIGHT + timedelta(days=7)))
    assert "no night yet whose horizon is over (1 running)" in text


def run_of(home, as_of, actions, run="x"):
    folder = RunFolder(home, f"{as_of:%Y%m%d}-{run}", as_of)
    folder.path.mkdir(parents=True, exist_ok=True)
    plain = dict.fromkeys(SELECTION)
    rows = [
        plain
        | {"rank": rank, "item_row": rank, "item_id": item, "action": action, "stage": "mature", "score": 0.5}
        | {"revenue_at_stake": 9.0}
        for rank, (item, action) in enumerate(actions.items(), 1)
    ]
    write_artefact(pl.DataFrame(rows, schema=SELECTION), folder.path / "selection.parquet", "selection")
    totals = pl.DataFrame(
        [(as_of, "total", "", 28, 1.0, 1.0, 1.0, "m")],
        schema=FORECAST_TOTALS,
        orient="row",
    )
    write_artefact(totals, folder.path / "forecast_totals.parquet", "forecast_totals")
    return folder


def enter(folder, today=END + timedelta(days=1)):
    return enter_picks(folder, today=today)


def test_a_published_night_is_entered_without_what_is_merely_kept(tmp_path):
    assert enter(run_of(tmp_path, NIGHT, {"a": "push", "b": "keep", "c": "drop"}))
    kept = read_artefact(book_path(tmp_path, NIGHT), "picks")
    assert kept.select("item_id", "action", "expected_value").rows() == [
        ("a", "push", 9.0),
        ("c", "drop", 9.0),
    ]
    assert not enter(run_of(tmp_path, NIGHT, {"a": "push", "b": "keep", "c": "drop"}))


def test_a_night_is_closed_by_the_next_one(tmp_path):
    enter(run_of(tmp_path, NIGHT, {"a": "push"}))
    assert enter(run_of(tmp_path, NIGHT, {"b": "push"}, run="again"))
    enter(run_of(tmp_path, END, {"a": "push"}))
    assert not enter(run_of(tmp_path, NIGHT, {"c": "push"}, run="late"))
    assert read_artefact(book_path(tmp_path, NIGHT), "picks").get_column("item_id").to_list() == ["b"]
    assert nights(tmp_path) == [NIGHT, END]


def test_a_run_sees_the_nights_before_it_and_no_others(tmp_path):
    for as_of in (NIGHT - timedelta(days=500), NIGHT, END):
        enter(run_of(tmp_path, as_of, {"a": "push"}))
    (tmp_path / "ledger" / "notes.parquet").write_bytes(b"mine")
    run = run_of(tmp_path, END, {"a": "push"})
    keep_past_picks(run)
    assert read_artefact(run.resolve(PAST_NAME), "picks").get_column("as_of").to_list() == [NIGHT]
    before = run.resolve(PAST_NAME).stat().st_mtime_ns
    keep_past_picks(run)
    assert run.resolve(PAST_NAME).stat().st_mtime_ns == before
    book_path(tmp_path, NIGHT).unlink()
    keep_past_picks(run)
    assert not run.resolve(PAST_NAME).exists()


def test_a_damaged_book_is_named_with_the_remedy(tmp_path):
    enter(run_of(tmp_path, NIGHT, {"a": "push"}))
    book_path(tmp_path, NIGHT).write_bytes(b"no table")
    with pytest.raises(RunError, match=r"20240601\.parquet: a damaged book.*move the file away"):
        keep_past_picks(run_of(tmp_path, END, {"a": "push"}))


def test_a_book_of_another_schema_is_named_and_never_to_be_deleted(tmp_path):
    enter(run_of(tmp_path, NIGHT, {"a": "push"}))
    path = book_path(tmp_path, NIGHT)
    read_artefact(path, "picks").drop("score").write_parquet(path)
    with pytest.raises(
        RunError, match=r"another schema \(column score is missing.*move the file away"
    ) as told:
        keep_past_picks(run_of(tmp_path, END, {"a": "push"}))
    assert "delete" not in str(told.value)


def test_a_broken_copy_of_the_past_picks_is_made_anew(tmp_path):
    enter(run_of(tmp_path, NIGHT, {"a": "push"}))
    run = run_of(tmp_path, END, {"a": "push"})
    run.resolve(PAST_NAME).write_bytes(b"no table")
    keep_past_picks(run)
    assert read_artefact(run.resolve(PAST_NAME), "picks").height == 1


def test_a_night_dated_in_the_future_closes_nothing(tmp_path):
    enter(run_of(tmp_path, date(2099, 1, 1), {"a": "push"}), today=date(2099, 1, 1))
    run = replace(run_of(tmp_path, NIGHT, {"b": "push"}), console=Console(file=StringIO(), width=400))
    assert enter(run, today=NIGHT)
    told = run.console.file.getvalue()
    assert "20990101.parquet: dated in the future, so left aside; move it away" in told
    assert read_artefact(book_path(tmp_path, NIGHT), "picks").get_column("item_id").to_list() == ["b"]
    assert book_path(tmp_path, date(2099, 1, 1)).is_file()  # nothing is lost


def test_a_run_of_a_day_to_come_is_not_entered(tmp_path):
    run = replace(
        run_of(tmp_path, date(2099, 1, 1), {"a": "push"}), console=Console(file=StringIO(), width=400)
    )
    assert not enter(run, today=NIGHT)
    assert "2099-01-01 lies in the future" in run.console.file.getvalue()
    assert nights(tmp_path) == []
    assert enter(
        run_of(tmp_path, NIGHT + timedelta(days=2), {"a": "push"}), today=NIGHT
    )  # tomorrow in the east


def test_a_closed_night_says_what_closed_it_and_what_to_do(tmp_path):
    enter(run_of(tmp_path, END, {"a": "push"}))
    run = replace(run_of(tmp_path, NIGHT, {"b": "push"}), console=Console(file=StringIO(), width=800))
    assert not enter(run)
    told = run.console.file.getvalue()
    assert "20240629.parquet" in told
    assert "move its file away and publish this run again" in told
    book_path(tmp_path, END).unlink()
    assert enter(run)
