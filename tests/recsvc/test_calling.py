from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import click
import pytest
from rich.cells import cell_len
from rich.console import Console

from recdata.cli import Door
from recsvc.calling import call
from recsvc.client import NotFoundError, PreconditionError, UnavailableError
from recsvc.showing import sparkline
from tests.recsvc.tiny import Tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture
def printed(running, tmp_path):
    def calling(*options: str, address: str = running.address, width: int = 160) -> str:
        out = StringIO()
        console = Console(file=out, width=width)
        door = Door(home=tmp_path, config=None, console=console, out=console)
        call.main([*options, "--address", address], obj=door, standalone_mode=False)
        return out.getvalue()

    return calling


@pytest.fixture
def day(start, tmp_path, printed):
    """Prints what a verb says that changes the day, on a server of its own."""
    home = tmp_path / "home"
    first = Tiny(title_suffix=" of old").publish(home)
    Tiny().publish(home)
    address = start(home).address

    def changing(*options: str) -> str:
        return printed(*options, address=address)

    changing.old_snapshot = first.snapshot_id
    return changing


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (("recommend", "--user", "ann", "--top-k", "2"), ["For user ann", "Bread", "3.00 CNY", "repeat"]),
        (("recommend", "--channel", "app"), ["not known", "Wine", "the same for everybody"]),
        (("similar", "--item", "apple"), ["Similar to apple", "梨", "0.900"]),
        (("bestsellers", "--kind", "trending"), ["Trending of the whole shop, 28 days", "Wine"]),
        (("bestsellers", "--window-days", "7"), ["7 days", "Wine"]),
        (("candidates", "--action", "push"), ["1 of 1", "growth", "80 – 130", "Demand is rising"]),
        (("forecast", "--level", "total"), ["▁▅█", "3 days, 12 units", "2025-03-01", "prophet"]),
        (("state",), ["Serving state", "ndcg_at_20", "best 28, 7 days", "live store"]),
        (("snapshots",), ["Published snapshots", "2025-03-01", "published, mapped"]),
        (("together", "--item", "apple"), ["together with apple", "梨", "3.00", "30.0%"]),
        (("rank", "--item", "milk", "--item", "apple"), ["In order for", "Apple", "not to be shown: milk"]),
        (("page", "--user", "ann"), ["Buy it again", "To discover", "Trending: nothing to show"]),
        (("page", "--context", "apple"), ["Goes well with it", "Similar", "梨"]),
        (("page", "--carousel", "best", "--top-k", "1"), ["Bestsellers", "Beer"]),
    ],
)
def test_an_answer_is_printed_as_a_table(printed, options, shown):
    said = printed(*options)
    for text in shown:
        assert text in said


@pytest.mark.parametrize(
    ("options", "whole"),
    [
        (("recommend", "--user", "ann"), ["source and reason", "repeat", "You buy it regularly", "3.00 CNY"]),
        (("similar", "--item", "apple"), ["similar", "Bought by the same"]),
        (("bestsellers", "--kind", "trending"), ["title and category", "buyers", "Wine"]),
        (("candidates",), ["80% interval", "80 – 130", "push", "growth", "Demand is rising"]),
        (("candidates", "--language", "zh"), ["80 – 130", "主推", "成长期"]),
        (("forecast",), ["Forecast of total (prophet): 3 days", "▁▅█", "2025-03-01"]),
        (("state",), ["ndcg_at_20", "best 28, 7 days", "2025-"]),
        (("snapshots",), ["published, mapped", "MB"]),
        (("together", "--item", "apple"), ["share of its orders", "12.00 CNY", "15.0%"]),
        (("page", "--user", "ann"), ["Buy it again", "You buy it regularly", "nothing to show"]),
        (("recommend", "--user", "ann", "--why"), ["Because you bought", "100%"]),
    ],
)
@pytest.mark.parametrize("width", [80, 120])
def test_a_table_fits_the_terminal_and_cuts_nothing_off(printed, options, whole, width):
    said = printed(*options, width=width)
    assert "…" not in said
    assert max(map(cell_len, said.splitlines())) <= width
    for text in whole:
        assert text in said


def test_each_candidate_names_its_strongest_reason_below_its_title(printed):
    lines = [line.strip() for line in printed("candidates", width=80).splitlines()]
    assert any(line.startswith("Demand is rising") for line in lines)


def test_an_answer_can_be_printed_as_json(printed):
    answer = json.loads(printed("recommend", "--user", "ann", "--language", "zh", "--json"))
    assert answer["results"][0]["reason"]["text"] == "您经常购买"
    assert answer["info"]["snapshot_id"]


def test_a_refusal_says_why_with_its_reason(printed):
    with pytest.raises(NotFoundError, match=r"'no such' is not in snapshot .* \(NOT_FOUND, ITEM_NOT_FOUND\)"):
        printed("similar", "--item", "no such")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--level", "item"), "--level item needs --key: which item"),
        (("--key", "apple"), "give --level as well"),
    ],
)
def test_a_forecast_of_a_part_needs_its_level_and_its_key(printed, options, says):
    with pytest.raises(click.UsageError, match=says):
        printed("forecast", *options)


def test_every_option_of_every_sub_verb_says_what_it_is():
    groups = {
        name: command.commands for name, command in call.commands.items() if hasattr(command, "commands")
    }
    for name, command in {**call.commands, **groups["rules"]}.items():
        for option in command.params:
            assert option.help, (name, option.name)


@pytest.mark.parametrize(
    ("conditions", "left"),
    [
        (("--brand", "Orchard"), ["apple", "pear"]),
        (("--brand", "Orchard", "--max-price", "1.50"), ["apple"]),
        (("--min-price", "2.19", "--max-price", "3"), ["beer", "bread"]),
        (("--attribute", "organic=yes|no"), ["apple", "bread"]),
        (("--in-channel", "app"), ["pear", "wine"]),
        (("--in-channel", "app", "--in-region", "north"), ["wine"]),
        (("--category", "Food", "--exclude", "pear"), ["apple", "bread"]),
        (("--brand", "Orchard", "--context", "apple"), ["pear"]),
        (("--category", "Food", "--seen", "apple", "--exclude-seen"), ["bread", "pear"]),
        (("--category", "Food > Fruit", "--max-per-category", "1", "--seed", "7"), None),
    ],
)
def test_conditions_choose_which_items_are_shown(printed, conditions, left):
    answer = json.loads(printed("recommend", "--json", *conditions))
    shown = sorted(each["item"]["item_id"] for each in answer.get("results", ()))
    assert shown == left if left is not None else len(shown) == 1


def test_an_answer_may_come_from_the_snapshot_that_is_named(printed):
    serving = json.loads(printed("state", "--json"))["snapshot"]["snapshot_id"]
    assert f"snapshot {serving}" in printed("similar", "--item", "apple", "--snapshot", serving)
    with pytest.raises(PreconditionError, match="SNAPSHOT_NOT_MAPPED"):
        printed("similar", "--item", "apple", "--snapshot", "no such")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("recommend", "--min-price", "cheap"), "'cheap' is no amount; write it like 12.50"),
        (("recommend", "--max-price", "nan"), "'nan' is no amount"),
        (("recommend", "--attribute", "red"), "'red' is no condition; write it like colour=red"),
        (("stock", "--item", "apple"), "nothing to change: give --units, --status or both"),
        (("rules", "update", "--rule", "summer"), "nothing to change"),
    ],
)
def test_an_option_that_makes_no_sense_is_said_before_anybody_is_asked(printed, options, says):
    with pytest.raises(click.UsageError, match=says):
        printed(*options)


def test_nobody_listening_is_one_line(running):
    command = [sys.executable, "-m", "recdata", "call", "state", "--address", "127.0.0.1:1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == UnavailableError.exit_code
    assert done.stdout == ""
    line = (
        "error: nothing answers at 127.0.0.1:1; start a server with `recsvc serve`, or give another address"
    )
    assert done.stderr.splitlines() == [line]


@pytest.mark.parametrize(
    ("values", "line"), [([], ""), ([5, 5], "▁▁"), ([0, 7], "▁█"), ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█")]
)
def test_a_sparkline_reaches_from_the_lowest_to_the_highest_bar(values, line):
    assert sparkline(values) == line


def test_an_event_is_recorded_once(day):
    options = ("record", "--user", "ann", "--item", "apple", "--type", "view", "--event-id", "e-1")
    assert day(*options) == "event e-1: recorded\n"
    assert day(*options) == "event e-1: known already, recorded once\n"
    bought = ("--type", "purchase", "--quantity", "2", "--unit-price", "1.50", "--at", "2025-03-01T10:00:00")
    assert "recorded" in day("record", "--session", "s", "--item", "beer", *bought)


def test_stock_and_price_change_the_item_that_is_shown(day):
    assert "not tracked" in day("item", "--item", "apple")
    assert day("stock", "--item", "apple", "--units", "1200") == "apple: 1,200 units\n"
    assert day("price", "--item", "apple", "--to", "1.75") == "apple: 1.75\n"
    said = day("item", "--item", "apple")
    for text in ("Item apple", "1,200", "1.75 CNY", "active", "changed at", "Orchard"):
        assert text in said
    day("stock", "--item", "apple", "--status", "discontinued")
    assert "discontinued" in day("item", "--item", "apple")
    assert "the snapshot does not know 'kiwi'" in day("stock", "--item", "kiwi", "--units", "1")


def test_rules_are_added_listed_changed_and_deleted(day):
    assert "no rules" in day("rules", "list")
    drinks = ("--action", "boost", "--category", "Drinks", "--factor", "2.5", "--description", "Hot days")
    where = ("--on-placement", "home", "--until", "2030-06-01")
    said = day("rules", "add", "--rule", "summer", *drinks, *where)
    for text in (
        "summer",
        "Hot days",
        "boost × 2.5",
        "category Drinks",
        "placement home",
        "until 2030-06-01",
    ):
        assert text in said
    assert "pin to 1" in day(
        "rules", "add", "--rule", "first", "--action", "pin", "--item", "pear", "--position", "1"
    )
    said = day(
        "rules", "update", "--rule", "summer", "--factor", "3", "--clear", "scope", "--clear", "end_time"
    )
    assert "boost × 3" in said
    assert "everywhere, always" in said
    said = day("rules", "list")
    assert said.index("first") < said.index("summer")
    assert "every worker obeys a change" in said
    assert day("rules", "delete", "--rule", "summer") == "rule summer is deleted\n"
    with pytest.raises(NotFoundError, match="RULE_NOT_FOUND"):
        day("rules", "delete", "--rule", "summer")


def test_an_older_snapshot_can_be_activated(day):
    said = day("activate", "--snapshot", day.old_snapshot)
    assert said.startswith(f"snapshot {day.old_snapshot} serves, in place of")
    assert day.old_snapshot in day("snapshots")


def test_an_erasure_says_what_was_removed_where(day):
    day("record", "--user", "ann", "--item", "apple", "--type", "view")
    said = day("erase", "--user", "ann", "--yes")
    for text in ("Erasure 1,", "live/events", "removed", "left"):
        assert text in said
