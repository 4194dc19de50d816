from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from recdata.artefacts import SCHEMAS, read_artefact
from recdata.config import DataConfig
from recdata.errors import RunError, TableError
from recdata.runs import RunFolder, StageRecord
from recdata.tables import TABLES, table_path
from training.prepare import PRICE_DAYS, check_as_of, default_as_of, prepare_stage

SHANGHAI = DataConfig(business_timezone="Asia/Shanghai")
AS_OF = date(2025, 3, 10)


def at(day: int, hour: int = 4) -> datetime:
    return datetime(2025, 3, day, hour, tzinfo=UTC)


def put(home: Path, name: str, rows: list[dict[str, object]]) -> None:
    table = TABLES[name]
    full = [{column.name: column.default for column in table.columns} | row for row in rows]
    table_path(home, name).parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(full, schema=table.schema).write_parquet(table_path(home, name))


def event(user: str, item: str, kind: str, time: datetime, **more: object) -> dict[str, object]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": time} | more


def item(item_id: str, category: str = "Food", **more: object) -> dict[str, object]:
    return {"item_id": item_id, "title": item_id.upper(), "category": category} | more


def prepare(home: Path, data: DataConfig = SHANGHAI, as_of: date = AS_OF) -> StageRecord:
    run = RunFolder(home=home, run_id="r", as_of=as_of, console=Console(quiet=True))
    return run.execute([prepare_stage(data)])[0]


def artefact(home: Path, name: str) -> pl.DataFrame:
    frame = read_artefact(home / "runs" / "r" / f"{name}.parquet", name)
    assert dict(frame.schema) == {column: dtype for column, dtype in SCHEMAS[name].items()}  # noqa: C416
    return frame


def test_rows_are_positions_in_id_order_and_those_without_events_are_there_too(tmp_path: Path) -> None:
    put(tmp_path, "items", [item("b"), item("a"), item("never")])
    put(tmp_path, "customers", [{"user_id": "z", "region": "north"}, {"user_id": "idle"}])
    put(tmp_path, "events", [event("y", "b", "view", at(1)), event("z", "a", "purchase", at(2), region="s")])
    record = prepare(tmp_path)
    assert artefact(tmp_path, "items").select("item_row", "item_id").rows() == [
        (0, "a"),
        (1, "b"),
        (2, "never"),
    ]
    assert artefact(tmp_path, "users").rows() == [
        (0, "idle", "", None, None, 0),
        (1, "y", "", date(2025, 3, 1), date(2025, 3, 1), 0),
        (2, "z", "north", date(2025, 3, 2), date(2025, 3, 2), 1),
    ]
    assert record.summary["users"] == 3


def test_a_business_day_ends_at_midnight_of_the_business_zone_and_as_of_is_not_in_it(tmp_path: Path) -> None:
    put(tmp_path, "items", [item("a")])
    put(
        tmp_path,
        "events",
        [
            event("u", "a", "purchase", datetime(2025, 3, 8, 15, 59, 59, tzinfo=UTC)),
            event("u", "a", "purchase", datetime(2025, 3, 8, 16, 0, 0, tzinfo=UTC)),
            event("u", "a", "purchase", datetime(2025, 3, 9, 15, 59, 59, tzinfo=UTC)),
            event("late", "a", "purchase", datetime(2025, 3, 9, 16, 0, 0, tzinfo=UTC)),
        ],
    )
    prepare(tmp_path)
    assert artefact(tmp_path, "purchases")["day"].to_list() == [
        date(2025, 3, 8),
        date(2025, 3, 9),
        date(2025, 3, 9),
    ]
    assert artefact(tmp_path, "users")["user_id"].to_list() == ["u"]


def test_a_users_region_is_that_of_most_purchase_lines_and_of_equals_the_smaller_name(tmp_path: Path) -> None:
    put(tmp_path, "items", [item("a")])
    lines = [("u", "west"), ("u", "east"), ("u", "west"), ("v", "west"), ("v", "east")]
    put(
        tmp_path,
        "events",
        [event(user, "a", "purchase", at(1, n), region=r) for n, (user, r) in enumerate(lines)],
    )
    prepare(tmp_path)
    assert artefact(tmp_path, "users").select("user_id", "region").rows() == [("u", "west"), ("v", "east")]


def test_returns_count_negative_and_sales_are_net_while_buyers_and_orders_are_of_purchases(
    tmp_path: Path,
) -> None:
    put(tmp_path, "items", [item("a")])
    more = {"channel": "shop", "unit_price": 2.0}
    put(
        tmp_path,
        "events",
        [
            event("u", "a", "purchase", at(1), quantity=3.0, order_id="o1", **more),
            event("u", "a", "purchase", at(1), quantity=1.0, order_id="o2", **more),
            event("v", "a", "purchase", at(1), quantity=1.0, order_id="o3", **more),
            event("w", "a", "return", at(1), quantity=2.0, order_id="o0", **more),
            event("w", "a", "return", at(2), quantity=1.0, order_id="o0", **more),
        ],
    )
    prepare(tmp_path)
    assert artefact(tmp_path, "purchases").filter(pl.col("user_row") == 2).rows() == [
        (date(2025, 3, 1), 2, 0, "o0", -2.0, -4.0, "shop", ""),
        (date(2025, 3, 2), 2, 0, "o0", -1.0, -2.0, "shop", ""),
    ]
    assert artefact(tmp_path, "daily_sales").rows() == [
        (0, date(2025, 3, 1), "shop", "", 3.0, 6.0, 2, 3),
        (0, date(2025, 3, 2), "shop", "", -1.0, -2.0, 0, 0),
    ]
    assert artefact(tmp_path, "users")["orders"].to_list() == [2, 1, 0]


def test_daily_sales_have_one_row_an_item_day_channel_and_region(tmp_path: Path) -> None:
    put(tmp_path, "items", [item("a"), item("b")])
    places = [("b", "jd", "n"), ("a", "jd", "s"), ("a", "app", "n"), ("a", "jd", "n"), ("a", "jd", "n")]
    put(
        tmp_path,
        "events",
        [
            event("u", i, "purchase", at(1), channel=c, region=r, order_id=str(n), unit_price=1.0)
            for n, (i, c, r) in enumerate(places)
        ],
    )
    prepare(tmp_path)
    sales = artefact(tmp_path, "daily_sales")
    assert sales.select("item_row", "channel", "region", "quantity", "buyers", "orders").rows() == [
        (0, "app", "n", 1.0, 1, 1),
        (0, "jd", "n", 2.0, 1, 2),
        (0, "jd", "s", 1.0, 1, 1),
        (1, "jd", "n", 1.0, 1, 1),
    ]


def test_lines_without_an_order_id_are_one_order_a_user_day_and_channel(tmp_path: Path) -> None:
    put(tmp_path, "items", [item("a"), item("b")])
    put(
        tmp_path,
        "events",
        [
            event("u", "a", "purchase", at(1), channel="jd"),
            event("u", "b", "purchase", at(1), channel="jd"),
            event("u", "b", "purchase", at(1), channel="app"),
            event("u", "b", "purchase", at(2), channel="app"),
        ],
    )
    prepare(tmp_path)
    purchases = artefact(tmp_path, "purchases")
    assert purchases["order_id"].to_list() == [
        "~0/2025-03-01/jd",
        "~0/2025-03-01/app",
        "~0/2025-03-01/jd",
        "~0/2025-03-02/app",
    ]
    assert artefact(tmp_path, "users")["orders"].to_list() == [3]


def test_a_line_without_a_price_gets_its_items_and_an_item_without_one_its_median(tmp_path: Path) -> None:
    put(tmp_path, "items", [item("free"), item("listed", price=9.0), item("sold")])
    put(
        tmp_path,
        "events",
        [
            event("u", "free", "purchase", at(1), order_id="o"),
            event("u", "listed", "purchase", at(1), order_id="o", quantity=2.0),
            event("u", "sold", "purchase", at(1), order_id="o", unit_price=1.0),
            event("u", "sold", "purchase", at(2), order_id="p", unit_price=3.0),
            event("u", "sold", "purchase", at(3), order_id="q"),
        ],
    )
    record = prepare(tmp_path)
    assert artefact(tmp_path, "items")["price"].to_list() == [None, 9.0, 2.0]
    revenue = artefact(tmp_path, "purchases").select("item_row", "revenue").rows()
    assert revenue == [(0, 0.0), (1, 18.0), (2, 1.0), (2, 3.0), (2, 2.0)]
    assert record.summary["lines_priced_by_item"] == 3


def test_the_median_price_is_that_of_the_last_ninety_sold_days(tmp_path: Path) -> None:
    put(tmp_path, "items", [item("a")])
    days = 2 * PRICE_DAYS
    first = datetime(2024, 6, 1, tzinfo=UTC)
    put(
        tmp_path,
        "events",
        [
            event("u", "a", "purchase", first + timedelta(days=n), unit_price=1.0 if n < PRICE_DAYS else 5.0)
            for n in range(days)
        ],
    )
    prepare(tmp_path)
    assert artefact(tmp_path, "items")["price"].to_list() == [5.0]


def test_launch_is_the_given_day_or_the_first_day_sold_if_that_is_earlier(tmp_path: Path) -> None:
    put(
        tmp_path,
        "items",
        [
            item("given", launched_at=datetime(2025, 2, 1, 20, tzinfo=UTC)),
            item("late", launched_at=datetime(2025, 9, 1, tzinfo=UTC)),
            item("seen"),
            item("sold"),
        ],
    )
    put(
        tmp_path,
        "events",
        [
            event("u", "given", "purchase", at(3)),
            event("u", "late", "purchase", at(1)),
            event("u", "seen", "view", at(1)),
            event("u", "sold", "view", at(1)),
            event("u", "sold", "purchase", at(2)),
        ],
    )
    prepare(tmp_path)
    launched = artefact(tmp_path, "items")["launched_on"].to_list()
    assert launched == [date(2025, 2, 2), date(2025, 3, 1), None, date(2025, 3, 2)]


def test_behaviour_counts_every_other_event_by_user_item_type_and_day(tmp_path: Path) -> None:
    put(tmp_path, "items", [item("a")])
    put(
        tmp_path,
        "events",
        [
            event("u", "a", "view", at(1)),
            event("u", "a", "view", at(3)),
            event("u", "a", "view", at(3)),
            event("u", "a", "add_to_cart", at(2)),
            event("u", "a", "purchase", at(2)),
            event("u", "a", "return", at(3)),
        ],
    )
    prepare(tmp_path)
    assert artefact(tmp_path, "behaviour").rows() == [
        (0, 0, "add_to_cart", date(2025, 3, 2), 1),
        (0, 0, "view", date(2025, 3, 1), 1),
        (0, 0, "view", date(2025, 3, 3), 2),
    ]


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ({"item_ids": ["b", "gone"]}, [1]),
        ({"category": "Food > Tea"}, [0]),
        ({"category": "Food"}, [0, 1]),
        ({"category": "Fo"}, []),
        ({}, [0, 1, 2]),
    ],
)
def test_a_promotion_covers_its_items_its_category_and_below_or_the_whole_shop(
    tmp_path: Path, where: dict[str, object], rows: list[int]
) -> None:
    put(tmp_path, "items", [item("a", "Food > Tea"), item("b", "Food"), item("c", "Foodware")])
    put(tmp_path, "events", [event("u", "a", "view", at(1))])
    # From midnight of the 5th to midnight of the 7th in Shanghai: two days.
    times = {"starts_at": at(4, 16), "ends_at": at(6, 16)}
    put(
        tmp_path,
        "promotions",
        [{"promotion_id": "p", "kind": "sale", "discount": 0.2} | times | where],
    )
    prepare(tmp_path)
    promoted = artefact(tmp_path, "promoted_days")
    assert promoted.rows() == [
        (row, day, "sale", 0.2) for row in rows for day in (date(2025, 3, 5), date(2025, 3, 6))
    ]


def test_planned_promotions_are_kept_for_a_year_and_of_two_the_deeper_discount(tmp_path: Path) -> None:
    put(tmp_path, "items", [item("a")])
    put(tmp_path, "events", [event("u", "a", "view", at(1))])
    forever = {"kind": "sale", "starts_at": at(9, 16), "ends_at": datetime(2099, 1, 1, tzinfo=UTC)}
    put(
        tmp_path,
        "promotions",
        [
            {"promotion_id": "p", "discount": 0.1, "item_ids": ["a"]} | forever,
            {"promotion_id": "q", "discount": 0.3, "item_ids": ["a"]} | forever,
            {"promotion_id": "r", "item_ids": ["a"]} | forever,
        ],
    )
    prepare(tmp_path)
    promoted = artefact(tmp_path, "promoted_days")
    assert (promoted["day"].min(), promoted["day"].max()) == (date(2025, 3, 10), date(2026, 3, 11))
    assert promoted["discount"].unique().to_list() == [0.3]
    assert promoted.height == promoted["day"].n_unique()


def test_days_of_promotions_before_the_first_event_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "items", [item("a")])
    put(tmp_path, "events", [event("u", "a", "view", at(2))])
    long_ago = {"starts_at": datetime(1900, 1, 1, tzinfo=UTC), "ends_at": at(3, 16)}
    put(tmp_path, "promotions", [{"promotion_id": "p", "kind": "sale", "item_ids": ["a"]} | long_ago])
    prepare(tmp_path)
    assert artefact(tmp_path, "promoted_days")["day"].to_list() == [date(2025, 3, 2), date(2025, 3, 3)]


def test_one_user_one_item_and_one_day_are_enough(tmp_path: Path) -> None:
    put(tmp_path, "items", [item("a")])
    put(tmp_path, "events", [event("u", "a", "purchase", at(1), unit_price=1.0)])
    prepare(tmp_path)
    assert artefact(tmp_path, "daily_sales").height == 1
    assert artefact(tmp_path, "promoted_days").height == 0


def test_events_without_a_purchase_and_events_only_after_as_of_are_no_error(tmp_path: Path) -> None:
    put(tmp_path, "items", [item("a")])
    put(tmp_path, "events", [event("u", "a", "view", at(1)), event("v", "a", "purchase", at(20))])
    prepare(tmp_path)
    assert artefact(tmp_path, "purchases").height == 0
    assert artefact(tmp_path, "daily_sales").height == 0
    assert artefact(tmp_path, "users")["user_id"].to_list() == ["u"]


def test_the_same_tables_give_the_same_artefacts_to_the_last_byte(tmp_path: Path) -> None:
    put(tmp_path, "items", [item(f"i{n}") for n in range(50)])
    put(
        tmp_path,
        "events",
        [
            event(f"u{n % 97}", f"i{n % 50}", "purchase", at(1 + n % 7, n % 24), unit_price=0.1 + n % 13 / 7)
            for n in range(5000)
        ],
    )
    digests = []
    for again in range(3):
        home = tmp_path / str(again)
        home.mkdir()
        (home / "tables").symlink_to(tmp_path / "tables")
        digests.append({name: output.digest for name, output in prepare(home).outputs.items()})
    assert digests[0] == digests[1] == digests[2]


def test_as_of_is_by_default_the_business_day_after_the_last_event(tmp_path: Path) -> None:
    put(tmp_path, "events", [event("u", "a", "view", at(1, 15)), event("u", "a", "view", at(1, 16))])
    assert default_as_of(tmp_path, SHANGHAI) == date(2025, 3, 3)
    assert default_as_of(tmp_path, DataConfig()) == date(2025, 3, 2)


def test_as_of_of_no_events_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no events table"):
        default_as_of(tmp_path, SHANGHAI)
    put(tmp_path, "events", [])
    with pytest.raises(RunError, match="no events; import some"):
        default_as_of(tmp_path, SHANGHAI)


def test_a_day_that_no_event_is_before_is_refused_with_the_first_day_there_is(tmp_path: Path) -> None:
    late = datetime(2025, 3, 4, 17, tzinfo=UTC)  # the 5th in Shanghai
    put(tmp_path, "events", [event("y", "b", "view", late), event("y", "b", "view", at(9))])
    for day in (date(2010, 1, 1), date(2025, 3, 5)):
        with pytest.raises(RunError, match=f"--as-of {day}: the first event is of 2025-03-05; give a later"):
            check_as_of(tmp_path, SHANGHAI, day)
    check_as_of(tmp_path, SHANGHAI, date(2025, 3, 6))
    put(tmp_path, "events", [])
    check_as_of(tmp_path, SHANGHAI, date(2010, 1, 1))
