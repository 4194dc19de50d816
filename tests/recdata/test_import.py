import gzip
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from recdata.config import DataConfig
from recdata.errors import ConfigError, MissingColumnError, RejectShareError, TableError
from recdata.importing import import_tables
from recdata.tables import read_table
from tests.recdata.import_shop import NOW, Shop

ITEMS = "item_id,title,category\na,Apple,Food > Fruit\nb,Bread,Food > Bakery\n"
PROMOTION = "promotion_id,kind,starts_at,ends_at"
EVENTS = (
    "user_id,item_id,event_type,event_time,quantity,unit_price\nu1,a,purchase,2025-03-01 10:00:00,2,1.5\n"
)


def naive(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.put("items.csv", ITEMS)
    shop.put("events.csv", EVENTS)
    return shop


def events_with(*rows: str) -> str:
    return EVENTS + "".join(f"{row}\n" for row in rows)


def test_csv_with_our_names_becomes_the_declared_table(shop: Shop) -> None:
    report = shop.run()
    assert report.tables["events"].kept == 1
    events = read_table(shop.home, "events")
    assert events.row(0, named=True) == {
        "user_id": "u1",
        "item_id": "a",
        "event_type": "purchase",
        "event_time": datetime(2025, 3, 1, 10, tzinfo=UTC),
        "quantity": 2.0,
        "unit_price": 1.5,
        "order_id": None,
        "session_id": None,
        "channel": None,
        "region": None,
        "promotion_id": None,
        "attribution_token": None,
    }
    assert read_table(shop.home, "items")["status"].to_list() == ["active", "active"]


def test_gzip_parquet_and_several_files_in_any_column_order_make_one_table(shop: Shop) -> None:
    (shop.source / "events-2.csv.gz").write_bytes(
        gzip.compress(b"event_time,event_type,item_id,user_id\n2025-03-02,view,b,u2\n")
    )
    (shop.source / "events").mkdir()
    pl.DataFrame(
        {"item_id": ["a"], "user_id": [7], "event_type": ["click"], "event_time": [naive(2025, 3, 3)]}
    ).write_parquet(shop.source / "events" / "part.parquet")
    report = shop.run()
    assert [file.name for file in report.tables["events"].files] == [
        "events-2.csv.gz",
        "events.csv",
        "events/part.parquet",
    ]
    assert read_table(shop.home, "events")["user_id"].to_list() == ["u2", "u1", "7"]
    assert read_table(shop.home, "events")["quantity"].to_list() == [1.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("row", "reason", "column", "value"),
    [
        (",a,purchase,2025-03-01,1,1", "missing_value", "user_id", ""),
        (" ,a,purchase,2025-03-01,1,1", "empty_id", "user_id", " "),
        (f"{'é' * 129},a,purchase,2025-03-01,1,1", "id_too_long", "user_id", "é" * 129),
        ("u,a,stolen,2025-03-01,1,1", "unknown_value", "event_type", "stolen"),
        ("u,a,purchase,yesterday,1,1", "wrong_type", "event_time", "yesterday"),
        ("u,a,purchase,2026-01-01 00:00:01,1,1", "time_in_future", "event_time", "2026-01-01 00:00:01"),
        ("u,a,purchase,1970-01-01,1,1", "out_of_range", "event_time", "1970-01-01"),
        ("u,a,purchase,2025-03-01,many,1", "wrong_type", "quantity", "many"),
        ("u,a,purchase,2025-03-01,0,1", "out_of_range", "quantity", "0"),
        ("u,a,purchase,2025-03-01,inf,1", "out_of_range", "quantity", "inf"),
        ("u,a,purchase,2025-03-01,1,-0.01", "negative_price", "unit_price", "-0.01"),
        ("u,zebra,purchase,2025-03-01,1,1", "unknown_item", "item_id", "zebra"),
        ("u1,a,purchase,2025-03-01 10:00:00,2,1.5", "duplicate_row", "item_id", "a"),
        # Two things are wrong: the first in the order of columns is the reason, and the row counts once.
        (",a,stolen,2025-03-01,1,-1", "missing_value", "user_id", ""),
    ],
)
def test_a_bad_event_is_rejected_with_its_row_reason_column_and_value(
    shop: Shop, row: str, reason: str, column: str, value: str
) -> None:
    shop.put("events.csv", events_with("u9,b,view,2025-03-05,,", row))
    report = shop.run()
    assert report.tables["events"].rejected == {reason: 1}
    assert (report.tables["events"].read, report.tables["events"].kept) == (3, 2)
    assert shop.rejects("events") == [
        {
            "table": "events",
            "file": "events.csv",
            "row": "3",
            "reason": reason,
            "column": column,
            "value": value,
        }
    ]


@pytest.mark.parametrize(
    ("table", "header", "row", "reason"),
    [
        ("items", "item_id,title,category", "c,Cake,Food >  > Cake", "bad_category"),
        ("items", "item_id,title,category", "c,Cake,Food >", "bad_category"),
        ("items", "item_id,title,category", "c,,Food", "missing_value"),
        ("items", "item_id,title,category,price", "c,Cake,Food,-1", "negative_price"),
        ("items", "item_id,title,category,stock", "c,Cake,Food,1.5", "wrong_type"),
        ("items", "item_id,title,category,status", "c,Cake,Food,gone", "unknown_value"),
        ("items", "item_id,title,category,attributes", "c,Cake,Food,[1]", "bad_json"),
        ("items", "item_id,title,category,attributes", "c,Cake,Food,{oops", "bad_json"),
        ("customers", "user_id,joined_at", "u,2027-01-01", "time_in_future"),
        ("promotions", PROMOTION, "p,sale,2025-02-01,2025-02-01", "ends_before_start"),
        ("promotions", PROMOTION + ",discount", "p,sale,2025-02-01,2025-02-02,30", "out_of_range"),
        ("promotions", PROMOTION + ",item_ids", "p,sale,2025-02-01,2025-02-02,x|y", "unknown_item"),
        ("market", "category,date,index", "Food,2026-01-02,1", "time_in_future"),
        ("ratings", "item_id,rated_at,score", "a,2025-02-01,10.5", "out_of_range"),
        ("ratings", "item_id,rated_at,score", "q,2025-02-01,9", "unknown_item"),
    ],
)  # fmt: skip
def test_a_bad_row_of_another_table_is_rejected(
    shop: Shop, table: str, header: str, row: str, reason: str
) -> None:
    good = {"items": "a,Apple,Food", "customers": "u,2025-01-01"}
    extra = "," * (header.count(",") - good.get(table, "").count(","))
    shop.put(
        f"{table}.csv", header + "\n" + (f"{good[table]}{extra}\n" if table in good else "") + f"{row}\n"
    )
    report = shop.run()
    assert report.tables[table].rejected == {reason: 1}


def test_of_two_items_with_one_id_the_first_counts(shop: Shop) -> None:
    shop.put("items.csv", ITEMS + "a,Another apple,Food\n")
    report = shop.run()
    assert report.tables["items"].rejected == {"duplicate_id": 1}
    assert read_table(shop.home, "items").filter(pl.col("item_id") == "a")["title"].to_list() == ["Apple"]
    assert shop.rejects("items")[0]["row"] == "3"


def test_equal_rows_are_kept_where_the_mapping_says_so(shop: Shop) -> None:
    shop.put("events.csv", events_with("u1,a,purchase,2025-03-01 10:00:00,2,1.5"))
    report = shop.run('[tables.events]\nduplicates = "keep"\n')
    assert report.tables["events"].kept == 2


def test_unicode_ids_and_ids_of_256_bytes_come_through_unchanged(shop: Shop) -> None:
    longest = "é" * 128
    shop.put("items.csv", ITEMS + f"商品-①,茶,食品 > 茶\n{longest},Long,Food\n")
    shop.put("events.csv", events_with("用户,商品-①,view,2025-03-02,,", f"u,{longest},view,2025-03-02,,"))
    report = shop.run()
    assert report.tables["events"].rejected == {}
    assert read_table(shop.home, "events")["item_id"].to_list() == ["a", "商品-①", longest]


def test_unknown_items_are_added_where_the_mapping_says_so(shop: Shop) -> None:
    shop.put("events.csv", events_with("u,zebra,view,2025-03-02,,", "u,yak,view,2025-03-02,,"))
    report = shop.run('[tables.events]\nunknown_items = "add"\n')
    assert report.tables["items"].added == 2
    added = read_table(shop.home, "items").filter(pl.col("category") == "Unknown")
    assert added.select("item_id", "title", "status").rows() == [
        ("yak", "yak", "active"),
        ("zebra", "zebra", "active"),
    ]


def test_a_promotion_keeps_the_items_that_are_known_and_says_how_many_are_not(shop: Shop) -> None:
    shop.put(
        "promotions.csv",
        "promotion_id,kind,starts_at,ends_at,item_ids,category\n"
        "p1,sale,2025-02-01,2025-02-02,a|x|b|a,\np2,sale,2025-02-01,2025-02-02,,Food\n",
    )
    report = shop.run()
    assert read_table(shop.home, "promotions")["item_ids"].to_list() == [["a", "b"], None]
    assert report.tables["promotions"].notes == (
        "1 listed item ids are not in the items table and were taken out",
    )


def test_extra_columns_of_items_and_customers_become_attributes_and_those_of_events_are_named(
    shop: Shop,
) -> None:
    shop.put("items.csv", "item_id,title,category,colour\na,Apple,Food,red\n")
    shop.put("customers.csv", "user_id,age\nu1,45-54\n")
    shop.put("events.csv", "user_id,item_id,event_type,event_time,till\nu1,a,view,2025-03-01,7\n")
    report = shop.run()
    assert read_table(shop.home, "items")["attributes"].to_list() == ['{"colour":"red"}']
    assert read_table(shop.home, "customers")["attributes"].to_list() == ['{"age":"45-54"}']
    assert report.tables["events"].ignored_columns == ("till",)
    assert "events: columns not used: till" in shop.console.export_text()


def test_past_the_reject_share_nothing_is_replaced_and_the_rejects_can_be_read(shop: Shop) -> None:
    shop.run()
    before = read_table(shop.home, "events")
    shop.put("events.csv", events_with("u,zebra,view,2025-03-02,,"))
    with pytest.raises(
        RejectShareError, match=r"table events: 1 of 2 rows rejected \(50.0%; unknown_item 1\)"
    ):
        shop.run(max_reject_share=0.49)
    assert read_table(shop.home, "events").equals(before)
    assert "unknown_item" in (shop.home / "refused-import" / "rejects" / "events.csv").read_text()
    shop.run(max_reject_share=0.5)
    assert not (shop.home / "refused-import").exists()
    assert sorted(path.name for path in shop.home.iterdir()) == ["runs", "tables"]


def test_an_unchanged_source_is_skipped_and_a_changed_one_is_not(shop: Shop) -> None:
    assert not shop.run().skipped
    assert shop.run().skipped
    assert "nothing has changed" in shop.console.export_text()
    (shop.source / "events.csv").touch()
    assert shop.run().skipped
    shop.put("events.csv", events_with("u2,a,view,2025-03-02,,"))
    assert not shop.run().skipped
    assert not shop.run("[time]\nzone = 'Asia/Shanghai'\n").skipped


def test_a_row_rejected_for_the_future_is_looked_at_again_later(shop: Shop) -> None:
    shop.put("events.csv", events_with("u2,a,view,2026-01-02,,"))
    assert shop.run().tables["events"].kept == 1
    later = datetime(2026, 1, 3, tzinfo=UTC)
    report = shop.run(now=later)
    assert (report.skipped, report.tables["events"].kept) == (False, 2)


def test_an_import_killed_between_its_two_renames_leaves_tables_that_come_back(shop: Shop) -> None:
    shop.run()
    (shop.home / "tables").rename(shop.home / ".tables.old")
    assert shop.run().skipped
    assert read_table(shop.home, "events").height == 1


def test_an_empty_folder_is_an_error_that_says_what_to_put_there(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    with pytest.raises(TableError, match=r"no table found \(there is: nothing\)"):
        shop.run()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such folder"):
        import_tables(
            tmp_path / "none", None, tmp_path / "home", DataConfig(), now=NOW, console=Console(quiet=True)
        )


def test_a_folder_without_items_is_an_error(shop: Shop) -> None:
    (shop.source / "items.csv").unlink()
    with pytest.raises(TableError, match=r"no items table \(found: events\)"):
        shop.run()


def test_a_missing_column_is_named_with_the_file_its_columns_and_the_remedy(shop: Shop) -> None:
    shop.put("events.csv", "user_id,sku,event_type,event_time\nu1,a,view,2025-03-01\n")
    with pytest.raises(MissingColumnError) as caught:
        shop.run()
    message = str(caught.value)
    assert "events.csv: no column 'item_id'" in message
    assert "the file has: user_id, sku, event_type, event_time" in message
    assert '[tables.events] columns.item_id = "..."' in message


def test_a_parquet_column_of_a_type_that_cannot_be_read_is_an_error(shop: Shop) -> None:
    (shop.source / "events.csv").unlink()
    pl.DataFrame(
        {"user_id": [1.5], "item_id": ["a"], "event_type": ["view"], "event_time": [naive(2025, 1, 1)]}
    ).write_parquet(shop.source / "events.parquet")
    with pytest.raises(TableError, match="column 'user_id' is Float64, which cannot be read as String"):
        shop.run()


@pytest.mark.parametrize("content", ["", "user_id,item_id,event_type,event_time\n"])
def test_an_events_file_without_rows_is_an_error(shop: Shop, content: str) -> None:
    shop.put("events.csv", content)
    with pytest.raises(TableError, match=r"events"):
        shop.run()
    assert not (shop.home / "tables").exists()


def test_an_optional_table_without_rows_is_fine(shop: Shop) -> None:
    shop.put("ratings.csv", "item_id,rated_at,score\n")
    assert shop.run().tables["ratings"].kept == 0
    assert read_table(shop.home, "ratings").height == 0


def test_a_parquet_file_that_is_damaged_inside_is_an_error_that_speaks_of_no_csv(shop: Shop) -> None:
    path = shop.source / "customers.parquet"
    pl.DataFrame({"user_id": [f"u{number}" for number in range(5_000)]}).write_parquet(path)
    content = bytearray(path.read_bytes())
    content[4:64] = bytes(byte ^ 0xA5 for byte in content[4:64])  # the first page's head, not the footer
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"customers\.parquet\): .*damaged: write or copy it again"):
        shop.run()


def test_a_file_that_is_no_parquet_is_an_error(shop: Shop) -> None:
    shop.put("customers.parquet", "hello")
    with pytest.raises(TableError, match=r"customers.parquet: cannot be read as Parquet"):
        shop.run()


def test_a_gzip_file_that_ends_too_early_is_an_error(shop: Shop) -> None:
    whole = gzip.compress((EVENTS + "".join(f"u{n},a,view,2025-03-01,,\n" for n in range(9999))).encode())
    (shop.source / "events-2.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError, match=r"events-2.csv.gz"):
        shop.run()


def test_line_ends_and_a_byte_order_mark_of_windows_are_read(shop: Shop) -> None:
    (shop.source / "events.csv").write_bytes(EVENTS.replace("\n", "\r\n").encode("utf-8-sig"))
    assert shop.run().tables["events"].kept == 1
    assert read_table(shop.home, "events")["unit_price"].to_list() == [1.5]


def test_now_without_a_zone_is_an_error(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="has no time zone"):
        shop.run(now=naive(2026, 1, 1))


def test_a_rejected_share_of_zero_rows_is_allowed_with_a_share_of_zero(shop: Shop) -> None:
    assert shop.run(max_reject_share=0.0).tables["events"].kept == 1
