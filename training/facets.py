"""Owns what items are filtered and ordered by, beside their category: facets, and daily demand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.sums import group_sums

#: An attribute of more different values is free text or a number to measure by, and is no facet.
MAX_ATTRIBUTE_VALUES: Final = 10_000
#: Without a forecast, an item's demand is the mean of so many last days.
RECENT_DAYS: Final = 28

Rows = NDArray[np.int32]
Facets = dict[tuple[str, str], Rows]


def item_facets(items: pl.DataFrame, sales: pl.LazyFrame) -> tuple[Facets, list[str]]:
    """Returns the ascending item rows by (facet, value), and the attributes that are no facet.

    Facets are "brand"; "channel" and "region", where the item was bought there; and "attribute:NAME" for
    every scalar of the item's attributes, written as in JSON but text without quotes; a list gives each of
    its scalars.  Empty and null values are none, and so is an attribute of more than `MAX_ATTRIBUTE_VALUES`
    different ones.

    Args:
        items: the `items` artefact.
        sales: the `daily_sales` artefact.
    """
    bought = sales.filter(pl.col("buyers") > 0)
    tables = [_facet("brand", items.lazy(), "brand")]
    tables += [_facet(name, bought, name) for name in ("channel", "region")]
    attributes = pl.DataFrame(
        list(_attributes(items["attributes"])),
        schema={"facet": pl.String, "value": pl.String, "item_row": pl.Int32},
        orient="row",
    )
    counts = attributes.group_by("facet").agg(pl.col("value").n_unique())
    left_out = counts.filter(pl.col("value") > MAX_ATTRIBUTE_VALUES)["facet"].sort().to_list()
    tables.append(attributes.lazy().filter(pl.col("facet").is_in(left_out).not_()))
    found = pl.concat(tables).unique().sort("facet", "value", "item_row").collect()
    grouped = found.group_by("facet", "value", maintain_order=True).agg("item_row")
    facets = {(facet, value): rows.to_numpy() for facet, value, rows in zip(*grouped, strict=True)}
    return facets, [name.removeprefix("attribute:") for name in left_out]


def daily_demand(
    items: pl.DataFrame, forecasts: pl.LazyFrame, sales: pl.LazyFrame, *, as_of: date
) -> NDArray[np.float32]:
    """Returns the units that each item is expected to sell a day, `(n_items,)` float32; NaN if never sold.

    It is the mean over the horizon of the item's own forecast; without one, the net units of the last 28
    days over 28, at least 0.

    Args:
        items: the `items` artefact.
        forecasts: the `forecast_daily` artefact.
        sales: the `daily_sales` artefact.
        as_of: the first day that is not in the data.
    """
    demand = np.full(items.height, np.nan, np.float32)
    sold = sales.filter(pl.col("buyers") > 0).select("item_row").unique().collect()["item_row"].to_numpy()
    demand[sold] = 0.0
    since = as_of - timedelta(days=RECENT_DAYS)
    recent = sales.filter(pl.col("day") >= since).select("item_row", "quantity").collect()
    sums = group_sums(recent, ["item_row"], ["quantity"])
    net = np.maximum(sums["quantity"].to_numpy(), 0.0)
    demand[sums["item_row"].to_numpy()] = net / RECENT_DAYS
    own = (
        forecasts.filter(pl.col("level") == "item")
        .select(item_id="key", day="day", mean="mean")
        .collect()
        .join(items.select("item_id", "item_row"), on="item_id")
        .sort("item_row", "day")
    )
    totals = group_sums(own.with_columns(days=1.0), ["item_row"], ["mean", "days"])
    demand[totals["item_row"].to_numpy()] = (totals["mean"] / totals["days"]).to_numpy()
    return demand


def _facet(name: str, table: pl.LazyFrame, column: str) -> pl.LazyFrame:
    values = table.select(pl.lit(name).alias("facet"), pl.col(column).alias("value"), "item_row")
    return values.filter(pl.col("value") != "").unique()  # null is not unequal to anything, so it goes too


def _attributes(column: pl.Series) -> Iterator[tuple[str, str, int]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    for row, text in enumerate(column):
        if not text or text == "{}":
            continue
        for name, given in decoder.decode(text).items():
            for value in given if isinstance(given, list) else [given]:
                if isinstance(value, str):
                    written = value
                elif isinstance(value, bool | int | float):
                    written = msgspec.json.encode(value).decode()
                else:
                    continue
                if written:
                    yield f"attribute:{name}", written, row
