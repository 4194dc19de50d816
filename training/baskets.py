"""Owns what lies in the same orders: how often pairs of items were bought together; the stage `baskets`.

Association of two items a and b by the orders that hold them: lift = n(ab) N / (n(a) n(b)), after Brin,
Motwani, Ullman and Tsur, "Dynamic itemset counting and implication rules for market basket data" (1997),
where it is called interest.  The lift of a pair seen a few times is mostly luck, and orders of one shopper
are no independent witnesses, so the pairs that an item keeps are chosen by a lower bound of the lift: the
number n of shoppers with such an order is taken as Poisson, whose logarithm has a standard error of
1 / sqrt(n), so the bound is lift exp(-z / sqrt(n)).  What is kept stands in the list by its lift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated

import numpy as np
import polars as pl
from msgspec import Meta
from numpy.typing import NDArray
from scipy import sparse

from recdata.artefacts import read_artefact, scan_artefact
from recdata.config import NonNegativeInt, PositiveInt, RoomConfig
from recdata.runs import Stage, StageContext
from training.blocks import NO_ITEM, in_threads
from training.interactions import check_rows
from training.ranking import sellable_mask

LINES_AT_ONCE = 1 << 22  # purchase lines whose order ids are in memory at once
PAIRS_AT_ONCE = 1 << 24  # pairs of lines of one order that a thread counts at once
SHORTLIST = 4  # pairs whose shoppers are counted, in lengths of the list

Rows = NDArray[np.int32]
Incidence = sparse.csr_array[np.int32, tuple[int, int]]


class BasketsConfig(RoomConfig, frozen=True):
    """`[training.baskets]`: the list of items bought together with an item that every item carries."""

    # Items kept for each item; 1 to 200 is usual.
    together_per_item: PositiveInt = 20
    # Orders that must hold both items, 1 or more; below 5, chance makes most of the high lifts.
    min_orders: PositiveInt = 5
    # Shoppers who must have had such an order, 1 or more; 1 lets one household's habit into everybody's list.
    min_shoppers: PositiveInt = 3
    # The lower bound of a pair's lift must be above this; 1, the least, asks for an association at all.
    min_lift: Annotated[float, Meta(ge=1)] = 1.0
    # How certain the lower bound is, 0.5 (the lift itself) to below 1; higher prefers pairs seen often.
    certainty: Annotated[float, Meta(ge=0.5, lt=1)] = 0.95
    # Orders of more different items than this are left out of every count, 2 or more: they are resellers or
    # joined receipts, and a pair in them says little.
    max_order_items: Annotated[int, Meta(ge=2)] = 200
    # Threads; 0 means every core.  The lists do not depend on it.
    threads: NonNegativeInt = 0


@dataclass(frozen=True, slots=True)
class Together:
    """What was bought together.

    Attributes:
        rows: `(n_items, k)` int32, each item's list, highest lift first, padded with -1.
        lifts: the same shape, float32, padded with 0.
        orders: the same shape, int32: how many orders hold both, padded with 0.
        item_orders: `(n_items,)` int32: how many orders hold the item.
        n_orders: how many orders were counted.
        n_left_out: how many were left out as too large.
    """

    rows: Rows
    lifts: NDArray[np.float32]
    orders: Rows
    item_orders: Rows
    n_orders: int
    n_left_out: int


def bought_together(
    purchases: pl.LazyFrame,
    listed: NDArray[np.bool_],
    config: BasketsConfig,
    *,
    on_items: Callable[[int], None] | None = None,
) -> Together:
    """Returns each item's list of the items that lie in its orders more often than chance would have it.

    An order is a shopper's lines of one order_id; returns are no lines, and an item counts once in an order.
    Ties go to the lower item row.

    Args:
        purchases: the `purchases` artefact.
        listed: `(n_items,)` whether an item may stand in a list; the others still have lists and are counted.
        config: length and thresholds.
        on_items: called with the number of items done since the last call.

    Raises:
        RunError: an item row lies outside `listed`.
    """
    n_items, k = listed.size, config.together_per_item
    orders, shoppers, n_left_out = order_matrix(purchases, n_items, config.max_order_items)
    item_orders = np.bincount(orders.indices, minlength=n_items).astype(np.int32)
    result = Together(
        np.full((n_items, k), NO_ITEM, np.int32),
        np.zeros((n_items, k), np.float32),
        np.zeros((n_items, k), np.int32),
        item_orders,
        orders.shape[0],
        n_left_out,
    )
    # A pair cannot be more frequent than either of its items, so the rare ones need not be multiplied.
    frequent = item_orders >= config.min_orders
    by_order = _only(orders, frequent)
    by_item = sparse.csr_array(by_order.T)
    counter = _PairCounter(by_item, _only(by_order, frequent & listed), shoppers, item_orders, config)
    starts = _block_starts(by_item, by_order)
    stops = dict(zip(starts, [*starts[1:], n_items], strict=True))

    def count(start: int) -> tuple[int, _Pairs]:
        return start, counter.pairs(start, stops[start])

    for start, pairs in in_threads(count, starts, threads=config.threads):
        result.rows[pairs.items, pairs.places] = pairs.others
        result.lifts[pairs.items, pairs.places] = pairs.lifts
        result.orders[pairs.items, pairs.places] = pairs.orders
        if on_items is not None:
            on_items(stops[start] - start)
    return result


def order_matrix(purchases: pl.LazyFrame, n_items: int, max_order_items: int) -> tuple[Incidence, Rows, int]:
    """Returns ones where an order holds an item, whose orders they are, and how many were too large.

    The first is csr int32 `(n_orders, n_items)`, the second `(n_orders,)` ascending user rows; a shopper's
    orders come in no fixed order.  Shoppers are taken in parts, so that only so many order ids are in
    memory as `LINES_AT_ONCE` lines have.

    Raises:
        RunError: an item row is not below `n_items`.
    """
    sizes, items, users = [np.empty(0, np.int64)], [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    n_left_out = 0
    lines = purchases.filter(pl.col("quantity") > 0)
    for first, last in _user_parts(lines):
        part = (
            lines.filter(pl.col("user_row").is_between(first, last))
            .select("user_row", "order_id", "item_row")
            .unique()
            .collect(engine="streaming")
            .group_by("user_row", "order_id")
            .agg("item_row")
            .sort("user_row")
        )
        kept = part.filter(pl.col("item_row").list.len() <= max_order_items)
        n_left_out += part.height - kept.height
        sizes.append(kept["item_row"].list.len().cast(pl.Int64).to_numpy())
        users.append(kept["user_row"].to_numpy())
        if kept.height:
            items.append(kept["item_row"].explode().to_numpy())
    indices = np.concatenate(items).astype(np.int32, copy=False)
    check_rows(indices, n_items, "item_row")
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    ones = np.ones(indices.size, np.int32)
    matrix = sparse.csr_array((ones, indices, indptr), shape=(indptr.size - 1, n_items))
    return matrix, np.concatenate(users), n_left_out


def baskets_stage(config: BasketsConfig) -> Stage:
    """Returns the stage that lists, for every item, what is bought together with it."""

    def work(ctx: StageContext) -> dict[str, object]:
        listed = sellable_mask(read_artefact(ctx.source("items.parquet"), "items"))
        with ctx.bar("bought together", total=listed.size) as advance:
            found = bought_together(
                scan_artefact(ctx.source("purchases.parquet"), "purchases"),
                listed,
                config,
                on_items=advance,
            )
        np.save(ctx.target("together_rows.npy"), found.rows)
        np.save(ctx.target("together_lifts.npy"), found.lifts)
        np.save(ctx.target("together_orders.npy"), found.orders)
        np.save(ctx.target("item_orders.npy"), found.item_orders)
        np.save(ctx.target("order_count.npy"), np.int64(found.n_orders))
        return {
            "orders": found.n_orders,
            "orders_left_out_as_too_large": found.n_left_out,
            "items_with_list": int(np.count_nonzero(found.rows[:, 0] != NO_ITEM)),
            "pairs": int(np.count_nonzero(found.rows != NO_ITEM)),
        }

    return Stage(
        name="baskets",
        version=1,
        inputs=("items.parquet", "purchases.parquet"),
        outputs=(
            "together_rows.npy",
            "together_lifts.npy",
            "together_orders.npy",
            "item_orders.npy",
            "order_count.npy",
        ),
        work=work,
        config=config,
    )


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Kept pairs of a block: the item, its place in the list, the other item, and what is told of it."""

    items: NDArray[np.int64]
    places: NDArray[np.int64]
    others: Rows
    lifts: NDArray[np.float32]
    orders: Rows


@dataclass(frozen=True, slots=True)
class _PairCounter:
    """Holds what every block needs; `pairs` counts one and changes nothing."""

    by_item: Incidence
    by_order: Incidence
    shoppers: Rows
    item_orders: Rows
    config: BasketsConfig

    def pairs(self, start: int, stop: int) -> _Pairs:
        """Returns the kept pairs of the items from `start` to before `stop`."""
        counts = (self.by_item[start:stop] @ self.by_order).tocoo()
        items, others = counts.coords[0].astype(np.int64) + start, counts.coords[1].astype(np.int32)
        enough = (counts.data >= self.config.min_orders) & (items != others)
        items, others, both = items[enough], others[enough], counts.data[enough]
        del counts
        apart = self.item_orders[items].astype(np.float64) * self.item_orders[others]
        lifts = both * float(self.shoppers.size) / apart
        # No pair has more shoppers than orders, so what fails by its orders need not be looked at again.
        length = self.config.together_per_item
        kept = self._best(items, others, lifts, both, SHORTLIST * length)
        items, others, lifts, both = items[kept], others[kept], lifts[kept], both[kept]
        shoppers = self._shoppers_of(items, others)
        kept = self._best(items, others, lifts, shoppers, length)
        kept = kept[shoppers[kept] >= self.config.min_shoppers]
        # By the lift as it is stored, so that whoever sorts the stored ones again finds the same order.
        stored = lifts[kept].astype(np.float32)
        order = np.lexsort((others[kept], -stored, items[kept]))
        kept = kept[order]
        return _Pairs(
            items[kept], _places(items[kept]), others[kept], stored[order], both[kept].astype(np.int32)
        )

    def _best(
        self,
        items: NDArray[np.int64],
        others: Rows,
        lifts: NDArray[np.float64],
        seen: NDArray[np.integer],
        length: int,
    ) -> NDArray[np.int64]:
        """Returns where each item's pairs of the highest lower bounds stand, best first, items ascending."""
        bounds = lifts * np.exp(-NormalDist().inv_cdf(self.config.certainty) / np.sqrt(np.maximum(seen, 1)))
        order = np.lexsort((others, -bounds, items))
        order = order[bounds[order] > self.config.min_lift]
        best: NDArray[np.int64] = order[_places(items[order]) < length]
        return best

    def _shoppers_of(self, items: NDArray[np.int64], others: Rows) -> NDArray[np.int64]:
        """Returns how many shoppers had an order with both, for each pair."""
        lines = np.cumsum(self.item_orders[items].astype(np.int64) + self.item_orders[others])
        counts = np.empty(items.size, np.int64)
        at = 0
        while at < items.size:
            before = int(lines[at - 1]) if at else 0
            stop = max(at + 1, int(np.searchsorted(lines, before + PAIRS_AT_ONCE)))
            both = sparse.csr_array(self.by_item[items[at:stop]].multiply(self.by_item[others[at:stop]]))
            both.sort_indices()
            pair, shopper = np.repeat(np.arange(stop - at), np.diff(both.indptr)), self.shoppers[both.indices]
            first = np.ones(pair.size, bool)
            first[1:] = (pair[1:] != pair[:-1]) | (shopper[1:] != shopper[:-1])
            counts[at:stop] = np.bincount(pair[first], minlength=stop - at)
            at = stop
        return counts


def _places(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns each entry's place within its group, from 0; the groups ascend."""
    return np.arange(groups.size) - np.searchsorted(groups, groups)


def _only(matrix: Incidence, kept: NDArray[np.bool_]) -> Incidence:
    """Returns the matrix with nothing in the columns that are not kept."""
    inside = kept[matrix.indices]
    before = np.concatenate([[0], np.cumsum(inside)])
    return sparse.csr_array(
        (matrix.data[inside], matrix.indices[inside], before[matrix.indptr]), shape=matrix.shape
    )


def _block_starts(by_item: Incidence, by_order: Incidence) -> list[int]:
    """Returns the first items of blocks of at most `PAIRS_AT_ONCE` pairs, or of one item."""
    pairs = np.asarray(by_item @ np.diff(by_order.indptr)).astype(np.int64)
    starts, held = [], PAIRS_AT_ONCE + 1
    for item, count in enumerate(pairs.tolist()):
        if held + count > PAIRS_AT_ONCE:
            starts.append(item)
            held = 0
        held += count
    return starts


def _user_parts(lines: pl.LazyFrame) -> Iterator[tuple[int, int]]:
    """Yields the first and last user row of parts of at most `LINES_AT_ONCE` lines, or of one shopper."""
    counts = lines.group_by("user_row").len().collect(engine="streaming").sort("user_row")
    first, last, held = -1, -1, 0
    for user, count in counts.iter_rows():
        if first >= 0 and held + count > LINES_AT_ONCE:
            yield first, last
            first, held = -1, 0
        first, last, held = (user if first < 0 else first), user, held + count
    if first >= 0:
        yield first, last
