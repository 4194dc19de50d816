from __future__ import annotations

import itertools
from datetime import date, timedelta
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from rich.console import Console

from recdata.artefacts import write_artefact
from recdata.errors import RunError
from recdata.runs import RunFolder
from recdata.tables import TABLES
from recdata.training_artefacts import (
    BEHAVIOUR,
    EVALUATION,
    EVALUATION_PAIRS,
    ITEMS,
    PROMOTED_DAYS,
    PURCHASES,
    USERS,
)
from training.als import AlsConfig, AlsModel
from training.blend import DEFAULT_BLEND
from training.evaluate import EvaluateConfig, evaluate_stages, print_evaluation, read_headline
from training.evaluate.bootstrap import compare
from training.evaluate.everyone import known_customers
from training.evaluate.judging import SEGMENT_METRICS
from training.evaluate.metrics import CURVE_METRICS, METRICS
from training.evaluate.orders import Goods
from training.evaluate.protocol import Outcome, Recipe, Shop, evaluate, known_of_new_items
from training.evaluate.results import read_evaluation
from training.evaluate.rivals import MODELS, TARGETS, fill_up, first_allowed
from training.evaluate.split import Split, bought_pairs, judged_users, relevance, split_for
from training.interactions import InteractionsConfig
from training.ranking import RankingConfig

AS_OF = date(2024, 6, 1)
START = AS_OF - timedelta(days=28)
N_USERS, N_ITEMS = 31, 30
CATEGORIES = np.zeros(N_ITEMS, np.int32)
NEWCOMER = 30  # buys in the test period only
INTERACTIONS = InteractionsConfig(min_item_users=1)
ALS = AlsConfig(factors=4, iterations=4)
RANKING = RankingConfig(candidates_per_user=10)
RECIPE = Recipe(INTERACTIONS, ALS, RANKING)
CONFIG = EvaluateConfig(k=3, curve_k=5, resamples=50)
CUSTOMERS = pl.DataFrame(schema=TABLES["customers"].schema)


def shop(*, first_age: int = 126) -> pl.DataFrame:
    """Shopper u of 30 buys items u and u + 1 each week; in the test period also, once, item u + 5."""
    lines = []
    for age in range(first_age, 0, -7):
        day = AS_OF - timedelta(days=age)
        for user in range(30):
            wanted = [user, (user + 1) % 30] + ([(user + 5) % 30] if age == 7 else [])
            lines += [(day, user, item, f"o{user}-{age}", 1.0, 1.0 + item % 3, "", "") for item in wanted]
        if age == 7:
            lines.append((day, NEWCOMER, 0, "new", 1.0, 1.0, "", ""))
    return pl.DataFrame(lines, schema=PURCHASES, orient="row").sort("day", "user_row", "item_row")


def users_of(purchases: pl.DataFrame, regions: tuple[str, ...] = ("",)) -> pl.DataFrame:
    first = dict(purchases.group_by("user_row").agg(pl.col("day").min()).iter_rows())
    rows = [
        (row, f"u{row:02}", regions[row % len(regions)], first.get(row), first.get(row), 1)
        for row in range(N_USERS)
    ]
    return pl.DataFrame(rows, schema=USERS, orient="row")


def items_on_sale(launched: date = date(2024, 1, 1)) -> pl.DataFrame:
    rows = [
        (row, f"i{row:02}", "T", "A", "", 1.0, None, launched, "active", None, "{}") for row in range(N_ITEMS)
    ]
    return pl.DataFrame(rows, schema=ITEMS, orient="row")


def judged(purchases: pl.DataFrame, config: EvaluateConfig = CONFIG, *, back: int = 0) -> Outcome:
    shop = Shop(
        purchases.lazy(),
        pl.LazyFrame(schema=BEHAVIOUR),
        users_of(purchases),
        items_on_sale(),
        CUSTOMERS.lazy(),
        pl.LazyFrame(schema=PROMOTED_DAYS),
    )
    return evaluate(shop, RECIPE, split=split_for(config, as_of=AS_OF, back=back), config=config)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return judged(shop())


def value(outcome: Outcome, model: str, metric: str, *, target: str = "all", segment: str = "all") -> float:
    found = outcome.frame.filter(
        model=model, metric=metric, target=target, segment=segment, k=CONFIG.k, period=START
    )
    return float(found["value"].item())


def test_the_test_period_is_the_last_four_weeks_unless_the_config_names_its_first_day() -> None:
    assert split_for(EvaluateConfig(), as_of=AS_OF) == Split(START, AS_OF)
    named = EvaluateConfig(test_start=date(2024, 4, 1))
    assert split_for(named, as_of=AS_OF) == Split(date(2024, 4, 1), date(2024, 4, 29))


def test_a_test_period_after_the_data_is_refused_with_both_days() -> None:
    with pytest.raises(RunError, match="test_start = 2024-06-01 is not before the run's day 2024-06-01"):
        split_for(EvaluateConfig(test_start=AS_OF), as_of=AS_OF)


def test_what_was_sent_back_inside_the_test_period_is_not_relevant() -> None:
    lines = [(START, 0, 1, "a", 1.0, 5.0, "", ""), (START, 0, 1, "b", -1.0, -5.0, "", "")]
    purchases = pl.DataFrame([*lines, (START, 0, 2, "a", 2.0, 6.0, "", "")], schema=PURCHASES, orient="row")
    assert bought_pairs(purchases.lazy(), Split(START, AS_OF)).rows() == [(0, 2, 6.0)]


def test_too_many_shoppers_are_sampled_the_same_way_each_time() -> None:
    bought = bought_pairs(shop().lazy(), Split(START, AS_OF))
    config = EvaluateConfig(max_users=5)
    users = judged_users(bought, config)
    assert users.size == 5
    assert np.array_equal(users, judged_users(bought, config))
    assert set(relevance(bought, users, N_ITEMS).places) == set(range(5))


def test_own_frequency_finds_both_weekly_items_and_misses_the_new_one(outcome: Outcome) -> None:
    # thirty regulars buy three items, of which their list of two names two; the newcomer has no list
    assert value(outcome, "own_frequency", "recall") == pytest.approx(30 / 31 * 2 / 3)
    assert value(outcome, "own_frequency", "precision") == pytest.approx(30 / 31 * 2 / 3)
    assert value(outcome, "own_frequency", "user_coverage") == pytest.approx(30 / 31)


def test_what_is_served_holds_the_weekly_items_and_falls_back_for_the_newcomer(outcome: Outcome) -> None:
    assert value(outcome, "served", "recall") >= 30 / 31 * 2 / 3
    assert value(outcome, "served", "user_coverage") == pytest.approx(30 / 31)
    newcomer = {"segment": "activity:none"}
    assert value(outcome, "served", "ndcg", **newcomer) == value(outcome, "bestsellers", "ndcg", **newcomer)


def test_own_frequency_cannot_find_what_was_never_bought(outcome: Outcome) -> None:
    for metric in set(METRICS) - {"revenue_bought"}:
        assert value(outcome, "own_frequency", metric, target="never_bought") == 0.0


def test_for_items_never_bought_no_model_is_charged_with_what_was_bought(outcome: Outcome) -> None:
    # bestsellers of three among the 28 not bought before; a regular's only relevant item is u + 5
    hits = value(outcome, "bestsellers", "recall", target="never_bought")
    assert 0 < hits < 0.5


def test_every_measure_is_there_for_every_model_and_target_by_segment(outcome: Outcome) -> None:
    segments = ("activity:none", "activity:low", "popularity:head", "popularity:tail")
    wanted = set(itertools.product(MODELS, TARGETS, ("all",), (*METRICS, "catalogue_coverage")))
    wanted |= set(itertools.product(MODELS, TARGETS, segments, SEGMENT_METRICS))
    assert wanted <= set(outcome.frame.select("model", "target", "segment", "metric").rows())


def test_curves_go_on_to_their_length_and_never_fall_with_it(outcome: Outcome) -> None:
    for model, metric in itertools.product(MODELS, CURVE_METRICS):
        curve = outcome.frame.filter(model=model, metric=metric, target="all", segment="all").sort("k")
        assert curve["k"].to_list() == [1, 2, 3, 4, 5]
        assert metric == "ndcg" or (curve["value"].diff().drop_nulls() >= 0).all()


def test_intervals_hold_their_value(outcome: Outcome) -> None:
    with_interval = outcome.frame.filter(pl.col("low").is_not_null() & (pl.col("segment") == "all"))
    assert with_interval.height > 50
    assert (with_interval["low"] <= with_interval["value"] + 1e-9).all()
    assert (with_interval["high"] >= with_interval["value"] - 1e-9).all()


def test_any_two_models_are_compared_and_the_quotient_is_that_of_their_means(outcome: Outcome) -> None:
    found = outcome.pairs.filter(target="all", metric="ndcg")
    assert set(itertools.permutations(MODELS, 2)) <= set(found.select("model", "against").rows())
    row = found.row(
        by_predicate=(pl.col("model") == "served") & (pl.col("against") == "bestsellers"), named=True
    )
    served, best = (value(outcome, model, "ndcg") for model in ("served", "bestsellers"))
    assert row["ratio"] == pytest.approx(served / best)
    assert row["difference"] == pytest.approx(served - best)
    other = found.row(
        by_predicate=(pl.col("model") == "bestsellers") & (pl.col("against") == "served"), named=True
    )
    assert (other["difference"], other["low"]) == pytest.approx((-row["difference"], -row["high"]))


def test_two_recipes_are_compared_by_the_values_of_the_same_shoppers(outcome: Outcome) -> None:
    worse = judged(shop(), EvaluateConfig(k=1, curve_k=1, resamples=50))
    assert np.array_equal(outcome.shoppers, worse.shoppers)
    at = ("served", "all", "all", "recall")
    found = compare(
        outcome.values[at][:, None],
        worse.values[at][:, None],
        resamples=200,
        confidence=0.95,
        rng=np.random.default_rng(1),
    )[0]
    assert found.low > 0.1  # three places find more than one does


def test_everyone_known_before_the_test_has_a_full_list_and_the_newcomer_is_not_of_them(
    outcome: Outcome,
) -> None:
    for metric in ("user_coverage", "non_empty", "full_list"):
        assert value(outcome, "served", metric, segment="known") == 1.0
    assert outcome.frame.filter(segment="known")["n_users"].unique().to_list() == [30]
    # 30 items are bought weekly, each by two; lists of three name them all
    assert value(outcome, "served", "catalogue_coverage", segment="known") == 1.0


def test_new_items_get_the_vector_of_their_traits_and_no_price_of_the_test_period_tells() -> None:
    items = items_on_sale().with_columns(
        category=pl.Series(["A", "B"] * (N_ITEMS // 2)),
        launched_on=pl.when(pl.col("item_row") < 2).then(START - timedelta(days=5)).otherwise("launched_on"),
    )
    vectors = np.tile(np.array([[1.0, 0.0], [0.0, 1.0]], np.float32), (N_ITEMS // 2, 1))
    vectors[:3] = 0.0  # 0 and 1 are new, 2 only sells badly
    model = AlsModel(np.zeros((1, 2), np.float32), vectors, ())
    goods = Goods(np.full(N_ITEMS, np.nan), np.zeros(N_ITEMS, np.float32))
    arguments = (model, np.full(N_ITEMS, 5), goods, Split(START, AS_OF), RANKING)
    new = known_of_new_items(items, *arguments)
    assert np.flatnonzero(new.which).tolist() == [0, 1]
    assert np.array_equal(new.vectors[2:], vectors[2:])
    assert new.vectors[0, 0] > 2 * abs(new.vectors[0, 1])  # as the others of its category
    assert new.vectors[1, 1] > 2 * abs(new.vectors[1, 0])
    dearer = items.with_columns(price=pl.Series(np.arange(N_ITEMS) ** 2.0))
    assert np.array_equal(known_of_new_items(dearer, *arguments).vectors, new.vectors)
    assert known_of_new_items(items_on_sale(), *arguments) is None


def test_a_customer_is_known_from_the_first_event_or_from_joining() -> None:
    users = pl.DataFrame(
        [(row, f"u{row}", "", day, day, 0) for row, day in enumerate([START, date(2024, 1, 1), None, None])],
        schema=USERS,
        orient="row",
    )
    customers = CUSTOMERS.clear(4).with_columns(
        user_id=pl.Series(["u0", "u1", "u2", "u3"]),
        joined_at=pl.Series(["2024-02-01", None, "2024-06-01", None]).str.to_datetime(time_zone="UTC"),
    )
    assert known_customers(users, customers.lazy(), START).tolist() == [0, 1]


def test_an_earlier_period_knows_nothing_of_the_later_one() -> None:
    config = EvaluateConfig(k=3, curve_k=3, resamples=20, test_days=14)
    earlier = judged(shop(), config, back=1)
    other = judged(
        shop().with_columns(
            item_row=pl.when(pl.col("day") < AS_OF - timedelta(days=14)).then("item_row").otherwise(29)
        ),
        config,
        back=1,
    )
    assert earlier.frame.equals(other.frame)
    assert set(earlier.frame["period"]) == {AS_OF - timedelta(days=28)}


def test_no_model_learns_from_the_test_period(outcome: Outcome) -> None:
    other = judged(
        shop().with_columns(item_row=pl.when(pl.col("day") < START).then("item_row").otherwise(29))
    )
    # Every shopper of this shop buys the same again and finds nothing, until the test period.
    assert outcome.blend == other.blend == DEFAULT_BLEND
    assert outcome.n_items == other.n_items


def test_data_without_a_past_has_nothing_to_judge_and_says_why() -> None:
    alone = judged(shop(first_age=21))
    assert alone.frame.is_empty()
    assert alone.reason == f"no purchases before {START}"


def test_left_out_items_are_passed_over_and_short_lists_filled_without_repeats() -> None:
    lists = np.array([[4, 2, 9, -1], [1, 3, 5, 7]], np.int32)
    left_out = np.array([0 * 10 + 2, 1 * 10 + 1, 1 * 10 + 5])
    kept = first_allowed(lists, 3, left_out, 10)
    assert kept.tolist() == [[4, 9, -1], [3, 7, -1]]
    filled = fill_up(kept, np.array([[9, 4, 6], [3, -1, -1]], np.int32))
    assert filled.tolist() == [[4, 9, 6], [3, 7, -1]]


def stage_run(
    tmp_path: Path,
    purchases: pl.DataFrame,
    config: EvaluateConfig = CONFIG,
    *,
    regions: tuple[str, ...] = ("",),
) -> RunFolder:
    run = RunFolder(tmp_path, "r1", AS_OF, Console(file=StringIO()))
    run.path.mkdir(parents=True)
    for name, frame in (
        ("users", users_of(purchases, regions)),
        ("items", items_on_sale()),
        ("purchases", purchases),
        ("behaviour", pl.DataFrame(schema=BEHAVIOUR)),
        ("promoted_days", pl.DataFrame(schema=PROMOTED_DAYS)),
    ):
        write_artefact(frame, run.path / f"{name}.parquet", name)
    run.execute(evaluate_stages(INTERACTIONS, ALS, RANKING, config))
    return run


def printed(run: RunFolder, width: int = 200, *, periods: int = 1) -> str:
    out = StringIO()
    print_evaluation(Console(file=out, width=width), read_evaluation(run, periods), currency="CNY")
    return out.getvalue()


def test_the_stage_leaves_a_table_that_prints_and_figures_for_the_snapshot(tmp_path: Path) -> None:
    run = stage_run(tmp_path, shop())
    headline = read_headline(run.path / "evaluation.json")
    assert headline.figure("user_coverage") == pytest.approx(30 / 31, abs=1e-6)
    assert headline.figure("user_coverage", target="known") == 1.0
    ratio = headline.figure("ndcg", model="served") / headline.figure("ndcg", model="own_frequency")
    assert headline.figure("ndcg_vs_own_frequency") == pytest.approx(ratio, rel=1e-4)
    assert (headline.test_start, headline.users, headline.k) == (date(2024, 5, 4), 31, 3)
    text = printed(run)
    for words in (
        "ndcg, × bestsellers",
        "ndcg, × own frequency",
        "revenue captured, CNY",
        "miscalibration",
        "items never bought before, 31 shoppers",
        "activity:none",
        "of 30 customers known at the origin 100.0% have a list of their own",
    ):
        assert words in text
    spent = shop().filter(pl.col("day") >= START)["revenue"].sum()
    assert f"of ¥{spent:,.0f} that 31 shoppers spent" in text


def test_more_periods_leave_the_first_as_it_was_and_print_their_mean(tmp_path: Path) -> None:
    config = msgspec.structs.replace(CONFIG, test_days=14)
    run = stage_run(tmp_path, shop(), config)
    before = (run.path / "stages" / "evaluate.json").read_bytes()
    run.execute(evaluate_stages(INTERACTIONS, ALS, RANKING, msgspec.structs.replace(config, periods=2)))
    assert (run.path / "stages" / "evaluate.json").read_bytes() == before
    found = read_evaluation(run, 2)
    days = [headline.test_start for headline in found.headlines]
    assert days == [AS_OF - timedelta(days=14), AS_OF - timedelta(days=28)]
    mean = sum(found.cell("served", "ndcg", period=day).value for day in days) / 2
    line = next(line for line in printed(run, periods=2).splitlines() if line.strip().startswith("mean  "))
    assert f"{mean:.3f}" in line


def test_segments_are_listed_shoppers_first_then_by_level_then_by_size(tmp_path: Path) -> None:
    run = stage_run(tmp_path, shop(), regions=("south", "north", "south"))
    listed = read_evaluation(run, 1).segments("all")
    kinds = list(dict.fromkeys(name.partition(":")[0] for name in listed))
    assert kinds == ["activity", "spend", "region", "popularity"]
    assert [name for name in listed if name.startswith("region")] == ["region:south", "region:north"]
    assert listed.index("popularity:head") < listed.index("popularity:tail")
    assert "known" not in listed


def test_tables_of_80_and_of_120_columns_cut_no_interval_off(tmp_path: Path) -> None:
    run = stage_run(tmp_path, shop())
    wide = printed(run).count("–")
    assert wide > 100
    for width in (80, 120):
        text = printed(run, width)
        assert "…" not in text
        assert text.count("–") == wide
        assert max(map(len, text.splitlines())) <= width


def test_one_day_of_data_leaves_an_empty_table_that_says_so(tmp_path: Path) -> None:
    run = stage_run(tmp_path, shop(first_age=7))
    for name, schema in (("evaluation", EVALUATION), ("evaluation_pairs", EVALUATION_PAIRS)):
        found = pl.read_parquet_schema(run.path / f"{name}.parquet")
        assert found == {column: kind() for column, kind in schema.items()}
    assert read_headline(run.path / "evaluation.json").reason
    assert "nothing to judge" in printed(run)
