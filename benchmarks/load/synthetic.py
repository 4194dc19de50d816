"""Owns the made shop: sales that few items carry, shoppers with tastes, and lists that are exact.

- An item's sales fall with its rank to the power of -0.9 (Zipf). Its factors are a direction times a length:
  the direction is its taste cluster's centre, a part that all share, and noise; the length grows with the
  fourth root of its sales. So what sells and what suits both count.
- A shopper has one to four clusters; three purchases of four come from them, all by sales. About 60 items
  at the median.
- A shopper's factors are what training would have found for these purchases (`recdata.foldin`), and the
  ranked list is the exact product's best 200 of all items.
- There are at most `shoppers` different shoppers; where there are more users, each stands several times,
  under ids that lie far apart. So every list is exact, and every read goes to a place of its own in the file.
- Similar and bought-together items are drawn from the item's cluster; they are plausible, not exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from load import selections
from load.exact import Float32s, Int32s, top_items
from recdata.foldin import fold_in
from recdata.snapshot import FoldIn, ItemRecord, Manifest, RankedList, SnapshotWriter, UserRecord

AS_OF = date(2025, 1, 1)
AS_OF_DAY = (AS_OF - date(1970, 1, 1)).days
CHANNELS = {"app": 0.7, "web": 0.4, "shop": 0.2}
REGIONS = {"north": 0.6, "south": 0.5, "east": 0.4, "west": 0.1}
#: The attribute `share` has these values, each on the share of items that it names; an item has one at most.
SHARES = {"50%": 0.5, "10%": 0.1, "1%": 0.01, "0.1%": 0.001, "0.01%": 0.0001}
LEAVES_OF_A_DEPARTMENT = 20
NEIGHBOURS = 20
LISTED = 200
FOLD_IN = FoldIn(
    penalty=0.05, alpha=10.0, event_weights={"view": 0.3, "click": 0.3, "add_to_cart": 0.6, "purchase": 1.0}
)


@dataclass(frozen=True, slots=True)
class Size:
    """How large the shop is.

    Attributes:
        items: items of the catalogue.
        users: shoppers that the snapshot knows.
        shoppers: different ones of them.
        clusters: tastes, each with a narrowest category of its own.
        factors: of an item and a shopper.
        candidates: length of a ranked list.
        seed: of everything that is drawn.
    """

    items: int
    users: int
    shoppers: int
    clusters: int
    factors: int = 64
    candidates: int = 200
    seed: int = 1


SIZES = {
    "5k": Size(items=5_000, users=4_000, shoppers=2_000, clusters=40),
    "10k": Size(items=10_000, users=20_000, shoppers=10_000, clusters=40),
    "50k": Size(items=50_000, users=100_000, shoppers=20_000, clusters=100),
    "1M": Size(items=1_000_000, users=1_000_000, shoppers=20_000, clusters=400),
}


def user_id(number: int) -> str:
    """Returns the id of the shopper with a number."""
    return f"user-{number:07d}"


def item_id(row: int) -> str:
    """Returns the id of the item in a row."""
    return f"item-{row:07d}"


def item_row(item_id_: str) -> int:
    """Returns the row of the item with an id."""
    return int(item_id_[5:])


class Shop(NamedTuple):
    """The items.

    Attributes:
        sales: `(n_items,)` float64, shares of all sales.
        cluster: `(n_items,)` int32.
        factors: `(n_items, f)` float32.
    """

    sales: NDArray[np.float64]
    cluster: Int32s
    factors: Float32s


class Shoppers(NamedTuple):
    """The different shoppers; purchases lie one shopper's after the other's.

    Attributes:
        starts: `(n + 1,)`, where each one's purchases begin.
        rows: item rows bought, ascending for each shopper.
        confidences: float32, one for each.
        factors: `(n, f)` float32.
        ranked_rows: `(n, candidates)` int32, best first.
        ranked_scores: the same in float32.
    """

    starts: NDArray[np.int64]
    rows: Int32s
    confidences: Float32s
    factors: Float32s
    ranked_rows: Int32s
    ranked_scores: Float32s


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Makes a shop and writes it; the same size gives the same snapshot."""

    size: Size
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rng", np.random.default_rng(self.size.seed))

    def write(self, writer: SnapshotWriter) -> Manifest:
        """Writes the snapshot."""
        size, rng = self.size, self.rng
        shop = self._shop()
        names = sorted(_leaf(cluster) for cluster in range(size.clusters))
        code = {name: place for place, name in enumerate(names)}
        codes = np.array([code[_leaf(cluster)] for cluster in range(size.clusters)], np.int32)
        categories = _by_category(shop.cluster, size.clusters)
        all_names = sorted(categories)
        places = np.array([all_names.index(name) for name in names], np.int32)
        stock = np.where(rng.random(size.items) < 0.05, 0, rng.integers(1, 500, size.items))
        price = np.round(rng.lognormal(3, 1, size.items), 2)
        brand = (rng.pareto(1.0, size.items) * 5).astype(np.int64) % min(5000, size.items // 10)
        similar_rows, similar_scores, together_lifts = self._neighbours(shop)
        item_orders = np.maximum(1, shop.sales * 5 * size.users).astype(np.int32)
        writer.write_arrays(
            {
                "item_factors": shop.factors,
                "item_gramian": shop.factors.T @ shop.factors,
                "similar_rows": similar_rows,
                "similar_scores": similar_scores,
                "together_rows": np.ascontiguousarray(similar_rows[:, ::-1]),
                "together_lifts": together_lifts,
                "together_orders": np.sort(rng.integers(3, 60, similar_rows.shape, np.int32))[:, ::-1],
                "item_orders": item_orders,
                "active": np.ones(size.items, np.bool_),
                "sellable": stock > 0,
                "price": price,
                "unit_cost": np.round(price * 0.6, 2),
                "stock": stock.astype(np.int64),
                "daily_demand": (shop.sales * size.users / 10).astype(np.float32),
                "category_codes": places[codes[shop.cluster]],
            }
        )
        writer.write_items(
            ItemRecord(
                item_id=item_id(row),
                title=f"Specialty product number {row} 500 g",
                category=_leaf(int(shop.cluster[row])),
                brand=f"Brand {brand[row]}",
                price=float(price[row]),
                stock=int(stock[row]),
                status="active",
                launched_on=None,
            )
            for row in range(size.items)
        )
        writer.write_categories(categories)
        writer.write_facets(self._facets(brand))
        writer.write_users(self._users(self._shoppers(shop)))
        writer.write_lists(_lists(shop, categories))
        writer.write_forecasts({})
        leaves = [_leaf(cluster) for cluster in shop.cluster.tolist()]
        writer.write_candidates(
            selections.records([item_id(row) for row in range(size.items)], leaves, seed=size.seed)
        )
        return writer.finish(
            as_of=AS_OF,
            created_at=datetime(2025, 1, 1, tzinfo=UTC),
            currency="CNY",
            metrics={},
            lineage={},
            orders=5 * size.users,
            fold_in=FOLD_IN,
            catalogue_at=datetime(2025, 1, 1, tzinfo=UTC),
        )

    def _shop(self) -> Shop:
        size, rng = self.size, self.rng
        sales = 1 / np.arange(1, size.items + 1) ** 0.9
        sales = rng.permutation(sales / sales.sum())
        weights = 1 / np.arange(1, size.clusters + 1) ** 0.5
        cluster = rng.choice(size.clusters, size.items, p=weights / weights.sum()).astype(np.int32)
        centres = _unit(rng.standard_normal((size.clusters, size.factors), np.float32))
        shared = _unit(rng.standard_normal((1, size.factors), np.float32))
        noise = rng.standard_normal((size.items, size.factors), np.float32) * (0.6 / np.sqrt(size.factors))
        directions = _unit(centres[cluster] + 0.4 * shared + noise.astype(np.float32))
        lengths = (sales / sales.max()) ** 0.25
        return Shop(sales, cluster, directions * lengths.astype(np.float32)[:, None])

    def _neighbours(self, shop: Shop) -> tuple[Int32s, Float32s, Float32s]:
        """Returns rows beside each item, most similar first, their cosines, and lifts."""
        size, rng = self.size, self.rng
        order = np.argsort(shop.cluster, kind="stable")
        counts = np.bincount(shop.cluster, minlength=size.clusters)
        starts = counts.cumsum() - counts
        width = min(NEIGHBOURS, int(counts.min()) - 1)
        rows = np.empty((size.items, width), np.int32)
        scores = np.empty((size.items, width), np.float32)
        directions = _unit(shop.factors)
        place = np.empty(size.items, np.int64)
        place[order] = np.arange(size.items) - starts[shop.cluster[order]]
        for start in range(0, size.items, 50_000):
            part = slice(start, min(start + 50_000, size.items))
            own, n = shop.cluster[part], counts[shop.cluster[part]][:, None]
            # A random place of the cluster, then the ones that follow it, without the item itself.
            jump = rng.integers(0, n - width, (n.shape[0], 1))
            other = (place[part][:, None] + 1 + jump + np.arange(width)) % n
            rows[part] = order[starts[own][:, None] + other]
            scores[part] = np.einsum("if,ikf->ik", directions[part], directions[rows[part]])
            best = np.argsort(-scores[part], axis=1, kind="stable")
            rows[part] = np.take_along_axis(rows[part], best, axis=1)
            scores[part] = np.take_along_axis(scores[part], best, axis=1)
        lifts = np.sort(rng.lognormal(1, 0.5, rows.shape).astype(np.float32))[:, ::-1]
        return rows, scores, lifts

    def _facets(self, brand: NDArray[np.int64]) -> Mapping[tuple[str, str], Int32s]:
        rng, n_items = self.rng, self.size.items
        facets = {("brand", f"Brand {name}"): rows for name, rows in _grouped(brand).items()}
        for facet, shares in (("channel", CHANNELS), ("region", REGIONS)):
            for value, share in shares.items():
                facets[facet, value] = np.flatnonzero(rng.random(n_items) < share).astype(np.int32)
        shuffled = rng.permutation(n_items).astype(np.int32)
        at = 0
        for value, share in SHARES.items():
            count = max(1, round(share * n_items))
            facets["attribute:share", value] = np.sort(shuffled[at : at + count])
            at += count
        return facets

    def _shoppers(self, shop: Shop) -> Shoppers:
        size = self.size
        starts, rows, weights = self._purchases(shop)
        confidences = (FOLD_IN.alpha * weights).astype(np.float32)
        gramian = shop.factors.T @ shop.factors
        factors = np.empty((size.shoppers, size.factors), np.float32)
        for shopper in range(size.shoppers):
            mine = slice(starts[shopper], starts[shopper + 1])
            folded = fold_in(
                rows[mine], confidences[mine], {}, FOLD_IN, gramian=gramian, factors=shop.factors
            )
            factors[shopper] = folded.vector
        ranked_rows, ranked_scores = top_items(factors, shop.factors, size.candidates)
        return Shoppers(starts, rows, confidences, factors, ranked_rows, ranked_scores)

    def _purchases(self, shop: Shop) -> tuple[NDArray[np.int64], Int32s, NDArray[np.int64]]:
        """Returns where each shopper's begin, the item rows, and how often each was bought."""
        size, rng = self.size, self.rng
        counts = np.clip(rng.lognormal(4.3, 0.9, size.shoppers), 3, 2000).astype(np.int64)
        shopper = np.repeat(np.arange(size.shoppers), counts)
        tastes = rng.integers(0, size.clusters, (size.shoppers, 4))
        n_tastes = rng.integers(1, 5, size.shoppers)
        cluster = tastes[shopper, rng.integers(0, n_tastes[shopper])]
        # Items lie cluster by cluster in one running sum of sales: a draw within a cluster is one between
        # the sums at its ends.
        order = np.argsort(shop.cluster, kind="stable")
        edges = np.concatenate([[0.0], shop.sales[order].cumsum()])
        bounds = np.searchsorted(shop.cluster[order], np.arange(size.clusters + 1))
        own = rng.random(shopper.size) < 0.75
        low = np.where(own, edges[bounds[cluster]], 0.0)
        high = np.where(own, edges[bounds[cluster + 1]], edges[-1])
        drawn = order[edges.searchsorted(low + rng.random(shopper.size) * (high - low), "right") - 1]
        pairs, times = np.unique(shopper * size.items + drawn, return_counts=True)
        bought = np.bincount(pairs // size.items, minlength=size.shoppers)
        starts = np.concatenate([[0], bought.cumsum()])
        return starts, (pairs % size.items).astype(np.int32), times

    def _users(self, shoppers: Shoppers) -> Iterator[tuple[str, UserRecord]]:
        """Yields every user; a number's shopper is the rest of the division by how many there are."""
        size, rng = self.size, self.rng
        days = rng.integers(AS_OF_DAY - 700, AS_OF_DAY, shoppers.rows.size, np.int32)
        sources = np.ones(size.candidates, np.uint8)
        sources[::4] = 2  # as in a real list, some are the shopper's own repeats
        records = []
        for shopper in range(size.shoppers):
            mine = slice(shoppers.starts[shopper], shoppers.starts[shopper + 1])
            records.append(
                UserRecord(
                    user_row=shopper,
                    tier=0,
                    factors=shoppers.factors[shopper],
                    purchased_rows=shoppers.rows[mine],
                    purchased_days=days[mine],
                    ranked_rows=shoppers.ranked_rows[shopper],
                    ranked_scores=shoppers.ranked_scores[shopper],
                    ranked_sources=sources[: shoppers.ranked_rows.shape[1]],
                    interacted_rows=shoppers.rows[mine],
                    confidences=shoppers.confidences[mine],
                )
            )
        for number in range(size.users):
            yield user_id(number), records[number % size.shoppers]


def _unit(vectors: Float32s) -> Float32s:
    made: Float32s = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made


def _leaf(cluster: int) -> str:
    return f"{_department(cluster)} > Class {cluster % LEAVES_OF_A_DEPARTMENT:02d}"


def _department(cluster: int) -> str:
    return f"Department {cluster // LEAVES_OF_A_DEPARTMENT:02d}"


def _grouped(keys: NDArray[np.int64]) -> dict[int, Int32s]:
    """Returns the ascending rows of each key."""
    order = np.argsort(keys, kind="stable").astype(np.int32)
    names, starts = np.unique(keys[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))


def _by_category(cluster: Int32s, clusters: int) -> dict[str, Int32s]:
    leaves = _grouped(cluster.astype(np.int64))
    made = {_leaf(number): rows for number, rows in leaves.items()}
    for top in range(-(-clusters // LEAVES_OF_A_DEPARTMENT)):
        numbers = range(top * LEAVES_OF_A_DEPARTMENT, (top + 1) * LEAVES_OF_A_DEPARTMENT)
        parts = [leaves[number] for number in numbers if number in leaves]
        made[_department(top * LEAVES_OF_A_DEPARTMENT)] = np.sort(np.concatenate(parts))
    return made


def _lists(shop: Shop, categories: Mapping[str, Int32s]) -> dict[tuple[str, int, str, str, str], RankedList]:
    """Returns bestsellers of the shop, its channels and regions, and every category."""
    every = np.arange(shop.sales.size, dtype=np.int32)
    whole = _best(shop, every)
    lists = {("best", 28, name, "", ""): _best(shop, rows) for name, rows in categories.items()}
    for channel in ("", *CHANNELS):
        for region in ("", *REGIONS):
            lists["best", 28, "", channel, region] = whole
    return lists


def _best(shop: Shop, rows: Int32s) -> RankedList:
    best = rows[np.argsort(-shop.sales[rows], kind="stable")[:LISTED]]
    return RankedList(
        best, shop.sales[best].astype(np.float32), np.maximum(1, shop.sales[best] * 1e6).astype(np.int32)
    )
