"""Owns what the served lists are for all customers known when they are made, not only for the judged."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.training_artefacts import EVALUATION
from training.blocks import NO_ITEM
from training.evaluate.config import EvaluateConfig
from training.evaluate.metrics import catalogue_coverage
from training.evaluate.orders import SERVED
from training.evaluate.rivals import Rivals, fill_up, first_allowed, holds_any
from training.evaluate.split import Split
from training.ranking import RankingConfig, sellable_mask

KNOWN = "known"  # the segment of all customers known at the origin
EVERYONE_METRICS = ("user_coverage", "non_empty", "full_list", "catalogue_coverage")


def everyone_rows(
    users: pl.DataFrame,
    customers: pl.LazyFrame,
    items: pl.DataFrame,
    rivals: Rivals,
    ranking: RankingConfig,
    split: Split,
    config: EvaluateConfig,
) -> pl.DataFrame:
    """Returns rows of the `evaluation` artefact, segment "known", about the served lists of all customers.

    - user_coverage: share with a list of their own, in which the models chose at least one item.
    - non_empty: share with an item in the list once bestsellers have filled it up.
    - full_list: share with at least k items of their own.
    - catalogue_coverage: share of the items that could be sold at the origin that stand in the first k places
      of somebody's list; a lower bound where the customers are a sample.

    An item could be sold where it was launched before the split and is not discontinued.

    Args:
        users: the `users` artefact.
        customers: the input table.
        items: the `items` artefact.
        rivals: of all users, known before the split.
        ranking: how the lists are made.
        split: its start is the origin.
        config: length of the lists, how many customers at most, seed.
    """
    known = known_customers(users, customers, split.start)
    if known.size > config.max_users:
        known = np.sort(np.random.default_rng(config.seed).choice(known, config.max_users, replace=False))
    if not known.size:
        return pl.DataFrame(schema=EVALUATION)
    chosen = rivals.of_users(known)
    nothing = np.empty(0, np.int64)
    own = first_allowed(chosen.ranked(ranking)[0], config.k, nothing, chosen.history.n_items)
    shown = fill_up(own, chosen.bestsellers(config.k, nothing))
    launched = (items["launched_on"] < split.start).fill_null(value=False).to_numpy()
    sellable = np.flatnonzero(launched & sellable_mask(items))
    found = (
        float(holds_any(own).mean()),
        float(holds_any(shown).mean()),
        float((own != NO_ITEM).all(axis=1).mean()),
        catalogue_coverage(shown, sellable),
    )
    rows = [
        (split.start, SERVED, "all", KNOWN, metric, config.k, value, None, None, known.size)
        for metric, value in zip(EVERYONE_METRICS, found, strict=True)
    ]
    return pl.DataFrame(rows, schema=EVALUATION, orient="row")


def known_customers(users: pl.DataFrame, customers: pl.LazyFrame, origin: date) -> NDArray[np.int64]:
    """Returns the ascending rows of the users who had an event, or had joined, before the origin."""
    joined = customers.select("user_id", "joined_at").collect()
    first = (
        users.select("user_row", "user_id", "first_day")
        .join(joined, on="user_id", how="left", maintain_order="left")
        .select("user_row", seen=pl.min_horizontal("first_day", pl.col("joined_at").dt.date()))
    )
    return first.filter(pl.col("seen") < origin)["user_row"].to_numpy().astype(np.int64)
