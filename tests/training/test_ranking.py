from __future__ import annotations

from datetime import date, timedelta
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from rich.console import Console

from recdata.artefacts import write_artefact
from recdata.runs import RunFolder
from recdata.snapshot.records import Source
from recdata.training_artefacts import BEHAVIOUR, ITEMS, PROMOTED_DAYS, PURCHASES, USERS
from training.als import AlsConfig, als_stage, fit_als
from training.blend import DEFAULT_BLEND, examples_of
from training.chances import Examples, fit_chances, joined
from training.history import pair_history
from training.interactions import InteractionsConfig, build_interactions
from training.lists import RankedBlock, RankingConfig, rank_for_users, spread
from training.ranking import learn_blend, ranking_stage

AS_OF = date(2024, 3, 1)
N_USERS, N_ITEMS = 60, 40
NOBODY = 59  # never buys
INTERACTIONS = InteractionsConfig(min_item_users=1)
ALS = AlsConfig(factors=4, iterations=5)
TEN = RankingConfig(candidates_per_user=10)
LONG = RankingConfig(candidates_per_user=90)


def shop(*, days: int = 84) -> pl.LazyFrame:
    """Each shopper buys item `user % 40` every week, and one item of the same parity each week besides."""
    rng = np.random.default_rng(0)
    lines = []
    for age in range(days, 0, -7):
        for user in range(N_USERS - 1):
            other = int(rng.integers(0, N_ITEMS // 2)) * 2 + user % 2
            basket = (AS_OF - timedelta(days=age), user), (f"o{user}-{age}", 1.0, 2.0, "app", "north")
            lines += [(*basket[0], item, *basket[1]) for item in {user % N_ITEMS, other}]
    return pl.DataFrame(lines, schema=PURCHASES, orient="row").sort("day", "user_row", "item_row").lazy()


CATEGORIES = (np.arange(N_ITEMS) % 2).astype(np.int32)
NO_BEHAVIOUR = pl.LazyFrame(schema=BEHAVIOUR)


def ranked(
    purchases: pl.LazyFrame, config: RankingConfig = TEN, sellable: np.ndarray | None = None
) -> RankedBlock:
    history = pair_history(purchases, N_USERS, CATEGORIES, as_of=AS_OF)
    matrix = build_interactions(purchases, NO_BEHAVIOUR, N_USERS, N_ITEMS, as_of=AS_OF, config=INTERACTIONS)
    sellable = np.ones(N_ITEMS, bool) if sellable is None else sellable
    blocks = list(rank_for_users(history, fit_als(matrix, ALS), DEFAULT_BLEND, sellable, config))
    return RankedBlock(
        0,
        np.concatenate([block.rows for block in blocks]),
        np.concatenate([block.scores for block in blocks]),
        np.concatenate([block.sources for block in blocks]),
    )


def bought_by(purchases: pl.LazyFrame, user: int) -> set[int]:
    return set(purchases.filter(user_row=user).collect()["item_row"])


def test_what_a_shopper_buys_every_week_comes_first_and_is_called_a_repeat() -> None:
    block = ranked(shop())
    assert block.rows[:N_ITEMS, 0].tolist() == list(range(N_ITEMS))
    assert (block.sources[: N_USERS - 1, 0] == Source.REPEAT).all()


def test_at_least_half_of_a_list_was_never_bought() -> None:
    purchases, block = shop(), ranked(shop())
    for user in range(N_USERS - 1):
        known = bought_by(purchases, user)
        row = block.rows[user]
        assert sum(int(item) in known for item in row[row >= 0]) <= 5
        for item, source in zip(row, block.sources[user], strict=True):
            assert item < 0 or (int(item) in known) == (source == Source.REPEAT)


def test_scores_fall_are_chances_and_no_item_comes_twice() -> None:
    block = ranked(shop())
    assert (np.diff(block.scores, axis=1) <= 0).all()
    assert block.scores.min() >= 0
    assert block.scores.max() <= 1
    for row in block.rows:
        real = row[row >= 0]
        assert real.size == np.unique(real).size


def test_a_shopper_without_history_has_an_empty_list() -> None:
    block = ranked(shop())
    assert (block.rows[NOBODY] == -1).all()
    assert not block.scores[NOBODY].any()
    assert (block.sources[NOBODY] == Source.UNSPECIFIED).all()


def test_items_that_may_not_be_sold_stand_in_no_list() -> None:
    sellable = np.ones(N_ITEMS, bool)
    sellable[[3, 4]] = False
    assert not np.isin(ranked(shop(), sellable=sellable).rows, [3, 4]).any()


def test_where_nothing_may_be_sold_every_list_is_empty() -> None:
    assert (ranked(shop(), sellable=np.zeros(N_ITEMS, bool)).rows == -1).all()


def test_the_lists_do_not_depend_on_threads_or_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    one = ranked(shop(), msgspec.structs.replace(TEN, threads=1))
    monkeypatch.setattr("training.discovery.MAX_BLOCK_USERS", 7)
    two = ranked(shop(), msgspec.structs.replace(TEN, threads=2))
    assert np.array_equal(one.rows, two.rows)
    assert one.scores == pytest.approx(two.scores, rel=1e-5)


def test_the_dial_for_diversity_takes_the_category_of_those_above_into_account() -> None:
    rows = np.array([[0, 1, 2, 3, -1]], np.int32)
    chances = np.array([[0.8, 0.6, 0.5, 0.4, -1.0]])
    counted = spread(chances, rows, np.array([0, 0, 0, 1], np.int32), diversity=0.5)
    assert counted.tolist() == [[0.8, 0.3, 0.125, 0.4, -1.0]]


def test_lists_spread_over_categories_as_far_as_the_dial_says() -> None:
    plain, dialled = (ranked(shop(), msgspec.structs.replace(TEN, diversity=dial)) for dial in (0.0, 0.9))
    assert (np.diff(dialled.scores, axis=1) <= 0).all()
    assert np.array_equal(plain.rows[:, 0], dialled.rows[:, 0])
    # Ten places, at most five of them bought before, are shared more evenly.
    even = [
        np.abs(CATEGORIES[block.rows[: N_USERS - 1]].mean(axis=1) - 0.5).mean() for block in (plain, dialled)
    ]
    assert even[1] < even[0]


def test_a_new_item_is_found_by_the_vector_of_its_traits() -> None:
    purchases = shop().filter(pl.col("item_row") != 7)
    history = pair_history(purchases, N_USERS, CATEGORIES, as_of=AS_OF)
    model, new = model_of(purchases), np.arange(N_ITEMS) == 7
    assert not model.item_factors[7].any()
    model.item_factors[7] = model.item_factors[9]
    blocks = rank_for_users(history, model, DEFAULT_BLEND, np.ones(N_ITEMS, bool), LONG, new=new)
    block = next(iter(blocks))
    assert (block.sources[block.rows == 7] == Source.NEW).all()
    assert (block.rows[: N_USERS - 1] == 7).any(axis=1).all()


def test_a_list_longer_than_the_catalogue_is_padded() -> None:
    block = ranked(shop(), RankingConfig(candidates_per_user=90))
    assert block.rows.shape == (N_USERS, 90)
    assert (np.sort(block.rows[0])[-N_ITEMS:] == np.arange(N_ITEMS)).all()
    assert (block.rows[:, N_ITEMS:] == -1).all()


def learned(purchases: pl.LazyFrame, config: RankingConfig = TEN):
    return learn_blend(
        purchases,
        NO_BEHAVIOUR,
        N_USERS,
        CATEGORIES,
        as_of=AS_OF,
        interactions=INTERACTIONS,
        als=ALS,
        config=config,
    )


def test_the_blend_learns_that_frequent_items_are_bought_again() -> None:
    blend = learned(shop())
    history = pair_history(shop(), N_USERS, CATEGORIES, as_of=AS_OF)
    blocks = list(rank_for_users(history, model_of(shop()), blend, np.ones(N_ITEMS, bool), TEN))
    assert blocks[0].rows[:N_ITEMS, 0].tolist() == list(range(N_ITEMS))
    assert blocks[0].scores[0, 0] > 0.8  # bought in each of the last twelve weeks


def model_of(purchases: pl.LazyFrame, as_of: date = AS_OF):
    return fit_als(
        build_interactions(purchases, NO_BEHAVIOUR, N_USERS, N_ITEMS, as_of=as_of, config=INTERACTIONS), ALS
    )


def test_the_blend_never_looks_at_or_after_its_day() -> None:
    later = shop().with_columns(pl.col("day") + timedelta(days=84))
    one, two = learned(shop()), learned(pl.concat([shop(), later]))
    for model, same in ((one.repeat, two.repeat), (one.find, two.find)):
        for name in ("features", "thresholds", "missing_right", "leaves"):
            assert np.array_equal(getattr(model.forest, name), getattr(same.forest, name))
    assert np.array_equal(one.find.line.weights, two.find.line.weights)


def test_the_blend_does_not_depend_on_threads() -> None:
    one, two = (learned(shop(), msgspec.structs.replace(TEN, threads=threads)) for threads in (1, 2))
    assert np.array_equal(one.repeat.forest.leaves, two.repeat.forest.leaves)
    assert np.array_equal(one.find.forest.leaves, two.find.forest.leaves)


@pytest.mark.parametrize("days", [0, 7])
def test_data_shorter_than_the_validation_period_leave_the_default_blend(days: int) -> None:
    assert learned(shop(days=days)) is DEFAULT_BLEND


def examples(*, later: pl.LazyFrame, **changes: int) -> tuple[Examples, Examples]:
    start = AS_OF - timedelta(days=28)
    history = pair_history(shop(), N_USERS, CATEGORIES, as_of=start)
    sizes = {"length": 10, "max_users": 100, "max_examples": 10_000, "seed": 7, "threads": 1} | changes
    return examples_of(history, later, model_of(shop(), start), **sizes)


LATER = shop().filter(pl.col("day") >= AS_OF - timedelta(days=28))


def test_examples_are_all_pairs_bought_before_and_finds_labelled_by_what_came_after() -> None:
    before = shop().filter(pl.col("day") < AS_OF - timedelta(days=28))
    pairs, later = (part.select("user_row", "item_row").unique().collect() for part in (before, LATER))
    repeat, find = examples(later=LATER)
    assert repeat.label.size == pairs.height
    assert repeat.label.sum() == pairs.join(later, on=["user_row", "item_row"], how="semi").height
    # 40 items, of which a shopper without those bought may find 10 by vector and all others by the rest.
    assert find.label.size == (N_USERS - 1) * N_ITEMS - pairs.height
    assert find.label.sum() == later.join(pairs, on=["user_row", "item_row"], how="anti").height


def test_a_sample_of_examples_stands_for_all_of_them_and_keeps_what_was_bought() -> None:
    whole, part = examples(later=LATER)[0], examples(later=LATER, max_examples=200)[0]
    assert part.label.sum() == whole.label.sum()
    assert part.label.size < whole.label.size
    assert part.weight.sum() == pytest.approx(whole.weight.sum(), rel=0.1)


def test_fewer_shoppers_are_learned_from_where_there_are_more_than_asked_for() -> None:
    assert examples(later=LATER, max_users=10)[0].label.size < examples(later=LATER)[0].label.size / 4


def test_a_period_in_which_nothing_was_bought_teaches_nothing() -> None:
    repeat, _ = examples(later=shop().clear())
    assert not repeat.label.any()
    names = [str(at) for at in range(repeat.features.shape[1])]
    assert fit_chances(repeat, names, trees=5, leaves=4, rate=0.1, seed=7, threads=1) is None


def test_a_chance_on_one_switch_is_the_share_that_was_bought() -> None:
    switch = np.repeat([0.0, 1.0], 1000)[:, None].astype(np.float32)
    label = np.concatenate([np.arange(1000) < 200, np.arange(1000) < 600])
    weight = np.where(label, 1.0, 2.0).astype(np.float32)  # each that was not bought stands for two
    both = joined([Examples(switch, label, weight)] * 2)
    model = fit_chances(both, ["switch"], trees=200, leaves=4, rate=0.1, seed=7, threads=1)
    chances = model.of(np.array([[0.0], [1.0]], np.float32))
    assert chances == pytest.approx([200 / 1800, 600 / 1400], abs=0.01)


def test_the_stage_writes_lists_of_the_declared_shapes_and_skips_what_is_discontinued(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, "r1", AS_OF, Console(file=StringIO()))
    run.path.mkdir(parents=True)
    users = [(row, f"u{row:02}", "", AS_OF, AS_OF, 1) for row in range(N_USERS)]
    items = [
        (
            row,
            f"i{row:02}",
            "T",
            "A",
            "",
            1.0,
            None,
            None,
            "discontinued" if row == 8 else "active",
            None,
            "{}",
        )
        for row in range(N_ITEMS)
    ]
    promoted = [(3, AS_OF + timedelta(days=day), "mailer", None) for day in range(-70, 20)]
    for name, frame in (
        ("users", pl.DataFrame(users, schema=USERS, orient="row")),
        ("items", pl.DataFrame(items, schema=ITEMS, orient="row")),
        ("purchases", shop().collect()),
        ("behaviour", NO_BEHAVIOUR.collect()),
        ("promoted_days", pl.DataFrame(promoted, schema=PROMOTED_DAYS, orient="row")),
    ):
        write_artefact(frame, run.path / f"{name}.parquet", name)
    records = run.execute([als_stage(INTERACTIONS, ALS), ranking_stage(INTERACTIONS, ALS, TEN)])
    rows, scores, sources = (
        np.load(run.path / f"ranked_{name}.npy") for name in ("rows", "scores", "sources")
    )
    assert (rows.dtype, scores.dtype, sources.dtype) == (np.int32, np.float32, np.uint8)
    assert rows.shape == scores.shape == sources.shape == (N_USERS, 10)
    assert 8 not in rows
    assert records[1].summary["users_with_list"] == N_USERS - 1
    assert records[1].summary["planned_days"] == {"mailer": 20}
