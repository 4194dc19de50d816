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
from recsvc.client import NotFoundError, UnavailableError
from recsvc.calling import call
from recsvc.showing import sparkline

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


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (("recommend", "--user", "ann", "--top-k", "2"), ["For user ann", "Bread", "3.00 CNY", "repeat"]),
        (("recommend", "--channel", "app"), ["not known", "Wine", "no user_id that the snapshot knows"]),
        (("similar", "--item", "apple"), ["Similar to apple", "梨", "0.900"]),
        (("bestsellers", "--kind", "trending"), ["Trending of the whole shop, 28 days", "Wine"]),
        (("bestsellers", "--window-days", "7"), ["7 days", "Wine"]),
        (("candidates", "--action", "push"), ["1 of 1", "growth", "80 – 130", "Demand is rising"]),
        (("forecast", "--level", "total"), ["▁▅█", "3 days, 12 units", "2025-03-01", "prophet"]),
        (("state",), ["Serving state", "ndcg_at_20", "best 28, 7 days"]),
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
        (("candidates", "--language", "zh"), ["80 – 130", "push"]),
        (("forecast",), ["Forecast of total (prophet): 3 days", "▁▅█", "2025-03-01"]),
        (("state",), ["ndcg_at_20", "best 28, 7 days", "2025-"]),
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
    for name, command in call.commands.items():
        for option in command.params:
            assert option.help, (name, option.name)


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
