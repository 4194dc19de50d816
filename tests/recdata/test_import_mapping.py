from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recdata.errors import ConfigError, MissingColumnError, TableError
from recdata.importing import load_mapping
from recdata.importing.checks import REASONS
from recdata.tables import read_table
from tests.recdata.import_shop import Shop

EXAMPLE = Path(__file__).parents[2] / "examples" / "mapping.toml"

ORDER_LINES = """单号;商品;名称;大类;小类;买家;下单时间;件数;金额;状态
1001;tea-1;龙井;食品;茶;张三;2025/03/01 08:30;2;1.234,50;已完成
1002;tea-1;龙井茶;食品;茶;李四;2025/03/01 09:00;1;617,25;已完成
C1003;tea-1;龙井茶;食品;茶;张三;2025/03/02 10:00;2;1.234,50;已完成
1004;cup-1;茶杯;家居;;李四;2025/03/03 00:10;-1;-20,00;已完成
1005;cup-1;茶杯;家居;;王五;2025/03/03 11:00;1;20,00;测试
"""
ORDER_MAPPING = """
[csv]
separator = ";"
decimal_comma = true
encoding = "gb18030"

[time]
zone = "Asia/Shanghai"

[tables.events]
files = ["订单*.csv"]
columns.order_id = "单号"
columns.item_id = "商品"
columns.user_id = "买家"
columns.quantity = "件数"
columns.event_time = "下单时间"
constants = { event_type = "purchase", channel = "tmall" }
line_total = "金额"
time_formats = ["%Y/%m/%d %H:%M"]

[[tables.events.returns]]
negative_quantity = true

[[tables.events.returns]]
column = "单号"
prefix = "C"

[[tables.events.leave_out]]
column = "状态"
values = ["测试"]

[tables.items]
files = ["订单*.csv"]
columns = { item_id = "商品", title = "名称", category = ["大类", "小类"] }
one_row_per_key = true

[tables.customers]
files = ["订单*.csv"]
columns = { user_id = "买家" }
one_row_per_key = true
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_one_combined_order_line_table_feeds_events_items_and_customers(shop: Shop) -> None:
    (shop.source / "订单2025.csv").write_bytes(ORDER_LINES.encode("gb18030"))
    report = shop.run(ORDER_MAPPING)
    events = read_table(shop.home, "events")
    columns = ("user_id", "item_id", "event_type", "event_time", "quantity", "unit_price", "order_id")
    assert events.select(columns).rows() == [
        ("张三", "tea-1", "purchase", datetime(2025, 3, 1, 0, 30, tzinfo=UTC), 2.0, 617.25, "1001"),
        ("李四", "tea-1", "purchase", datetime(2025, 3, 1, 1, 0, tzinfo=UTC), 1.0, 617.25, "1002"),
        ("张三", "tea-1", "return", datetime(2025, 3, 2, 2, 0, tzinfo=UTC), 2.0, 617.25, "C1003"),
        ("李四", "cup-1", "return", datetime(2025, 3, 2, 16, 10, tzinfo=UTC), 1.0, 20.0, "1004"),
    ]
    assert report.tables["events"].left_out == 1
    assert sorted(read_table(shop.home, "items").select("item_id", "title", "category").rows()) == [
        ("cup-1", "茶杯", "家居"),
        ("tea-1", "龙井茶", "食品 > 茶"),
    ]
    assert report.tables["items"].repeated == 3
    assert sorted(read_table(shop.home, "customers")["user_id"]) == ["张三", "李四", "王五"]


def put_items(shop: Shop) -> None:
    shop.put("items.csv", "item_id,title,category\na,Apple,Food\n")


def test_event_types_are_mapped_by_value_and_a_status_makes_a_return(shop: Shop) -> None:
    put_items(shop)
    shop.put(
        "log.csv",
        "user_id,item_id,event_type,event_time,state\n"
        "u,a,pv,2025-03-01T00:00:00Z,\nu,a,buy,2025-03-01T00:00:00+08:00,refunded\nu,a,buy,2025-03-02,ok\n",
    )
    shop.run(
        '[tables.events]\nfiles = ["log.csv"]\nvalues.event_type = { pv = "view", buy = "purchase" }\n'
        '[[tables.events.returns]]\ncolumn = "state"\nvalues = ["refunded"]\n'
    )
    assert read_table(shop.home, "events").select("event_type", "event_time").rows() == [
        ("view", datetime(2025, 3, 1, tzinfo=UTC)),
        ("return", datetime(2025, 2, 28, 16, tzinfo=UTC)),
        ("purchase", datetime(2025, 3, 2, tzinfo=UTC)),
    ]


def test_the_hour_that_comes_twice_is_the_earlier_and_the_skipped_hour_is_rejected(shop: Shop) -> None:
    put_items(shop)
    shop.put(
        "events.csv",
        "user_id,item_id,event_type,event_time\nu,a,view,2025-11-02 01:30:00\nu,a,view,2025-03-09 02:30:00\n",
    )
    report = shop.run('[time]\nzone = "America/New_York"\n')
    assert read_table(shop.home, "events")["event_time"].to_list() == [
        datetime(2025, 11, 2, 5, 30, tzinfo=UTC)
    ]
    assert report.tables["events"].rejected == {"wrong_type": 1}


@pytest.mark.parametrize(("unit", "factor"), [("epoch_s", 1), ("epoch_ms", 1000)])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_times_may_be_seconds_or_milliseconds_since_1970(
    shop: Shop, unit: str, factor: int, suffix: str
) -> None:
    put_items(shop)
    moment = datetime(2025, 3, 1, 12, tzinfo=UTC)
    frame = pl.DataFrame(
        {"user_id": "u", "item_id": "a", "event_type": "view", "event_time": int(moment.timestamp()) * factor}
    )
    getattr(frame, f"write_{suffix}")(shop.source / f"events.{suffix}")
    shop.run(f'[tables.events]\ntime_formats = ["{unit}"]\n')
    assert read_table(shop.home, "events")["event_time"].to_list() == [moment]


def test_a_number_too_large_for_a_time_is_rejected(shop: Shop) -> None:
    put_items(shop)
    shop.put(
        "events.csv",
        "user_id,item_id,event_type,event_time\nu,a,view,1735689600\nu,a,view,9223372036854775807\n",
    )
    report = shop.run('[tables.events]\ntime_formats = ["epoch_s"]\n')
    assert report.tables["events"].rejected == {"wrong_type": 1}


def test_numbers_as_times_without_a_unit_are_an_error_with_the_remedy(shop: Shop) -> None:
    put_items(shop)
    pl.DataFrame(
        {"user_id": ["u"], "item_id": ["a"], "event_type": ["view"], "event_time": [1]}
    ).write_parquet(shop.source / "events.parquet")
    with pytest.raises(TableError, match=r'time_formats = \["epoch_s"\]'):
        shop.run()


def test_naive_times_are_utc_by_default_and_a_table_can_have_its_own_zone(shop: Shop) -> None:
    put_items(shop)
    shop.put("events.csv", "user_id,item_id,event_type,event_time\nu,a,view,2025-03-01 00:00\n")
    shop.run()
    assert read_table(shop.home, "events")["event_time"].item() == datetime(2025, 3, 1, tzinfo=UTC)
    shop.run('[tables.events]\ntime_zone = "Asia/Shanghai"\n')
    assert read_table(shop.home, "events")["event_time"].item() == datetime(2025, 2, 28, 16, tzinfo=UTC)


def test_category_separator_null_values_and_chosen_attributes_are_mapped(shop: Shop) -> None:
    shop.put("items.csv", "item_id,title,category,brand,size,colour\na,Apple,Food/Fruit,N.A.,big,red\n")
    shop.put("events.csv", "user_id,item_id,event_type,event_time\nu,a,view,2025-03-01\n")
    report = shop.run(
        '[csv]\nnull_values = ["N.A."]\n[tables.items]\ncategory_separator = "/"\nattributes = ["size"]\n'
    )
    row = read_table(shop.home, "items").row(0, named=True)
    assert (row["category"], row["brand"], row["attributes"]) == ("Food > Fruit", None, '{"size":"big"}')
    assert report.tables["items"].ignored_columns == ("colour",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tables.event]\n", "tables.event: unknown table; the tables are customers, events"),
        ("[tables.events]\ncolumns.sku = 'x'\n", "tables.events.columns.sku: no such column; events has"),
        ("[tables.events]\nfile = ['x']\n", "tables.events: Object contains unknown field `file`"),
        ("[csv]\nseparator = ';;'\n", "csv.separator: Expected `str` of length <= 1"),
        ("[csv]\nencoding = 'klingon'\n", "csv.encoding = 'klingon': no such encoding"),
        ("[time]\nzone = 'Mars/Base'\n", "time.zone = 'Mars/Base': no such time zone"),
        ("[tables.events]\ntime_zone = 'x'\n", "tables.events.time_zone = 'x': no such time zone"),
        ("[tables.events]\ncolumns.user_id = ['a', 'b']\n", "only category is made of a list"),
        (
            "[tables.events]\ncolumns.channel = 'x'\nconstants.channel = 'y'\n",
            "channel has both a column and a constant",
        ),
        ("[tables.events]\nline_total = 'x'\ncolumns.unit_price = 'y'\n", "exclude each other"),
        ("[tables.items]\nline_total = 'x'\n", "returns and line_total belong to tables.events"),
        ("[tables.events]\none_row_per_key = true\n", "events has no key"),
        ("[[tables.events.returns]]\ncolumn = 'x'\n", "column goes with values or prefix"),
        ("[[tables.events.returns]]\ncolumn = 'x'\nprefix = ''\n", "an empty prefix would mean every row"),
        ("[[tables.events.leave_out]]\nnegative_quantity = true\n", "negative_quantity belongs to returns"),
        ("[tables.events]\nfiles = ['/etc/*.csv']\n", "'/etc/*.csv' leaves the folder"),
        ("[tables.events]\nfiles = ['../*.csv']\n", "'../*.csv' leaves the folder"),
        ("[tables.events\n", "cannot be read as TOML"),
    ],
)
def test_a_wrong_mapping_is_an_error_that_names_file_key_and_fault(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_mapping(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_mapping_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        load_mapping(tmp_path / "none.toml")


def test_a_mapped_column_that_the_file_has_not_is_an_error(shop: Shop) -> None:
    put_items(shop)
    shop.put("events.csv", "user_id,item_id,event_type,event_time\nu,a,view,2025-03-01\n")
    with pytest.raises(MissingColumnError, match="no column 'shop', needed for region"):
        shop.run('[tables.events]\ncolumns.region = "shop"\n')


def test_a_mapped_file_that_is_not_there_is_an_error(shop: Shop) -> None:
    put_items(shop)
    with pytest.raises(TableError, match=r"no file matches 'orders-\*.csv'"):
        shop.run('[tables.events]\nfiles = ["orders-*.csv"]\n')


def test_the_example_mapping_is_valid_and_speaks_of_every_key() -> None:
    mapping = load_mapping(EXAMPLE)
    text = EXAMPLE.read_text(encoding="utf-8")
    keys = {*mapping.csv.__struct_fields__, *mapping.time.__struct_fields__}
    keys |= {
        *mapping.tables["events"].__struct_fields__,
        *mapping.tables["events"].returns[0].__struct_fields__,
    }
    assert [key for key in sorted(keys) if f"{key}" not in text] == []


def test_the_documentation_explains_every_reason_and_every_mapping_key() -> None:
    text = (EXAMPLE.parents[1] / "docs" / "importing.md").read_text(encoding="utf-8")
    assert [reason for reason in REASONS if f"`{reason}`" not in text] == []
    assert [name for name in load_mapping(None).table("x").__struct_fields__ if f"`{name}`" not in text] == []


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["u", "", " ", "ü" * 200]),
        st.sampled_from(["a", "zebra", ""]),
        st.sampled_from(["view", "purchase", "gift"]),
        st.sampled_from(["2025-03-01", "2027-03-01", "soon", ""]),
        st.sampled_from(["1", "-1", "x", ""]),
    ),
    max_size=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_every_row_is_kept_or_rejected_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    shop = Shop(tmp_path_factory.mktemp("shop"))
    put_items(shop)
    lines = [("u", "a", "view", "2025-01-01", "1"), *rows]
    shop.put(
        "events.csv",
        "user_id,item_id,event_type,event_time,quantity\n" + "".join(",".join(line) + "\n" for line in lines),
    )
    counts = shop.run().tables["events"]
    assert counts.read == len(lines)
    assert counts.kept + counts.rejected_rows == counts.read
    assert read_table(shop.home, "events").height == counts.kept
    rejected = [int(row["row"]) for row in shop.rejects("events")] if counts.rejected else []
    assert len(set(rejected)) == len(rejected) == counts.rejected_rows
