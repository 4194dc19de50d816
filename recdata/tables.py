"""Owns the input tables below `home/tables`: their columns, what each may hold, and how a room reads one.

Import (`recdata.importing`) is the only writer. A reader gets the declared columns in the declared order
with types checked; extra event columns that a retailer sends are left out at import and named in its report.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from recdata.errors import MissingColumnError, TableError

MAX_ID_BYTES: Final = 256
CATEGORY_SEPARATOR: Final = " > "
EVENT_TYPES: Final = ("impression", "click", "view", "add_to_cart", "purchase", "return")
ITEM_STATUSES: Final = ("active", "discontinued")
#: A quantity or a price above is a slip (a bar code in the wrong column), and would drown every sum.
MAX_QUANTITY: Final = 1e9
MAX_PRICE: Final = 1e12
TIME: Final = pl.Datetime("us", "UTC")
REQUIRED_TABLES: Final = ("events", "items")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of an input table and what its values may be.

    Attributes:
        name: the column's name.
        dtype: the Polars type it is stored with.
        required: the table has no meaning without it, so it must be there and hold no null.
        is_id: a non-empty string of at most `MAX_ID_BYTES` bytes of UTF-8.
        is_category: a path "A > B > C" without empty parts.
        is_json: a JSON object in a string.
        past: the time may not lie after the moment of the import, nor before 1990.
        allowed: the values it may have; empty means any.
        minimum: least value, None for no bound.
        above_minimum: the value must be greater than `minimum`, not equal.
        maximum: greatest value, None for no bound.
        default: stands where the source has no value, None for null.
    """

    name: str
    dtype: pl.DataType | type[pl.DataType]
    required: bool = False
    is_id: bool = False
    is_category: bool = False
    is_json: bool = False
    past: bool = False
    allowed: tuple[str, ...] = ()
    minimum: float | None = None
    above_minimum: bool = False
    maximum: float | None = None
    default: str | float | None = None


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One input table.

    Attributes:
        name: the table's name, also its file's stem.
        columns: in stored order.
        key: the columns that name a row, of which a second one is a duplicate; empty means that only
            a row equal in every column is one.
        attributes: unknown extra columns are kept together as JSON in the column `attributes`.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    attributes: bool = False

    @property
    def schema(self) -> pl.Schema:
        """Returns column name -> Polars type, in stored order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @property
    def required(self) -> tuple[str, ...]:
        """Returns the names of the columns that must be there."""
        return tuple(column.name for column in self.columns if column.required)

    def column(self, name: str) -> Column:
        """Returns one column's declaration; raises KeyError for a name that the table does not have."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


EVENTS: Final = TableSchema(
    "events",
    (
        Column(name="user_id", dtype=pl.String, required=True, is_id=True),
        Column(name="item_id", dtype=pl.String, required=True, is_id=True),
        Column(name="event_type", dtype=pl.String, required=True, allowed=EVENT_TYPES),
        Column(name="event_time", dtype=TIME, required=True, past=True),
        # Units of the item, above zero also for a return.
        Column(
            name="quantity",
            dtype=pl.Float64,
            minimum=0.0,
            above_minimum=True,
            maximum=MAX_QUANTITY,
            default=1.0,
        ),
        # Net price of one unit after every discount, in the config's currency.
        Column(name="unit_price", dtype=pl.Float64, minimum=0.0, maximum=MAX_PRICE),
        Column(name="order_id", dtype=pl.String, is_id=True),
        Column(name="session_id", dtype=pl.String, is_id=True),
        Column(name="channel", dtype=pl.String, is_id=True),
        Column(name="region", dtype=pl.String, is_id=True),
        Column(name="promotion_id", dtype=pl.String, is_id=True),
        Column(name="attribution_token", dtype=pl.String),
    ),
)

ITEMS: Final = TableSchema(
    "items",
    (
        Column(name="item_id", dtype=pl.String, required=True, is_id=True),
        Column(name="title", dtype=pl.String, required=True),
        Column(name="category", dtype=pl.String, required=True, is_category=True),
        Column(name="brand", dtype=pl.String),
        Column(name="price", dtype=pl.Float64, minimum=0.0, maximum=MAX_PRICE),
        Column(name="unit_cost", dtype=pl.Float64, minimum=0.0, maximum=MAX_PRICE),
        Column(name="launched_at", dtype=TIME),
        Column(name="stock", dtype=pl.Int64, minimum=0.0),
        Column(name="status", dtype=pl.String, allowed=ITEM_STATUSES, default="active"),
        Column(name="attributes", dtype=pl.String, is_json=True),
    ),
    key=("item_id",),
    attributes=True,
)

CUSTOMERS: Final = TableSchema(
    "customers",
    (
        Column(name="user_id", dtype=pl.String, required=True, is_id=True),
        Column(name="region", dtype=pl.String, is_id=True),
        Column(name="joined_at", dtype=TIME, past=True),
        Column(name="attributes", dtype=pl.String, is_json=True),
    ),
    key=("user_id",),
    attributes=True,
)

#: A promotion runs from starts_at up to, not including, ends_at, for the listed items or for a category.
PROMOTIONS: Final = TableSchema(
    "promotions",
    (
        Column(name="promotion_id", dtype=pl.String, required=True, is_id=True),
        Column(name="kind", dtype=pl.String, required=True, is_id=True),
        Column(name="starts_at", dtype=TIME, required=True),
        Column(name="ends_at", dtype=TIME, required=True),
        Column(name="discount", dtype=pl.Float64, minimum=0.0, maximum=1.0),
        Column(name="item_ids", dtype=pl.List(pl.String)),
        Column(name="category", dtype=pl.String, is_category=True),
        Column(name="channel", dtype=pl.String, is_id=True),
    ),
    key=("promotion_id",),
)

MARKET: Final = TableSchema(
    "market",
    (
        Column(name="category", dtype=pl.String, required=True, is_category=True),
        Column(name="date", dtype=pl.Date, required=True, past=True),
        Column(name="index", dtype=pl.Float64, required=True, minimum=0.0),
    ),
    key=("category", "date"),
)

RATINGS: Final = TableSchema(
    "ratings",
    (
        Column(name="item_id", dtype=pl.String, required=True, is_id=True),
        Column(name="rated_at", dtype=TIME, required=True, past=True),
        Column(name="score", dtype=pl.Float64, required=True, minimum=0.0, maximum=10.0),
        Column(name="user_id", dtype=pl.String, is_id=True),
    ),
)

#: Every input table by name, in the order in which import reads them: items before what refers to items.
TABLES: Final[dict[str, TableSchema]] = {
    table.name: table for table in (ITEMS, CUSTOMERS, EVENTS, PROMOTIONS, MARKET, RATINGS)
}


def table_path(home: Path, name: str) -> Path:
    """Returns where an input table lies below the home folder."""
    return home / "tables" / f"{name}.parquet"


def scan_table(home: Path, name: str) -> pl.LazyFrame:
    """Returns one input table lazily, declared columns in declared order; absent and optional: no rows.

    Raises:
        TableError: a required table is absent or no Parquet, or a column has another type than declared.
        MissingColumnError: a declared column is absent.
    """
    table = TABLES[name]
    path = table_path(home, name)
    if not path.is_file():
        if name in REQUIRED_TABLES:
            raise TableError(f"{path}: no {name} table; import one first (`recsvc import --from DIR`)")
        return pl.LazyFrame(schema=table.schema)
    frame = pl.scan_parquet(path, glob=False)
    try:
        found = frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise TableError(f"{path}: cannot be read as Parquet ({error}); import the tables again") from error
    for column, dtype in table.schema.items():
        if column not in found:
            raise MissingColumnError(f"{path}: no column {column!r}; import the table again")
        if found[column] != dtype:
            raise TableError(
                f"{path}: column {column!r} is {found[column]}, not {dtype}; import the table again"
            )
    return frame.select(list(table.schema))


def read_table(home: Path, name: str) -> pl.DataFrame:
    """Returns one input table in memory; raises as `scan_table` does."""
    return scan_table(home, name).collect()


def tables_with_people(home: Path) -> list[tuple[str, Path]]:
    """Returns name and path of the input tables there are whose rows may name a person."""
    return [
        (table.name, table_path(home, table.name))
        for table in TABLES.values()
        if "user_id" in table.schema and table_path(home, table.name).is_file()
    ]


def rows_of_person(path: Path, user_id: str) -> int:
    """Returns how many rows of a Parquet file with a column `user_id` are a person's.

    Raises:
        TableError: the file cannot be read as such a table.
    """
    try:
        frame = pl.scan_parquet(path, glob=False).filter(pl.col("user_id") == user_id)
        return int(frame.select(pl.len()).collect(engine="streaming").item())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise TableError(
            f"{path}: cannot be read as Parquet with user_id ({error}); make it again"
        ) from error
