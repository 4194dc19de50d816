"""Owns the histories that forecasts are made from: one sparse item x day table and what it adds up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from recdata.artefacts import scan_artefact
from recdata.sums import group_sums
from recdata.tables import CATEGORY_SEPARATOR
from training.forecast.config import ForecastConfig

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Launch day of an item of which nothing is known: after every origin.
NEVER = 1 << 30


@dataclass(frozen=True, slots=True)
class History:
    """What is known the day before `as_of`; day 0 is `first`, day `n_days` is `as_of`.

    Attributes:
        item_ids: by item row.
        item_category: position in `categories` by item row, int64 `(n_items,)`, -1 for items without one.
        launched: day of launch or first sale by item row, int64 `(n_items,)`, `NEVER` where neither is known.
        categories: paths cut to the config's depth, sorted.
        units: net units, float64 CSC `(n_items, n_days)`.
        revenue: net revenue, likewise.
        channels: units a day of each channel with enough revenue, float64 `(n_days,)` each.
        regions: likewise for regions.
        promoted: by kind, 1 on promoted days, float64 CSC `(n_items, n_days + plan days)`.
        plan_ends: by kind, the day after the last one that any item is planned to be promoted on.
        market: index of each category's market by day, float64 `(n_categories, n_days)`, NaN where it is not
            known; None where there is none.
        broken_cells: days of items whose units or revenue were no number, and count as no sales.
    """

    first: date
    as_of: date
    n_days: int
    item_ids: Sequence[str]
    item_category: Ints
    launched: Ints
    categories: Sequence[str]
    units: sparse.csc_matrix
    revenue: sparse.csc_matrix
    channels: dict[str, Floats]
    regions: dict[str, Floats]
    promoted: dict[str, sparse.csc_matrix]
    plan_ends: dict[str, int]
    market: Floats | None = None
    broken_cells: int = 0

    def category_units(self) -> Floats:
        """Returns units by category and day, `(n_categories, n_days)`."""
        return np.asarray((self.category_matrix() @ self.units).toarray(), dtype=np.float64)

    def category_matrix(self, weights: Floats | None = None) -> sparse.csr_matrix:
        """Returns `(n_categories, n_items)` with each item's weight (1 without any) at its category."""
        rows = np.flatnonzero(self.item_category >= 0)
        data = np.ones(len(rows)) if weights is None else weights[rows]
        shape = (len(self.categories), len(self.item_ids))
        return sparse.csr_matrix((data, (self.item_category[rows], rows)), shape=shape)

    def day(self, number: int) -> date:
        """Returns the date of a day number."""
        return self.first + timedelta(days=number)


def load_history(
    *,
    items: Path,
    daily_sales: Path,
    promoted_days: Path,
    as_of: date,
    config: ForecastConfig,
    market: pl.LazyFrame | None = None,
) -> History:
    """Returns at most `history_days` before `as_of`, and the promotion plan after it."""
    catalogue = (
        scan_artefact(items, "items").select("item_row", "item_id", "category", "launched_on").collect()
    )
    sales = scan_artefact(daily_sales, "daily_sales").filter(
        pl.col("day") < as_of, pl.col("day") >= as_of - timedelta(days=config.history_days)
    )
    sound = pl.all_horizontal(pl.col("quantity", "revenue").is_finite())
    broken = int(sales.select((~sound).sum()).collect().item())
    sales = sales.filter(sound)
    earliest = sales.select(pl.col("day").min()).collect().item()
    first = earliest if isinstance(earliest, date) else as_of
    n_days = (as_of - first).days
    number = (pl.col("day") - pl.lit(first)).dt.total_days().cast(pl.Int64).alias("number")
    amounts = ["quantity", "revenue"]
    cells = sales.select("item_row", "day", *amounts).collect(engine="streaming")
    by_item = group_sums(cells, ["item_row", "day"], amounts).with_columns(number)
    shape = (catalogue.height, n_days)
    at = (by_item["item_row"].to_numpy(), by_item["number"].to_numpy())
    promoted, plan_ends = _promoted(promoted_days, first, n_days, catalogue.height, config)
    path = pl.col("category").fill_null("").str.split(CATEGORY_SEPARATOR).list.head(config.category_depth)
    paths = catalogue.select(path.list.join(CATEGORY_SEPARATOR))["category"]
    categories = sorted(set(paths) - {""})
    code = {path: position for position, path in enumerate(categories)} | {"": -1}
    return History(
        first=first,
        as_of=as_of,
        n_days=n_days,
        item_ids=catalogue["item_id"].to_list(),
        item_category=np.array([code[path] for path in paths], dtype=np.int64),
        launched=_launched(catalogue, by_item, first),
        categories=categories,
        units=sparse.csc_matrix((by_item["quantity"].to_numpy(), at), shape=shape),
        revenue=sparse.csc_matrix((by_item["revenue"].to_numpy(), at), shape=shape),
        channels=_large_groups(sales, "channel", number, n_days, config),
        regions=_large_groups(sales, "region", number, n_days, config),
        promoted=promoted,
        plan_ends=plan_ends,
        market=None if market is None else _market(market, categories, first, n_days),
        broken_cells=broken,
    )


def promotion_shares(
    history: History, origin: int, horizon: int, config: ForecastConfig
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Returns, by kind, the revenue-weighted share of promoted items a day, as it was known at an origin.

    The first is by category, `(n_categories, origin + horizon)`, the second for the whole shop,
    `(origin + horizon,)`. Weights are revenue before the origin. After it the plan counts for
    `plan_lead_days` and no longer than the table of promotions reaches; beyond, a day has the mean share of
    the latest `recent_days`.
    """
    if not config.promotions or origin <= 0:
        return {}, {}
    weights = np.maximum(np.asarray(history.revenue[:, :origin].sum(axis=1)).ravel(), 0.0)
    by_category = history.category_matrix(weights)
    sums = np.asarray(by_category.sum(axis=1)).ravel()[:, None]
    total = max(float(weights.sum()), 1e-12)
    categories: dict[str, Floats] = {}
    shop: dict[str, Floats] = {}
    for kind, promoted in history.promoted.items():
        planned = min(origin + min(config.plan_lead_days, horizon), history.plan_ends[kind])
        known_until = max(origin, planned)
        known = promoted[:, :known_until]
        share = np.asarray((by_category @ known).toarray()) / np.maximum(sums, 1e-12)
        categories[kind] = _extended(share, origin, horizon, config)
        shop[kind] = _extended((weights @ known)[None, :] / total, origin, horizon, config)[0]
    return categories, shop


def _extended(share: Floats, origin: int, horizon: int, config: ForecastConfig) -> Floats:
    missing = origin + horizon - share.shape[1]
    usual = share[:, max(0, origin - config.recent_days) : origin].mean(axis=1, keepdims=True)
    return np.concatenate([share, np.repeat(usual, max(missing, 0), axis=1)], axis=1)


def _launched(catalogue: pl.DataFrame, by_item: pl.DataFrame, first: date) -> Ints:
    # An item may sell before the launch day that its catalogue gives.
    sold = by_item.filter(pl.col("quantity") > 0).group_by("item_row").agg(pl.col("number").min())
    given = (pl.col("launched_on") - pl.lit(first)).dt.total_days()
    return (
        catalogue.join(sold, on="item_row", how="left", maintain_order="left")
        .select(pl.min_horizontal(given, "number").fill_null(NEVER).cast(pl.Int64).alias("launched"))
        .get_column("launched")
        .to_numpy()
    )


def _market(market: pl.LazyFrame, categories: Sequence[str], first: date, n_days: int) -> Floats | None:
    """Returns each category's index, that of the longest path above it that has one, the last known kept."""
    number = (pl.col("date") - pl.lit(first)).dt.total_days().cast(pl.Int64).alias("number")
    told = market.select("category", number, "index").sort("category", "number").collect()
    told = told.filter(pl.col("number") < n_days, pl.col("index").is_finite())
    if not told.height or not n_days:
        return None
    by_path: dict[str, Floats] = {}
    for (path,), part in told.group_by("category", maintain_order=True):
        row = np.full(n_days, np.nan)
        days, index = part["number"].to_numpy(), part["index"].to_numpy()
        at = np.searchsorted(days, np.arange(n_days), side="right") - 1
        row[at >= 0] = index[at[at >= 0]]
        by_path[str(path)] = row
    nothing = np.full(n_days, np.nan)
    found = []
    for path in categories:
        names = path.split(CATEGORY_SEPARATOR)
        above = [CATEGORY_SEPARATOR.join(names[:depth]) for depth in range(len(names), 0, -1)]
        found.append(next((by_path[name] for name in above if name in by_path), nothing))
    return np.array(found) if any(row is not nothing for row in found) else None


def _large_groups(
    sales: pl.LazyFrame, column: str, number: pl.Expr, n_days: int, config: ForecastConfig
) -> dict[str, Floats]:
    amounts = ["quantity", "revenue"]
    told = sales.filter(pl.col(column) != "").select(column, "day", *amounts).collect(engine="streaming")
    daily = group_sums(told, [column, "day"], amounts).with_columns(number)
    total = float(daily["revenue"].to_numpy().sum())
    groups: dict[str, Floats] = {}
    for (name,), part in daily.group_by(column, maintain_order=True):
        if float(part["revenue"].to_numpy().sum()) >= config.min_revenue_share * total:
            units = np.zeros(n_days)
            units[part["number"].to_numpy()] = part["quantity"].to_numpy()
            groups[str(name)] = units
    return groups


def _promoted(
    path: Path, first: date, n_days: int, n_items: int, config: ForecastConfig
) -> tuple[dict[str, sparse.csc_matrix], dict[str, int]]:
    if not config.promotions:
        return {}, {}
    width = n_days + max(config.daily_horizon_days, config.horizon_days)
    rows = (
        scan_artefact(path, "promoted_days")
        .with_columns((pl.col("day") - pl.lit(first)).dt.total_days().cast(pl.Int64).alias("number"))
        .filter(pl.col("number").is_between(0, width - 1))
        .select("kind", "item_row", "number")
        .unique()
        .sort("kind", "number", "item_row")
        .collect(engine="streaming")
    )
    promoted: dict[str, sparse.csc_matrix] = {}
    ends: dict[str, int] = {}
    for (kind,), part in rows.group_by("kind", maintain_order=True):
        at = (part["item_row"].to_numpy(), part["number"].to_numpy())
        promoted[str(kind)] = sparse.csc_matrix((np.ones(part.height), at), shape=(n_items, width))
        ends[str(kind)] = int(at[1].max()) + 1
    return promoted, ends
