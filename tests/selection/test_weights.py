"""Weights are those that people set until past origins teach others, and never leave the limits."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recdata.config import load_config
from recdata.errors import ConfigError
from selection.config import LearningConfig, SelectionConfig, WeightLimits, WeightsConfig
from selection.score import COMPONENTS
from selection.weights import Lesson, decode, encode, learned, weights_for, within


def lesson(*, telling="sales", seed=0, n=400):
    """An origin at which one component knows what will be sold and the others know nothing."""
    rng = np.random.default_rng(seed)
    realised = rng.exponential(size=n)
    parts = {name: rng.random(n) for name in COMPONENTS}
    parts[telling] = np.log1p(realised / realised.mean()) / np.log1p(realised.max() / realised.mean())
    return Lesson(parts, np.arange(n) % 4, realised)


@pytest.mark.parametrize("telling", ["sales", "margin", "hit"])
def test_the_component_that_knows_gets_the_weight(telling):
    shares = dict(zip(COMPONENTS, learned([lesson(telling=telling)]), strict=True))
    assert shares[telling] > 0.9
    assert sum(shares.values()) == pytest.approx(1.0)


def test_a_component_that_is_the_same_for_all_gets_none():
    told = lesson()
    told.parts["margin"][:] = 0.5
    assert dict(zip(COMPONENTS, learned([told]), strict=True))["margin"] < 1e-6


def test_what_differs_between_categories_only_teaches_nothing():
    told = lesson()
    told.parts["tier"][:] = told.group / 4
    assert dict(zip(COMPONENTS, learned([told]), strict=True))["tier"] < 1e-6


def test_what_is_configured_counts_as_so_many_origins():
    configured = WeightsConfig(**{name: float(name == "demand") for name in COMPONENTS})
    told = [lesson(seed=seed) for seed in range(3)]
    found = weights_for(told, configured, WeightLimits(), LearningConfig(prior_origins=3.0))
    assert found.demand == pytest.approx(0.5, abs=0.05)
    alone = weights_for(told, configured, WeightLimits(), LearningConfig(prior_origins=0.0))
    assert alone.demand < 0.1


@pytest.mark.parametrize(
    ("lessons", "config"),
    [([], LearningConfig()), ([lesson()], LearningConfig()), ([lesson()] * 3, LearningConfig(enabled=False))],
)
def test_without_lessons_enough_what_people_set_holds(lessons, config):
    found = weights_for(lessons, WeightsConfig(), WeightLimits(), config)
    assert found.normalised() == pytest.approx(WeightsConfig().normalised())


def test_an_origin_after_which_nothing_was_sold_teaches_nothing():
    silent = Lesson(lesson().parts, lesson().group, np.zeros(400))
    found = weights_for([silent] * 5, WeightsConfig(), WeightLimits(), LearningConfig())
    assert found.normalised() == pytest.approx(WeightsConfig().normalised())


def test_a_learned_weight_keeps_to_the_merchandisers_limits():
    limits = WeightLimits(sales=(0.0, 0.3), margin=(0.2, 0.4))
    found = weights_for([lesson()] * 4, WeightsConfig(), limits, LearningConfig(prior_origins=0.0))
    assert found.sales == pytest.approx(0.3)
    assert found.margin >= 0.2 - 1e-9
    assert sum(msgspec.structs.asdict(found).values()) == pytest.approx(1.0)


@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=8).flatmap(
        lambda low: st.tuples(st.just(low), st.lists(st.floats(0, 1), min_size=len(low), max_size=len(low)))
    ),
    st.randoms(use_true_random=False),
)
def test_shares_within_limits_sum_to_one(ends, random):
    low = np.array(ends[0]) / max(sum(ends[0]), 1.0)
    high = np.maximum(low, np.array(ends[1]) + 1 / len(low))
    weights = np.array([random.random() + 0.01 for _ in low])
    found = within(weights / weights.sum(), low, high)
    assert found.sum() == pytest.approx(1.0, abs=1e-9)
    assert (found >= low - 1e-9).all()
    assert (found <= high + 1e-9).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("demand = [0.5, 0.2]", "the least share must come first"),
        ("demand = [0.6, 1.0]\nsales = [0.6, 1.0]", "the least ones sum to 1.2"),
        ("\n".join(f"{name} = [0.0, 0.01]" for name in COMPONENTS), "the greatest to 0.13"),
        ("demand = [-0.1, 0.5]", "demand"),
        ("demand = 0.5", "demand"),
    ],
)
def test_limits_that_no_weights_can_keep_are_refused(tmp_path, text, says):
    path = tmp_path / "config.toml"
    path.write_text(f"[selection.weight_limits]\n{text}\n")
    with pytest.raises(ConfigError, match=says.replace("[", ".")):
        load_config(path, "selection", SelectionConfig)


def test_stored_weights_are_read_back_to_four_places():
    data = encode(WeightsConfig(demand=1 / 3), 5)
    assert decode(data).normalised() == pytest.approx(WeightsConfig(demand=1 / 3).normalised(), abs=1e-3)
    assert b'"origins": 5' in data
