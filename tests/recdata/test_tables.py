from pathlib import Path

import polars as pl
import pytest

from recdata.errors import MissingColumnError, TableError
from recdata.tables import EVENTS, TABLES, read_table, scan_table, table_path


def put(home: Path, name: str, frame: pl.DataFrame) -> None:
    table_path(home, name).parent.mkdir(exist_ok=True)
    frame.write_parquet(table_path(home, name))


def test_an_absent_optional_table_has_its_columns_and_no_rows(tmp_path: Path) -> None:
    assert scan_table(tmp_path, "market").collect_schema() == TABLES["market"].schema
    assert read_table(tmp_path, "market").height == 0


def test_an_absent_required_table_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no events table; import one first"):
        scan_table(tmp_path, "events")


def test_a_table_without_a_declared_column_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "ratings", pl.DataFrame(schema=TABLES["ratings"].schema).drop("score"))
    with pytest.raises(MissingColumnError, match="no column 'score'"):
        scan_table(tmp_path, "ratings")


def test_a_table_with_another_type_is_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame(schema=TABLES["ratings"].schema).with_columns(pl.col("score").cast(pl.Int64))
    put(tmp_path, "ratings", frame)
    with pytest.raises(TableError, match="column 'score' is Int64, not Float64"):
        scan_table(tmp_path, "ratings")


def test_columns_come_in_declared_order_and_extra_ones_do_not_come(tmp_path: Path) -> None:
    frame = pl.DataFrame(schema=EVENTS.schema)
    put(tmp_path, "events", frame.select(pl.lit(1).alias("extra"), *reversed(frame.columns)))
    assert read_table(tmp_path, "events").columns == list(EVENTS.schema)


def test_a_column_that_is_not_declared_has_no_declaration() -> None:
    assert EVENTS.column("quantity").default == 1.0
    with pytest.raises(KeyError):
        EVENTS.column("colour")


def test_required_columns_have_no_default() -> None:
    for table in TABLES.values():
        assert all(column.default is None for column in table.columns if column.required)
        assert set(table.key) <= set(table.required)
