"""Owns the stage `prices`: bands, places, elasticities and discounts of every sellable item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.artefacts import write_artefact
from recdata.runs import Stage, StageContext
from recdata.selection_artefacts import PRICES
from selection.config import SelectionConfig
from selection.features import build_features
from selection.history import TABLE_FILES, Tables, horizon_days, tables_of
from selection.prices.bands import price_place
from selection.prices.config import PricesConfig
from selection.prices.discount import Shelf, advise, deepest_discount
from selection.prices.elasticity import Z90, Estimates, Pooled, own_estimates, pool
from selection.prices.panel import Panel, weekly_panel

Floats = NDArray[np.float64]


class CategoryElasticity(msgspec.Struct, frozen=True):
    """A category's elasticity with its 90% interval, of how many items, and how many have their own."""

    category: str
    items: int
    identified: int
    elasticity: float | None
    low: float | None
    high: float | None


class PriceSummary(msgspec.Struct, frozen=True):
    """The content of prices.json: counts of items, elasticities of the shop and its categories, discounts.

    tried: items with weeks and prices enough to estimate; discounts_at_the_bound: as deep as is allowed.
    """

    items: int
    priced: int
    with_cost: int
    sold_below_cost: int
    tried: int
    identified: int
    shop_elasticity: float | None
    sd_between_items: float | None
    sd_between_categories: float | None
    discounts: int
    discounts_at_the_bound: int
    median_discount: float | None
    categories: list[CategoryElasticity]


@dataclass(frozen=True, slots=True)
class Priced:
    """What the stage makes.

    Attributes:
        frame: PRICES, one row a sellable item, by item_row.
        summary: what is known of the whole and of each category.
    """

    frame: pl.DataFrame
    summary: PriceSummary


def price_items(tables: Tables, config: SelectionConfig) -> Priced:
    """Returns the PRICES artefact at the tables' `as_of`, and what is known of each category."""
    prices = config.prices
    items = build_features(tables, tables.as_of, config=config.features, lifecycle=config.lifecycle)
    costs = tables.items.select("item_row", "unit_cost", "stock")
    items = items.join(costs, on="item_row", how="left", maintain_order="left").with_columns(
        price_place=price_place()
    )
    names = items.get_column("group").unique().sort()
    group = items.get_column("group").replace_strict(names, pl.int_range(len(names), eager=True)).to_numpy()
    rows = items.get_column("item_row").to_numpy()
    panel, own = _of_sellable(weekly_panel(tables, prices), rows)
    at = np.searchsorted(rows, panel.item_row)
    pooled = pool(own, group[at].astype(np.int64), len(names))
    item, sd = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    known = own.error <= prices.max_error
    item[at[known]], sd[at[known]] = pooled.item[known], pooled.item_sd[known]
    # A discount may rest on the category's elasticity, or the shop's, where the item's own is not known.
    told = pooled.counts >= prices.category_min_items
    shop = pooled.shop if len(own.slope) >= prices.category_min_items else np.nan
    used = np.where(np.isnan(item), np.where(told, pooled.group, shop)[group], item)
    shelf = Shelf(
        price=_column(items, "price"),
        unit_cost=_column(items, "unit_cost"),
        supply=_supply(items, tables, config),
        demand=_column(items, "demand"),
        elasticity=used,
    )
    slow = items.get_column("stage").is_in(["decline", "dead"]).to_numpy() | (
        _column(items, "units_recent") <= 0
    )
    discount = np.where(slow | (_column(items, "stock") > shelf.demand), advise(shelf, prices), np.nan)
    frame = items.with_columns(
        elasticity=_series(item),
        elasticity_low=_series(item - Z90 * sd),
        elasticity_high=_series(item + Z90 * sd),
        discount=_series(discount.round(4)),
    ).select(pl.col(name).cast(dtype) for name, dtype in PRICES.items())
    given = ~np.isnan(discount)
    summary = PriceSummary(
        items=len(rows),
        priced=int((~np.isnan(shelf.price)).sum()),
        with_cost=int((~np.isnan(shelf.unit_cost)).sum()),
        sold_below_cost=int((shelf.unit_cost >= shelf.price).sum()),
        tried=len(own.slope),
        identified=int(known.sum()),
        shop_elasticity=_number(pooled.shop),
        sd_between_items=_number(pooled.within_sd),
        sd_between_categories=_number(pooled.between_sd),
        discounts=int(given.sum()),
        discounts_at_the_bound=_at_the_bound(discount, deepest_discount(shelf, prices), prices),
        median_discount=_number(float(np.median(discount[given]))) if given.any() else None,
        categories=_categories(names, pooled, group[at[known]], prices),
    )
    return Priced(frame, summary)


def prices_stage(config: SelectionConfig) -> Stage:
    """Returns the stage that writes prices.parquet, and prices.json with what is known of each category."""

    def work(ctx: StageContext) -> Mapping[str, object]:
        made = price_items(tables_of(ctx.run), config)
        write_artefact(made.frame, ctx.target("prices.parquet"), "prices")
        ctx.target("prices.json").write_bytes(msgspec.json.format(msgspec.json.encode(made.summary)))
        told = msgspec.structs.asdict(made.summary)
        return {name: value for name, value in told.items() if name != "categories"}

    return Stage(
        name="prices",
        version=2,
        inputs=TABLE_FILES,
        outputs=("prices.parquet", "prices.json"),
        work=work,
        config={"features": config.features, "lifecycle": config.lifecycle, "prices": config.prices},
    )


def _of_sellable(panel: Panel, rows: NDArray[np.int32]) -> tuple[Panel, Estimates]:
    own = own_estimates(panel)
    here = np.isin(panel.item_row, rows)
    kept = Panel(
        *(
            getattr(panel, name)[here]
            for name in ("item_row", "on_sale", "units", "log_price", "promoted", "season")
        )
    )
    return kept, Estimates(own.slope[here], own.error[here])


def _categories(
    names: pl.Series, pooled: Pooled, identified: NDArray[np.int64], config: PricesConfig
) -> list[CategoryElasticity]:
    """Returns the categories whose elasticity is known, most items first, then by name."""
    own = np.bincount(identified, minlength=len(names))
    told = np.flatnonzero(pooled.counts >= config.category_min_items)
    return [
        CategoryElasticity(
            category=names[int(number)],
            items=int(pooled.counts[number]),
            identified=int(own[number]),
            elasticity=_number(pooled.group[number]),
            low=_number(pooled.group[number] - Z90 * pooled.group_sd[number]),
            high=_number(pooled.group[number] + Z90 * pooled.group_sd[number]),
        )
        for number in told[np.argsort(-pooled.counts[told], kind="stable")]
    ]


def _at_the_bound(discount: Floats, deepest: Floats, config: PricesConfig) -> int:
    """Returns how many discounts could not be a step deeper."""
    given = ~np.isnan(discount)
    return int((discount[given] + config.discount_step > deepest[given] + 1e-6).sum())


def _supply(items: pl.DataFrame, tables: Tables, config: SelectionConfig) -> Floats:
    """Returns the stock; where it is not tracked, what the base window's rate would sell over the horizon.

    A shop that was buying in for the old rate has that much coming: the excess of a falling item.
    """
    horizon = horizon_days(tables.forecast_totals, tables.as_of)
    usual = pl.col("units_base").clip(lower_bound=0.0) * horizon / config.features.base_days
    return _column(items.with_columns(supply=pl.col("stock").cast(pl.Float64).fill_null(usual)), "supply")


def _column(frame: pl.DataFrame, name: str) -> Floats:
    return frame.get_column(name).cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _series(values: Floats) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64).fill_nan(None)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
