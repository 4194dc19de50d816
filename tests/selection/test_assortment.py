"""The assortment is the best there is, keeps every limit, and says what to change where there is none."""

import itertools

import msgspec
import numpy as np
import polars as pl
import pytest

from selection.assortment.candidates import candidates, substitutes
from selection.assortment.config import AssortmentConfig
from selection.assortment.explain import find_conflict
from selection.assortment.greedy import greedy
from selection.assortment.limits import limits_of
from selection.assortment.plan import plan_assortment
from selection.assortment.problem import Problem, parts
from selection.assortment.solve import solve
from selection.config import FeaturesConfig
from tests.selection.shelves import nothing_alike, shelf

NO_PAIRS = (np.zeros((0, 2), np.intp), np.zeros(0))
BANDS = ("premium", "high", "mid", "value")


def problem_of(frame, config, pairs=NO_PAIRS):
    value, cost = (frame.get_column(name).to_numpy() for name in ("value", "cost"))
    return Problem(value, cost, *pairs, limits_of(frame, config))


def chosen_of(frame, pairs=NO_PAIRS, **config):
    problem = problem_of(frame, AssortmentConfig(**{"todays_slots": False} | config), pairs)
    found = solve(problem, max_gap=0.0, max_nodes=10_000, time_limit_s=600.0)
    return np.flatnonzero(found.chosen).tolist(), found, problem


def prices_of(problem):
    return solve(problem, max_gap=0.0, max_nodes=10_000, time_limit_s=600.0).prices


def brute_force(problem):
    best = -1.0
    for choice in itertools.product((False, True), repeat=problem.size):
        chosen = np.array(choice, np.bool_)
        if problem.allows(chosen):
            best = max(best, problem.worth(chosen))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_the_solver_finds_what_trying_everything_finds(seed):
    rng = np.random.default_rng(seed)
    n = 11
    frame = shelf(
        rng.uniform(-1, 10, n).round(2),
        costs=rng.uniform(0.5, 6, n).round(2).tolist(),
        categories=rng.choice(["A > B", "A > C"], n).tolist(),
        bands=[BANDS[number % 4] for number in range(n)],
        new=(rng.random(n) < 0.4).tolist(),
    )
    lesser, stronger = np.array([(i, j) for i in range(n) for j in range(i)]).T
    kept = rng.random(len(lesser)) < 0.3
    pairs = np.stack([lesser, stronger], axis=1)[kept].astype(np.intp), rng.uniform(0, 4, kept.sum())
    config = AssortmentConfig(
        budget=float(rng.uniform(6, 20)),
        total_slots=int(rng.integers(3, 8)),
        slots={"A > B": 3} if (frame["category"] == "A > B").any() else {},
        band_least={"premium": 0.2},
        band_most={"value": 0.4},
        new_least=float(rng.choice([0.0, 0.3])),
        todays_slots=bool(seed % 2),
    )
    problem = problem_of(frame, config, pairs)
    found = solve(problem, max_gap=0.0, max_nodes=10_000, time_limit_s=600.0)
    assert found.infeasible == ()
    assert problem.allows(found.chosen)
    assert found.worth == pytest.approx(brute_force(problem), abs=1e-4)
    assert found.gap == pytest.approx(0.0, abs=1e-4)
    plain = greedy(problem)
    assert not problem.allows(plain) or problem.worth(plain) <= found.worth + 1e-4


def test_without_limits_everything_that_brings_something_is_in():
    assert chosen_of(shelf([3, -1, 0.5, 0]))[0] == [0, 2]


def test_a_budget_takes_two_cheap_ones_over_the_dear_best():
    frame = shelf([10, 7, 6, 1], costs=[10, 5, 5, 1])
    assert chosen_of(frame, budget=10.0)[0] == [1, 2]
    assert np.flatnonzero(greedy(problem_of(frame, AssortmentConfig(budget=10.0)))).tolist() == [1, 2]


def test_a_budget_of_nothing_is_an_answer():
    frame = shelf([10, 7], costs=[10, 5])
    rows, plan = plan_assortment(frame, *nothing_alike(2), AssortmentConfig(budget=0.0))
    assert (plan.status, plan.chosen, plan.worth) == ("nothing", 0, 0.0)
    assert not rows.get_column("chosen").any()


def test_slots_bands_newness_and_pins_are_kept():
    frame = shelf(
        [9, 8, 7, 6, 5, 4],
        categories=["A > B", "A > B", "A > B", "A > C", "D", "D"],
        bands=["mid", "mid", "value", "premium", "mid", "mid"],
        new=[False, False, False, False, True, True],
    )
    assert chosen_of(frame, slots={"A": 2})[0] == [0, 1, 4, 5]
    assert chosen_of(frame, slots={"A > B": 1}, total_slots=3)[0] == [0, 3, 4]
    assert chosen_of(frame, total_slots=3, band_least={"premium": 0.3})[0] == [0, 1, 3]
    assert chosen_of(frame, total_slots=4, band_most={"mid": 0.5})[0] == [0, 1, 2, 3]
    assert chosen_of(frame, total_slots=4, new_least=0.5)[0] == [0, 1, 4, 5]
    assert chosen_of(frame, total_slots=2, always=("i05",), never=("i00",))[0] == [1, 5]
    assert chosen_of(frame, total_slots=3, least={"D": 2})[0] == [0, 4, 5]


def test_todays_shelf_is_the_default_limit_and_own_slots_take_its_place():
    frame = shelf(
        [9, 8, 7, 6], categories=["A > B", "A > B", "A > C", "A > C"], now=[False, True, True, True]
    )
    assert chosen_of(frame, todays_slots=True)[0] == [0, 2, 3]
    assert chosen_of(frame, todays_slots=True, slots={"A > C": 1})[0] == [0, 2]
    assert chosen_of(frame, todays_slots=True, slots={"A": 1})[0] == [0]


def test_a_substitute_gives_way_to_something_else():
    frame = shelf([10, 9, 7.5])
    pairs = np.array([[1, 0]], np.intp), np.array([2.0])
    assert chosen_of(frame, total_slots=2)[0] == [0, 1]
    picked, found, problem = chosen_of(frame, pairs, total_slots=2)
    assert picked == [0, 2]
    assert found.worth == pytest.approx(17.5)
    # Beside two substitutes an item loses to the stronger claim, not to both.
    both = Problem(problem.value, problem.cost, np.array([[2, 0], [2, 1]], np.intp), np.array([1.0, 3.0]), ())
    assert both.worth(np.ones(3, np.bool_)) == pytest.approx(26.5 - 3.0)


def test_shadow_prices_say_what_one_more_would_bring():
    frame = shelf([10, 7, 4], categories=["A", "A", "D"])
    problem = problem_of(frame, AssortmentConfig(slots={"A": 1, "D": 1}, todays_slots=False))
    assert prices_of(problem).tolist() == pytest.approx([7.0, 0.0])  # D has no second item
    roomy = problem_of(frame, AssortmentConfig(total_slots=3, todays_slots=False))
    assert prices_of(roomy).tolist() == pytest.approx([0.0])
    money = problem_of(shelf([10, 4], costs=[5, 8]), AssortmentConfig(budget=9.0, todays_slots=False))
    assert prices_of(money).tolist() == pytest.approx([0.5])


def test_contradicting_limits_are_named_with_what_each_would_have_to_be():
    frame = shelf([5, 5, 5, 5], costs=[4, 4, 4, 4], categories=["A", "A", "D", "D"])
    config = AssortmentConfig(budget=6.0, least={"A": 2}, total_slots=4, todays_slots=False)
    rows, plan = plan_assortment(frame, *nothing_alike(4), config)
    assert (plan.status, plan.chosen) == ("impossible", 0)
    assert not rows.get_column("chosen").any()
    told = {remedy.kind: remedy.alone for remedy in plan.remedies}
    assert told == {"budget": pytest.approx(8.0), "least": pytest.approx(1.0)}


def test_a_share_that_stands_in_the_way_is_let_go():
    frame = shelf([5, 5, 5, 5], categories=["A", "D", "D", "D"], bands=["high", "mid", "mid", "mid"])
    config = AssortmentConfig(least={"D": 3}, band_most={"mid": 0.5}, todays_slots=False)
    _, plan = plan_assortment(frame, *nothing_alike(4), config)
    told = {(remedy.kind, remedy.key): (remedy.bound, remedy.alone) for remedy in plan.remedies}
    assert told == {("band_most", "mid"): (0.5, 1.0), ("least", "D"): (3.0, 1.0)}


def test_one_limit_that_cannot_be_kept_by_itself_is_the_only_one_named():
    frame = shelf([5, 5, 5], categories=["A", "A", "D"])
    problem = problem_of(frame, AssortmentConfig(least={"A": 3}, total_slots=3, todays_slots=False))
    found = solve(problem, max_gap=0.0, max_nodes=10_000, time_limit_s=600.0)
    assert found.infeasible
    conflict = find_conflict(problem, found.infeasible)
    assert [problem.limits[number].kind for number in conflict.together] == ["least"]
    assert list(conflict.alone.values()) == pytest.approx([2.0])


def test_a_conflict_that_is_not_found_in_time_names_the_limits_and_no_infinite_moves():
    frame = shelf([5, 5, 5, 5], categories=["A", "A", "D", "D"])
    config = AssortmentConfig(least={"A": 2, "D": 2}, total_slots=3, todays_slots=False)
    problem = problem_of(frame, config)
    conflict = find_conflict(problem, (0, 1, 2), seconds=0.0)
    assert conflict.together == {0: 0.0, 1: 0.0, 2: 0.0}
    assert conflict.alone == {}


def test_what_no_limit_joins_is_solved_apart():
    frame = shelf([1, 2, 3, 4, 5], categories=["A", "A", "D", "D", "E"])
    problem = problem_of(frame, AssortmentConfig(slots={"A": 1, "D": 1}, todays_slots=False))
    assert sorted(part.size for part, _, _ in parts(problem)) == [1, 2, 2]
    whole = problem_of(frame, AssortmentConfig(slots={"A": 1}, budget=9.0, todays_slots=False))
    assert [part.size for part, _, _ in parts(whole)] == [5]


def knapsack(n, seed):
    """Every item is worth its cost and as much more as any other, so that no first guess is the best."""
    rng = np.random.default_rng(seed)
    cost = rng.integers(100, 1000, n).astype(float)
    bands = rng.choice(["premium", "mid", "value"], n).tolist()
    frame = shelf(cost + 100, costs=cost.tolist(), bands=bands)
    budget = float(int(cost.sum() / 2))
    config = AssortmentConfig(budget=budget, band_least={"premium": 0.4}, todays_slots=False)
    return problem_of(frame, config)


def test_nodes_end_a_hard_problem_and_the_clock_has_no_say():
    problem = knapsack(100, seed=1)
    found = solve(problem, max_gap=0.0, max_nodes=1, time_limit_s=600.0)
    assert found.gap > 0
    assert not found.out_of_time
    more = solve(problem, max_gap=0.0, max_nodes=10_000, time_limit_s=600.0)
    assert more.gap < found.gap


def test_what_the_clock_stopped_says_so():
    found = solve(knapsack(300, seed=1), max_gap=0.0, max_nodes=10_000, time_limit_s=1e-6)
    assert found.out_of_time
    assert found.gap > 0
    assert found.chosen.any()


def test_substitutes_are_alike_of_one_category_and_not_of_one_basket():
    frame = shelf([10, 8, 6, 4], categories=["A", "A", "A", "D"])
    rows = np.array([[1, 3], [0, 2], [0, -1], [0, -1]], np.int32)
    cosines = np.array([[0.9, 0.9], [0.9, 0.6], [0.4, 0.0], [0.9, 0.0]], np.float32)
    apart = np.full((4, 1), -1, np.int32)
    pairs, loss = substitutes(frame, (rows, cosines), apart, AssortmentConfig(cannibalisation=0.5))
    assert pairs.tolist() == [[1, 0], [2, 1]]  # 2 and 0 are too unlike, 3 is of another category
    assert loss == pytest.approx([0.5 * 0.9 * 8, 0.5 * 0.6 * 6])
    basket = np.array([[1], [-1], [-1], [-1]], np.int32)
    assert substitutes(frame, (rows, cosines), basket, AssortmentConfig())[0].tolist() == [[2, 1]]
    few = AssortmentConfig(max_pairs=1)
    assert substitutes(frame, (rows, cosines), apart, few)[0].tolist() == [[1, 0]]
    assert len(substitutes(frame, (rows, cosines), apart, AssortmentConfig(cannibalisation=0.0))[1]) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"always": ["a"], "never": ["a"]},
        {"band_least": {"premium": 0.7, "value": 0.6}},
        {"band_least": {"premium": 0.5}, "band_most": {"premium": 0.2}},
        {"band_least": {"cheap": 0.5}},
        {"budget": -1},
        {"least": {"A": -2}},
    ],
)
def test_a_config_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, AssortmentConfig)


def money_of(make_tables, day, **config):
    items = {"gain": {"price": 10.0, "unit_cost": 6.0}, "loss": {"price": 10.0, "unit_cost": 13.0}}
    tables = make_tables([(name, day, 0, 1.0, 10.0) for name in items], as_of=day.replace(day=9), items=items)
    base = {"stage": "mature", "demand": 5.0, "revenue_at_stake": 50.0, "expected_value": None}
    rows = [
        base
        | {"item_row": row, "item_id": name, "category": "A > B", "price_band": "mid", "recent_sales": 1.0}
        for row, name in enumerate(items)
    ]
    schema = {"item_row": pl.Int32, "expected_value": pl.Float64}
    selection = pl.DataFrame(rows, schema_overrides=schema)
    asked = AssortmentConfig(**config)
    return candidates(selection, tables.items, None, config=asked, features=FeaturesConfig())


def test_an_item_with_a_negative_margin_is_left_out_where_margin_counts(make_tables, busy_shop):
    day = busy_shop.as_of.replace(day=1)
    frame = money_of(make_tables, day, objective="margin")
    assert frame.get_column("value").to_list() == pytest.approx([20.0, -15.0])
    assert frame.get_column("cost").to_list() == pytest.approx([30.0, 65.0])
    rows, plan = plan_assortment(frame, *nothing_alike(2), AssortmentConfig(objective="margin"))
    assert rows.get_column("chosen").to_list() == [True, False]
    assert plan.losing == 1
    assert money_of(make_tables, day, listing_cost=8.0).get_column("value").to_list() == [42.0, 42.0]


def test_an_empty_shelf_and_one_of_zeros_are_answers():
    for frame in (shelf([]), shelf([0, 0])):
        rows, plan = plan_assortment(frame, *nothing_alike(frame.height), AssortmentConfig())
        assert (plan.status, plan.chosen, rows.height) == ("nothing", 0, frame.height)
    only = plan_assortment(shelf([4]), *nothing_alike(1), AssortmentConfig())[1]
    assert (only.status, only.chosen) == ("best", 1)
