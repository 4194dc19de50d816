from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import msgspec
import numpy as np
import polars as pl
import pytest

from recdata.tables import TABLES
from recdata.training_artefacts import BEHAVIOUR, ITEMS, PROMOTED_DAYS, PURCHASES, USERS
from training.als import AlsConfig, AlsModel, fit_als
from training.blend import FIND_LINE, between_names
from training.evaluate.config import EvaluateConfig
from training.evaluate.protocol import Recipe, Shop, evaluate
from training.evaluate.split import Split
from training.history import History, pair_history
from training.interactions import InteractionsConfig, build_interactions
from training.lists import RankingConfig, rank_for_users
from training.promotions import MAX_KINDS, MEMORY_DAYS, Plan, names_of_line, plan_of
from training.ranking import learn_blend
from training.rhythm import PAIR_FEATURES

AS_OF = date(2024, 3, 1)
N_USERS, N_ITEMS = 60, 40
CATEGORIES = np.zeros(N_ITEMS, np.int32)
NO_BEHAVIOUR = pl.LazyFrame(schema=BEHAVIOUR)
INTERACTIONS, ALS = InteractionsConfig(min_item_users=1), AlsConfig(factors=4, iterations=5)
CONFIG = RankingConfig(
    candidates_per_user=30, validation_periods=1, trees=30, find_trees=15, find_learning_rate=0.3, threads=1
)
SHARE = PAIR_FEATURES.index("share_promoted")


def promotions(*runs: tuple[int, int, int, str]) -> pl.LazyFrame:
    """Promotions of (item, first day, day after the last, kind); days count from `AS_OF`."""
    rows = [
        (item, AS_OF + timedelta(days=day), kind, None)
        for item, first, end, kind in runs
        for day in range(first, end)
    ]
    return pl.DataFrame(rows, schema=PROMOTED_DAYS, orient="row").lazy()


def planned(*runs: tuple[int, int, int, str], lead_days: int = 28) -> Plan | None:
    return plan_of(promotions(*runs), N_ITEMS, as_of=AS_OF, lead_days=lead_days)


def test_an_item_is_known_by_the_days_it_will_be_promoted_and_those_it_was() -> None:
    seen = planned((3, -14, 7, "mailer"), (4, 0, 28, "mailer")).seen_from(AS_OF)
    assert seen.names == ("planned_1", "recent_1", "rise_1")
    assert seen.features[3].tolist() == [0.25, 0.5, -0.25]
    assert seen.features[4].tolist() == [1, 0, 1]
    assert not np.delete(seen.features, [3, 4], axis=0).any()
    assert names_of_line(("price", *seen.names)) == ["planned_1", "recent_1"]


def test_kinds_are_told_apart_that_with_most_days_first_and_the_rarest_are_one() -> None:
    runs = [(item, -28, 28, f"kind {item}") for item in range(MAX_KINDS + 2)]
    plan = planned(
        *runs, *((9, first, first + 14, "often") for first in (-100, -28, 14)), (8, -60, 28, "often")
    )
    assert list(plan.planned_days) == ["often", "kind 0", "kind 1", "others"]
    seen = plan.seen_from(AS_OF)
    others = seen.features[:, seen.names.index("planned_4")]
    assert np.flatnonzero(others).tolist() == list(range(2, MAX_KINDS + 2))


def test_the_plan_is_known_as_far_as_the_table_goes_and_no_further_than_asked() -> None:
    runs = (1, -56, 10, "mailer"), (2, -56, 28, "display")
    assert planned(*runs).planned_days == {"display": 28, "mailer": 10}
    assert planned(*runs, lead_days=7).planned_days == {"display": 7, "mailer": 7}
    assert planned(*runs, lead_days=0) is None
    assert planned((1, -56, 0, "mailer")) is None
    assert planned() is None


def test_a_single_long_promotion_does_not_make_the_plan_known_to_its_end() -> None:
    runs = [(item, -28, 5, "mailer") for item in range(10)]
    assert planned(*runs, (11, -28, 28, "mailer")).planned_days == {"mailer": 5}


def test_an_earlier_morning_sees_no_further_ahead_than_that_of_asking() -> None:
    runs = (1, -56, 7, "mailer"), (2, -20, 0, "mailer")
    seen = planned(*runs).seen_from(AS_OF - timedelta(days=28))
    assert seen.features[1].tolist() == [1, 1, 0]
    # Its days 8 to 27 are of the past on the day of asking, but no day so far ahead is known then.
    assert seen.features[2].tolist() == [0, 0, 0]


def test_a_morning_before_the_plan_begins_tells_nothing() -> None:
    seen = planned((1, -20, 28, "mailer")).seen_from(AS_OF - timedelta(days=21))
    assert np.isnan(seen.features).all()


def test_the_share_bought_on_promotion_counts_only_days_that_the_plan_has() -> None:
    plan = planned((1, -50, -40, "mailer"), (1, -10, 3, "display"), (9, -5, 3, "mailer"))
    ages = [60, 50, 20, 5, 60, 20]
    bought = pl.DataFrame({"user_row": [0, 0, 0, 0, 1, 1], "item_row": [1, 1, 1, 1, 1, 2], "age": ages})
    shares = plan.shares_bought(AS_OF, bought, 3)
    assert shares[0] == pytest.approx(2 / 3)
    assert np.isnan(shares[1])
    assert shares[2] == 0


PROMOTED = (0, 1, 2, 3)


@cache
def shop() -> pl.LazyFrame:
    """Everybody buys three of twenty items each week, and those of the even twenty that are promoted."""
    rng = np.random.default_rng(3)
    lines = []
    for age in range(140, 0, -7):
        for user in range(N_USERS):
            wanted = {20 + int(item) for item in rng.integers(0, 20, 3)}
            wanted |= {item for item in on_promotion(age) if rng.random() < 0.4}
            lines += [
                (AS_OF - timedelta(days=age), user, item, f"o{user}-{age}", 1.0, 2.0, "", "")
                for item in sorted(wanted)
            ]
    return pl.DataFrame(lines, schema=PURCHASES, orient="row").sort("day", "user_row", "item_row").lazy()


def on_promotion(age: int) -> range:
    """Five of the items 0 to 19 in each four weeks, in no order that time alone would tell."""
    turn = (0, 1, 2, 3, 1, 0)[(140 - age) // 28]
    return range(5 * turn, 5 * turn + 5)


TURNS = tuple((item, -age, -age + 28, "mailer") for age in range(140, -1, -28) for item in on_promotion(age))


def history(plan: Plan | None, purchases: pl.LazyFrame | None = None) -> History:
    lines = shop() if purchases is None else purchases
    return pair_history(lines, N_USERS, CATEGORIES, as_of=AS_OF, plan=plan)


def learned(plan: Plan | None, purchases: pl.LazyFrame | None = None):
    return learn_blend(
        shop() if purchases is None else purchases,
        NO_BEHAVIOUR,
        N_USERS,
        CATEGORIES,
        as_of=AS_OF,
        interactions=INTERACTIONS,
        als=ALS,
        config=CONFIG,
        plan=plan,
    )


@cache
def model() -> AlsModel:
    return fit_als(
        build_interactions(shop(), NO_BEHAVIOUR, N_USERS, N_ITEMS, as_of=AS_OF, config=INTERACTIONS), ALS
    )


def chances(plan: Plan | None) -> np.ndarray:
    """The mean chance of each item over the shoppers, 0 where it stands in no list."""
    blocks = rank_for_users(history(plan), model(), learned(plan), np.ones(N_ITEMS, bool), CONFIG)
    block = next(iter(blocks))
    real = block.rows >= 0
    return np.bincount(block.rows[real], block.scores[real], N_ITEMS) / N_USERS


def test_what_will_be_promoted_has_a_better_chance_than_what_was() -> None:
    coming, gone = list(on_promotion(0)), list(on_promotion(28))
    assert not set(coming) & set(gone)
    with_plan, without = chances(planned(*TURNS)), chances(None)
    assert with_plan[coming].mean() > 2 * without[coming].mean()
    assert with_plan[coming].mean() > 2 * with_plan[gone].mean()


def forests(blend) -> list[np.ndarray]:
    return [
        getattr(each.forest, name)
        for each in (blend.repeat, blend.find)
        for name in ("features", "thresholds", "missing_right", "leaves")
    ] + [blend.find.line.weights]


def test_nothing_bought_later_and_no_promotion_beyond_the_plan_changes_what_is_learned() -> None:
    later = shop().with_columns(pl.col("day") + timedelta(days=140))
    beyond = ((item, 28, 60, "mailer") for item in range(12, 30))
    one = learned(planned(*TURNS))
    two = learned(planned(*TURNS, *beyond), pl.concat([shop(), later]))
    assert all(np.array_equal(each, other) for each, other in zip(forests(one), forests(two), strict=True))
    known = history(planned(*TURNS)), history(planned(*TURNS, *beyond), pl.concat([shop(), later]))
    assert np.array_equal(known[0].promoted.features, known[1].promoted.features)
    assert np.array_equal(known[0].pair_features, known[1].pair_features, equal_nan=True)


def test_what_is_planned_for_the_coming_days_teaches_nothing() -> None:
    swapped = [run if run[1] < 0 else (run[0] + 5, *run[1:]) for run in TURNS]
    assert swapped != list(TURNS)
    one, two = learned(planned(*TURNS)), learned(planned(*swapped))
    assert all(np.array_equal(each, other) for each, other in zip(forests(one), forests(two), strict=True))


def test_a_shop_without_promotions_ranks_as_one_that_leaves_them_out() -> None:
    nothing = plan_of(pl.LazyFrame(schema=PROMOTED_DAYS), N_ITEMS, as_of=AS_OF, lead_days=28)
    assert nothing is None
    assert history(nothing).promoted is None
    assert np.isnan(history(nothing).pair_features[:, SHARE]).all()
    assert chances(nothing).any()


def test_the_share_of_promoted_purchases_is_the_same_however_the_shoppers_are_parted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = history(planned(*TURNS)).pair_features[:, SHARE]
    monkeypatch.setattr("training.history.PART_LINES", 500)
    assert np.array_equal(history(planned(*TURNS)).pair_features[:, SHARE], whole, equal_nan=True)
    assert set(whole[np.isfinite(whole)].tolist()) == {0.0, 1.0}  # items 0 to 19 are bought on promotion only


def test_features_stand_where_their_names_do_also_after_a_choice_of_shoppers() -> None:
    known = history(planned(*TURNS))
    users, items = np.array([0, 1], np.int32), np.array([on_promotion(0)[0], 30], np.int32)
    column = known.between_names().index("planned_1")
    assert known.features_between(users, items)[:, column].tolist() == [1, 0]
    chosen = known.of_users(np.array([5, 9]))
    assert chosen.features_between(users, items)[:, column].tolist() == [1, 0]
    assert len(between_names(known)) == len(between_names(history(None))) + 3


@pytest.mark.parametrize("lead_days", [28, 0])
def test_an_evaluation_knows_the_plan_of_its_test_period_as_far_as_the_config_says(lead_days: int) -> None:
    users = [(row, f"u{row:02}", "", AS_OF, AS_OF, 1) for row in range(N_USERS)]
    items = [
        (row, f"i{row:02}", "T", "A", "", 2.0, None, None, "active", None, "{}") for row in range(N_ITEMS)
    ]
    tables = Shop(
        shop(),
        NO_BEHAVIOUR,
        pl.DataFrame(users, schema=USERS, orient="row"),
        pl.DataFrame(items, schema=ITEMS, orient="row"),
        pl.LazyFrame(schema=TABLES["customers"].schema),
        promotions(*TURNS),
    )
    recipe = Recipe(INTERACTIONS, ALS, msgspec.structs.replace(CONFIG, plan_lead_days=lead_days))
    split = Split(AS_OF - timedelta(days=28), AS_OF)
    outcome = evaluate(tables, recipe, split=split, config=EvaluateConfig(k=5, curve_k=5, resamples=20))
    assert ("planned_1" in outcome.blend.repeat.forest.gains) == (lead_days > 0)
    assert outcome.blend.find.line.columns.size == len(FIND_LINE) + 2 * (lead_days > 0)


def test_the_lists_look_no_further_ahead_than_a_chance_does() -> None:
    assert CONFIG.lead_days == 28
    assert msgspec.structs.replace(CONFIG, validation_days=14).lead_days == 14
    assert msgspec.structs.replace(CONFIG, plan_lead_days=10).lead_days == 10


def test_what_is_older_than_the_memory_is_forgotten() -> None:
    assert planned((1, -MEMORY_DAYS - 50, 28, "mailer")).first == AS_OF - timedelta(days=MEMORY_DAYS)
