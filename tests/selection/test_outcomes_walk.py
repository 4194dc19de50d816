"""Models learn from what is over, chances are corrected by what came, and every question gets an answer."""

import json
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from recdata.artefacts import read_artefact, write_artefact
from recdata.runs import RunFolder
from selection.config import SelectionConfig
from selection.outcomes.alarm import NO_DAY, first_alarms, lead_times, rule_alarms
from selection.outcomes.config import OutcomesConfig
from selection.outcomes.facts import facts_of
from selection.outcomes.models import Correction, fit_correction
from selection.outcomes.quality import calibration_error, picked_value, reliability
from selection.outcomes.questions import MODEL, QUESTIONS, ask, strongest, summarise
from selection.outcomes.stage import outcomes_stage
from selection.outcomes.value import UNKNOWN, corrected_values, fit_scale
from selection.outcomes.walk import walk, walk_days

SMALL = OutcomesConfig(min_positives=5, trees=5, hit_ratio=1.5, threads=1)
EVERY = ("hit", "top", "keep", "value", "fresh")


def facts(tables):
    return facts_of(tables, category_depth=2)


def written(tables, home):
    run = RunFolder(home, "20240719-abc", tables.as_of)
    run.path.mkdir(parents=True)
    for name in ("purchases", "daily_sales", "promoted_days"):
        write_artefact(getattr(tables, name).collect(), run.path / f"{name}.parquet", name)
    for name in ("items", "forecast_totals"):
        write_artefact(getattr(tables, name), run.path / f"{name}.parquet", name)
    return run


def staged(tables, home, config=SMALL):
    run = written(tables, home)
    [record] = run.execute([outcomes_stage(SelectionConfig(outcomes=config))])
    return read_artefact(run.resolve("outcomes.parquet"), "outcomes"), record, run


def test_only_what_is_over_teaches(busy_shop):
    found = facts(busy_shop)
    cut = facts(
        replace(busy_shop, daily_sales=before(busy_shop, 144), purchases=before(busy_shop, 144, "purchases"))
    )
    full, blind = (walk(each, [116, 144], SMALL, wanted=EVERY).outlooks[144] for each in (found, cut))
    assert {"hit", "top", "value"} <= full.learned
    assert full.learned == blind.learned
    for name, chance in full.chances.items():
        np.testing.assert_array_equal(chance, blind.chances[name])
    np.testing.assert_array_equal(full.value, blind.value)


def before(tables, number, name="daily_sales"):
    """Returns a table without what was sold from a day on, but for one sale on the last day."""
    first = tables.daily_sales.select(pl.col("day").min()).collect().item()
    frame = getattr(tables, name)
    return frame.filter(pl.col("day") < first + timedelta(days=number))


def test_days_go_in_steps_from_the_end_and_warm_up_before_the_first_origin(busy_shop):
    found = facts(busy_shop)
    days, fits = walk_days(found, [found.n_days, found.n_days - 28], SMALL)
    assert fits == [32, 60, 88, 116, 144, 172, 200]
    assert days[0] == 32
    assert {later - earlier for earlier, later in pairwise(days)} == {7}


def test_a_lesson_with_too_few_examples_is_left_to_the_plain_rates(busy_shop):
    found = facts(busy_shop)
    outlook = walk(found, [144], OutcomesConfig(min_positives=10**6)).outlooks[144]
    assert outlook.learned == frozenset()
    np.testing.assert_allclose(
        outlook.chances["hit"], outlook.panel.columns["plain_hit"].astype(float), rtol=1e-5, atol=1e-12
    )
    assert (outlook.low <= outlook.value).all()
    assert (outlook.value <= outlook.high).all()


def test_chances_that_were_too_bold_are_taken_back():
    rng = np.random.default_rng(0)
    truth = rng.beta(1, 4, 20_000)
    label = rng.random(truth.size) < truth
    bold = 1 / (1 + np.exp(-(0.7 + 1.8 * np.log(truth / (1 - truth)))))
    held = fit_correction(bold[:10_000], label[:10_000]).applied(bold[10_000:])
    error = calibration_error(reliability(held, label[10_000:]))
    assert error < 0.02 < calibration_error(reliability(bold[10_000:], label[10_000:]))


def test_a_correction_without_a_case_changes_nothing():
    chance = np.array([0.1, 0.6])
    np.testing.assert_allclose(fit_correction(chance, np.zeros(2, bool)).applied(chance), chance)
    assert Correction(rest=0.2).applied(np.array([0.0])).tolist() == [0.2]


def test_the_winners_curse_is_lifted():
    rng = np.random.default_rng(1)

    def night():
        came = rng.lognormal(3.0, 0.5, 500)
        return came * rng.lognormal(0.0, 0.4, 500), came

    past = [night() for _ in range(6)]
    scale = fit_scale([guess for guess, _ in past], [came for _, came in past], horizons=6)
    picks = []
    for _ in range(20):
        guess, came = night()
        value, low, high = corrected_values(scale, guess, np.zeros(500))
        best = np.argsort(-guess)[:25]
        picks.append((guess[best], value[best], low[best], high[best], came[best]))
    found = picked_value(picks, samples=200)
    assert found.uncorrected / found.realised > 1.3
    assert 0.9 < found.ratio < 1.1
    assert 0.65 < found.coverage < 0.92


def test_a_value_without_a_past_stands_as_predicted():
    value, low, high = corrected_values(UNKNOWN, np.array([100.0, 0.0]), np.array([4.0, 4.0]))
    assert value.tolist() == [100.0, 0.0]
    assert low[0] < 100.0 < high[0]
    assert fit_scale([np.zeros(3)], [np.ones(3)], horizons=1) is UNKNOWN


def test_the_level_of_one_month_moves_the_next_a_third_of_the_way():
    guess = np.full(100, 10.0)
    months = {n: fit_scale([guess], [guess / 8], horizons=n).factor[0] for n in (1, 4)}
    assert months[1] == pytest.approx(8 ** (-1 / 3))
    assert months[4] == pytest.approx(8 ** (-4 / 6))


def test_reliability_is_as_counted_by_hand():
    table = reliability(np.array([0.01, 0.03, 0.96, 1.0]), np.array([False, True, True, True]))
    assert [(line.items, line.said, line.came) for line in table] == [
        (2, pytest.approx(0.02), 0.5),
        (2, pytest.approx(0.98), 1.0),
    ]
    assert calibration_error(table) == pytest.approx((0.48 + 0.02) / 2)
    assert calibration_error(table, above=0.5) == pytest.approx(0.02)


def test_an_alarm_rings_once_on_its_first_day():
    weekly = {
        7: (np.array([0, 1]), np.array([0.1, 0.5])),
        14: (np.array([0, 1, 2]), np.array([0.4, 0.1, 0.39])),
    }
    assert first_alarms(weekly, 4, 0.4, 14).tolist() == [14, 7, NO_DAY, NO_DAY]
    assert first_alarms(weekly, 4, 0.4, 7).tolist() == [NO_DAY, 7, NO_DAY, NO_DAY]


def test_lead_times_are_counted_from_launch_to_alarm(make_tables):
    """Twenty dull items; e and l are launched on days 40 and 100 and take off two weeks later."""
    start = date(2024, 1, 1)
    dull = [
        (f"x{n:02d}", start + timedelta(days=d), n, 1.0, 1.0) for n in range(20) for d in range(0, 200, 10)
    ]
    new = [
        (item, start + timedelta(days=born + d), d, 1.0 if d < 14 else 8.0, 1.0)
        for item, born in (("e", 40), ("l", 100))
        for d in range(0, 60, 7)
    ]
    found = facts(make_tables([*dull, *new], as_of=start + timedelta(days=200)))
    days = list(range(30, 200, 7))
    chance = {
        day: (np.array([0, 1]), np.array([float(day >= 44), float(day >= 104)])) for day in days
    }  # rows 0 and 1 are e and l; the alarm rings on the first Monday after launch
    lead = lead_times(found, chance, OutcomesConfig())
    assert lead is not None
    assert (lead.hits, lead.both, lead.precision, lead.recall) == (1, 1, 1.0, 1.0)
    assert lead.days == 107 - 100
    rule = rule_alarms(found, days, OutcomesConfig())
    assert lead.rule_days == rule[1] - 100 > lead.days
    assert lead_times(found, {}, OutcomesConfig()) is None


def test_every_question_is_answered_by_every_rule(busy_shop):
    found = facts(busy_shop)
    outlook = walk(found, [109, 116], SMALL, wanted=EVERY).outlooks[109]
    for question in QUESTIONS:
        figures = ask(question, found, outlook, SMALL)
        if question == "new items":
            assert figures == {}  # nothing is new in a shop that is 109 days old
            continue
        assert {MODEL, "random", "oracle", "momentum", "distinct buyers"} <= set(figures)
        assert all(0 <= value <= 1 for value in figures.values())
        best = min(figures.values()) if question == "drop list" else max(figures.values())
        assert figures["oracle"] == best


def test_a_ratio_is_paired_and_the_strongest_plain_rule_is_named():
    origins = [
        {MODEL: 0.6, "a": 0.3, "b": 0.4, "random": 0.9},
        {},
        {MODEL: 0.8, "a": 0.4, "b": 0.4, "random": 0.9},
    ]
    found = summarise(origins, samples=500)
    by_rule = {answer.rule: answer for answer in found}
    assert (by_rule["a"].ratio, by_rule["a"].ratio_low, by_rule["a"].ratio_high) == pytest.approx((2, 2, 2))
    assert strongest("next hits", found).rule == "b"
    assert strongest("drop list", found).rule == "a"
    assert summarise([{}]) == []


def test_the_stage_says_what_is_likely_at_every_origin_and_the_same_every_time(busy_shop, tmp_path):
    frame, record, run = staged(busy_shop, tmp_path / "one")
    origins = busy_shop.forecast_totals.get_column("origin").unique().sort().to_list()
    assert frame.get_column("origin").unique().sort().to_list() == origins
    assert frame.equals(frame.sort("origin", "item_row"))
    for name in ("hit_probability", "top_probability", "keep_probability"):
        assert frame.get_column(name).is_between(0, 1).all()
    value = frame.select("expected_value_q10", "expected_value", "expected_value_q90").to_numpy()
    assert (np.diff(value, axis=1) >= 0).all()
    found = json.loads(run.resolve("outcomes.json").read_text())
    assert found["origins"] == len(origins)
    assert 0.5 < found["value"]["category"]["ratio"] < 1.5
    _, again, _ = staged(busy_shop, tmp_path / "two", msgspec_replace(SMALL, threads=2))
    assert again.outputs["outcomes.parquet"].digest == record.outputs["outcomes.parquet"].digest
    assert again.fingerprint == record.fingerprint


def msgspec_replace(config, **changes):
    return type(config)(**{name: getattr(config, name) for name in config.__struct_fields__} | changes)


def test_revenue_is_told_for_the_horizon_of_the_forecasts(busy_shop, tmp_path):
    usual, _, _ = staged(busy_shop, tmp_path / "usual")
    fortnight = pl.lit(14, dtype=pl.Int32).alias("horizon_days")
    short = replace(busy_shop, forecast_totals=busy_shop.forecast_totals.with_columns(fortnight))
    halved, _, _ = staged(short, tmp_path / "short")
    assert usual.get_column("expected_value").sum() > 0
    for name in ("expected_value", "expected_value_q10", "expected_value_q90"):
        np.testing.assert_allclose(halved.get_column(name), usual.get_column(name) / 2)
    assert halved.get_column("hit_probability").equals(usual.get_column("hit_probability"))


def test_a_day_that_rang_is_given_as_a_date_before_its_origin(busy_shop, tmp_path):
    frame, _, _ = staged(busy_shop, tmp_path, msgspec_replace(SMALL, alarm_probability=0.5))
    rang = frame.filter(pl.col("hit_alarm_on").is_not_null())
    assert rang.height > 0
    assert (rang.get_column("hit_alarm_on") <= rang.get_column("origin")).all()
    assert frame.get_column("hit_alarm_on").null_count() > 0


def test_what_was_never_sold_is_unknown_and_what_is_discontinued_is_left_out(make_tables, tmp_path):
    as_of = date(2024, 3, 1)
    tables = make_tables(
        [("sold", as_of - timedelta(days=40), 0, 1.0, 5.0), ("gone", as_of - timedelta(days=3), 0, 1.0, 5.0)],
        as_of=as_of,
        items={"new": {"launched_on": None}, "gone": {"status": "discontinued"}},
    )
    frame, _, _ = staged(tables, tmp_path)
    assert frame.get_column("item_row").to_list() == [1, 2]  # gone is row 0
    assert frame.row(0, named=True)["hit_probability"] is None
    assert frame.row(1, named=True)["keep_probability"] > 0


AS_OF = date(2024, 5, 1)


def day_before(days):
    return AS_OF - timedelta(days=days)


@pytest.mark.parametrize(
    "purchases",
    [
        [],
        [("only", day_before(1), 0, 1.0, 9.9)],
        [("only", day_before(days), 0, 1.0, 9.9) for days in range(1, 121)],
        [(f"i{n}", day_before(days), n, 0.0, 0.0) for n in range(5) for days in range(1, 100, 9)],
        [(f"i{n}", day_before(days), n, 1.0, 2.0) for n in range(5) for days in range(1, 6)],
        [(f"i{n}", day_before(days), n, 1.0, 2.0) for n in range(40) for days in range(1, 100, 9)],
        [("back", day_before(9), 0, 1.0, 5.0), ("back", day_before(5), 0, -3.0, -15.0)],
    ],
    ids=[
        "nothing",
        "one day",
        "one item",
        "all zeros",
        "five days",
        "no hit ever",
        "more returned than sold",
    ],
)
def test_a_shop_with_little_to_tell_gets_a_clear_answer(make_tables, tmp_path, purchases):
    origins = [(day_before(28), "only", 1.0), (AS_OF, "only", 1.0)]
    items = {"only": {}}
    tables = make_tables(purchases, as_of=AS_OF, items=items, forecasts=origins)
    frame, record, _ = staged(tables, tmp_path, OutcomesConfig(threads=1))
    now = frame.filter(pl.col("origin") == AS_OF)
    assert now.height == tables.items.height
    known = now.drop_nulls("hit_probability")
    assert known.height == len({item for item, *_ in purchases})
    for name in ("hit_probability", "top_probability", "keep_probability"):
        assert known.get_column(name).is_between(0, 1).all()
    assert (known.get_column("expected_value") >= 0).all()
    assert known.select(pl.col("expected_value", "expected_value_q90").is_finite().all()).row(0) == (
        True,
        True,
    )
    learned = record.summary.get("learned", {})
    assert all("hit" not in lessons for lessons in learned.values())
