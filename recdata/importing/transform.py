"""Owns applying the mapping to one file: a retailer's columns become a table's, raw and parsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl
from polars._typing import PolarsDataType

from recdata.errors import MissingColumnError, TableError
from recdata.importing.checks import raw_name
from recdata.importing.csv_lines import BROKEN, BROKEN_TEXT
from recdata.importing.mapping import Mapping, RowRule, TableMapping
from recdata.importing.parsing import Reading, number, parse
from recdata.importing.sources import ROW, SourceFile
from recdata.tables import CATEGORY_SEPARATOR, Column, TableSchema

#: Column that says whether the mapping leaves the row out.
LEFT_OUT: Final = "__left_out"


@dataclass(frozen=True, slots=True)
class MappedFile:
    """One file with the mapping applied.

    Attributes:
        frame: `ROW`, `LEFT_OUT`, each declared column under its `raw_name` and, parsed, under its name.
        ignored: the source's columns that nothing uses.
    """

    frame: pl.LazyFrame
    ignored: tuple[str, ...]


def map_file(frame: pl.LazyFrame, file: SourceFile, table: TableSchema, mapping: Mapping) -> MappedFile:
    """Returns one scanned file in the table's columns.

    Raises:
        MissingColumnError: a required column has no source, or a named source column is absent.
        TableError: a source column has a type that cannot be read as ours.
    """
    return _FileMapper(frame.collect_schema(), file, table, mapping).apply(frame)


class _FileMapper:
    def __init__(self, found: pl.Schema, file: SourceFile, table: TableSchema, mapping: Mapping) -> None:
        self.found = found
        self.file = file
        self.table = table
        self.rules: TableMapping = mapping.table(table.name)
        self.used: set[str] = {ROW, BROKEN, BROKEN_TEXT}
        named = [
            theirs
            for value in self.rules.columns.values()
            for theirs in ([value] if isinstance(value, str) else value)
        ]
        self.named = {*named, self.rules.line_total, *(self.rules.attributes or ())}
        self.reading = Reading(
            place=str(file.path),
            decimal_comma=file.is_csv and mapping.csv.decimal_comma,
            list_separator=mapping.csv.list_separator,
            time_formats=self.rules.time_formats,
            zone=mapping.zone(table.name),
        )

    def apply(self, frame: pl.LazyFrame) -> MappedFile:
        raws = {column.name: self._raw(column) for column in self.table.columns}
        left_out = self._any_rule(self.rules.leave_out)
        returned = self._any_rule(self.rules.returns)
        line_total = None
        if self.rules.line_total is not None:
            total = self._source(self.rules.line_total, for_column="unit_price")
            raws["unit_price"] = pl.col(total)
            line_total = number(pl.col(total), self.found[total], self.reading, total)
        if self.table.attributes and "attributes" not in self.used:
            raws["attributes"] = self._attributes()
        raw_frame = frame.select(
            pl.col(ROW, BROKEN, BROKEN_TEXT),
            left_out.alias(LEFT_OUT),
            returned.alias("__returned"),
            (line_total if line_total is not None else pl.lit(None, dtype=pl.Float64)).alias("__line_total"),
            *(raw.alias(raw_name(name)) for name, raw in raws.items()),
        )
        types = raw_frame.collect_schema()
        parsed = raw_frame.with_columns(
            parse(pl.col(raw_name(c.name)), types[raw_name(c.name)], c, self.reading).alias(c.name)
            for c in self.table.columns
            if not (c.name == "unit_price" and line_total is not None)
        )
        if self.table.name == "events":
            parsed = self._returns_and_totals(parsed, has_total=line_total is not None)
        ignored = tuple(name for name in self.found if name not in self.used)
        return MappedFile(parsed.drop("__returned", "__line_total"), ignored)

    def _raw(self, column: Column) -> pl.Expr:
        name = column.name
        if name in self.rules.constants:
            return pl.lit(self.rules.constants[name])
        theirs = self.rules.columns.get(name, name)
        if isinstance(theirs, tuple):
            parts = [self._text(self._source(part, for_column=name)).str.strip_chars() for part in theirs]
            return pl.concat_str(
                [pl.when(part != "").then(part) for part in parts],
                separator=CATEGORY_SEPARATOR,
                ignore_nulls=True,
            )
        if name in self.rules.columns:
            theirs = self._source(theirs, for_column=name)
        elif theirs not in self.found and (like := self._like(theirs)) is not None:
            theirs = like
        elif theirs not in self.found:
            if column.required:
                raise self._missing(theirs, for_column=name)
            return pl.lit(None, dtype=pl.String)
        self.used.add(theirs)
        if f"{theirs}_duplicated_0" in self.found:
            raise TableError(
                f"{self.file.path}: two columns are called {theirs!r}, from which {name} is read; "
                "rename one in the source"
            )
        raw = pl.col(theirs)
        if name in self.rules.values:
            raw = self._text(theirs).replace(self.rules.values[name])
        if column.is_category and self.rules.category_separator != CATEGORY_SEPARATOR:
            raw = raw.str.replace_all(self.rules.category_separator, CATEGORY_SEPARATOR, literal=True)
        if column.dtype != pl.String and isinstance(self.found[theirs], pl.String):
            raw = pl.when(raw.str.strip_chars() != "").then(raw)
        return raw

    def _like(self, name: str) -> str | None:
        """Returns the one source column whose name differs from ours in case and outer blanks alone."""
        like = [found for found in self.found if found.strip().casefold() == name]
        return like[0] if len(like) == 1 and like[0] not in self.named else None

    def _attributes(self) -> pl.Expr:
        wanted: Sequence[str]
        if self.rules.attributes is not None:
            wanted = [self._source(name, for_column="attributes") for name in self.rules.attributes]
            for name in wanted:
                if not _fits_json(self.found[name]):
                    raise TableError(
                        f"{self.file.path}: column {name!r} is {self.found[name]}, which JSON cannot hold; "
                        f"convert it to text, or take it out of tables.{self.table.name}.attributes"
                    )
        elif self.rules.one_row_per_key:
            wanted = []
        else:
            wanted = [name for name in self.found if name not in self.used and _fits_json(self.found[name])]
        if not wanted:
            return pl.lit(None, dtype=pl.String)
        self.used.update(wanted)
        return pl.struct(wanted).struct.json_encode()

    def _returns_and_totals(self, parsed: pl.LazyFrame, *, has_total: bool) -> pl.LazyFrame:
        returned = pl.col("__returned")
        if any(rule.negative_quantity for rule in self.rules.returns):
            returned = returned | (pl.col("quantity") < 0).fill_null(value=False)
        returned = returned & (pl.col("event_type") == "purchase").fill_null(value=False)
        if has_total:
            units = pl.col("quantity").fill_null(1.0)
            parsed = parsed.with_columns(unit_price=(pl.col("__line_total") / units))
            sign_known = returned | (pl.col("quantity") < 0).fill_null(value=False)
            price = pl.col("unit_price")
            parsed = parsed.with_columns(unit_price=pl.when(sign_known).then(price.abs()).otherwise(price))
        if not self.rules.returns:
            return parsed
        return parsed.with_columns(
            event_type=pl.when(returned).then(pl.lit("return")).otherwise("event_type"),
            quantity=pl.when(returned).then(pl.col("quantity").abs()).otherwise("quantity"),
        )

    def _any_rule(self, rules: Sequence[RowRule]) -> pl.Expr:
        meant = pl.lit(value=False)
        for rule in rules:
            if rule.column is None:
                continue
            text = self._text(self._source(rule.column, for_column="a row rule"))
            if rule.values:
                meant = meant | text.is_in(list(rule.values)).fill_null(value=False)
            if rule.prefix is not None:
                meant = meant | text.str.starts_with(rule.prefix).fill_null(value=False)
        return meant

    def _text(self, source: str) -> pl.Expr:
        found = self.found[source]
        if isinstance(found, pl.List | pl.Struct | pl.Binary):
            raise TableError(f"{self.file.path}: column {source!r} is {found}; convert it to text first")
        return pl.col(source).cast(pl.String)

    def _source(self, theirs: str, *, for_column: str) -> str:
        if theirs not in self.found:
            raise self._missing(theirs, for_column=for_column)
        self.used.add(theirs)
        return theirs

    def _missing(self, theirs: str, *, for_column: str) -> MissingColumnError:
        there = ", ".join(name for name in self.found if name not in {ROW, BROKEN, BROKEN_TEXT})
        needed = f"needed for {for_column}" if theirs != for_column else f"required in {self.table.name}"
        return MissingColumnError(
            f"{self.file.path}: no column {theirs!r}, {needed}; the file has: {there}; name the right one in "
            f'a mapping file (--mapping): [tables.{self.table.name}] columns.{for_column} = "..."'
        )


def _fits_json(found: PolarsDataType) -> bool:
    if isinstance(found, pl.Struct):
        return all(_fits_json(field.dtype) for field in found.fields)
    if isinstance(found, pl.List | pl.Array):
        return _fits_json(found.inner)
    return not isinstance(found, pl.Binary | pl.Object | pl.Duration)
