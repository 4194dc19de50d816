"""Components lie between 0 and 1 and mean what they say; weights are checked; ties break by id."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recdata.config import load_config
from recdata.errors import ConfigError
from selection.actions import ActionInputs, choose_actions
from selection.config import ActionsConfig, SelectionConfig, WeightsConfig
from selection.score import COMPONENTS, Signals, best_first, components, quantile_in_group, weighted_score

MAY_BE_UNKNOWN = ("expected_value", "hit_probability", "margin", "satisfaction", "overlap")


def signals(**changes):
    n = len(next(iter(changes.values()))) if changes else 3
    plain = {name: np.zeros(n) for name in Signals.__dataclass_fields__}
    return Signals(**{**plain, **{name: np.asarray(values, float) for name, values in changes.items()}})


def test_the_best_has_one_none_has_zero_and_scale_does_not_matter():
    small = components(signals(demand_value=[0.0, 1.0, 9.0]))["demand"]
    large = components(signals(demand_value=[0.0, 1000.0, 9000.0]))["demand"]
    # The mean of the two that have any is 5: log(1.2) / log(2.8).
    assert small == pytest.approx([0.0, np.log(1.2) / np.log(2.8), 1.0])
    assert large == pytest.approx(small)


def test_a_flat_trend_is_one_half_and_doubling_mirrors_halving():
    found = components(signals(trend=[-1.0, -0.5, 0.0, 1.0]))["trend"]
    assert found == pytest.approx([0.0, 0.2, 0.5, 0.8])


def test_repurchase_is_measured_against_the_top_of_what_is_sold():
    found = components(signals(repurchase_rate=[0.1, 0.2, 0.9], base_revenue=[1.0, 1.0, 0.0]))
    assert found["repurchase"] == pytest.approx([0.1 / 0.195, 1.0, 1.0])


def test_a_shop_of_which_nothing_is_known_gives_every_item_the_same_score():
    unknown = dict.fromkeys(
        ("expected_value", "hit_probability", "margin", "satisfaction", "overlap"), [np.nan] * 3
    )
    parts = components(signals(**unknown))
    assert parts["margin"].tolist() == parts["satisfaction"].tolist() == parts["trend"].tolist() == [0.5] * 3
    assert parts["novelty"].tolist() == [1.0] * 3
    assert parts["hit"].tolist() == parts["safety"].tolist() == [0.0] * 3
    assert len(set(weighted_score(parts, WeightsConfig()).tolist())) == 1


def test_an_item_whose_margin_or_rating_is_not_known_has_the_shops_median():
    found = components(signals(margin=[0.2, np.nan, 0.6], satisfaction=[np.nan, 0.9, 0.7]))
    assert found["margin"] == pytest.approx([0.2, 0.4, 0.6])
    assert found["satisfaction"] == pytest.approx([0.8, 0.9, 0.7])


def test_a_loss_has_no_margin():
    assert components(signals(margin=[-0.5, 0.3, 0.5]))["margin"][0] == 0.0


def test_value_is_the_forecasts_money_where_nothing_else_is_known():
    found = components(signals(demand_value=[10.0, 20.0, 30.0], expected_value=[np.nan] * 3))
    assert found["value"].tolist() == found["demand"].tolist()


def test_novelty_is_what_no_stronger_item_has():
    assert components(signals(overlap=[np.nan, 0.25, 1.0]))["novelty"].tolist() == [1.0, 0.75, 0.0]


def test_a_narrow_forecast_is_safer_than_a_wide_one():
    found = components(signals(demand=[5.0] * 3, demand_q10=[5.0, 2.0, 0.0], demand_q90=[5.0, 8.0, 10.0]))
    assert found["safety"].tolist() == [1.0, 0.4, 0.0]


length = st.shared(st.integers(1, 20), key="n")
finite = arrays(np.float64, length, elements=st.floats(0, 1e9))
perhaps = arrays(np.float64, length, elements=st.floats(-1e9, 1e9) | st.just(np.nan))


@given(
    st.fixed_dictionaries(
        {name: perhaps if name in MAY_BE_UNKNOWN else finite for name in Signals.__dataclass_fields__}
    )
)
def test_components_and_score_stay_between_zero_and_one(values):
    parts = components(Signals(**values))
    assert tuple(parts) == COMPONENTS
    for part in parts.values():
        assert ((part >= 0) & (part <= 1 + 1e-12)).all()
    score = weighted_score(parts, WeightsConfig())
    assert ((score >= 0) & (score <= 1)).all()


@given(finite)
def test_more_demand_never_scores_less(values):
    score = weighted_score(components(signals(demand_value=values)), WeightsConfig())
    order = np.argsort(values, kind="stable")
    assert (np.diff(score[order]) >= -1e-12).all()


def test_only_the_proportions_of_weights_matter():
    doubled = WeightsConfig(
        **{name: 2 * value for name, value in msgspec.structs.asdict(WeightsConfig()).items()}
    )
    assert doubled.normalised() == pytest.approx(WeightsConfig().normalised())
    assert sum(WeightsConfig().normalised().values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "text", ["demand = -1.0", "demand = nan", "\n".join(f"{name} = 0" for name in COMPONENTS)]
)
def test_weights_that_cannot_be_normalised_are_refused_with_their_place(tmp_path, text):
    path = tmp_path / "recsvc.toml"
    path.write_text(f"[selection.weights]\n{text}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"selection\.weights"):
        load_config(path, "selection", SelectionConfig)


def test_equal_scores_stand_in_the_order_of_their_ids():
    ids = np.array(["b", "c", "a"], dtype=object)
    assert best_first(np.array([0.5, 0.9, 0.5]), np.argsort(ids)).tolist() == [1, 2, 0]


def test_the_place_in_a_group_counts_the_living_only():
    quantile = quantile_in_group(
        np.array([0.1, 0.2, 0.3, 0.9, 0.5]),
        np.array([0, 0, 0, 0, 1]),
        np.array([True, True, True, False, True]),
    )
    assert quantile == pytest.approx([1 / 3, 2 / 3, 1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("stage", "quantile", "demand", "buyers", "units", "z", "action"),
    [
        ("dead", 1.0, 99.0, 9, 0.0, 0.0, "drop"),
        ("launch", 0.6, 9.0, 3, 5.0, 0.0, "launch"),
        ("launch", 0.6, 9.0, 2, 5.0, 0.0, "keep"),
        ("launch", 0.4, 9.0, 3, 5.0, 0.0, "keep"),
        ("launch", 0.6, 9.0, 3, 5.0, -3.0, "keep"),
        ("launch", 0.6, 9.0, 3, 0.0, 0.0, "keep"),
        ("decline", 0.95, 99.0, 9, 5.0, -2.0, "keep"),
        ("decline", 0.5, 9.0, 9, 5.0, -2.0, "discount"),
        ("decline", 0.1, 9.0, 9, 5.0, -2.0, "drop"),
        ("growth", 0.95, 9.0, 9, 5.0, 2.0, "push"),
        ("growth", 0.95, 1.0, 9, 5.0, 2.0, "keep"),
        ("seasonal", 0.05, 0.0, 0, 0.0, -1.0, "keep"),
        ("mature", 0.05, 0.5, 1, 0.0, -0.5, "discount"),
        ("mature", 0.5, 5.0, 9, 5.0, 0.0, "keep"),
    ],
)
def test_the_action_follows_the_rules(stage, quantile, demand, buyers, units, z, action):
    assert action_of(stage, quantile, demand, buyers, units, z) == action


def action_of(stage, quantile=0.5, demand=9.0, buyers=9, units=5.0, z=0.0, *, hit=np.nan, keep=np.nan):
    inputs = ActionInputs(
        stage=np.array([stage]),
        quantile=np.array([quantile]),
        demand=np.array([demand]),
        buyers=np.array([buyers]),
        units_recent=np.array([units]),
        trend_z=np.array([z]),
        hit_probability=np.array([hit]),
        keep_probability=np.array([keep]),
    )
    return choose_actions(inputs, ActionsConfig()).item()


def test_a_likely_hit_is_pushed_or_rolled_out_if_it_sells():
    assert action_of("mature", hit=0.6) == "push"
    assert action_of("mature", hit=0.4) == "keep"
    assert action_of("mature", hit=0.6, units=0.0) == "keep"
    assert action_of("decline", z=-2.0, hit=0.6) == "keep"
    assert action_of("launch", quantile=0.1, buyers=1, hit=0.6) == "launch"


def test_what_is_likely_to_be_worth_keeping_is_not_dropped():
    assert action_of("dead", units=0.0, keep=0.6) == "keep"
    assert action_of("dead", units=0.0, keep=0.4) == "drop"
    assert action_of("decline", quantile=0.1, z=-2.0, keep=0.6) == "discount"


def test_what_has_hardly_a_chance_is_dropped_before_it_is_dead():
    assert action_of("mature", keep=0.01) == "drop"
    assert action_of("mature", keep=0.1) == "keep"
    assert action_of("seasonal", keep=0.01) == "keep"
    assert action_of("launch", keep=0.01) == "launch"
