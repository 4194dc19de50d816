from __future__ import annotations

import tomllib
from datetime import date, timedelta
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy import sparse

from recdata.cli import Door
from recdata.errors import RunError
from recdata.importing import import_tables
from recdata.training_artefacts import BEHAVIOUR, PURCHASES
from tests.shop import NOW, SMALL_CONFIG, Shop
from training.als import AlsConfig
from training.evaluate import EvaluateConfig
from training.evaluate.split import Relevance
from training.interactions import InteractionsConfig
from training.pipeline import NightlyConfig
from training.search.command import tune
from training.search.config import SearchConfig
from training.search.folds import ALL, NEVER_BOUGHT, Fold, fold_of_pairs, folds_of_events
from training.search.halving import Search, Trial
from training.search.proposing import propose
from training.search.report import print_trials, settings_toml, trial_line
from training.search.space import ALS_RANGES, TIMED_RANGES, Settings, Space

AS_OF = date(2024, 6, 1)
GIVEN = Settings(InteractionsConfig(min_item_users=1), AlsConfig())
CONFIG = SearchConfig(trials=12, sweeps=(1, 2, 4), max_factors=16)
JUDGED = EvaluateConfig(k=5)


def pairs(users: int = 120, items: int = 60, groups: int = 6) -> sparse.csr_array:
    """Everybody likes half of the items of a group of their own."""
    rng = np.random.default_rng(4)
    mine = np.arange(users)[:, None] % groups == np.arange(items) % groups
    return sparse.csr_array((mine & (rng.random(mine.shape) < 0.5)).astype(np.float32))


def searched(config: SearchConfig = CONFIG, *, als: AlsConfig | None = None) -> list[Trial]:
    fold = fold_of_pairs(pairs(), held_out_share=0.2, rng=np.random.default_rng(1))
    given = Settings(GIVEN.interactions, als or GIVEN.als)
    search = Search([fold], Space(given, max_factors=config.max_factors, timed=False), config, k=5)
    search.run()
    assert search.best()[0].score == max(trial.score for trial in search.trials)
    return search.trials


def purchases(*, later: int = 0) -> pl.DataFrame:
    """Shopper u buys an item near u every week; in the test period, `later` places further on."""
    lines = [
        (
            AS_OF - timedelta(days=age),
            user,
            (user + age // 7 % 4 + (later if age <= 28 else 0)) % 20,
            f"o{user}-{age}",
            1.0,
            1.0,
            "",
            "",
        )
        for age in range(175, 0, -7)
        for user in range(20)
    ]
    return pl.DataFrame(lines, schema=PURCHASES, orient="row").sort("day", "user_row", "item_row")


def folds(frame: pl.DataFrame, periods: int = 2) -> list[Fold]:
    nothing = pl.LazyFrame(schema=BEHAVIOUR)
    return folds_of_events(frame.lazy(), nothing, 20, 20, as_of=AS_OF, judged=JUDGED, periods=periods)


def told(trials: list[Trial]) -> list[tuple]:
    return [(trial.settings, trial.sweeps, trial.score, trial.found) for trial in trials]


def test_the_first_trial_is_of_the_configured_settings_and_scores_one() -> None:
    odd = AlsConfig(factors=7, regularization=2.345)  # outside of what is searched
    first = searched(msgspec.structs.replace(CONFIG, trials=1), als=odd)[0]
    assert msgspec.structs.replace(first.settings.als, iterations=odd.iterations) == odd
    assert first.score == 1.0
    assert first.settings.als.iterations in CONFIG.sweeps


def test_a_search_finds_better_settings_than_poor_ones() -> None:
    poor = AlsConfig(factors=2, regularization=1.9)
    trials = searched(als=poor)
    assert max(trial.score for trial in trials) > 1.2


def test_the_same_seed_makes_the_same_search_and_another_seed_another() -> None:
    assert told(searched()) == told(searched())
    assert told(searched()) != told(searched(msgspec.structs.replace(CONFIG, seed=8)))


def test_poor_trials_are_given_up_and_good_ones_are_not() -> None:
    trials = searched(msgspec.structs.replace(CONFIG, trials=20))
    by_sweeps = {
        sweeps: [trial.score for trial in trials if trial.sweeps == sweeps] for sweeps in CONFIG.sweeps
    }
    assert all(by_sweeps.values())
    assert np.mean(by_sweeps[1]) < np.mean(by_sweeps[4])
    kept = searched(msgspec.structs.replace(CONFIG, keep_share=1.0))
    assert min(trial.sweeps for trial in kept) > 1  # where they do better after fewer, they end


def test_no_trial_is_begun_when_the_seconds_are_spent() -> None:
    assert len(searched(msgspec.structs.replace(CONFIG, seconds=1e-9))) == 1


def test_sweeping_on_is_sweeping_at_once() -> None:
    alone = msgspec.structs.replace(CONFIG, sweeps=(4,), trials=1)
    in_steps = msgspec.structs.replace(CONFIG, sweeps=(2, 3, 4), trials=1, keep_share=1.0)
    few, many = searched(alone)[0], searched(in_steps)[0]
    # the best of three, one of which is the other
    assert sum(many.found.values()) >= sum(few.found.values())


@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(1, 300))
def test_every_point_is_a_valid_config_within_the_ranges(seed: int, timed: bool, max_factors: int) -> None:
    space = Space(GIVEN, max_factors=max_factors, timed=timed)
    rng = np.random.default_rng(seed)
    drawn = space.drawn(rng)
    for point in (drawn, space.varied(drawn, rng), np.zeros(space.size), np.ones(space.size)):
        settings = space.settings(point)
        for part in (settings.als, settings.interactions):
            assert msgspec.convert(msgspec.to_builtins(part), type(part)) == part
        assert 1 <= settings.als.factors <= max_factors
        values = [(each, getattr(settings.als, each.name)) for each in ALS_RANGES]
        if timed:
            values += [(each, getattr(settings.interactions, each.name)) for each in TIMED_RANGES]
        else:
            assert settings.interactions == GIVEN.interactions
        assert all(each.low * 0.99 <= value <= each.high * 1.01 for each, value in values)


@pytest.mark.parametrize("timed", [False, True])
def test_a_points_settings_stand_at_that_point(timed: bool) -> None:
    space = Space(GIVEN, max_factors=256, timed=timed)
    settings = space.settings(space.given_point())
    assert msgspec.structs.replace(settings.als, iterations=10) == GIVEN.als
    for each in TIMED_RANGES:
        wanted = getattr(GIVEN.interactions, each.name)
        assert getattr(settings.interactions, each.name) == pytest.approx(wanted, rel=0.01)


def test_a_varied_point_is_another_one_near_by() -> None:
    space = Space(GIVEN, max_factors=256, timed=True)
    point, rng = np.full(space.size, 0.5), np.random.default_rng(1)
    away = np.array([space.varied(point, rng) - point for _ in range(500)])
    assert away.any(axis=1).all()
    searched_evenly = np.delete(away, 1, axis=1)  # the weighting is one of two
    assert 0.02 < searched_evenly.std() < 0.15
    assert set(np.abs(away[:, 1]).tolist()) == {0.0, 0.5}


def test_proposed_points_climb_a_hill_that_drawn_ones_miss() -> None:
    space = Space(GIVEN, max_factors=256, timed=False)
    top = np.linspace(0.2, 0.8, space.size)

    def height(point: np.ndarray) -> float:
        return 1.0 - float(((point - top) ** 2).sum())

    rng = np.random.default_rng(1)
    points = [space.drawn(rng) for _ in range(10)]
    scores = [height(point) for point in points]
    for _ in range(25):
        points.append(propose(space, points, scores, rng))
        scores.append(height(points[-1]))
    drawn = max(height(space.drawn(rng)) for _ in range(1000))
    assert max(scores) > drawn
    assert len({point.tobytes() for point in points}) == len(points)


def test_where_all_do_alike_another_point_is_proposed() -> None:
    space = Space(GIVEN, max_factors=256, timed=False)
    rng = np.random.default_rng(1)
    points = [space.drawn(rng) for _ in range(3)]
    proposed = propose(space, points, [1.0, 1.0, 1.0], rng)
    assert all(not np.array_equal(proposed, point) for point in points)


def test_pairs_are_either_known_or_held_out() -> None:
    whole = pairs()
    fold = fold_of_pairs(whole, held_out_share=0.2, rng=np.random.default_rng(1))
    known = fold.weigh(GIVEN.interactions)
    relevant = fold.relevant[NEVER_BOUGHT]
    held = sparse.csr_array(
        (np.ones(relevant.keys.size, np.float32), (fold.users[relevant.places], relevant.items)),
        shape=whole.shape,
    )
    assert ((known + held).toarray() == whole.toarray()).all()
    assert relevant.keys.size == pytest.approx(0.2 * whole.nnz, rel=0.2)
    assert (fold.known.toarray() == (known[fold.users].toarray() > 0)).all()


def test_one_pair_cannot_be_split() -> None:
    with pytest.raises(RunError, match="1 pairs are too few"):
        fold_of_pairs(
            sparse.csr_array(np.eye(1, dtype=np.float32)), held_out_share=0.1, rng=np.random.default_rng(1)
        )


def test_lists_are_judged_by_hand() -> None:
    # Two shoppers, four items of which the last one has no vector; the first shopper knows item 0.
    known = sparse.csr_array(np.array([[True, False, False, False], [False] * 4]))
    relevant = Relevance(np.array([1, 4 + 3]), np.zeros(2), 2, 4)
    both = Relevance(np.array([0, 1, 4 + 3]), np.zeros(3), 2, 4)
    fold = Fold("hand", np.arange(2), {ALL: both, NEVER_BOUGHT: relevant}, known, lambda _: known)
    users = np.array([[1.0], [1.0]], np.float32)
    items = np.array([[3.0], [2.0], [1.0], [0.0]], np.float32)
    assert fold.lists(users, items, k=2)[ALL].tolist() == [[0, 1], [0, 1]]
    assert fold.lists(users, items, k=4)[NEVER_BOUGHT].tolist() == [[1, 2, -1, -1], [0, 1, 2, -1]]
    # the first is right in both questions, the second in none: item 3 cannot be listed
    assert set(fold.judge(users, items, k=2).values()) == {0.5}
    assert (fold.lists(users * 0, items, k=2)[ALL] == -1).all()


def test_the_periods_are_those_right_before_the_test() -> None:
    found = folds(purchases())
    assert [fold.name for fold in found] == ["2024-04-06", "2024-03-09"]
    fold = found[0]
    assert fold.relevant[ALL].keys.size == 80  # four items in four weeks each
    assert fold.relevant[NEVER_BOUGHT].keys.size == 0  # of four that everybody keeps to
    assert fold.known.toarray().sum() == 80


def test_what_happens_in_the_test_period_cannot_be_seen() -> None:
    space = Space(GIVEN, max_factors=8, timed=True)
    config = msgspec.structs.replace(CONFIG, trials=4, never_bought_share=0.0)
    both = []
    for frame in (purchases(), purchases(later=9)):
        search = Search(folds(frame), space, config, k=5)
        search.run()
        both.append(told(search.trials))
    assert both[0] == both[1]


def test_too_short_a_past_is_an_error_that_says_so() -> None:
    with pytest.raises(RunError, match=r"no purchases in or before the validation period"):
        folds(purchases(), periods=7)


def test_a_table_shows_the_configured_settings_beside_the_best() -> None:
    trials = searched()
    out = StringIO()
    print_trials(Console(file=out, width=140), trials, timed=False)
    assert "as configured" in out.getvalue()
    assert "1.0000" in out.getvalue()
    assert f"best {max(trial.score for trial in trials):.4f}" in trial_line(
        trials[0], 1, max(trials, key=lambda trial: trial.score)
    )


def test_the_verb_writes_settings_that_the_config_takes(tmp_path: Path) -> None:
    path = tmp_path / "recsvc.toml"
    path.write_text(SMALL_CONFIG + "\n[training.search]\nmax_factors = 16\nsweeps = [1, 2]\n")
    config = NightlyConfig.load(path)
    quiet = Console(file=StringIO())
    import_tables(Shop().write(tmp_path / "source"), None, tmp_path, config.data, now=NOW, console=quiet)
    out = Console(file=StringIO(), width=140)
    door = Door(home=tmp_path, config=path, console=quiet, out=out)
    result = CliRunner().invoke(tune, ["--trials", "3"], obj=door, catch_exceptions=False)
    assert result.exit_code == 0
    written = (tmp_path / "tuned.toml").read_text()
    assert written in out.file.getvalue()
    tuned = NightlyConfig.load(tmp_path / "tuned.toml").training
    assert tomllib.loads(written)["training"]["als"]["iterations"] in (1, 2)
    assert settings_toml(Settings(tuned.interactions, tuned.als), timed=True) == written
