"""Owns the stage `prepare`: from the checked input tables to the artefacts that every later stage reads.

Ids become rows here: users and items are sorted by id, also those without any event, and a row is a
position. Events from `as_of` on are left out, and so is what erased people did up to their erasure. A
business day ends at midnight of the business time zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import polars as pl

from recdata.artefacts import SCHEMAS, write_artefact
from recdata.config import DataConfig
from recdata.errors import RunError
from recdata.runs import Stage, StageContext
from recdata.tables import CATEGORY_SEPARATOR, scan_table
from recdata.training_artefacts import BEHAVIOUR, DAILY_SALES, PROMOTED_DAYS, ROW
from training.erasures import LEDGER_NAME, erased_ids, load_ledger, without_erased

#: An item without a listed price gets the median of its lines on the last so many days that it was sold.
PRICE_DAYS: Final = 90
OUTPUTS: Final = ("users", "items", "purchases", "behaviour", "daily_sales", "promoted_days")
#: Promotions planned beyond as_of are kept this far, in days, so that forecasts can know of them.
PLANNED_DAYS: Final = 366
#: What the artefacts are without, as {"last_number": N}; see `training.erasures`.
APPLIED_NAME: Final = "erasures_applied.json"


def prepare_stage(data: DataConfig) -> Stage:
    """Returns the stage that writes users, items, purchases, behaviour, daily_sales and promoted_days."""

    def work(context: StageContext) -> Mapping[str, object]:
        home, as_of = context.run.home, context.run.as_of
        with context.bar("tables to artefacts", total=len(OUTPUTS)) as step:
            ledger = load_ledger(context.source(LEDGER_NAME))
            customers, events = scan_table(home, "customers"), scan_events(home, data, as_of=as_of)
            erased = erased_ids(ledger, customers, events)
            customers = without_erased(customers, erased, time="joined_at")
            events = without_erased(events, erased, time="event_time")
            users = prepare_users(customers, events)
            write_artefact(users, context.target("users.parquet"), "users")
            step(1)
            items = prepare_items(scan_table(home, "items"), events, data)
            write_artefact(items, context.target("items.parquet"), "items")
            step(1)
            purchases, filled = prepare_purchases(events, users, items)
            write_artefact(purchases, context.target("purchases.parquet"), "purchases")
            step(1)
            daily_sales = prepare_daily_sales(purchases)
            write_artefact(daily_sales, context.target("daily_sales.parquet"), "daily_sales")
            step(1)
            n_purchases, n_daily = purchases.height, daily_sales.height
            del purchases, daily_sales
            behaviour = prepare_behaviour(events, users, items)
            write_artefact(behaviour, context.target("behaviour.parquet"), "behaviour")
            step(1)
            promotions = scan_table(home, "promotions").collect()
            first_event: date | None = users.select(pl.col("first_day").min()).item()
            promoted = prepare_promoted_days(promotions, items, data, since=first_event or as_of, as_of=as_of)
            write_artefact(promoted, context.target("promoted_days.parquet"), "promoted_days")
            step(1)
        applied = {"last_number": ledger.last_number}
        context.target(APPLIED_NAME).write_bytes(msgspec.json.encode(applied))
        return {
            "erased_people_left_out": erased.height,
            "users": users.height,
            "items": items.height,
            "purchase_lines": n_purchases,
            "lines_priced_by_item": filled,
            "behaviour_rows": behaviour.height,
            "daily_sales_rows": n_daily,
            "promoted_days_rows": promoted.height,
        }

    return Stage(
        name="prepare",
        version=3,
        inputs=("tables:events", "tables:items", "tables:customers", "tables:promotions", LEDGER_NAME),
        outputs=(*(f"{name}.parquet" for name in OUTPUTS), APPLIED_NAME),
        work=work,
        config={"business_timezone": data.business_timezone},
    )


def default_as_of(home: Path, data: DataConfig) -> date:
    """Returns the business day after the last event.

    Raises:
        RunError: the events table has no rows.
        TableError: there is no events table.
    """
    last: datetime | None = scan_table(home, "events").select(pl.col("event_time").max()).collect().item()
    if last is None:
        raise RunError(f"{home / 'tables' / 'events.parquet'}: no events; import some, or give --as-of")
    return last.astimezone(ZoneInfo(data.business_timezone)).date() + timedelta(days=1)


def check_as_of(home: Path, data: DataConfig, as_of: date) -> None:
    """Does nothing where something happened before `as_of`, or nothing ever did.

    Raises:
        RunError: every event is later, so nothing could be learned.
        TableError: there is no events table.
    """
    first: datetime | None = scan_table(home, "events").select(pl.col("event_time").min()).collect().item()
    if first is not None and (day := first.astimezone(ZoneInfo(data.business_timezone)).date()) >= as_of:
        raise RunError(f"--as-of {as_of}: the first event is of {day}; give a later day, or leave it out")


def scan_events(home: Path, data: DataConfig, *, as_of: date) -> pl.LazyFrame:
    """Returns the events before `as_of` with their business `day`; channel and region are never null."""
    zone = ZoneInfo(data.business_timezone)
    midnight = datetime(as_of.year, as_of.month, as_of.day, tzinfo=zone).astimezone(UTC)
    return (
        scan_table(home, "events")
        .filter(pl.col("event_time") < midnight)
        .with_columns(pl.col("channel", "region").fill_null(""), day=_business_day("event_time", data))
    )


def prepare_users(customers: pl.LazyFrame, events: pl.LazyFrame) -> pl.DataFrame:
    """Returns the users artefact: everybody who is a customer or has an event, sorted by user_id.

    The region is the customer's, else the one of most of the user's purchase lines (ties: the smaller
    name), else empty. A user without events has null days and no orders.
    """
    purchases = events.filter(pl.col("event_type") == "purchase")
    seen = events.group_by("user_id").agg(first_day=pl.col("day").min(), last_day=pl.col("day").max())
    orders = purchases.group_by("user_id").agg(orders=_order("user_id").n_unique().cast(pl.Int32))
    usual = (
        purchases.filter(pl.col("region") != "")
        .group_by("user_id", "region")
        .agg(lines=pl.len())
        .sort(["lines", "region"], descending=[True, False])
        .group_by("user_id", maintain_order=True)
        .agg(usual_region=pl.col("region").first())
    )
    known, days, counts, regions = pl.collect_all(
        [customers.select("user_id", "region"), seen, orders, usual], engine="streaming"
    )
    return (
        pl.concat([known["user_id"], days["user_id"]])
        .unique()
        .sort()
        .to_frame()
        .join(known, on="user_id", how="left")
        .join(days, on="user_id", how="left")
        .join(counts, on="user_id", how="left")
        .join(regions, on="user_id", how="left")
        .with_columns(
            region=pl.coalesce("region", "usual_region").fill_null(""), orders=pl.col("orders").fill_null(0)
        )
        .sort("user_id")
        .with_columns(user_row=pl.int_range(pl.len(), dtype=ROW))
    )


def prepare_items(items: pl.LazyFrame, events: pl.LazyFrame, data: DataConfig) -> pl.DataFrame:
    """Returns the items artefact, sorted by item_id; launch and price as in `training_artefacts.ITEMS`."""
    sold = events.filter(pl.col("event_type") == "purchase").select("item_id", "day", "unit_price")
    first = sold.group_by("item_id").agg(first_sold=pl.col("day").min())
    # Only an item sold on more than PRICE_DAYS days has lines that are too old to count.
    oldest = (
        sold.select("item_id", "day")
        .unique()
        .group_by("item_id")
        .agg(days=pl.len(), oldest=pl.col("day").top_k(PRICE_DAYS).min())
        .filter(pl.col("days") > PRICE_DAYS)
    )
    recent = (
        sold.join(oldest, on="item_id", how="left")
        .filter((pl.col("day") >= pl.col("oldest")).fill_null(value=True))
        .group_by("item_id")
        .agg(paid=pl.col("unit_price").median())
    )
    catalogue, launch, paid = pl.collect_all([items, first, recent], engine="streaming")
    return (
        catalogue.join(launch, on="item_id", how="left")
        .join(paid, on="item_id", how="left")
        .with_columns(
            price=pl.coalesce("price", "paid"),
            launched_on=pl.min_horizontal(_business_day("launched_at", data), "first_sold"),
        )
        .sort("item_id")
        .with_columns(item_row=pl.int_range(pl.len(), dtype=ROW))
        .select(list(SCHEMAS["items"]))
    )


def prepare_purchases(
    events: pl.LazyFrame, users: pl.DataFrame, items: pl.DataFrame
) -> tuple[pl.DataFrame, int]:
    """Returns the purchases artefact and how many lines had no unit price and got their item's price.

    A return counts negative. A line without order_id belongs to its user's order of that day and channel,
    named "~user_row/day/channel". A line whose item has no price either has revenue 0.
    """
    lines = (
        _with_rows(events.filter(pl.col("event_type").is_in(["purchase", "return"])), users, items)
        .join(items.lazy().select("item_row", "price"), on="item_row", how="left")
        .with_columns(signed=pl.when(pl.col("event_type") == "return").then(-1.0).otherwise(1.0))
        .with_columns(quantity=pl.col("quantity") * pl.col("signed"))
        .select(
            "day",
            "user_row",
            "item_row",
            order_id=_order("user_row"),
            quantity="quantity",
            revenue=pl.col("quantity") * pl.coalesce("unit_price", "price").fill_null(0.0),
            channel="channel",
            region="region",
            unpriced=pl.col("unit_price").is_null(),
        )
        .collect(engine="streaming")
        .sort("day", "user_row", "item_row", "order_id", "quantity", "revenue", "channel", "region")
    )
    return lines.drop("unpriced"), int(lines["unpriced"].sum())


def prepare_behaviour(events: pl.LazyFrame, users: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """Returns the behaviour artefact, sorted by user_row, item_row, event_type, day."""
    other = events.filter(pl.col("event_type").is_in(["purchase", "return"]).not_())
    return (
        _with_rows(other, users, items)
        .group_by("user_row", "item_row", "event_type", "day")
        .agg(events=pl.len().cast(pl.Int32))
        .collect(engine="streaming")
        .sort("user_row", "item_row", "event_type", "day")
        .select(list(BEHAVIOUR))
    )


def prepare_daily_sales(purchases: pl.DataFrame) -> pl.DataFrame:
    """Returns the daily_sales artefact: net quantity and revenue, but buyers and orders of purchases only."""
    cell = ["item_row", "day", "channel", "region"]
    ordered = purchases.sort(cell, maintain_order=True).with_columns(bought=pl.col("quantity") > 0)
    differs = pl.any_horizontal(pl.col(name) != pl.col(name).shift() for name in cell).fill_null(value=True)
    ordered = ordered.with_columns(cell=differs.cum_sum() - 1)
    starts = ordered.select(differs.arg_true()).to_series().to_numpy().astype(np.intp)
    # Most cells hold one line, and counting distinct values is slow, so it is done for the others alone.
    counted = (
        ordered.lazy()
        .filter("bought", pl.len().over("cell") > 1)
        .group_by("cell")
        .agg(pl.col("user_row", "order_id").n_unique().cast(pl.Int32))
        .collect()
    )
    # Summed in row order: a group_by adds in an order of its own, so its last digits differ between runs.
    sums = {
        name: np.add.reduceat(ordered[name].to_numpy(), starts) if len(starts) else np.zeros(0)
        for name in ("quantity", "revenue")
    }
    return (
        ordered.select(pl.col("cell", *cell, "bought").gather(starts))
        .with_columns(**{name: pl.Series(values) for name, values in sums.items()})
        .join(counted, on="cell", how="left", maintain_order="left")
        .with_columns(
            buyers=pl.coalesce("user_row", pl.col("bought").cast(pl.Int32)),
            orders=pl.coalesce("order_id", pl.col("bought").cast(pl.Int32)),
        )
        .select(list(DAILY_SALES))
    )


def prepare_promoted_days(
    promotions: pl.DataFrame, items: pl.DataFrame, data: DataConfig, *, since: date, as_of: date
) -> pl.DataFrame:
    """Returns the promoted_days artefact, sorted by item_row, day, kind.

    A promotion lasts from the day of `starts_at` to the day before or on which `ends_at` falls (an end at
    midnight does not touch the day that begins). Days before `since`, the first day with an event, are
    left out; planned ones are kept up to `PLANNED_DAYS` after `as_of`. Where two of one kind meet
    on an item and day, the deeper discount counts. A category promotion covers every item at or below its
    path, one without items or category the whole shop.
    """
    ids = items.select("item_id", "item_row")
    listed = (
        promotions.filter(pl.col("item_ids").list.len() > 0)
        .select("promotion_id", item_id="item_ids")
        .explode("item_id")
        .join(ids, on="item_id")
        .select("promotion_id", "item_row")
    )
    by_category = promotions.filter(
        pl.col("item_ids").list.len().fill_null(0) == 0, pl.col("category").is_not_null()
    )
    everywhere = promotions.filter(
        pl.col("item_ids").list.len().fill_null(0) == 0, pl.col("category").is_null()
    )
    covered = [listed, everywhere.select("promotion_id").join(items.select("item_row"), how="cross")]
    for promotion_id, path in by_category.select("promotion_id", "category").iter_rows():
        below = (pl.col("category") == path) | pl.col("category").str.starts_with(path + CATEGORY_SEPARATOR)
        covered.append(
            items.filter(below).select(pl.lit(promotion_id).alias("promotion_id"), pl.col("item_row"))
        )
    last_moment = pl.col("ends_at") - pl.duration(microseconds=1)
    days = (
        promotions.with_columns(last_moment=last_moment)
        .select(
            "promotion_id",
            "kind",
            "discount",
            first=pl.max_horizontal(_business_day("starts_at", data), pl.lit(since)),
            last=pl.min_horizontal(
                _business_day("last_moment", data), pl.lit(as_of + timedelta(days=PLANNED_DAYS))
            ),
        )
        .filter(pl.col("first") <= pl.col("last"))
        .with_columns(day=pl.date_ranges("first", "last"))
        .explode("day")
        .select("promotion_id", "kind", "discount", "day")
    )
    return (
        pl.concat(covered)
        .lazy()
        .join(days.lazy(), on="promotion_id")
        .group_by("item_row", "day", "kind")
        .agg(pl.col("discount").max())
        .sort("item_row", "day", "kind")
        .select(list(PROMOTED_DAYS))
        .collect()
    )


def _with_rows(events: pl.LazyFrame, users: pl.DataFrame, items: pl.DataFrame) -> pl.LazyFrame:
    return events.join(users.lazy().select("user_id", "user_row"), on="user_id").join(
        items.lazy().select("item_id", "item_row"), on="item_id"
    )


def _order(user: str) -> pl.Expr:
    made_up = pl.format("~{}/{}/{}", user, "day", "channel")
    return pl.coalesce("order_id", made_up)


def _business_day(column: str, data: DataConfig) -> pl.Expr:
    return pl.col(column).dt.convert_time_zone(data.business_timezone).dt.date()
