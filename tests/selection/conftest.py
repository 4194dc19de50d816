"""A shop small enough to count by hand, built from a list of purchases."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

import polars as pl
import pytest

from recdata.training_artefacts import DAILY_SALES, FORECAST_TOTALS, ITEMS, PROMOTED_DAYS, PURCHASES
from selection.history import Tables

#: item_id, day, user_row, quantity, revenue; an order is what one user buys on one day.
Purchase = tuple[str, date, int, float, float]


def build_tables(
    purchases: Sequence[Purchase] = (),
    *,
    as_of: date,
    items: Mapping[str, Mapping[str, object]] | None = None,
    forecasts: Sequence[tuple[date, str, float]] = (),
    promoted: Sequence[tuple[str, date]] = (),
    horizon_days: int = 28,
) -> Tables:
    """Returns the tables of a shop; an item that is not described gets category A > B and its first sale."""
    described = dict(items or {})
    ids = sorted({*described, *(item for item, *_ in purchases)})
    rows = {item: row for row, item in enumerate(ids)}
    first_sold = {item: min((day for i, day, *_ in purchases if i == item), default=None) for item in ids}
    defaults = {
        "category": "A > B",
        "brand": "",
        "price": None,
        "unit_cost": None,
        "status": "active",
        "stock": None,
        "attributes": "{}",
    }
    item_frame = pl.DataFrame(
        [
            {
                "item_row": rows[item],
                "item_id": item,
                "title": f"title of {item}",
                "launched_on": first_sold[item],
                **defaults,
                **described.get(item, {}),
            }
            for item in ids
        ],
        schema=ITEMS,
    )
    lines = pl.DataFrame(
        [
            {
                "day": day,
                "user_row": user,
                "item_row": rows[item],
                "order_id": f"{user}@{day}",
                "quantity": quantity,
                "revenue": revenue,
                "channel": "",
                "region": "",
            }
            for item, day, user, quantity, revenue in purchases
        ],
        schema=PURCHASES,
    )
    daily = lines.group_by("item_row", "day", "channel", "region").agg(
        pl.col("quantity").sum(),
        pl.col("revenue").sum(),
        pl.col("user_row").n_unique().cast(pl.Int32).alias("buyers"),
        pl.col("order_id").n_unique().cast(pl.Int32).alias("orders"),
    )
    totals = [
        {
            "origin": origin,
            "level": "item",
            "key": item,
            "horizon_days": horizon_days,
            "mean": mean,
            "q10": mean / 2,
            "q90": mean * 2,
            "method": "given",
        }
        for origin, item, mean in forecasts
    ]
    stood = [{"item_row": rows[item], "day": day, "kind": "mailer"} for item, day in promoted]
    return Tables(
        items=item_frame,
        purchases=lines.lazy(),
        daily_sales=daily.select(list(DAILY_SALES)).sort("item_row", "day").lazy(),
        promoted_days=pl.DataFrame(stood, schema=PROMOTED_DAYS).lazy(),
        forecast_totals=pl.DataFrame(totals, schema=FORECAST_TOTALS),
        as_of=as_of,
    )


@pytest.fixture
def make_tables() -> Callable[..., Tables]:
    return build_tables


@pytest.fixture
def busy_shop() -> Tables:
    """Two categories of 40 items over 200 days: item n of category c sells n + 1 units every n-th week."""
    as_of = date(2024, 7, 19)
    start = as_of - timedelta(days=200)
    purchases = [
        (
            f"{category}{number:02d}",
            start + timedelta(days=day),
            (number + day) % 17,
            1.0 + number % 3,
            5.0 + number,
        )
        for category in "XY"
        for number in range(40)
        for day in range(number % 7, 200, 3 + number % 11)
    ]
    items = {
        f"{category}{number:02d}": {"category": f"{category} > all"}
        for category in "XY"
        for number in range(40)
    }
    origins = [as_of - timedelta(days=28 * step) for step in range(5)]
    forecasts = [(origin, item, 3.0 + int(item[1:])) for origin in origins for item in items]
    return build_tables(purchases, as_of=as_of, items=items, forecasts=forecasts)
