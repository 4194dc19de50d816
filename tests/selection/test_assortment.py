"""The assortment is the best there is, keeps every limit, and says what to change where there is none."""

import itertools
import json
from dataclasses import replace
from io import StringIO

import msgspec
import numpy as np
import polars as pl
import pytest
from rich.console import Console

from recdata.artefacts import read_artefact, write_artefact
from recdata.errors import RunError
from recdata.places import RATIOS_SHAPE, PlaceFigures
from recdata.selection_artefacts import ASSORTMENT, SELECTION
from recdata.training_artefacts import PLACE_SHARES, PLACE_WEIGHTS, PLACES
from selection.assortment.candidates import CANDIDATES, candidates, substitutes
from selection.assortment.config import AssortmentConfig
from selection.assortment.explain import find_conflict
from selection.assortment.greedy import greedy
from selection.assortment.limits import limits_of
from selection.assortment.plan import plan_assortment
from selection.assortment.problem import Problem, parts
from selection.assortment.show import show_assortment
from selection.assortment.solve import solve
from selection.assortment.stage import assortment_stage
from selection.config import FeaturesConfig, SelectionConfig
from tests.selection.test_stages import write_run

NO_PAIRS = (np.zeros((0, 2), np.intp), np.zeros(0))
BANDS = ("premium", "high", "mid", "value")


def shelf(values, *, costs=None, categories=None, bands=None, new=None, now=None):
    n = len(values)
    category = list(categories or ["A > B"] * n)
    columns = {
        "item_row": range(n),
        "item_id": [f"i{number:02d}" for number in range(n)],
        "category": category,
        "slot_category": category,
        "price_band": list(bands or ["mid"] * n),
        "value": [float(value) for value in values],
        "cost": [float(cost) for cost in (costs or values)],
        "is_new": list(new or [False] * n),
        "sells_now": list(now or [True] * n),
        "loses": [False] * n,
    }
    return pl.DataFrame(columns, schema=CANDIDATES)


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


def nothing_alike(n):
    return (np.full((n, 1), -1, np.int32), np.zeros((n, 1), np.float32)), np.full((n, 1), -1, np.int32)


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


def selection_of(tables):
    """Returns a SELECTION of every item, worth more the later it stands, without what other rooms know."""
    told = {"action": "keep", "stage": "mature", "price_band": "mid"}
    amounts = {"recent_sales": 1.0, "demand": 2.0}
    return tables.items.select(
        *(
            pl.col(name)
            if name in tables.items.columns
            else pl.lit(told.get(name, amounts.get(name)), dtype=dtype).alias(name)
            for name, dtype in SELECTION.items()
        )
    ).with_columns(
        rank=pl.col("item_row") + 1,
        revenue_at_stake=pl.col("item_row").cast(pl.Float64) + 10.0,
        expected_value=pl.lit(None, pl.Float64),
    )


def selected(busy_shop, tmp_path, **config):
    run = write_run(busy_shop, tmp_path)
    write_artefact(selection_of(busy_shop), run.path / "selection.parquet", "selection")
    np.save(run.path / "similar_rows.npy", np.tile(np.arange(80, dtype=np.int32), (80, 1))[:, :20])
    np.save(run.path / "similar_scores.npy", np.full((80, 20), 0.8, np.float32))
    np.save(run.path / "together_rows.npy", np.full((80, 1), -1, np.int32))
    return run, SelectionConfig(assortment=AssortmentConfig(**config))


def test_the_stage_writes_what_was_chosen_and_the_same_bytes_again(busy_shop, tmp_path):
    digests = []
    for home in ("one", "two"):
        run, config = selected(busy_shop, tmp_path / home, total_slots=20)
        (record,) = run.execute([assortment_stage(config)])
        digests.append([output.digest for output in record.outputs.values()])
    assert digests[0] == digests[1]
    rows = read_artefact(run.resolve("assortment.parquet"), "assortment")
    assert dict(rows.schema) == ASSORTMENT
    assert int(rows.get_column("chosen").sum()) == 20
    plan = json.loads(run.resolve("assortment.json").read_text())
    assert plan["status"] == "best"
    assert plan["worth"] >= plan["worth_greedy"] > 0


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"slots": {"Z": 3}}, "no item on sale is in category 'Z'"),
        ({"always": ("nope",)}, "always: 'nope' cannot be sold"),
        ({"channel": "app"}, "no places artefact"),
    ],
)
def test_names_that_nothing_has_are_errors(busy_shop, tmp_path, config, told):
    run, settings = selected(busy_shop, tmp_path, **config)
    with pytest.raises(RunError, match=told):
        run.execute([assortment_stage(settings)])


def test_what_is_no_longer_on_sale_is_left_out_with_a_word_and_does_not_stop_the_night(busy_shop, tmp_path):
    asked = {"always": ("X01", "Y05"), "never": ("Y06", "X02"), "slots": {"Y": 3, "X": 7}, "least": {"Y": 1}}
    run, settings = selected(busy_shop, tmp_path, **asked)
    run = replace(run, console=Console(file=StringIO(), width=400))
    gone = selection_of(busy_shop).filter(~pl.col("item_id").str.starts_with("Y"))
    write_artefact(gone, run.path / "selection.parquet", "selection")
    (record,) = run.execute([assortment_stage(settings)])
    told = run.console.file.getvalue()
    for key, name in (("always", "'Y05'"), ("never", "'Y06'"), ("slots", "'Y'"), ("least", "'Y'")):
        assert f"selection.assortment.{key}: {name} not on sale now" in told
    assert len(record.summary["remarks"]) == 4
    rows = read_artefact(run.resolve("assortment.parquet"), "assortment")
    chosen = set(rows.filter("chosen").join(busy_shop.items, on="item_row").get_column("item_id"))
    assert len(chosen) == 7  # the other limits hold
    assert "X01" in chosen
    assert "X02" not in chosen
    out = StringIO()
    show_assortment(Console(file=out, width=200), run, currency="CNY", limit=3)
    assert "'Y05' 目前不在售" in out.getvalue()


@pytest.mark.parametrize(
    ("config", "status"), [({"slots": {"Y": 3}}, "best"), ({"least": {"Y > all": 1}}, "impossible")]
)
def test_a_category_that_has_died_out_does_not_stop_the_night(busy_shop, tmp_path, config, status):
    run, settings = selected(busy_shop, tmp_path, **config)
    died = pl.when(pl.col("category") == "Y > all").then(pl.lit("dead")).otherwise(pl.lit("mature"))
    selection = selection_of(busy_shop).with_columns(stage=died)
    write_artefact(selection, run.path / "selection.parquet", "selection")
    run.execute([assortment_stage(settings)])
    plan = json.loads(run.resolve("assortment.json").read_text())
    assert (plan["status"], plan["candidates"]) == (status, 40)
    assert [(each["kind"], each["key"], each["alone"]) for each in plan["remedies"]] == (
        [] if status == "best" else [("least", "Y > all", 0.0)]
    )


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


def places_of(run):
    """Writes shares of three places: X sells in the app, Y mostly in the shop, the kiosk has closed."""
    places = {"channel": ["app", "kiosk", "shop"], "region": ["north"] * 3, "share": [0.5, 0.0, 0.5]}
    named = pl.DataFrame({"place_row": range(3), **places, "first_sold_on": None, "last_sold_on": None})
    own = [("item", row, 0 if row < 40 else 2, 1.0) for row in range(80)]
    weights = {"own": [0.8] * 80, "category": [0.0] * 80, "shop": [0.2] * 80}
    weighed = pl.DataFrame({"item_row": range(80), "category_row": [-1] * 80, **weights})
    for name, schema, frame in (
        ("places", PLACES, named),
        ("place_shares", PLACE_SHARES, pl.DataFrame(own, schema=PLACE_SHARES, orient="row")),
        ("place_weights", PLACE_WEIGHTS, weighed),
    ):
        write_artefact(frame.cast(schema), run.path / f"{name}.parquet", name)
    ratios = np.ones(RATIOS_SHAPE).tolist()
    figures = PlaceFigures(
        horizon_days=28, ratios=ratios, categories=[], weights=[], unit_edges=[], covered={}
    )
    (run.path / "places.json").write_bytes(msgspec.json.encode(figures))


@pytest.mark.parametrize("place", [{"channel": "app", "region": "north"}, {"channel": "app"}])
def test_only_the_share_of_the_channel_and_region_counts(busy_shop, tmp_path, place):
    run, config = selected(busy_shop, tmp_path, **place)
    places_of(run)
    run.execute([assortment_stage(config)])
    value = read_artefact(run.resolve("assortment.parquet"), "assortment").get_column("value").to_numpy()
    assert value / (np.arange(80) + 10.0) == pytest.approx([0.9] * 40 + [0.1] * 40)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ({"channel": "moon"}, "nothing was sold in channel 'moon'; mend the name"),
        ({"channel": "app", "region": "west"}, "nothing was sold in channel 'app' and region 'west'"),
        ({"channel": "kiosk"}, "channel 'kiosk' has closed"),
    ],
)
def test_a_place_where_nothing_sells_is_an_error(busy_shop, tmp_path, place, told):
    run, config = selected(busy_shop, tmp_path, **place)
    places_of(run)
    with pytest.raises(RunError, match=told):
        run.execute([assortment_stage(config)])


def test_an_empty_shelf_and_one_of_zeros_are_answers():
    for frame in (shelf([]), shelf([0, 0])):
        rows, plan = plan_assortment(frame, *nothing_alike(frame.height), AssortmentConfig())
        assert (plan.status, plan.chosen, rows.height) == ("nothing", 0, frame.height)
    only = plan_assortment(shelf([4]), *nothing_alike(1), AssortmentConfig())[1]
    assert (only.status, only.chosen) == ("best", 1)
