"""Owns the mapping file: how a retailer's own files, columns, values and times become the input tables."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from recdata.errors import ConfigError
from recdata.tables import TABLES

EPOCH_FORMATS: Final = ("epoch_s", "epoch_ms")
OneChar = Annotated[str, Meta(min_length=1, max_length=1)]
StructT = TypeVar("StructT", bound=Struct)
Text = Annotated[str, Meta(min_length=1)]


class RowRule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Says which source rows a rule speaks of: those that meet any of the conditions given.

    Attributes:
        column: a source column whose value is compared.
        values: the row is meant when the column has one of these values.
        prefix: the row is meant when the column's value starts with this.
        negative_quantity: the row is meant when its mapped quantity is below zero.
    """

    column: str | None = None
    values: tuple[str, ...] = ()
    prefix: str | None = None
    negative_quantity: bool = False

    def __post_init__(self) -> None:
        """Refuses a rule that means no row, or that compares no column."""
        compares = bool(self.values) or self.prefix is not None
        if compares != (self.column is not None):
            raise ValueError("column goes with values or prefix, and they with column")
        if not compares and not self.negative_quantity:
            raise ValueError("give column with values or prefix, or negative_quantity = true")
        if self.prefix == "":
            raise ValueError("an empty prefix would mean every row")


class TableMapping(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[tables.NAME]`: where one table comes from. Every key may be left out.

    Attributes:
        files: glob patterns below the source folder; default: NAME.*, NAME-*.* and NAME/*.
        columns: our column -> theirs; several of theirs in a list make a category path. A column that is not
            named has our name in the source.
        constants: our column -> the value of every row.
        values: our column -> (their value -> ours); a value that is not listed stays as it is.
        line_total: their column with the amount of a whole line; unit_price = |line total / quantity|.
        category_separator: what stands between the parts of their category path.
        time_formats: strptime formats, tried in order, or "epoch_s", "epoch_ms"; default: ISO 8601.
        time_zone: IANA zone of times that carry none; default: `[time] zone`.
        returns: rows that are returns rather than purchases; their quantity counts without its sign.
        leave_out: rows that are no business of ours; counted, not rejected.
        one_row_per_key: the table is read from rows in which its key repeats (order lines that describe
            their item): the last good row of a key counts, the others are no duplicates.
        attributes: their columns that go to `attributes`; default: every column without another use,
            none with one_row_per_key.
        duplicates: what happens to a row that repeats an earlier one.
        unknown_items: what happens to a row whose item is not in the items table: it is rejected, or the
            item is added with its id as title, in the category "Unknown".
    """

    files: tuple[Text, ...] = ()
    columns: dict[str, str | tuple[str, ...]] = {}
    constants: dict[str, str | float] = {}
    values: dict[str, dict[str, str]] = {}
    line_total: str | None = None
    category_separator: Text = " > "
    time_formats: tuple[Text, ...] = ()
    time_zone: str | None = None
    returns: tuple[RowRule, ...] = ()
    leave_out: tuple[RowRule, ...] = ()
    one_row_per_key: bool = False
    attributes: tuple[str, ...] | None = None
    duplicates: Literal["reject", "keep"] = "reject"
    unknown_items: Literal["reject", "add"] = "reject"


class CsvOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[csv]`: how CSV files are written.

    Attributes:
        separator: between fields.
        quote: around fields that hold separators.
        decimal_comma: numbers are written 1.234,5 rather than 1,234.5.
        null_values: besides the empty field.
        list_separator: between the ids in `item_ids`.
        encoding: a Python codec name, such as "gb18030"; other than UTF-8 is converted first.
    """

    separator: OneChar = ","
    quote: OneChar = '"'
    decimal_comma: bool = False
    null_values: tuple[str, ...] = ()
    list_separator: OneChar = "|"
    encoding: str = "utf-8"


class TimeOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[time]`: `zone` is the IANA zone of times that carry none."""

    zone: str = "UTC"


class Mapping(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole mapping file; without one, files and columns have our names and naive times are UTC."""

    csv: CsvOptions = CsvOptions()
    time: TimeOptions = TimeOptions()
    tables: dict[str, TableMapping] = {}

    def table(self, name: str) -> TableMapping:
        """Returns one table's mapping, the default where the file does not speak of it."""
        return self.tables.get(name, TableMapping())

    def zone(self, name: str) -> str:
        """Returns the IANA zone of one table's naive times."""
        return self.table(name).time_zone or self.time.zone


def load_mapping(path: Path | None) -> Mapping:
    """Returns the mapping file's content, checked; None gives the default mapping.

    Raises:
        ConfigError: unreadable file, unknown table, column, zone or key, or a wrong value; the message names
            file, key and remedy.
    """
    if path is None:
        return Mapping()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML ({error}); see examples/mapping.toml") from error
    tables = document.get("tables")
    for name, table in tables.items() if isinstance(tables, dict) else ():
        _convert(path, f"tables.{name}", table, TableMapping)  # here, so that a message can name the table
    mapping = _convert(path, "", document, Mapping)
    _check_names(path, mapping)
    return mapping


def _convert(path: Path, place: str, content: object, kind: type[StructT]) -> StructT:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        match = re.search(r"(?s)^(.*) - at `(?:key in )?\$\.?(.*)`$", str(error))
        said, below = match.groups() if match else (str(error), "")
        where = ".".join(filter(None, (place, below))) or "top level"
        raise ConfigError(f"{path}: {where}: {said}; see examples/mapping.toml") from error


def _check_names(path: Path, mapping: Mapping) -> None:
    try:
        "".encode(mapping.csv.encoding)  # codecs.lookup also knows codecs that make no text, such as "hex"
    except (LookupError, ValueError) as error:
        raise ConfigError(
            f'{path}: csv.encoding = {mapping.csv.encoding!r}: no such encoding; try "utf-8" or "gb18030"'
        ) from error
    if mapping.csv.separator == mapping.csv.quote or {mapping.csv.separator, mapping.csv.quote} & {
        "\n",
        "\r",
    }:
        raise ConfigError(
            f"{path}: csv: separator {mapping.csv.separator!r} and quote {mapping.csv.quote!r} must be two "
            "different characters, neither a line end"
        )
    _check_zone(path, "time.zone", mapping.time.zone)
    for name, table in mapping.tables.items():
        where = f"tables.{name}"
        if name not in TABLES:
            raise ConfigError(f"{path}: {where}: unknown table; the tables are {', '.join(sorted(TABLES))}")
        if table.time_zone is not None:
            _check_zone(path, f"{where}.time_zone", table.time_zone)
        ours = set(TABLES[name].schema)
        for key, group in (
            ("columns", table.columns),
            ("constants", table.constants),
            ("values", table.values),
        ):
            for column in group:
                if column not in ours:
                    raise ConfigError(
                        f"{path}: {where}.{key}.{column}: no such column; "
                        f"{name} has {', '.join(TABLES[name].schema)}"
                    )
        for pattern in table.files:
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                raise ConfigError(
                    f"{path}: {where}.files: {pattern!r} leaves the folder of --from; name files below it"
                )
        for column, theirs in table.columns.items():
            if isinstance(theirs, tuple) and (column != "category" or not theirs):
                raise ConfigError(
                    f"{path}: {where}.columns.{column}: only category is made of a list of columns; name one"
                )
        for column in table.constants.keys() & table.columns.keys():
            raise ConfigError(f"{path}: {where}: {column} has both a column and a constant; keep one")
        if name != "events" and (table.returns or table.line_total is not None):
            raise ConfigError(f"{path}: {where}: returns and line_total belong to tables.events")
        if any(rule.negative_quantity for rule in table.leave_out):
            raise ConfigError(f"{path}: {where}.leave_out: negative_quantity belongs to returns")
        if table.line_total is not None and "unit_price" in table.columns.keys() | table.constants.keys():
            raise ConfigError(f"{path}: {where}: line_total and unit_price exclude each other; keep one")
        if table.one_row_per_key and not TABLES[name].key:
            raise ConfigError(f"{path}: {where}.one_row_per_key: {name} has no key; leave it out")


def _check_zone(path: Path, where: str, zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f'{path}: {where} = {zone!r}: no such time zone; give an IANA name such as "Asia/Shanghai"'
        ) from error
