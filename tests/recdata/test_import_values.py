from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from recdata.errors import ConfigError, TableError
from recdata.tables import read_table
from tests.recdata.import_shop import Shop

ITEMS = "item_id,title,category\na,Apple,Food\n"
NAMES = "user_id,item_id,event_type,event_time,quantity,unit_price\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.put("items.csv", ITEMS)
    return shop


def put_events(shop: Shop, *rows: str) -> None:
    shop.put("events.csv", NAMES + "u0,a,purchase,2025-03-01,1,1\n" + "".join(f"{row}\n" for row in rows))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1.234,5", 1234.5),
        ("1.234.567", 1234567.0),
        ("1234,5", 1234.5),
        ("-0,5", None),
        ("1.5", None),
        ("1.23,4", None),
        ("1,234.5", None),
        ("5,00 €", None),
    ],
)
def test_with_decimal_commas_a_point_parts_thousands_or_is_no_number(
    shop: Shop, written: str, meant: float | None
) -> None:
    put_events(shop, f'u1,a,purchase,2025-03-01,1,"{written}"')
    shop.run("csv.decimal_comma = true\n")
    events = read_table(shop.home, "events").filter(user_id="u1")
    assert events["unit_price"].to_list() == ([] if meant is None else [meant])
    if meant is None:
        assert shop.rejects("events")[0]["value"] == written


@pytest.mark.parametrize("price", ["¥5", "$5.00", "1,234.50", "free", "１"])
def test_a_price_with_a_currency_sign_or_the_wrong_separators_is_rejected(shop: Shop, price: str) -> None:
    put_events(shop, f'u1,a,purchase,2025-03-01,1,"{price}"')
    assert shop.run().tables["events"].rejected == {"wrong_type": 1}


@pytest.mark.parametrize("row", ["1e10,1", "1e300,1", "1,1e13", "1,NaN", "inf,1"])
def test_numbers_that_would_drown_every_sum_are_rejected(shop: Shop, row: str) -> None:
    put_events(shop, f"u1,a,purchase,2025-03-01,{row}")
    assert shop.run().tables["events"].rejected == {"out_of_range": 1}


@pytest.mark.parametrize("identity", ["00123", "1000000000000000000", "12345678901234567890", "1e18", "1.0"])
def test_ids_that_look_like_numbers_stay_as_they_are_written(shop: Shop, identity: str) -> None:
    put_events(shop, f"{identity},a,view,2025-03-01,1,1")
    shop.run()
    assert read_table(shop.home, "events")["user_id"].to_list() == ["u0", identity]


@pytest.mark.parametrize("time", ["2025-03-01T10:00Z", "2025-03-01 18:00+08:00", "2025-03-01T18:00+0800"])
def test_a_time_with_an_offset_needs_no_seconds(shop: Shop, time: str) -> None:
    put_events(shop, f"u1,a,view,{time},1,1")
    shop.run()
    assert read_table(shop.home, "events")["event_time"][1] == datetime(2025, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "time", ["45717", "45717.5", "20250301", "2025-02-29", "01.03.2025", "2025-03-01T24:00"]
)
def test_a_time_in_another_writing_is_rejected_and_never_guessed(shop: Shop, time: str) -> None:
    put_events(shop, f"u1,a,view,{time},1,1")
    assert shop.run().tables["events"].rejected == {"wrong_type": 1}
    assert shop.rejects("events")[0]["value"] == time


def test_column_names_are_found_in_any_case_and_with_blanks_around(shop: Shop) -> None:
    shop.put("events.csv", " User_ID ,ITEM_ID,event_type,event_time,Quantity\nu1,a,view,2025-03-01,3\n")
    assert shop.run().tables["events"].ignored_columns == ()
    assert read_table(shop.home, "events")["quantity"].to_list() == [3.0]


def test_of_two_columns_like_ours_neither_is_guessed(shop: Shop) -> None:
    shop.put("events.csv", "User_ID,USER_ID,item_id,event_type,event_time\nu1,u2,a,view,2025-03-01\n")
    with pytest.raises(TableError, match="no column 'user_id'"):
        shop.run()


def test_a_column_that_the_mapping_uses_is_not_taken_for_another_one_of_like_name(shop: Shop) -> None:
    shop.put("events.csv", "user_id,item_id,event_type,event_time,Region\nu1,a,view,2025-03-01,north\n")
    shop.run('[tables.events.columns]\nchannel = "Region"\n')
    assert read_table(shop.home, "events").select("channel", "region").row(0) == ("north", None)


def test_a_name_that_stands_twice_is_an_error_where_it_is_used(shop: Shop) -> None:
    shop.put("events.csv", "user_id,item_id,event_type,event_time,user_id\nu1,a,view,2025-03-01,u2\n")
    with pytest.raises(TableError, match=r"two columns are called 'user_id'.*rename one"):
        shop.run()
    shop.put("events.csv", "user_id,item_id,event_type,event_time,x,x\nu1,a,view,2025-03-01,u2,u3\n")
    assert shop.run().tables["events"].kept == 1


def test_parquet_of_many_types_is_read_and_what_json_cannot_hold_is_not_an_attribute(shop: Shop) -> None:
    (shop.source / "items.csv").unlink()
    pl.DataFrame({"item_id": ["a"], "title": ["A"], "category": ["F"], "price": ["1.50"]}).with_columns(
        pl.col("title", "category").cast(pl.Categorical),
        pl.col("price").cast(pl.Decimal(8, 2)),
        size=pl.lit(2),
        parts=pl.lit([1, 2]),
        picture=pl.lit(b"\xff"),
        pictures=pl.struct(a=pl.lit(b"\xff")),
        lasts=pl.lit(timedelta(1)),
    ).write_parquet(shop.source / "items.parquet")
    put_events(shop)
    assert shop.run().tables["items"].ignored_columns == ("picture", "pictures", "lasts")
    item = read_table(shop.home, "items").row(0, named=True)
    assert (item["title"], item["price"]) == ("A", 1.5)
    assert item["attributes"] == '{"size":2,"parts":[1,2]}'
    with pytest.raises(TableError, match="'picture' is Binary, which JSON cannot hold"):
        shop.run('[tables.items]\nattributes = ["picture"]\n')


@pytest.mark.parametrize(
    ("mapping", "fault"),
    [
        ('csv.encoding = "hex"', "csv.encoding = 'hex'"),
        ('csv.encoding = "a\\u0000b"', "no such encoding"),
        ('csv.separator = "\\""', "two different characters"),
        ('csv.separator = "\\n"', "neither a line end"),
    ],
)
def test_a_csv_option_that_cannot_work_is_an_error(shop: Shop, mapping: str, fault: str) -> None:
    put_events(shop)
    with pytest.raises(ConfigError, match=fault):
        shop.run(mapping)
