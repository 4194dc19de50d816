"""Owns the demo data's promotions: mailers and displays by week, and coupon campaigns.

Mailers and displays are given by product, store and week, in 21M rows, which are read week by week. A
product counts as promoted in a week when at least `PROMOTED_SHARE` of the stores that carry it promote it; a
store carries a product that it sold or promoted at any time in the year. (Half of the mailers are in 105 of
109 stores or more, half of the displays in 3 or fewer.) Discounts are left null: the data show them only on
lines that were sold, so giving them would tell a forecast what it must not know.

A coupon campaign is one promotion with every product that its coupons are good for. Campaigns of Type A are
left out: each household is sent 16 coupons chosen for it from a pool of up to 35,000 products.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ids = NDArray[np.int64]

#: Share of the stores that carry a product that must promote it for it to count as promoted.
PROMOTED_SHARE: Final = 0.5
FIRST_MONDAY: Final = date(2016, 12, 26)
TYPE_A: Final = "Type A"


def demo_promotions(data: Path, item_ids: pl.Series, *, timezone: str) -> tuple[pl.DataFrame, dict[str, int]]:
    """Returns the promotions table and what was left out of it; the 21M mailer rows are read week by week."""
    products = np.sort(item_ids.cast(pl.Int64).to_numpy())
    weekly, weekly_left_out = _weekly_promotions(data, products, timezone)
    campaigns, campaigns_left_out = _campaigns(data, pl.Series(products), timezone)
    return pl.concat([weekly, campaigns]), weekly_left_out | campaigns_left_out


def _weekly_promotions(data: Path, products: Ids, timezone: str) -> tuple[pl.DataFrame, dict[str, int]]:
    source = pl.scan_parquet(data / "promotions.parquet").select(
        "product_id",
        "store_id",
        "week",
        mailer=pl.col("mailer_location") != "0",
        display=pl.col("display_location") != "0",
    )
    known = pl.Series(products).implode()
    weeks = source.select("week").collect()["week"]
    if not weeks.is_sorted():
        source = source.sort("week").collect().lazy()
        weeks = weeks.sort()
    sold = pl.read_parquet(data / "transactions.parquet", columns=["product_id", "store_id"])
    promoting_stores = source.select("store_id").collect()["store_id"]
    stores = np.unique(np.concatenate([sold["store_id"].to_numpy(), promoting_stores.to_numpy()]))
    # Whether a store carries a product: one flag a pair, at product row x number of stores + store row.
    carried = np.zeros(len(products) * len(stores), np.bool_)
    carried[_pairs(sold, products, stores)] = True
    counts: list[tuple[int, str, NDArray[np.intp], NDArray[np.int64]]] = []
    unknown, blank, start = 0, 0, 0
    for week, rows in weeks.value_counts(name="rows").sort("week").iter_rows():
        part = source.slice(start, rows).collect()
        start += rows
        blank += part.filter(pl.col("mailer").not_() & pl.col("display").not_()).height
        unknown += part.filter(pl.col("product_id").is_in(known).not_()).height
        for kind in ("display", "mailer"):
            pairs = _pairs(part.filter(pl.col(kind)), products, stores)
            carried[pairs] = True
            in_stores = np.bincount(pairs // len(stores), minlength=len(products))
            promoted = np.flatnonzero(in_stores)
            counts.append((week, kind, promoted, in_stores[promoted]))
    carriers = carried.reshape(len(products), len(stores)).sum(axis=1)
    promotions, narrow = [], 0
    for week, kind, promoted, in_stores in counts:
        wide = promoted[in_stores >= PROMOTED_SHARE * carriers[promoted]]
        narrow += len(promoted) - len(wide)
        monday = FIRST_MONDAY + timedelta(days=7 * (week - 1))
        ids = pl.Series(products[wide]).cast(pl.String).to_list()
        promotions.append((f"{kind}-week-{week}", kind, monday, monday + timedelta(days=7), ids))
    table = pl.DataFrame(promotions, schema=_PROMOTION_COLUMNS, orient="row")
    return table.filter(pl.col("item_ids").list.len() > 0).with_columns(
        _local_midnight(pl.col("starts_at", "ends_at"), timezone)
    ), {
        "mailer and display rows: neither mailed nor displayed": blank,
        "mailer and display rows: product is no merchandise": unknown,
        f"promoted weeks of items: in less than {PROMOTED_SHARE:.0%} of their stores": narrow,
    }


_PROMOTION_COLUMNS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "promotion_id": pl.String,
    "kind": pl.String,
    "starts_at": pl.Date,
    "ends_at": pl.Date,
    "item_ids": pl.List(pl.String),
}


def _pairs(lines: pl.DataFrame, products: Ids, stores: Ids) -> Ids:
    """Returns the distinct pairs of product and store as product row x len(stores) + store row, int64.

    `products` and `stores` are sorted; lines of other products are passed over.
    """
    ids = lines["product_id"].to_numpy()
    rows = np.minimum(np.searchsorted(products, ids), len(products) - 1)
    known = products[rows] == ids
    columns = np.searchsorted(stores, lines["store_id"].to_numpy())
    pairs: Ids = np.sort(rows[known] * len(stores) + columns[known])
    # numpy's own unique hashes, which takes several times as long here
    return pairs[np.diff(pairs, prepend=-1) > 0]


def _campaigns(data: Path, known: pl.Series, timezone: str) -> tuple[pl.DataFrame, dict[str, int]]:
    described = pl.read_parquet(data / "campaign_descriptions.parquet")
    coupons = pl.read_parquet(data / "coupons.parquet").select("campaign_id", "product_id").unique()
    merchandise = coupons.filter(pl.col("product_id").is_in(known.implode()))
    campaigns = (
        described.filter(pl.col("campaign_type") != TYPE_A)
        .join(merchandise, on="campaign_id")
        .sort("campaign_id", "product_id")
        .group_by("campaign_id", "start_date", "end_date", maintain_order=True)
        .agg(item_ids=pl.col("product_id").cast(pl.String))
        .select(
            promotion_id=pl.format("campaign-{}", "campaign_id"),
            kind=pl.lit("coupon"),
            starts_at=_local_midnight(pl.col("start_date").dt.date(), timezone),
            ends_at=_local_midnight(pl.col("end_date").dt.date() + pl.duration(days=1), timezone),
            item_ids="item_ids",
        )
    )
    return campaigns, {
        "campaigns: Type A, coupons chosen for each household": described.filter(
            pl.col("campaign_type") == TYPE_A
        ).height,
        "campaign products: no merchandise": coupons.height - merchandise.height,
    }


def _local_midnight(day: pl.Expr, timezone: str) -> pl.Expr:
    return day.cast(pl.Datetime("us")).dt.replace_time_zone(timezone).dt.convert_time_zone("UTC")
