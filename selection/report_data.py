"""Owns what the page shows: which picks, their weekly history and forecast, totals and caveats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import msgspec
import polars as pl

from recdata.selection_artefacts import ASSORTMENT, LEDGER
from selection.actions import ACTIONS
from selection.charts import Week
from selection.config import ReportConfig, WeightsConfig
from selection.features import OPINIONS
from selection.select import TEXTS
from selection.words import percent

Sentences = list[str]

#: Look-alikes named on the page, an item.
SHOWN_LOOK_ALIKES = 3


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """What the report is made of (schemas: `recdata.artefacts.SCHEMAS`, `selection.summary.BACKTEST`)."""

    as_of: date
    currency: str
    selection: pl.DataFrame
    backtest: pl.DataFrame
    items: pl.DataFrame
    daily_sales: pl.LazyFrame
    forecast_daily: pl.LazyFrame
    forecast_totals: pl.LazyFrame
    weights: WeightsConfig
    assortment: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ASSORTMENT))
    ledger: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LEDGER))
    remarks: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Pick:
    """One item on the page.

    `texts` has the sentences by the names of `TEXTS`, `known` what other stages say by those of `OPINIONS`.
    """

    rank: int
    item_id: str
    title: str
    category: str
    group: str
    brand: str
    price: float | None
    price_band: str
    action: str
    stage: str
    score: float
    demand: float
    demand_q10: float
    demand_q90: float
    revenue: float
    recent_sales: float
    components: dict[str, float]
    texts: dict[str, Sentences]
    known: dict[str, float | date | None]
    look_alikes: Sentences
    chosen: bool | None
    breakout: bool
    history: list[Week]
    forecast: list[Week]


@dataclass(frozen=True, slots=True)
class Group:
    """One category on the page: its totals over all its items, and the picks that are shown."""

    name: str
    items: int
    revenue: float
    counts: dict[str, int]
    picks: list[Pick]


def grouped(selection: pl.DataFrame, depth: int) -> pl.DataFrame:
    """Returns the selection with `group`, its category at the depth at which items are compared."""
    path = pl.col("category").str.split(" > ").list.head(depth).list.join(" > ")
    return selection.with_columns(path.alias("group"))


def choose_rows(selection: pl.DataFrame, config: ReportConfig) -> pl.DataFrame:
    """Returns the rows of a grouped selection that the page shows, by rank.

    Of each of the `max_categories` categories with the most forecast revenue: the best
    `picks_per_category` items that are not to be discounted or dropped, and the
    `warnings_per_category` items to discount or drop with the most forecast revenue (then rank).
    """
    biggest = (
        selection.group_by("group")
        .agg(pl.col("revenue_at_stake").sum())
        .sort("revenue_at_stake", "group", descending=[True, False])
        .head(config.max_categories)
    )
    shown = selection.join(biggest.select("group"), on="group", how="semi")
    warning = pl.col("action").is_in(["discount", "drop"])
    picks = shown.filter(~warning).sort("rank").group_by("group", maintain_order=True)
    warnings = shown.filter(warning).sort("revenue_at_stake", "rank", descending=[True, False])
    return pl.concat(
        [
            picks.head(config.picks_per_category),
            warnings.group_by("group", maintain_order=True).head(config.warnings_per_category),
        ]
    ).sort("rank")


def build_groups(inputs: ReportInputs, config: ReportConfig, depth: int) -> list[Group]:
    """Returns the categories of the page, most forecast revenue first (then name)."""
    selection = grouped(inputs.selection, depth)
    rows = choose_rows(selection, config)
    picks = _picks(rows, inputs, config)
    totals = selection.group_by("group").agg(
        pl.len().alias("items"),
        pl.col("revenue_at_stake").sum().alias("revenue"),
        *((pl.col("action") == action).sum().alias(action) for action in ACTIONS),
    )
    totals = totals.join(rows.select("group").unique(), on="group", how="semi")
    return [
        Group(
            name=row["group"],
            items=row["items"],
            revenue=row["revenue"],
            counts={action: row[action] for action in ACTIONS},
            picks=[pick for pick in picks if pick.group == row["group"]],
        )
        for row in totals.sort("revenue", "group", descending=[True, False]).iter_rows(named=True)
    ]


def _picks(rows: pl.DataFrame, inputs: ReportInputs, config: ReportConfig) -> list[Pick]:
    item_rows = rows.select("item_row", "item_id")
    history = weekly_history(inputs.daily_sales, item_rows, inputs.as_of, config.history_weeks)
    forecast = weekly_forecast(inputs, rows)
    titles = inputs.items.select("item_row", "title", "brand", "price")
    frame = rows.join(titles, on="item_row", how="left", maintain_order="left").join(
        _chosen(inputs.assortment), on="item_row", how="left", maintain_order="left"
    )
    names = _look_alikes(frame, inputs.items)
    return [
        Pick(
            rank=row["rank"],
            item_id=row["item_id"],
            title=row["title"] or row["item_id"],
            category=row["category"],
            group=row["group"],
            brand=row["brand"] or "",
            price=row["price"],
            price_band=row["price_band"],
            action=row["action"],
            stage=row["stage"],
            score=row["score"],
            demand=row["demand"],
            demand_q10=row["demand_q10"],
            demand_q90=row["demand_q90"],
            revenue=row["revenue_at_stake"],
            recent_sales=row["recent_sales"],
            components=msgspec.json.decode(row["components"], type=dict[str, float]),
            texts={name: msgspec.json.decode(row[name], type=list[str]) for name in TEXTS},
            known={name: row[name] for name in OPINIONS},
            look_alikes=names[row["item_row"]],
            chosen=row["chosen"],
            breakout=row["breakout"],
            history=history[row["item_row"]],
            forecast=forecast[row["item_id"]],
        )
        for row in frame.iter_rows(named=True)
    ]


def _chosen(assortment: pl.DataFrame) -> pl.DataFrame:
    """Returns item_row and `chosen`; no rows where no choice keeps the limits: that advises nothing."""
    rows = assortment.select("item_row", "chosen")
    return rows if rows.get_column("chosen").any() else rows.clear()


def _look_alikes(rows: pl.DataFrame, items: pl.DataFrame) -> dict[int, Sentences]:
    """Returns item_row -> "title (similarity)" of its look-alikes, most alike first."""
    found = {
        row: msgspec.json.decode(text, type=list[tuple[str, float]])[:SHOWN_LOOK_ALIKES]
        for row, text in rows.select("item_row", "look_alikes").iter_rows()
    }
    ids = {item_id for alike in found.values() for item_id, _ in alike}
    named = items.filter(pl.col("item_id").is_in(sorted(ids)))
    titles = dict(named.select("item_id", pl.coalesce("title", "item_id")).iter_rows())
    return {
        row: [f"{titles.get(item_id, item_id)} ({percent(similarity)})" for item_id, similarity in alike]
        for row, alike in found.items()
    }


def weekly_history(
    daily_sales: pl.LazyFrame, item_rows: pl.DataFrame, as_of: date, weeks: int
) -> dict[int, list[Week]]:
    """Returns item_row -> the weeks of seven days before `as_of` in units, oldest first.

    Weeks before the first day of the data are left out (one week at least); days without a sale are 0.
    """
    first_day = daily_sales.select(pl.col("day").min()).collect().item()
    if first_day is not None:
        weeks = max(1, min(weeks, (as_of - first_day).days // 7))
    start = as_of - timedelta(days=7 * weeks)
    sold = (
        daily_sales.filter(pl.col("day").is_between(start, as_of, closed="left"))
        .join(item_rows.lazy().select("item_row"), on="item_row", how="semi")
        .group_by("item_row", ((pl.col("day") - start).dt.total_days() // 7).alias("week"))
        .agg(pl.col("quantity").sum())
        .collect()
    )
    units = {(row, week): quantity for row, week, quantity in sold.iter_rows()}
    starts = [start + timedelta(days=7 * week) for week in range(weeks)]
    return {
        row: [Week(day, max(units.get((row, week), 0.0), 0.0)) for week, day in enumerate(starts)]
        for row in item_rows.get_column("item_row")
    }


def weekly_forecast(inputs: ReportInputs, rows: pl.DataFrame) -> dict[str, list[Week]]:
    """Returns item_id -> the horizon's weeks with 80% intervals, in units.

    The weeks' means have the daily forecast's shape (flat where there is none) and add up to the horizon's
    demand. Their intervals are the horizon's, with its variance shared out in proportion to the means:
    weeks taken as independent add up to the horizon's interval again.
    """
    as_of = inputs.as_of
    days = inputs.forecast_totals.filter(pl.col("origin") == as_of).select(pl.col("horizon_days").max())
    horizon = days.collect().item() or 28
    weeks = max(1, horizon // 7)
    shape = (
        inputs.forecast_daily.filter(
            (pl.col("level") == "item")
            & pl.col("day").is_between(as_of, as_of + timedelta(days=7 * weeks), closed="left")
        )
        .join(rows.lazy().select(pl.col("item_id").alias("key")), on="key", how="semi")
        .group_by("key", ((pl.col("day") - as_of).dt.total_days() // 7).alias("week"))
        .agg(pl.col("mean").sum().cast(pl.Float64))
        .collect()
    )
    means = {(key, week): mean for key, week, mean in shape.iter_rows()}
    result = {}
    columns = ("item_id", "demand", "demand_q10", "demand_q90")
    for item_id, demand, low, high in rows.select(columns).iter_rows():
        found = [max(means.get((item_id, week), 0.0), 0.0) for week in range(weeks)]
        total = sum(found)
        shares = [mean / total for mean in found] if total > 0 else [1 / weeks] * weeks
        part = demand * 7 * weeks / horizon
        result[item_id] = [
            Week(
                start=as_of + timedelta(days=7 * week),
                units=part * share,
                low=max(part * share - max(demand - low, 0.0) * share**0.5, 0.0),
                high=part * share + max(high - demand, 0.0) * share**0.5,
            )
            for week, share in enumerate(shares)
        ]
    return result


def caveats(inputs: ReportInputs) -> list[tuple[str, str]]:
    """Returns what a reader should know of the data before trusting the page, Chinese and English."""
    first_day = inputs.daily_sales.select(pl.col("day").min()).collect().item()
    notes = list(inputs.remarks)
    if first_day is None:
        notes.append(
            ("没有任何销售记录，得分没有依据。", "There are no sales at all: scores rest on nothing.")
        )
    else:
        days = (inputs.as_of - first_day).days
        if days < 2 * 364:
            notes.append(
                (
                    f"历史只有 {days} 天，不足两年：季节波动与趋势难以区分。",
                    f"History is only {days} days: under two years, season and trend look alike.",
                )
            )
    keys = inputs.forecast_totals.filter((pl.col("level") == "item") & (pl.col("origin") == inputs.as_of))
    known = keys.select(pl.col("key").alias("item_id")).unique().collect()
    without = inputs.selection.join(known, on="item_id", how="anti").height
    if without:
        notes.append(
            (
                f"{without:,} 个商品没有自己的预测（多为长期无销售），按近期速度推算。",
                f"{without:,} items have no forecast (mostly long unsold); their recent rate stands in.",
            )
        )
    unpriced = inputs.selection.filter(pl.col("price_band") == "").height
    if unpriced:
        notes.append(
            (
                f"{unpriced:,} 个商品没有价格，金额计为 0。",
                f"{unpriced:,} items have no price; their money is 0.",
            )
        )
    items = inputs.items.join(inputs.selection.select("item_row"), on="item_row", how="semi")
    if items.height and items.get_column("unit_cost").null_count() == items.height:
        notes.append(
            ("没有成本数据：金额为销售额，不是毛利。", "No unit costs: money is revenue, not margin.")
        )
    if items.height and items.get_column("stock").null_count() == items.height:
        notes.append(
            (
                "没有库存数据：缺货看起来像需求下降。",
                "No stock data: running out of stock looks like falling demand.",
            )
        )
    return notes
