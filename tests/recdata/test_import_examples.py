from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import msgspec
import polars as pl
from rich.console import Console

from recdata.config import DataConfig, load_config
from recdata.importing import import_tables
from recdata.tables import read_table

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def test_the_ta_feng_example_reads_all_three_tables_from_the_one_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    pl.DataFrame(
        {
            "TRANSACTION_DT": [datetime(2000, 11, 1)] * 2 + [datetime(2000, 11, 2)],  # noqa: DTZ001
            "CUSTOMER_ID": [11, 11, 12],
            "AGE_GROUP": ["45-49", "45-49", "30-34"],
            "PIN_CODE": ["115", "115", "Others"],
            "PRODUCT_SUBCLASS": [100205, 100205, 500201],
            "PRODUCT_ID": [4710199010372, 4710199010372, 4710265849066],
            "AMOUNT": [2, 2, 1],
            "ASSET": [24, 24, 10],
            "SALES_PRICE": [30, 30, 12],
        }
    ).write_parquet(source / "ta_feng.parquet")
    home = tmp_path / "home"
    data = load_config(EXAMPLES / "ta_feng_shop.toml", "data", DataConfig)
    import_tables(
        source,
        EXAMPLES / "ta_feng.toml",
        home,
        data,
        now=datetime(2001, 3, 1, tzinfo=UTC),
        console=Console(file=StringIO()),
    )
    events = read_table(home, "events")
    assert events.height == 3  # equal lines are both kept
    assert events["unit_price"].to_list() == [15.0, 15.0, 12.0]
    assert events["event_time"][0] == datetime(2000, 10, 31, 16, tzinfo=UTC)  # midnight in Taipei
    assert read_table(home, "items")["category"].to_list() == ["100205", "500201"]
    customers = read_table(home, "customers")
    assert customers["region"].to_list() == ["115", "Others"]
    assert msgspec.json.decode(customers["attributes"][0]) == {"AGE_GROUP": "45-49"}
