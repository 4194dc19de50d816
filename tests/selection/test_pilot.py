"""The pilot plan pairs like with like, says what it can find, and says plainly where no test is possible."""

import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from recdata.artefacts import write_artefact
from recdata.runs import RunFolder
from recdata.selection_artefacts import ASSORTMENT
from recdata.training_artefacts import DAILY_SALES, ITEMS
from selection.config import SelectionConfig
from selection.pilot.config import PilotConfig
from selection.pilot.design import detectable, draw, match, noise, pairs_needed, rehearse
from selection.pilot.plan import plan_pilot
from selection.pilot.regions import Regions, regions_of, unlikeness
from selection.pilot.stage import pilot_picks, pilot_stage
from tests.selection.shelves import selection_of
from tests.selection.test_stages import write_run

TODAY = date(2024, 6, 3)


def made_regions(n, *, noise_sd=0.15, weeks=52, seed=5):
    """Returns regions of rising size and two kinds of mix, whose picks sell with independent weekly noise."""
    rng = np.random.default_rng(seed)
    size = 1000.0 * 1.05 ** np.arange(n)
    mix = np.where(np.arange(n)[:, None] % 2 == 0, [0.7, 0.3], [0.4, 0.6])
    sales = size[:, None] * 0.1 * (1 + noise_sd * rng.standard_normal((n, weeks)))
    return Regions(tuple(f"r{number:02d}" for number in range(n)), size, mix, sales)


def test_pairs_are_alike_in_size_and_mix_and_no_region_stands_in_two():
    regions = made_regions(12)
    pairs = match(unlikeness(regions), np.ones(12, np.bool_))
    assert sorted(pairs.ravel().tolist()) == list(range(12))
    assert all((one - two) % 2 == 0 for one, two in pairs)
    assert np.median(np.abs(np.diff(pairs, axis=1))) == 2
    allowed = np.arange(12) < 5
    assert set(match(unlikeness(regions), allowed).ravel()) <= {0, 1, 2, 3, 4}


def test_unlikeness_is_the_difference_in_log_size_where_the_mix_is_the_same():
    regions = made_regions(3)
    apart = unlikeness(regions)
    assert apart[0, 2] == pytest.approx(2 * np.log(1.05))
    assert apart[0, 1] > apart[0, 2]
    assert np.allclose(np.diag(apart), 0, atol=1e-7)


def test_the_noise_is_what_the_past_was_made_with():
    regions = made_regions(40, noise_sd=0.2)
    found = noise(regions.sales, match(unlikeness(regions), np.ones(40, np.bool_)), 4, 8)
    # Two regions, each the mean of four weeks of 20% noise.
    assert found.sd == pytest.approx(0.2 * np.sqrt(2 / 4), rel=0.15)
    assert abs(found.theta) < 0.3
    assert noise(regions.sales[:, :9], np.array([[0, 1]]), 4, 8) is None


def test_weeks_before_take_off_what_lasts():
    rng = np.random.default_rng(2)
    drift = np.cumsum(0.06 * rng.standard_normal((60, 52)), axis=1)
    sales = 100 * np.exp(drift + 0.05 * rng.standard_normal((60, 52)))
    pairs = np.arange(60, dtype=np.intp).reshape(-1, 2)
    found = noise(sales, pairs, 4, 4)
    assert found.sd < 0.75 * found.raw_sd
    assert found.theta > 0.5


def test_more_pairs_find_less_and_the_fewest_that_do_are_asked_for():
    config = PilotConfig(effect=0.10)
    # Two-sided 5%, power 80%: about 2.8 standard errors, more with few pairs.
    assert detectable(0.2, 100, config) == pytest.approx(2.8 * 0.02, rel=0.02)
    assert detectable(0.2, 10, config) > 2.8 * 0.2 / np.sqrt(10)
    assert detectable(0.2, 1, config) == float("inf")
    needed = pairs_needed(0.2, config, 100)
    assert detectable(0.2, needed, config) <= 0.10 < detectable(0.2, needed - 1, config)
    assert pairs_needed(0.2, config, needed - 1) is None


def test_the_lot_is_balanced_and_the_same_again():
    regions = made_regions(30)
    pairs = match(unlikeness(regions), np.ones(30, np.bool_))
    traits = np.log(regions.size)[:, None]
    drawn, balance = draw(pairs, traits, 1)
    assert abs(balance[0]) < 0.02
    assert np.array_equal(drawn, draw(pairs, traits, 1)[0])
    assert {frozenset(pair) for pair in drawn.tolist()} == {frozenset(pair) for pair in pairs.tolist()}
    assert not np.array_equal(drawn, pairs)


def test_a_plan_keeps_its_word_on_past_weeks():
    plan = plan_pilot(made_regions(80), ["a"], PilotConfig())
    assert plan.status == "planned"
    assert plan.least_rise <= 0.10
    assert 2 * len(plan.pairs) * plan.weeks == min(o.regions * o.weeks for o in plan.options if o.regions)
    found = noise(made_regions(80).sales, np.arange(80, dtype=np.intp).reshape(-1, 2), plan.weeks, 8)
    alarms, power = rehearse(found, len(plan.pairs), PilotConfig())
    assert alarms == pytest.approx(0.05, abs=0.03)
    assert power == pytest.approx(0.85, abs=0.1)
    used = [name for pair in plan.pairs for name in (pair.test, pair.control)]
    assert len(set(used)) == len(used)
    assert all(not set(used) & set(each.like_it) and len(each.like_it) == 3 for each in plan.roll_out)


def test_the_roll_out_goes_to_the_regions_most_like_the_winner():
    plan = plan_pilot(made_regions(30, noise_sd=0.05), ["a"], PilotConfig(roll_out=1))
    names = {f"r{number:02d}": number for number in range(30)}
    for each in plan.roll_out:
        assert (names[each.region] - names[each.like_it[0]]) % 2 == 0  # of the same mix


def test_where_no_test_finds_the_effect_the_strongest_is_shown_as_too_weak():
    plan = plan_pilot(made_regions(12, noise_sd=0.3), ["a"], PilotConfig(effect=0.02))
    assert plan.status == "too_weak"
    assert plan.least_rise == min(option.least_rise for option in plan.options) > 0.02
    assert len(plan.pairs) == 6
    assert plan.rehearsed_found < 0.5


@pytest.mark.parametrize(
    ("regions", "items", "status"),
    [
        (made_regions(20), [], "no_picks"),
        (made_regions(0), ["a"], "no_regions"),
        (made_regions(1), ["a"], "one_region"),
        (made_regions(4), ["a"], "few_regions"),
        (made_regions(20, weeks=6), ["a"], "short_history"),
        (made_regions(20, weeks=9), ["a"], "short_history"),
    ],
)
def test_what_stands_in_the_way_is_an_answer(regions, items, status):
    plan = plan_pilot(regions, items, PilotConfig(max_weeks=4))
    assert (plan.status, plan.pairs, plan.least_rise) == (status, [], None)


def test_regions_that_sell_none_of_the_picks_take_no_part():
    regions = made_regions(20)
    sales = regions.sales.copy()
    sales[:15] = 0
    silent = Regions(regions.names, regions.size, regions.mix, sales)
    assert plan_pilot(silent, ["a"], PilotConfig()).status == "few_regions"
    nothing = Regions(regions.names, regions.size, regions.mix, np.zeros_like(sales))
    assert plan_pilot(nothing, ["a"], PilotConfig()).eligible == 0


def test_regions_are_counted_from_the_sales_before_the_day():
    days = [TODAY - timedelta(days=number) for number in (1, 7, 8, 13)]
    rows = [
        {
            "item_row": item,
            "day": day,
            "channel": "",
            "region": region,
            "quantity": 1.0,
            "orders": 3,
            "revenue": 10.0 * (item + 1),
        }
        for region in ("north", "south", "")
        for item in (0, 1)
        for day in [*days, TODAY]
        if not (region == "south" and item == 1)
    ]
    schema = {name: dtype for name, dtype in DAILY_SALES.items() if name != "buyers"}
    sales = pl.DataFrame(rows, schema=schema)
    items = pl.DataFrame([{"item_row": 0, "category": "A > x"}, {"item_row": 1, "category": "B"}]).cast(
        {"item_row": ITEMS["item_row"]}
    )
    found = regions_of(sales.lazy(), items, np.array([1], np.int32), TODAY)
    assert (found.names, found.weeks) == (("north", "south"), 1)
    assert found.size.tolist() == [60.0, 20.0]
    assert found.mix[0].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert found.sales.tolist() == [[40.0], [0.0]]
    counted = regions_of(sales.lazy(), items, np.array([1], np.int32), TODAY, measure="orders")
    assert counted.sales.tolist() == [[6.0], [0.0]]


def test_the_best_picks_that_the_assortment_keeps_are_tried(busy_shop):
    selection = selection_of(busy_shop).with_columns(
        action=pl.when(pl.col("rank") <= 10).then(pl.lit("push")).otherwise(pl.lit("keep"))
    )
    kept = pl.DataFrame({"item_row": range(80)}, schema={"item_row": pl.Int32}).with_columns(
        chosen=pl.col("item_row") % 2 == 0
    )
    assert pilot_picks(selection, kept, 3).get_column("rank").to_list() == [1, 3, 5]
    impossible = kept.with_columns(chosen=pl.lit(value=False))
    assert pilot_picks(selection, impossible, 3).get_column("rank").to_list() == [1, 2, 3]


def test_the_stage_answers_for_a_shop_without_regions(busy_shop, tmp_path):
    run: RunFolder = write_run(busy_shop, tmp_path)
    selection = selection_of(busy_shop).with_columns(action=pl.lit("push"))
    write_artefact(selection, run.path / "selection.parquet", "selection")
    write_artefact(pl.DataFrame(schema=ASSORTMENT), run.path / "assortment.parquet", "assortment")
    (record,) = run.execute([pilot_stage(SelectionConfig())])
    assert record.summary["status"] == "no_regions"
    assert json.loads(run.resolve("pilot.json").read_text())["pairs"] == []
