from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from training.chances import Examples, Line, chances_of, fit_chances
from training.forest import Forest

SIZES = {"trees": 120, "leaves": 8, "rate": 0.2, "seed": 7, "threads": 1}


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(2)
    table = rng.normal(size=(3000, 5)).astype(np.float32)
    table[rng.random(table.shape) < 0.2] = np.nan
    table[:, 3] = np.nan_to_num(table[:, 3])  # never missing where it was learned
    table[:, 4] = np.round(table[:, 4])  # many equal values, which stand on the thresholds
    return table


@pytest.fixture(scope="module")
def grown(rows: np.ndarray) -> lightgbm.Booster:
    label = np.nansum(rows[:, :2], axis=1) * np.nan_to_num(rows[:, 4]) > np.isnan(rows[:, 2])
    data = lightgbm.Dataset(rows, label.astype(float))
    sizes = {"num_leaves": 20, "max_depth": 6, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
    return lightgbm.train({"objective": "binary", **sizes}, data, num_boost_round=30)


@pytest.mark.parametrize("n_rows", [0, 1, 7, 8, 9, 255, 257, 3000])
def test_a_forest_says_what_lightgbm_says(rows: np.ndarray, grown: lightgbm.Booster, n_rows: int) -> None:
    forest = Forest.of(grown, np.arange(5), depth=6)
    wanted = grown.predict(rows[:n_rows], raw_score=True) if n_rows else np.zeros(0)
    assert forest.logits(rows[:n_rows]) == pytest.approx(wanted, rel=1e-12)


def test_what_was_never_missing_is_taken_for_0_where_it_is(rows: np.ndarray, grown: lightgbm.Booster) -> None:
    bare = rows.copy()
    bare[:, 3] = np.nan
    assert Forest.of(grown, np.arange(5), depth=6).logits(bare) == pytest.approx(
        grown.predict(bare, raw_score=True)
    )


def test_a_forest_finds_its_columns_in_a_wider_table(rows: np.ndarray, grown: lightgbm.Booster) -> None:
    columns = np.array([6, 2, 0, 5, 3])
    wide = np.full((len(rows), 7), 9.0, np.float32)
    wide[:, columns] = rows
    narrow = Forest.of(grown, np.arange(5), depth=6).logits(rows)
    assert np.array_equal(Forest.of(grown, columns, depth=7).logits(wide), narrow)


def coin(slope: float, n: int = 40_000) -> Examples:
    """Examples whose odds grow with the first feature's power `slope`; the second is often missing."""
    rng = np.random.default_rng(3)
    sold = rng.integers(0, 200, n)
    absent = rng.random(n) < 0.5
    chance = chances_of(slope * np.log1p(sold) - 4.0 + absent)
    table = np.column_stack([sold, np.where(absent, np.nan, 1.0)]).astype(np.float32)
    return Examples(table, rng.random(n) < chance, np.ones(n, np.float32))


def test_a_line_finds_the_power_and_what_a_missing_feature_says() -> None:
    line = Line.fitted(coin(0.8), np.array([0, 1]))
    asked = np.array([[9, 1], [99, 1], [9, np.nan]], np.float32)
    low, high, absent = line.logits(asked)
    assert high - low == pytest.approx(0.8 * np.log(10), abs=0.1)
    assert absent - low == pytest.approx(1.0, abs=0.1)


def test_a_line_is_level_far_from_what_it_has_seen() -> None:
    line = Line.fitted(coin(0.8), np.array([0, 1]))
    far, farther = line.logits(np.array([[1e9, 1], [1e12, 1]], np.float32))
    assert far == farther


def test_trees_beside_a_line_add_what_it_leaves() -> None:
    examples = coin(0.8)
    odd = (np.arange(examples.label.size) % 2).astype(np.float32)
    label = examples.label & (odd > 0)  # what the line, made of how it sells, cannot know
    both = Examples(np.column_stack([examples.features, odd]), label, examples.weight)
    model = fit_chances(both, ["sold", "other", "odd"], line=["sold"], unseen=["sold"], **SIZES)
    assert model.line.columns.tolist() == [0]
    assert "sold" not in model.forest.gains
    chances = model.of(both.features)
    assert chances[odd > 0].mean() == pytest.approx(label[odd > 0].mean(), rel=0.02)
    assert chances[odd == 0].max() < 0.02
    few, many = model.of(np.array([[3, 1, 1], [150, 1, 1]], np.float32))
    assert many > 3 * few


def test_trees_look_at_the_best_of_each_shopper_by_the_line() -> None:
    examples = coin(0.8)
    model = fit_chances(examples, ["sold", "other"], line=["sold"], **SIZES)
    asked = np.array([[100, 1], [1, 1], [50, np.nan], [2, np.nan]], np.float32)
    chances = model.of(asked, groups=np.array([4, 4, 9, 9]), best=1)
    line = chances_of(model.line.logits(asked))
    assert chances[[0, 2]].tolist() == model.of(asked)[[0, 2]].tolist()
    assert chances[[1, 3]].tolist() == line[[1, 3]].tolist()
    assert not np.isclose(chances[[0, 2]], line[[0, 2]], rtol=1e-3).any()
