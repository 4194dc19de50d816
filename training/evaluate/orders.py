"""Owns what another order of the served lists would cost and bring: value and demand, at a few strengths."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.ordering import OrderConfig, order_weights
from recdata.sums import group_sums
from training.blocks import NO_ITEM
from training.evaluate.metrics import Floats, user_metrics
from training.evaluate.rivals import fill_up, first_allowed, holds_any
from training.evaluate.split import Relevance

Lists = NDArray[np.int32]

SERVED = "served"
ORDERS = {
    "served+value 0.25": OrderConfig(value=0.25),
    "served+value 0.5": OrderConfig(value=0.5),
    "served+value 1": OrderConfig(value=1.0),
    "served+demand 0.25": OrderConfig(demand=0.25),
    "served+demand 0.5": OrderConfig(demand=0.5),
}
ORDER_METRICS = ("ndcg", "hit_rate", "value_captured", "revenue_captured")
PRICE_DAYS, DEMAND_DAYS = 90, 28  # so far back prices and demand look


@dataclass(frozen=True, slots=True)
class Goods:
    """What was known of the items before the test period.

    Attributes:
        price: `(n_items,)` float64, mean paid for a unit in the last 90 days, NaN where not sold in them.
        daily_demand: `(n_items,)` float32, net units a day in the last 28, NaN where not sold in the 90.
    """

    price: NDArray[np.float64]
    daily_demand: NDArray[np.float32]


def goods_before(purchases: pl.LazyFrame, n_items: int, start: date) -> Goods:
    """Returns prices and demand by the lines before `start` alone."""
    since = start - timedelta(days=PRICE_DAYS)
    lines = (
        purchases.filter((pl.col("day") >= since) & (pl.col("day") < start))
        .select("item_row", "day", "quantity", "revenue")
        .collect()
    )
    paid = group_sums(lines.filter(pl.col("quantity") > 0), ["item_row"], ["quantity", "revenue"])
    price, demand = np.full(n_items, np.nan), np.full(n_items, np.nan, np.float32)
    price[paid["item_row"].to_numpy()] = (paid["revenue"] / paid["quantity"]).to_numpy()
    demand[paid["item_row"].to_numpy()] = 0.0
    recent = lines.filter(pl.col("day") >= start - timedelta(days=DEMAND_DAYS))
    sold = group_sums(recent, ["item_row"], ["quantity"])
    units = np.maximum(sold["quantity"].to_numpy(), 0.0)
    demand[sold["item_row"].to_numpy()] = units / DEMAND_DAYS
    return Goods(price, demand)


def reordered(rows: Lists, scores: NDArray[np.float32], weights: NDArray[np.float32]) -> Lists:
    """Returns the lists by score times the items' weights, ties by item row, as the server orders them.

    Args:
        rows: `(n_users, c)` int32, padded with -1.
        scores: of the same shape, above 0 where there is an item.
        weights: `(n_items,)`, above 0.
    """
    weighted = np.where(rows != NO_ITEM, scores * weights[rows], -np.inf)
    return np.take_along_axis(rows, np.lexsort((rows, -weighted), axis=1), axis=1)


def order_values(
    ranked: tuple[Lists, NDArray[np.float32]],
    bestsellers: Lists,
    relevant: Relevance,
    goods: Goods,
    *,
    catalogue: NDArray[np.int64],
    k: int,
) -> dict[tuple[str, str], Floats]:
    """Returns (order, metric) -> each shopper's value of `ORDER_METRICS`, `(n_users,)`.

    Args:
        ranked: rows and scores of the whole lists of the judged, `(n_users, c)`.
        bestsellers: `(n_users, k)`, what fills a list that is too short.
        relevant: what the judged bought.
        goods: prices and demand from before the test period.
        catalogue: item rows that were sold before it; the medians are theirs.
        k: length of the judged lists.
    """
    rows, scores = ranked
    unknown = np.full(catalogue.size, np.nan)
    untracked = np.full(catalogue.size, -1, np.int64)
    nothing = np.empty(0, np.int64)
    values: dict[tuple[str, str], Floats] = {}
    for name, order in ORDERS.items():
        weights = np.ones(relevant.n_items, np.float32)
        weights[catalogue] = order_weights(
            goods.price[catalogue], unknown, untracked, goods.daily_demand[catalogue], order
        )
        chosen = first_allowed(reordered(rows, scores, weights), k, nothing, relevant.n_items)
        found = user_metrics(fill_up(chosen, bestsellers), relevant, holds_any(chosen))
        values |= {(name, metric): found[metric] for metric in ORDER_METRICS}
    return values
