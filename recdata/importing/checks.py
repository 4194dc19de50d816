"""Owns the checks that a row must pass; each has a reason code, the first that fails is the row's reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from recdata.importing.csv_lines import BROKEN
from recdata.tables import MAX_ID_BYTES, Column, TableSchema

#: Every reason in `rejects/<table>.csv`, with its meaning.
REASONS: Final = {
    "wrong_field_count": "a CSV line has more or fewer fields than there are column names",
    "bad_quotes": "a CSV line opens a quote that is not closed, or has text after a closing one",
    "bad_encoding": "a CSV line holds bytes that are no text in the file's encoding",
    "missing_value": "a required column has no value",
    "wrong_type": "the value cannot be read as the column's type, or names an hour that the clock skipped",
    "empty_id": "an id is the empty string or only blanks",
    "id_too_long": f"an id takes more than {MAX_ID_BYTES} bytes in UTF-8",
    "unknown_value": "the value is none of those that the column may have",
    "negative_price": "a price or cost is below zero",
    "out_of_range": "a number is outside its range or not finite, or the time of an event is before 1990",
    "time_in_future": "the time lies after the moment of the import",
    "bad_category": 'a category is not a path "A > B > C" without empty parts',
    "bad_json": "attributes are no JSON object",
    "ends_before_start": "a promotion does not end after it starts",
    "unknown_item": "the item (or every listed item) is not in the items table",
    "duplicate_id": "an earlier row has the same key",
    "duplicate_row": "an earlier row is equal in every column",
}

#: Reasons that speak of a whole line, and what stands for its column.
LINE_REASONS: Final = ("wrong_field_count", "bad_quotes", "bad_encoding")
LINE: Final = "line"
CATEGORY_PATTERN: Final = r"^[^>\s]([^>]*[^>\s])?( > [^>\s]([^>]*[^>\s])?)*$"
#: What is said to have happened before is a default value that stands for "unknown", such as 1970-01-01.
EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
PRICES: Final = ("unit_price", "price", "unit_cost")


@dataclass(frozen=True, slots=True)
class Check:
    """One condition that makes a row bad.

    Attributes:
        reason: one of `REASONS`.
        column: the column that it speaks of.
        bad: true for a bad row, over the parsed columns and the raw ones (`raw_name`).
    """

    reason: str
    column: str
    bad: pl.Expr


def raw_name(column: str) -> str:
    """Returns the name under which a column's value stands before it is parsed."""
    return f"__raw_{column}"


def table_checks(
    table: TableSchema, *, now: datetime, business_timezone: str, known_items: pl.Series | None
) -> list[Check]:
    """Returns a table's checks in the order in which they are tried.

    Args:
        table: the table.
        now: with a zone; times after it are in the future.
        business_timezone: the zone in which a date is compared with `now`.
        known_items: item ids; None leaves unknown items to be added.
    """
    checks = [Check(reason, LINE, pl.col(BROKEN) == reason) for reason in LINE_REASONS]
    for column in table.columns:
        checks += _column_checks(column, now=now, business_timezone=business_timezone)
    if table.name == "promotions":
        late = pl.col("ends_at") <= pl.col("starts_at")
        checks.append(Check("ends_before_start", "ends_at", late))
    if known_items is not None and "item_id" in table.schema and table.name != "items":
        unknown = pl.col("item_id").is_in(known_items.implode()).not_()
        checks.append(Check("unknown_item", "item_id", unknown))
    return checks


def first_failed(checks: Sequence[Check]) -> pl.Expr:
    """Returns the number (Int16) of the first check that a row fails, null for a good row."""
    code = pl.lit(None, dtype=pl.Int16)
    for number in range(len(checks) - 1, -1, -1):
        code = pl.when(checks[number].bad).then(pl.lit(number, dtype=pl.Int16)).otherwise(code)
    return code


def _column_checks(column: Column, *, now: datetime, business_timezone: str) -> list[Check]:
    raw, value = pl.col(raw_name(column.name)), pl.col(column.name)
    checks = []
    if column.required:
        checks.append(Check("missing_value", column.name, raw.is_null()))
    if column.is_id and column.required:
        # Blank ids are told apart from absent ones; a blank optional id is absent.
        checks.append(Check("empty_id", column.name, value.str.strip_chars() == ""))
    elif column.required and column.dtype == pl.String:
        checks.append(Check("missing_value", column.name, value.is_null()))
    if column.dtype != pl.String:
        checks.append(Check("wrong_type", column.name, raw.is_not_null() & value.is_null()))
    if column.is_id:
        checks.append(Check("id_too_long", column.name, value.str.len_bytes() > MAX_ID_BYTES))
    if column.allowed:
        checks.append(Check("unknown_value", column.name, value.is_in(list(column.allowed)).not_()))
    if column.dtype == pl.Float64:
        checks.append(Check("out_of_range", column.name, value.is_finite().not_()))
    if column.minimum is not None:
        low = value <= column.minimum if column.above_minimum else value < column.minimum
        checks.append(Check("negative_price" if column.name in PRICES else "out_of_range", column.name, low))
    if column.maximum is not None:
        checks.append(Check("out_of_range", column.name, value > column.maximum))
    if column.past:
        latest = (
            now.astimezone(ZoneInfo(business_timezone)).date()
            if column.dtype == pl.Date
            else now.astimezone(UTC)
        )
        earliest = EARLIEST.date() if column.dtype == pl.Date else EARLIEST
        checks.append(Check("time_in_future", column.name, value > pl.lit(latest)))
        checks.append(Check("out_of_range", column.name, value < pl.lit(earliest)))
    if column.is_category:
        checks.append(Check("bad_category", column.name, value.str.contains(CATEGORY_PATTERN).not_()))
    if column.is_json:
        # Over no JSON at all the path gives null.
        parsed = value.str.json_path_match("$")
        no_object = value.is_not_null() & (
            parsed.is_null() | value.str.strip_chars().str.starts_with("{").not_()
        )
        checks.append(Check("bad_json", column.name, no_object))
    return checks
