from __future__ import annotations

from datetime import date, timedelta
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from rich.console import Console

from recdata.artefacts import BEHAVIOUR, ITEMS, PURCHASES, USERS, write_artefact
from recdata.runs import RunFolder
from recdata.snapshot.records import Source
from training.als import AlsConfig, als_stage, fit_als
from training.blend import DEFAULT_BLEND, fit_blend, logistic
from training.history import pair_history
from training.interactions import InteractionsConfig, build_interactions
from training.ranking import RankedBlock, RankingConfig, learn_blend, rank_for_users, ranking_stage

AS_OF = date(2024, 3, 1)
N_USERS, N_ITEMS = 60, 40
NOBODY = 59  # never buys
INTERACTIONS = InteractionsConfig(min_item_users=1)
ALS = AlsConfig(factors=4, iterations=5)
TEN = RankingConfig(candidates_per_user=10)


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


def test_a_list_longer_than_the_catalogue_is_padded() -> None:
    block = ranked(shop(), RankingConfig(candidates_per_user=90))
    assert block.rows.shape == (N_USERS, 90)
    assert (np.sort(block.rows[0])[-N_ITEMS:] == np.arange(N_ITEMS)).all()
    assert (block.rows[:, N_ITEMS:] == -1).all()


def learned(purchases: pl.LazyFrame):
    return learn_blend(
        purchases,
        NO_BEHAVIOUR,
        N_USERS,
        CATEGORIES,
        as_of=AS_OF,
        interactions=INTERACTIONS,
        als=ALS,
        config=TEN,
    )


def test_the_blend_learns_that_frequent_items_are_bought_again() -> None:
    blend = learned(shop())
    history = pair_history(shop(), N_USERS, CATEGORIES, as_of=AS_OF)
    model = fit_als(
        build_interactions(shop(), NO_BEHAVIOUR, N_USERS, N_ITEMS, as_of=AS_OF, config=INTERACTIONS), ALS
    )
    blocks = list(rank_for_users(history, model, blend, np.ones(N_ITEMS, bool), TEN))
    assert blocks[0].rows[:N_ITEMS, 0].tolist() == list(range(N_ITEMS))
    assert blocks[0].scores[0, 0] > 0.9  # bought in each of the last twelve weeks


def test_the_blend_never_looks_at_or_after_its_day() -> None:
    later = shop().with_columns(pl.col("day") + timedelta(days=84))
    one, two = learned(shop()), learned(pl.concat([shop(), later]))
    for name in ("repeat", "find", "discovery"):
        assert np.array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize("days", [0, 7])
def test_data_shorter_than_the_validation_period_leave_the_default_blend(days: int) -> None:
    assert learned(shop(days=days)) is DEFAULT_BLEND


def test_a_validation_period_without_purchases_leaves_the_default_weights() -> None:
    purchases = shop().filter(pl.col("day") < AS_OF - timedelta(days=28))
    history = pair_history(purchases, N_USERS, CATEGORIES, as_of=AS_OF)
    matrix = build_interactions(purchases, NO_BEHAVIOUR, N_USERS, N_ITEMS, as_of=AS_OF, config=INTERACTIONS)
    blend = fit_blend(
        history,
        purchases.clear(),
        fit_als(matrix, ALS),
        rng=np.random.default_rng(0),
        negatives_per_user=5,
        candidates_per_user=5,
        max_users=50,
    )
    assert np.array_equal(blend.repeat, DEFAULT_BLEND.repeat)
    assert np.array_equal(blend.find, DEFAULT_BLEND.find)


def test_logistic_regression_on_one_switch_gives_the_log_odds_by_hand() -> None:
    switch = np.repeat([0.0, 1.0], 100)[:, None]
    label = np.concatenate([np.arange(100) < 20, np.arange(100) < 60])
    constant, slope = logistic(switch, label, np.ones(200), ridge=0.0)
    assert constant == pytest.approx(np.log(20 / 80))
    assert constant + slope == pytest.approx(np.log(60 / 40))


def test_a_row_s_weight_counts_like_as_many_rows() -> None:
    switch = np.array([[0.0], [0.0], [1.0], [1.0]])
    label = np.array([True, False, True, False])
    constant, slope = logistic(switch, label, np.array([1.0, 4.0, 3.0, 2.0]), ridge=0.0)
    assert constant == pytest.approx(np.log(1 / 4))
    assert constant + slope == pytest.approx(np.log(3 / 2))


def test_what_never_differs_and_what_separates_do_not_break_the_regression() -> None:
    features = np.column_stack([np.ones(20), np.arange(20.0)])
    weights = logistic(features, np.arange(20) >= 10, np.ones(20))
    assert np.isfinite(weights).all()
    assert weights[2] > 0


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
    for name, frame in (
        ("users", pl.DataFrame(users, schema=USERS, orient="row")),
        ("items", pl.DataFrame(items, schema=ITEMS, orient="row")),
        ("purchases", shop().collect()),
        ("behaviour", NO_BEHAVIOUR.collect()),
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
