"""Owns made purchase data for the training: shoppers with tastes, orders of several items, items by Zipf.

- An item's sales fall with its rank to the power of -0.9; its taste cluster is its narrowest category.
- A shopper has one to four clusters; three items of four come from them. How many orders a shopper has is
  lognormal, so a few have very many.
- An order holds three items on average, on a day of two years; all its lines carry its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

START = datetime(2023, 1, 1, tzinfo=UTC)
DAYS = 730
LINES_AN_ORDER = 3
PART_LINES = 1_000_000
CLUSTERS_A_SHOPPER = 4
OWN_SHARE = 0.75
LEAVES_A_DEPARTMENT = 20


@dataclass(frozen=True, slots=True)
class Trade:
    """How much is traded.

    Attributes:
        users: shoppers.
        items: of the catalogue.
        events: purchase lines.
        clusters: tastes, each with a category of its own.
        seed: of everything that is drawn.
    """

    users: int
    items: int
    events: int
    clusters: int = 200
    seed: int = 1

    def write(self, folder: Path) -> Path:
        """Writes items and events as a retailer would export them, in Parquet, and returns the folder."""
        rng = np.random.default_rng(self.seed)
        (folder / "events").mkdir(parents=True)
        cluster_of = rng.integers(0, self.clusters, self.items)
        prices = np.round(rng.lognormal(1.5, 0.8, self.items) + 0.2, 2)
        _items(cluster_of, prices).write_parquet(folder / "items.parquet")
        for number, part in enumerate(self._parts(rng, cluster_of, prices)):
            part.write_parquet(folder / "events" / f"part-{number:03}.parquet")
        return folder

    def _parts(
        self, rng: np.random.Generator, cluster_of: NDArray[np.int64], prices: NDArray[np.float64]
    ) -> Iterator[pl.DataFrame]:
        by_cluster = np.argsort(cluster_of, kind="stable")
        weights = (rng.permutation(self.items) + 1.0) ** -0.9
        upto = np.concatenate([[0.0], np.cumsum(weights[by_cluster])])
        bounds = np.searchsorted(cluster_of[by_cluster], np.arange(self.clusters + 1))
        tastes = rng.integers(0, self.clusters, (self.users, CLUSTERS_A_SHOPPER))
        n_tastes = rng.integers(1, CLUSTERS_A_SHOPPER + 1, self.users)
        activity = np.cumsum(rng.lognormal(0.0, 1.0, self.users))
        for start in range(0, self.events, PART_LINES):
            lines = min(PART_LINES, self.events - start)
            order = np.sort(rng.integers(0, max(lines // LINES_AN_ORDER, 1), lines))
            n_orders = int(order[-1]) + 1
            users = np.searchsorted(activity, rng.random(n_orders) * activity[-1])
            seconds = rng.integers(0, DAYS * 86_400, n_orders)
            shopper = users[order]
            taste = tastes[shopper, rng.integers(0, 1 << 30, lines) % n_tastes[shopper]]
            own = rng.random(lines) < OWN_SHARE
            low = np.where(own, upto[bounds[taste]], 0.0)
            high = np.where(own, upto[bounds[taste + 1]], upto[-1])
            drawn = np.searchsorted(upto, low + rng.random(lines) * (high - low), side="right") - 1
            items = by_cluster[np.minimum(drawn, self.items - 1)]
            yield pl.DataFrame(
                {
                    "user_id": _ids("user", shopper),
                    "item_id": _ids("item", items),
                    "event_type": pl.repeat("purchase", lines, eager=True),
                    "event_time": pl.Series(seconds[order] * 1_000_000).cast(pl.Duration("us")) + START,
                    "quantity": rng.integers(1, 4, lines),
                    "unit_price": prices[items],
                    "order_id": _ids("order", start + order),
                }
            )


def _items(cluster_of: NDArray[np.int64], prices: NDArray[np.float64]) -> pl.DataFrame:
    rows = np.arange(cluster_of.size)
    names = [f"Department {c // LEAVES_A_DEPARTMENT} > Category {c}" for c in cluster_of.tolist()]
    return pl.DataFrame(
        {
            "item_id": _ids("item", rows),
            "title": _ids("Item", rows),
            "category": names,
            "brand": _ids("Brand", rows % 500),
            "price": prices,
        }
    )


def _ids(kind: str, numbers: NDArray[np.integer]) -> pl.Series:
    return (
        pl.Series(np.asarray(numbers))
        .cast(pl.String)
        .str.zfill(7)
        .to_frame("n")
        .select(pl.lit(f"{kind}-") + pl.col("n"))
        .to_series()
    )
