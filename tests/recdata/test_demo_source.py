import io
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from recdata.config import DataConfig
from recdata.demo_source import TIMEZONE, demo_data_folder, write_demo_source
from recdata.demo_source.names import readable
from recdata.errors import TableError
from recdata.importing import import_tables
from recdata.tables import read_table

PRODUCTS = [
    (1, "GROCERY", "YOGURT", "YOGURT NOT MULTI-PACKS", "Private", "6 OZ"),
    (2, "GROCERY", "FRZN JCE CONC/DRNKS", None, "National", None),
    (3, "FUEL", "COUPON/MISC ITEMS", "GASOLINE-REG UNLEADED", "National", None),
    (4, "MISCELLANEOUS", "COUPON/MISC ITEMS", "GASOLINE-REG UNLEADED", "National", None),
    (5, "GROCERY", "BOTTLE DEPOSITS", "DEPOSITS", "National", None),
    (6, "PASTRY", None, None, "Private", None),
]
# household, store, basket, product, quantity, sales_value, time in UTC
LINES = [
    (1, 10, 100, 1, 2, 3.0, datetime(2017, 1, 1, 17)),  # noqa: DTZ001 (the source's times carry no zone)
    (1, 10, 100, 2, 1, 5.0, datetime(2017, 1, 1, 17)),  # noqa: DTZ001
    (2, 11, 101, 1, 1, 1.5, datetime(2017, 1, 3, 4, 30)),  # noqa: DTZ001
    (2, 11, 101, 1, 0, 0.0, datetime(2017, 1, 4)),  # noqa: DTZ001
    (2, 11, 101, 3, 10_000, 25.0, datetime(2017, 1, 4)),  # noqa: DTZ001
    (2, 11, 101, 4, 9_000, 20.0, datetime(2017, 1, 4)),  # noqa: DTZ001
    (2, 11, 101, 5, 1, 0.1, datetime(2017, 1, 4)),  # noqa: DTZ001
    (2, 11, 101, 99, 1, 1.0, datetime(2017, 1, 4)),  # noqa: DTZ001
]
# product, store, display, mailer, week: product 1 is carried by stores 10, 11 and 12, product 2 by 10 and 12.
PROMOTED = [
    (1, 10, "0", "A", 2),
    (1, 10, "0", "A", 2),  # said twice, counts once
    (1, 12, "7", "D", 2),
    (3, 10, "0", "A", 2),
    (1, 10, "0", "0", 2),
    (1, 12, "7", "0", 3),
    (2, 12, "9", "0", 3),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    product = ["product_id", "department", "product_category", "product_type", "brand", "package_size"]
    line = ["household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value"]
    promoted = ["product_id", "store_id", "display_location", "mailer_location", "week"]
    frames = {
        "products": pl.DataFrame(PRODUCTS, schema=product, orient="row").with_columns(manufacturer_id=7),
        "transactions": pl.DataFrame(LINES, schema=[*line, "transaction_timestamp"], orient="row"),
        "promotions": pl.DataFrame(PROMOTED, schema=promoted, orient="row"),
        "campaign_descriptions": pl.DataFrame(
            {
                "campaign_id": [1, 2],
                "campaign_type": ["Type A", "Type B"],
                "start_date": [datetime(2017, 5, 8)] * 2,  # noqa: DTZ001
                "end_date": [datetime(2017, 6, 25)] * 2,  # noqa: DTZ001
            }
        ),
        "coupons": pl.DataFrame(
            {"coupon_upc": [1, 2, 3, 4], "product_id": [1, 2, 2, 3], "campaign_id": [1, 2, 2, 2]}
        ),
        "demographics": pl.DataFrame({"household_id": [2], "age": ["45-54"]}),
    }
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return folder


@pytest.fixture
def home(data: Path, tmp_path: Path) -> Path:
    """Returns a home into which the demo source has been imported without a single reject."""
    console = Console(quiet=True)
    write_demo_source(tmp_path / "source", console, data=data)
    config = DataConfig(business_timezone=TIMEZONE, max_reject_share=0.0)
    import_tables(
        tmp_path / "source",
        None,
        tmp_path / "home",
        config,
        now=datetime(2020, 1, 1, tzinfo=UTC),
        console=console,
    )
    return tmp_path / "home"  # fmt: skip


def test_order_lines_become_purchases_at_net_unit_prices(home: Path) -> None:
    events = read_table(home, "events")
    columns = ("user_id", "item_id", "event_time", "quantity", "unit_price", "order_id", "channel", "region")
    assert events.select(columns).rows() == [
        ("1", "1", datetime(2017, 1, 1, 17, tzinfo=UTC), 2.0, 1.5, "100", "store", "store-10"),
        ("1", "2", datetime(2017, 1, 1, 17, tzinfo=UTC), 1.0, 5.0, "100", "store", "store-10"),
        ("2", "1", datetime(2017, 1, 3, 4, 30, tzinfo=UTC), 1.0, 1.5, "101", "store", "store-11"),
    ]


def test_products_get_a_category_path_and_a_title_that_tells_them_apart(home: Path) -> None:
    assert read_table(home, "items").select("item_id", "title", "category", "brand").rows() == [
        (
            "1",
            "Yogurt Not Multi-Packs, 6 Oz, Private (1)",
            "Grocery > Yogurt > Yogurt Not Multi-Packs",
            "Private",
        ),
        (
            "2",
            "Frozen Juice Concentrate/Drinks, National (2)",
            "Grocery > Frozen Juice Concentrate/Drinks",
            "National",
        ),
        ("6", "Pastry, Private (6)", "Pastry", "Private"),
    ]


def test_every_household_is_a_customer_and_demographics_are_attributes(home: Path) -> None:
    assert read_table(home, "customers").select("user_id", "attributes").rows() == [
        ("1", '{"age":null}'),
        ("2", '{"age":"45-54"}'),
    ]


def test_an_item_is_promoted_when_half_of_its_stores_promote_it_and_campaigns_of_type_a_are_not(
    home: Path,
) -> None:
    promotions = read_table(home, "promotions").sort("promotion_id")
    assert promotions.select("promotion_id", "kind", "starts_at", "ends_at", "item_ids").rows() == [
        (
            "campaign-2",
            "coupon",
            datetime(2017, 5, 8, 4, tzinfo=UTC),
            datetime(2017, 6, 26, 4, tzinfo=UTC),
            ["2"],
        ),
        (
            "display-week-3",
            "display",
            datetime(2017, 1, 9, 5, tzinfo=UTC),
            datetime(2017, 1, 16, 5, tzinfo=UTC),
            ["2"],
        ),
        (
            "mailer-week-2",
            "mailer",
            datetime(2017, 1, 2, 5, tzinfo=UTC),
            datetime(2017, 1, 9, 5, tzinfo=UTC),
            ["1"],
        ),
    ]


def test_what_is_left_out_is_counted_and_printed(data: Path, tmp_path: Path) -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    summary = write_demo_source(tmp_path / "source", console, data=data)
    assert summary.rows == {"events": 3, "items": 3, "customers": 2, "promotions": 3}
    assert summary.left_out == {
        "products: no merchandise": 3,
        "order lines: fuel": 2,
        "order lines: no merchandise": 1,
        "order lines: product unknown": 1,
        "order lines: quantity 0": 1,
        "mailer and display rows: neither mailed nor displayed": 1,
        "mailer and display rows: product is no merchandise": 1,
        "promoted weeks of items: in less than 50% of their stores": 2,
        "campaigns: Type A, coupons chosen for each household": 1,
        "campaign products: no merchandise": 1,
    }
    text = console.export_text()
    assert all(what in text for what in summary.left_out)


def test_a_source_that_is_already_written_is_not_written_again(data: Path, tmp_path: Path) -> None:
    console = Console(quiet=True)
    first = write_demo_source(tmp_path / "source", console, data=data)
    written = (tmp_path / "source" / "events.parquet").stat().st_mtime_ns
    assert write_demo_source(tmp_path / "source", console, data=data) == first
    assert (tmp_path / "source" / "events.parquet").stat().st_mtime_ns == written
    (tmp_path / "source" / "events.parquet").unlink()
    write_demo_source(tmp_path / "source", console, data=data)
    assert (tmp_path / "source" / "events.parquet").is_file()


def test_a_missing_file_is_an_error(data: Path, tmp_path: Path) -> None:
    (data / "coupons.parquet").unlink()
    with pytest.raises(TableError, match=r"coupons\.parquet: not there"):
        write_demo_source(tmp_path / "source", Console(quiet=True), data=data)


def test_names_are_spelt_out() -> None:
    names = pl.Series(["FRZN JCE CONC/DRNKS", "CHEF'S  CHOICE", " ", None], dtype=pl.String)
    assert readable(names).to_list() == ["Frozen Juice Concentrate/Drinks", "Chef's Choice", None, None]


def test_weeks_of_the_data_run_from_monday_to_sunday_of_the_stores() -> None:
    week = (
        pl.scan_parquet(demo_data_folder() / "transactions.parquet")
        .select("week", day=pl.col("transaction_timestamp").dt.replace_time_zone("UTC"))
        .with_columns(pl.col("day").dt.convert_time_zone(TIMEZONE).dt.date())
        .filter(pl.col("week") != 1 + (pl.col("day") - pl.date(2016, 12, 26)).dt.total_days() // 7)
        .collect()
    )
    assert week.height == 0
