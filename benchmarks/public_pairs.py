"""Prints unsampled Recall@20 and NDCG@20 of the collaborative model on public pairs with a given split.

    python benchmarks/public_pairs.py --pairs FILE.parquet

The file has the columns user_id, item_id and split ("train" or "test").  Settings are searched on pairs held
out of the training pairs, as `recsvc tune` searches them on earlier weeks; the test pairs are looked at once,
at the end, by the model fitted to all training pairs.  Lists are drawn from all items without those of the
shopper's training pairs, for everybody with test pairs, as RecZoo's BARS benchmark does.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from scipy import sparse

from training.als import AlsConfig, fit_als
from training.evaluate.metrics import user_metrics
from training.evaluate.split import Relevance
from training.history import pair_keys
from training.interactions import InteractionsConfig
from training.search.config import SearchConfig
from training.search.folds import NEVER_BOUGHT, Fold, Matrix, fold_of_pairs
from training.search.halving import Search
from training.search.report import print_trials, settings_toml, trial_line
from training.search.space import Settings, Space

K = 20


def main() -> None:
    """Reads, searches, fits and judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True, help="Parquet with user_id, item_id, split")
    parser.add_argument("--trials", type=int, default=SearchConfig().trials)
    parser.add_argument("--seconds", type=float, default=SearchConfig().seconds)
    parser.add_argument("--seed", type=int, default=SearchConfig().seed)
    arguments = parser.parse_args()
    console = Console(width=140, highlight=False)
    train, test = read_pairs(arguments.pairs)
    console.print(f"{train.shape[0]} users, {train.shape[1]} items, {train.nnz} pairs, {test.nnz} to find")

    config = SearchConfig(trials=arguments.trials, seconds=arguments.seconds, seed=arguments.seed)
    fold = fold_of_pairs(train, held_out_share=config.held_out_share, rng=np.random.default_rng(config.seed))
    given = Settings(InteractionsConfig(), AlsConfig())
    space = Space(given, max_factors=config.max_factors, timed=False)
    search = Search([fold], space, config, k=K)
    started = time.monotonic()
    search.run(lambda trial: console.print(trial_line(trial, len(search.trials), search.best()[0])))
    console.print(
        f"{len(search.trials)} trials in {time.monotonic() - started:.0f} s, judged on held-out pairs"
    )
    print_trials(console, search.trials, timed=False)
    best = search.best()[0].settings
    console.print(settings_toml(best, timed=False), markup=False)
    for name, als in (("defaults", given.als), ("found", best.als)):
        started = time.monotonic()
        model = fit_als(train, als)
        seconds = time.monotonic() - started
        found = judge(train, test, model.user_factors, model.item_factors)
        console.print(
            f"{name}: Recall@{K} {found['recall']:.4f}  NDCG@{K} {found['ndcg']:.4f}  "
            f"fitted in {seconds:.1f} s, {seconds / als.iterations:.2f} s a sweep"
        )


def read_pairs(path: Path) -> tuple[Matrix, Matrix]:
    """Returns the pairs of train and test, both `(n_users, n_items)` with 1 where a pair met."""
    table = pl.read_parquet(path).with_columns(
        (pl.col(name).rank("dense") - 1).cast(pl.Int32).alias(name) for name in ("user_id", "item_id")
    )
    shape = (int(table["user_id"].max()) + 1, int(table["item_id"].max()) + 1)
    sides = []
    for split in ("train", "test"):
        part = (
            table.filter(pl.col("split") == split).unique(["user_id", "item_id"]).sort("user_id", "item_id")
        )
        places = (part["user_id"].to_numpy(), part["item_id"].to_numpy())
        sides.append(sparse.csr_array((np.ones(part.height, np.float32), places), shape=shape))
    return sides[0], sides[1]


def judge(
    train: Matrix, test: Matrix, user_factors: np.ndarray, item_factors: np.ndarray
) -> dict[str, float]:
    """Returns the mean recall and NDCG of everybody with test pairs."""
    users = np.flatnonzero(np.diff(test.indptr))
    places = np.repeat(np.arange(users.size), np.diff(test.indptr)[users])
    keys = np.sort(pair_keys(places, test.indices, test.shape[1]))
    relevant = Relevance(keys, np.zeros(keys.size), users.size, test.shape[1])
    known = sparse.csr_array(train[users] > 0)
    fold = Fold("test", users, {NEVER_BOUGHT: relevant}, known, lambda _interactions: train)
    lists = fold.lists(user_factors[users], item_factors, k=K)[NEVER_BOUGHT]
    measured = user_metrics(lists, relevant)
    return {name: float(np.nanmean(measured[name])) for name in ("recall", "ndcg")}


if __name__ == "__main__":
    main()
