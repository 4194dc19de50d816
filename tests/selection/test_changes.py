"""What would change an action is put to the rules themselves: each sentence said does what it says."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selection.actions import ACTIONS, STAGES, ActionInputs, choose_actions
from selection.changes import best_place, changes
from selection.config import ActionsConfig
from selection.score import quantile_in_group
from tests.selection.test_select import STEADY, WINDOWS


def what_would_change(**facts):
    return [change.en for change in changes([STEADY._replace(**facts)], WINDOWS, ActionsConfig())[0]]


def test_a_kept_item_is_told_the_way_to_a_push():
    assert what_would_change(place=40)[0] == "Would be pushed if it reached place 10 (now 40)"
    assert what_would_change(place=40, demand=3.0)[0] == (
        "Would be pushed if it reached place 10 (now 40) and were forecast to sell 5 units (now 3)"
    )
    assert what_would_change(place=5, demand=3.0)[0] == (
        "Would be pushed if it were forecast to sell 5 units (now 3)"
    )


def test_the_place_named_is_the_last_that_the_rule_lets_through():
    for size in (1, 5, 10, 33, 90):
        last = best_place(size, 0.9)
        quantile = quantile_in_group(np.arange(float(size)), np.zeros(size, np.int64), np.ones(size, bool))[
            ::-1
        ]
        assert (quantile[:last] >= 0.9).all()
        assert not (quantile[last:] >= 0.9).any()


def test_a_waiting_launch_is_told_what_is_missing():
    waiting = {"stage": "launch", "buyers": 1, "units_recent": 0.0, "place": 80}
    assert what_would_change(**waiting) == [
        "Would be rolled out if it had 3 buyers (now 1) and sold in the last 28 days "
        "and reached place 46 (now 80)"
    ]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("stage", STAGES)
def test_counterfactuals_come_in_both_languages_and_three_at_most(action, stage):
    for known in ({}, {"hit_probability": 0.1, "keep_probability": 0.01}):
        [found] = changes([STEADY._replace(action=action, stage=stage, **known)], WINDOWS, ActionsConfig())
        assert len(found) <= 3
        assert all(change.zh and change.en for change in found)
        # As everywhere in the report, a space parts a Chinese word from a number.
        assert not [
            change.zh
            for change in found
            if re.search(r"[\u4e00-\u9fff][0-9]|[0-9%][\u4e00-\u9fff]", change.zh)
        ]


@st.composite
def decided(draw):
    """Facts of a living or dead item with the action that the rules choose for it."""

    def chance():
        return draw(st.sampled_from([None, 0.0, 0.01, 0.02, 0.3, 0.499, 0.5, 0.9, 1.0]))

    stage = draw(st.sampled_from(STAGES))
    size = 0 if stage == "dead" else draw(st.integers(1, 40))
    facts = STEADY._replace(
        stage=stage,
        place=draw(st.integers(1, size)) if size else 0,
        place_of=size,
        demand=draw(st.sampled_from([0.0, 4.97, 5.0, 60.0])),
        buyers=draw(st.sampled_from([0, 2, 3, 50])),
        units_recent=draw(st.sampled_from([-1.0, 0.0, 1.0, 30.0])),
        trend_z=draw(st.sampled_from([-4.0, -1.64, -0.5, 0.0, 2.0])),
        days_since_sale=draw(st.sampled_from([None, 2, 40, 84, 100])),
        hit_probability=chance(),
        keep_probability=chance(),
    )
    return facts._replace(action=rules_say(facts))


def rules_say(facts):
    """Returns what `choose_actions` does with an item; a category's scores are 1, 2, 3, ..."""
    size = facts.place_of
    scores = np.arange(float(size))[::-1]
    quantiles = quantile_in_group(scores, np.zeros(size, np.int64), np.ones(size, bool))
    nan = float("nan")
    inputs = ActionInputs(
        stage=np.array([facts.stage]),
        quantile=np.array([quantiles[facts.place - 1] if size else 0.0]),
        demand=np.array([facts.demand]),
        buyers=np.array([facts.buyers]),
        units_recent=np.array([facts.units_recent]),
        trend_z=np.array([facts.trend_z]),
        hit_probability=np.array([nan if facts.hit_probability is None else facts.hit_probability]),
        keep_probability=np.array([nan if facts.keep_probability is None else facts.keep_probability]),
    )
    return str(choose_actions(inputs, ActionsConfig())[0])


@given(decided())
@settings(max_examples=400, deadline=None)
def test_what_a_counterfactual_says_is_what_the_rules_do(facts):
    verbs = {
        "push": "Would be pushed",
        "launch": "Would be rolled out",
        "keep": ("Would be kept", "Would wait"),
        "discount": "Would be discounted",
        "drop": "Would be dropped",
    }
    [found] = changes([facts], WINDOWS, ActionsConfig())
    for change in found:
        then = rules_say(facts._replace(**change.given))
        assert then == change.action != facts.action
        assert change.en.startswith(verbs[then])


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        # Pushed for its chance of a hit: its place decides nothing.
        (
            {"action": "push", "hit_probability": 0.6, "place": 40},
            ["Would be kept if its chance of a hit fell below 50% (now 60%)"],
        ),
        # A declining item is defended, not pushed, when a hit becomes likely.
        (
            {"stage": "decline", "hit_probability": 0.3, "place": 3},
            [
                "Would be discounted if it fell below place 10 (now 3)",
                "Would be dropped after 84 days without a sale (now 2)",
            ],
        ),
        # A dead item needs half a chance to be saved, not a fiftieth.
        (
            {
                "action": "drop",
                "stage": "dead",
                "place": 0,
                "place_of": 0,
                "keep_probability": 0.01,
                "units_recent": 0.0,
            },
            ["Would be kept if its chance of selling something worth keeping reached 50% (now 1%)"],
        ),
        # The only item of its category cannot fall in it.
        (
            {"action": "push", "place": 1, "place_of": 1},
            ["Would be kept if its forecast fell below 5 units (now 31)"],
        ),
        # Pushed for two reasons, it loses the push with both; its chance would save it from death.
        (
            {"action": "push", "place": 3, "hit_probability": 0.6, "keep_probability": 0.9},
            [
                "Would be kept if its chance of a hit fell below 50% (now 60%) and it fell below place 10 "
                "(now 3)",
                "Would be kept if its chance of a hit fell below 50% (now 60%) and its forecast fell below "
                "5 units (now 31)",
            ],
        ),
        (
            {"stage": "decline", "place": 3, "trend_z": -3.0, "keep_probability": 0.9},
            ["Would be discounted if it fell below place 10 (now 3)"],
        ),
        # Rounded alike, two numbers are told apart.
        ({"place": 1, "demand": 4.97}, ["Would be pushed if it were forecast to sell 5.00 units (now 4.97)"]),
    ],
)
def test_no_counterfactual_speaks_of_what_does_not_decide(facts, said):
    assert what_would_change(**facts)[: len(said)] == said
    saved = (facts.get("keep_probability") or 0.0) >= 0.5
    assert not saved or not any("without a sale" in sentence for sentence in what_would_change(**facts))
    pushes = [sentence for sentence in what_would_change(**facts) if "pushed" in sentence]
    assert facts.get("stage") != "decline" or not pushes
