"""Measures what each group of the ranker's features adds, and what is trending, on validation periods.

    python benchmarks/ranking_steps.py --home HOME --starts 2017-10-02 2017-10-30

Every step is learned anew on the periods before each start and judged on the four weeks from it: all shoppers
who bought in them, all items.  From the step "+ promotions" on, the plan of promotions is known of these four
weeks; nothing else of them is.  The candidates are the same but for the last steps, which also have those
that are trending in the shopper's segment.  A second table says what share of what is found in the four weeks
stands among the candidates, with that source, without it, and with so many more by the vectors instead that
a shopper has as many.  The test period is not looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from recdata.training_artefacts import BEHAVIOUR
from training.affinity import AFFINITY_FEATURES
from training.als import AlsConfig, AlsModel, fit_als
from training.blend import Blend, between_names, examples_of
from training.blocks import NO_ITEM
from training.chances import Examples, joined
from training.discovery import Discovery
from training.evaluate.config import EvaluateConfig
from training.evaluate.metrics import user_metrics
from training.evaluate.rivals import Rivals
from training.evaluate.split import Relevance, Split, bought_pairs, judged_users, relevance
from training.history import History, Rows, category_codes, is_member, pair_history, pair_keys
from training.interactions import InteractionsConfig, build_interactions
from training.promotions import Plan, plan_of
from training.ranking import RankingConfig, fit_blend
from training.rhythm import PAIR_FEATURES
from training.trending import TRENDING_FEATURES, Wanted

PERIOD = timedelta(days=28)
K = 20
TRENDING = (20, 60)  # candidates of a shopper that are trending in his segment
MORE = 5  # candidates by which the lists by vectors are lengthened until they are as long
PROMOTED_BEFORE = "share_promoted"  # by the plan of promotions, which only the last steps see
#: What each step adds to those before it; the first is what the logistic models before it had.
STEPS = {
    "frequency, popularity, vectors": (
        *("frequency_14", "frequency_56", "frequency_224", "days_bought", "days_since", "lateness"),
        *("buyers_28", "buyers", "repeat_share", "visits_28", "category_days", "collaborative"),
    ),
    "+ rhythm": (*(name for name in PAIR_FEATURES if name != PROMOTED_BEFORE), "median_gap_of_item"),
    "+ trend, new buyers": ("buyers_7", "new_buyers_28", "growth", "days_unsold"),
    "+ shopper's habits": ("items_28", "finds_28", "items", "share_of_finds"),
    "+ prices": ("price", "price_of_user", "category_price_ratio", "parent_price_ratio"),
    "+ closeness to categories": tuple(
        f"{level}_{name}" for level in ("category", "parent") for name in AFFINITY_FEATURES
    ),
    "+ item-item": ("neighbours",),
}


@dataclass(frozen=True, slots=True)
class Masked(Blend):
    """A blend that does not see some features.

    Attributes:
        hidden_repeat: columns of the features of items bought before.
        hidden_find: columns of the features of finds.
    """

    hidden_repeat: list[int]
    hidden_find: list[int]

    def repeat_chances(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns the chances without the hidden columns."""
        return Blend.repeat_chances(self, masked(features, self.hidden_repeat))

    def find_chances(self, features: NDArray[np.float32], users: NDArray[np.integer]) -> NDArray[np.float64]:
        """Returns the chances without the hidden columns."""
        return Blend.find_chances(self, masked(features, self.hidden_find), users)


def masked(features: NDArray[np.float32], hidden: list[int]) -> NDArray[np.float32]:
    """Returns a copy in which the hidden columns say nothing."""
    features = features.copy()
    features[:, hidden] = np.nan
    return features


@dataclass(frozen=True, slots=True)
class Shop:
    """The tables of one run."""

    purchases: pl.LazyFrame
    n_users: int
    n_items: int
    categories: Rows
    promoted_days: pl.LazyFrame

    def plan(self, start: date, config: RankingConfig) -> Plan | None:
        """Returns the plan of promotions as it is known on the first day of a period."""
        return plan_of(self.promoted_days, self.n_items, as_of=start, lead_days=config.lead_days)

    def known(self, as_of: date, plan: Plan | None) -> tuple[History, AlsModel]:
        """Returns history and model of the days before `as_of`."""
        behaviour = pl.LazyFrame(schema=BEHAVIOUR)
        matrix = build_interactions(
            self.purchases, behaviour, self.n_users, self.n_items, as_of=as_of, config=InteractionsConfig()
        )
        history = pair_history(
            self.purchases,
            self.n_users,
            self.categories,
            as_of=as_of,
            trending=Wanted(features=True),
            plan=plan,
        )
        return history, fit_als(matrix, AlsConfig())


def main() -> None:
    """Prints two tables a period."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="home folder with a run")
    parser.add_argument("--seed", type=int, default=RankingConfig().seed, help="of samples and trees")
    parser.add_argument("--starts", type=date.fromisoformat, nargs="+", required=True)
    given = parser.parse_args()
    run = max((given.home / "runs").iterdir())
    items = pl.read_parquet(run / "items.parquet")
    shop = Shop(
        pl.scan_parquet(run / "purchases.parquet"),
        pl.read_parquet(run / "users.parquet").height,
        items.height,
        category_codes(items),
        pl.scan_parquet(run / "promoted_days.parquet"),
    )
    for start in given.starts:
        for table in judge(shop, start, given.seed):
            Console(width=130).print(table)


def judge(shop: Shop, start: date, seed: int) -> tuple[Table, Table]:
    """Returns the tables of one validation period."""
    config = RankingConfig(seed=seed)
    plan = shop.plan(start, config)
    periods = [start - (back + 1) * PERIOD for back in range(config.validation_periods)]
    past = [(period, *shop.known(period, plan)) for period in periods]
    history, model = shop.known(start, plan)
    bought = bought_pairs(shop.purchases, Split(start, start + PERIOD))
    users = judged_users(bought, EvaluateConfig())
    relevant = relevance(bought, users, shop.n_items)
    rivals = Rivals.of(users, history, model, Blend(None, None))
    targets = {"all": relevant, "never_bought": relevant.without(rivals.history.keys)}
    table = Table(
        "", "ndcg", "× own", "value", "× own", "never: ndcg", "× best", "hit rate", "× best", title=f"{start}"
    )
    base: dict[str, Sequence[float]] = {}

    def judged(step: str, known: History, blend: Blend) -> None:
        served, _ = Rivals(known, rivals.model, blend).ranked(config)
        lists = rivals.lists(K, served)
        if not base:
            for rival in ("bestsellers", "own_frequency"):
                base[rival] = figures(lists, rival, targets)
                table.add_row(rival, *cells(base[rival], base))
        table.add_row(step, *cells(figures(lists, "served", targets), base))

    known = seen_of(rivals.history, trending=0, promoted=False)
    judged("plain rules", known, Blend(None, None))
    examples = taught_by(shop, past, config, trending=0, promoted=False)
    names = between_names(known)
    chosen: set[str] = set()
    for step, added in STEPS.items():
        chosen |= set(added)
        judged(step, known, fitted(*examples, names, chosen, config))
    if plan is not None:
        chosen |= {PROMOTED_BEFORE, *plan.seen_from(start).names}
        known = seen_of(rivals.history, trending=0)
        examples = taught_by(shop, past, config, trending=0)
        judged("+ promotions", known, fitted(*examples, between_names(known), chosen, config))
    for per_user in TRENDING:
        known = seen_of(rivals.history, trending=per_user)
        examples = taught_by(shop, past, config, trending=per_user)
        names = between_names(known)
        for step, added in (("", ()), (" and its features", TRENDING_FEATURES)):
            blend = fitted(*examples, names, chosen | set(added), config)
            judged(f"+ {per_user} trending{step}", known, blend)
    return table, candidates(rivals.history, rivals.model, targets["never_bought"], config)


def seen_of(history: History, *, trending: int, promoted: bool = True) -> History:
    """Returns the history with so many trending candidates a shopper, with the plan of promotions or not."""
    kept = None if history.trending is None or not trending else replace(history.trending, per_user=trending)
    return replace(history, trending=kept, promoted=history.promoted if promoted else None)


def candidates(history: History, model: AlsModel, found: Relevance, config: RankingConfig) -> Table:
    """Returns what share of the finds the candidates hold, by how many are trending."""
    table = Table("candidates", "of a shopper", "hold of the finds", "as many without: by vectors", "hold")

    def held(per_user: int, length: int) -> tuple[float, float]:
        sellable = np.ones(history.n_items, bool)
        discovery = Discovery(seen_of(history, trending=per_user), model, sellable, length=length)
        keys, n_users = [], history.n_users
        for start in range(0, n_users, discovery.size):
            rows = discovery.candidates(start, min(start + discovery.size, n_users)).rows
            at, column = np.nonzero(rows != NO_ITEM)
            keys.append(np.sort(pair_keys(at + start, rows[at, column], history.n_items)))
        every = np.concatenate(keys)
        return every.size / n_users, float(is_member(found.keys, every).mean())

    for per_user in (0, *TRENDING):
        length = config.candidates_per_user
        size, share = held(per_user, length)
        other = size, share
        while per_user and (length == config.candidates_per_user or other[0] < size):
            length += MORE
            other = held(0, length)
        table.add_row(
            f"{per_user} trending",
            f"{size:.1f}",
            f"{share:.4f}",
            f"{length} ({other[0]:.1f})",
            f"{other[1]:.4f}",
        )
    return table


def taught_by(
    shop: Shop,
    past: Sequence[tuple[date, History, AlsModel]],
    config: RankingConfig,
    *,
    trending: int,
    promoted: bool = True,
) -> tuple[Examples, Examples]:
    """Returns the examples of some periods, each with its first day and what was known before it."""
    taught = [
        examples_of(
            seen_of(history, trending=trending, promoted=promoted),
            shop.purchases.filter((pl.col("day") >= start) & (pl.col("day") < start + PERIOD)),
            model,
            length=config.candidates_per_user,
            max_users=config.validation_users,
            max_examples=config.max_examples // config.validation_periods,
            seed=config.seed,
            threads=config.threads,
        )
        for start, history, model in past
    ]
    repeat, find = (joined(parts) for parts in zip(*taught, strict=True))
    return repeat, find


def fitted(
    repeat: Examples, find: Examples, names: Sequence[str], chosen: set[str], config: RankingConfig
) -> Masked:
    """Returns a blend that sees the chosen features only."""
    columns = ((*PAIR_FEATURES, *names), names)
    hidden = [[at for at, name in enumerate(of) if name not in chosen] for of in columns]
    hidden_repeat, hidden_find = (
        Examples(masked(examples.features, hide), examples.label, examples.weight)
        for examples, hide in zip((repeat, find), hidden, strict=True)
    )
    seen = fit_blend(hidden_repeat, hidden_find, names, config)
    return Masked(seen.repeat, seen.find, hidden[0], hidden[1])


def figures(lists: dict, rival: str, targets: dict[str, Relevance]) -> tuple[float, ...]:
    """Returns NDCG and value captured of all items, NDCG and hit rate of those never bought."""
    whole, found = (
        user_metrics(lists[rival, target].lists, targets[target]) for target in ("all", "never_bought")
    )
    return tuple(
        float(np.nanmean(values))
        for values in (whole["ndcg"], whole["value_captured"], found["ndcg"], found["hit_rate"])
    )


def cells(values: Sequence[float], base: dict[str, Sequence[float]]) -> list[str]:
    """Returns the row: each figure, and its quotient to the plain rule that is hardest to beat."""
    row = []
    for at, (value, rival) in enumerate(
        zip(values, ("own_frequency", "own_frequency", "bestsellers", "bestsellers"), strict=True)
    ):
        below = base[rival][at] if rival in base else 0.0
        row += [f"{value:.4f}", f"{value / below:.3f}" if below else "–"]
    return row


if __name__ == "__main__":
    main()
