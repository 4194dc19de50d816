"""Owns turning a source value into a table's type: text, numbers, times with their zone, lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from recdata.errors import TableError
from recdata.tables import Column

ISO_ZONED: Final = ("%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z")
ISO_NAIVE: Final = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
#: The end of the year 9999 in microseconds: what lies outside is no time that a date can tell.
MAX_EPOCH: Final = 253_402_300_799_999_999
POINTS_PART_THOUSANDS: Final = r"^[+-]?\d{1,3}(\.\d{3})+(,\d*)?$"
EPOCH_MICROSECONDS: Final = {"epoch_s": 1_000_000, "epoch_ms": 1_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How values of one file are read.

    Attributes:
        place: the file, for messages.
        decimal_comma: numbers in text are written 1.234,5.
        list_separator: between the parts of a list in text.
        time_formats: strptime or epoch formats; empty means ISO 8601.
        zone: IANA zone of times that carry none.
    """

    place: str
    decimal_comma: bool
    list_separator: str
    time_formats: tuple[str, ...]
    zone: str


def parse(value: pl.Expr, found: pl.DataType, column: Column, reading: Reading) -> pl.Expr:
    """Returns the expression that gives the value as the column's type, null where it cannot be read.

    Args:
        value: what the mapping made of the source.
        found: its type.
        column: the declared column.
        reading: how the file is written.

    Raises:
        TableError: no value of the found type can be read as the declared one.
    """
    wrong = TableError(
        f"{reading.place}: column {column.name!r} is {found}, which cannot be read as {column.dtype}; "
        "convert it in the source, or map another column in tables.*.columns"
    )
    if found == pl.Null:
        return value.cast(column.dtype)
    if column.dtype == pl.String:
        if found.is_integer() or isinstance(found, pl.String | pl.Categorical | pl.Enum):
            return _text(value, column)
        if column.is_json and isinstance(found, pl.Struct):
            return value.struct.json_encode()
        raise wrong
    if column.dtype == pl.Float64:
        return _number(value, found, reading, wrong)
    if column.dtype == pl.Int64:
        number = _number(value, found, reading, wrong)
        return pl.when(number == number.round()).then(number.cast(pl.Int64, strict=False))
    if isinstance(column.dtype, pl.List):
        if isinstance(found, pl.List) and (isinstance(found.inner, pl.String) or found.inner.is_integer()):
            return value.cast(pl.List(pl.String))
        if isinstance(found, pl.String):
            return value.str.split(reading.list_separator).list.drop_nulls()
        raise wrong
    if column.dtype == pl.Date:
        if isinstance(found, pl.Date):
            return value
        return _time(value, found, reading, wrong).dt.convert_time_zone(reading.zone).dt.date()
    return _time(value, found, reading, wrong)


def number(value: pl.Expr, found: pl.DataType, reading: Reading, name: str) -> pl.Expr:
    """Returns the expression that reads a source column as Float64; raises TableError as `parse` does."""
    wrong = TableError(f"{reading.place}: column {name!r} is {found}, which cannot be read as a number")
    return _number(value, found, reading, wrong)


def _text(value: pl.Expr, column: Column) -> pl.Expr:
    text = value.cast(pl.String)
    # "" says nothing; only a required id is told apart, since an empty id has its own reason.
    return text if column.is_id and column.required else pl.when(text != "").then(text)


def _number(value: pl.Expr, found: pl.DataType, reading: Reading, wrong: TableError) -> pl.Expr:
    if found.is_numeric():
        return value.cast(pl.Float64)
    if not isinstance(found, pl.String | pl.Categorical | pl.Enum):
        raise wrong
    text = value.cast(pl.String).str.strip_chars()
    if reading.decimal_comma:
        # A point that does not part thousands (1.5) is another way of writing, so it is no number here.
        text = (
            pl.when(text.str.contains(POINTS_PART_THOUSANDS))
            .then(text.str.replace_all(".", "", literal=True))
            .when(text.str.contains(".", literal=True).not_())
            .then(text)
            .str.replace(",", ".", literal=True)
        )
    return text.cast(pl.Float64, strict=False)


def _time(value: pl.Expr, found: pl.DataType, reading: Reading, wrong: TableError) -> pl.Expr:
    if isinstance(found, pl.Datetime):
        micro = value.dt.cast_time_unit("us")
        return micro.dt.convert_time_zone("UTC") if found.time_zone else _in_zone(micro, reading.zone)
    if isinstance(found, pl.Date):
        return _in_zone(value.cast(pl.Datetime("us")), reading.zone)
    epochs = [name for name in reading.time_formats if name in EPOCH_MICROSECONDS]
    if found.is_integer() and epochs:
        return _epoch(value, epochs[0])
    if not isinstance(found, pl.String):
        if found.is_integer():
            raise TableError(f'{wrong}; for numbers say time_formats = ["epoch_s"] or ["epoch_ms"]')
        raise wrong
    text = value.str.strip_chars()
    if reading.time_formats:
        return pl.coalesce([_formatted(text, name, reading.zone) for name in reading.time_formats])
    spaced = text.str.replace("T", " ", literal=True)
    formats: Sequence[str] = (*ISO_NAIVE[:1], *ISO_ZONED, *ISO_NAIVE[1:])
    return pl.coalesce([_formatted(spaced, name, reading.zone) for name in formats])


def _formatted(text: pl.Expr, name: str, zone: str) -> pl.Expr:
    if name in EPOCH_MICROSECONDS:
        return _epoch(text.cast(pl.Int64, strict=False), name)
    if _has_zone(name):
        return text.str.to_datetime(name, time_unit="us", time_zone="UTC", strict=False)
    if _has_clock(name):
        return _in_zone(text.str.to_datetime(name, time_unit="us", strict=False), zone)
    return _in_zone(text.str.to_date(name, strict=False).cast(pl.Datetime("us")), zone)


def _has_zone(name: str) -> bool:
    return any(code in name for code in ("%z", "%:z", "%#z", "%+"))


def _has_clock(name: str) -> bool:
    return any(code in name for code in ("%H", "%I", "%T", "%R", "%X", "%c", "%r", "%k", "%l"))


def _epoch(value: pl.Expr, name: str) -> pl.Expr:
    factor = EPOCH_MICROSECONDS[name]
    number = value.cast(pl.Int64, strict=False)
    fits = number.is_between(-MAX_EPOCH // factor, MAX_EPOCH // factor)
    return pl.when(fits).then(number * factor).cast(pl.Datetime("us", "UTC"))


def _in_zone(naive: pl.Expr, zone: str) -> pl.Expr:
    """Returns the time in UTC; of two moments with one name the earlier, of a skipped hour null."""
    local = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return local.dt.convert_time_zone("UTC")
