"""Owns the lists for everybody: bestsellers, trending and new items by window, category, channel and region.

Popularity is counted in distinct buyers, never in lines or units, so one shopper's bulk order moves nothing.

- best: distinct buyers in the window.
- trending: log2((b + m) / (p * B / P + m)), where b and p are the item's buyers in the window and in the
  window before it, B and P all buyers of the same channel and region in the two windows (so that a busy
  month is not a trend), and m is `trend_prior_buyers`: with few buyers the quotient stays near 1, so small
  counts do not win.
- new: distinct buyers of items whose launch day lies in the window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import product

import polars as pl

from recdata.artefacts import ALL, POPULARITY, read_artefact, scan_artefact, write_artefact
from recdata.config import NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig
from recdata.runs import Stage, StageContext

CATEGORY_SEPARATOR = " > "
SCOPE = ("channel", "region")
LIST = ("kind", "window_days", "category", "channel", "region")


class PopularityConfig(RoomConfig, frozen=True):
    """`[training.popularity]`: lists that do not depend on the shopper."""

    # Lengths of the windows in days, each ending the day before `as_of`.
    windows_days: tuple[PositiveInt, ...] = (7, 28, 84)
    # Items kept in a list at most.
    items_per_list: PositiveInt = 100
    # Distinct buyers that an item needs inside the window to stand in a list.
    min_item_buyers: PositiveInt = 1
    # A list exists only where its items' distinct buyers add up to this many; lists of the whole shop
    # always do.
    min_list_buyers: PositiveInt = 50
    # Imaginary buyers added to both windows of a trend; the higher, the less small counts can rise; above 0.
    trend_prior_buyers: PositiveFloat = 10.0
    # Distinct buyers that an item needs inside the window to be called trending.
    min_trend_buyers: NonNegativeInt = 5
    # True makes lists for each channel and each region besides those of the whole shop.
    by_channel_and_region: bool = True


def category_paths(items: pl.DataFrame) -> pl.DataFrame:
    """Returns one row (item_row, category) for every path an item belongs to, ALL among them.

    "A > B > C" belongs to ALL, "A", "A > B" and "A > B > C".
    """
    parts = pl.col("category").str.split(CATEGORY_SEPARATOR)
    depth = parts.list.len()
    deepest = int(items.select(depth.max()).item() or 0)
    levels = [pl.lit(ALL)] + [
        pl.when((depth >= level) & (pl.col("category") != ""))
        .then(parts.list.head(level).list.join(CATEGORY_SEPARATOR))
        .otherwise(None)
        for level in range(1, deepest + 1)
    ]
    return (
        items.select("item_row", category=pl.concat_list(levels))
        .explode("category")
        .drop_nulls("category")
        .unique(maintain_order=True)
    )


def popularity_lists(
    purchases: pl.LazyFrame,
    items: pl.DataFrame,
    *,
    as_of: date,
    config: PopularityConfig,
    on_window: Callable[[int], None] | None = None,
) -> pl.DataFrame:
    """Returns the `popularity` artefact, sorted by list and rank; ties go to the lower item row.

    Discontinued items stand in no list.  An item launched on or before the first day of `purchases` is not
    new: its true launch day may lie before the data.

    Args:
        purchases: the `purchases` artefact; rows on or after `as_of` do not count, nor do returns.
        items: the `items` artefact.
        as_of: first day after the windows.
        config: windows, lengths, minimum counts.
        on_window: called with 1 after every window.
    """
    known = purchases.filter((pl.col("day") < as_of) & (pl.col("quantity") > 0))
    first_day = known.select(pl.col("day").min()).collect().item()
    if first_day is None:
        return pl.DataFrame(schema=POPULARITY)
    sellable = items.filter(pl.col("status") != "discontinued")
    paths = category_paths(sellable)
    lists = [pl.DataFrame(schema=POPULARITY)]
    for window_days in config.windows_days:
        start = as_of - timedelta(days=window_days)
        launched = sellable.filter(
            (pl.col("launched_on") >= start)
            & (pl.col("launched_on") < as_of)
            & (pl.col("launched_on") > first_day)
        ).select("item_row")
        recent, earlier = (
            _lines(known, begin, window_days, sellable)
            for begin in (start, start - timedelta(days=window_days))
        )
        for scope in _scopes(config):
            counts = _trend(recent, earlier, scope, config)
            kinds = {
                "best": counts.with_columns(score=pl.col("buyers").cast(pl.Float32)),
                "trending": counts.filter(
                    (pl.col("score") > 0) & (pl.col("buyers") >= config.min_trend_buyers)
                ),
                "new": counts.join(launched, on="item_row", how="semi").with_columns(
                    score=pl.col("buyers").cast(pl.Float32)
                ),
            }
            lists.extend(
                _ranked(frame, paths, config).with_columns(
                    kind=pl.lit(kind), window_days=pl.lit(window_days, pl.Int32)
                )
                for kind, frame in kinds.items()
            )
        if on_window is not None:
            on_window(1)
    return pl.concat([frame.select(list(POPULARITY)) for frame in lists]).sort(*LIST, "rank")


def popularity_stage(config: PopularityConfig) -> Stage:
    """Returns the stage that makes the lists as of the run's day."""

    def work(ctx: StageContext) -> dict[str, object]:
        with ctx.bar("popularity windows", total=len(config.windows_days)) as advance:
            lists = popularity_lists(
                scan_artefact(ctx.source("purchases.parquet"), "purchases"),
                read_artefact(ctx.source("items.parquet"), "items"),
                as_of=ctx.run.as_of,
                config=config,
                on_window=advance,
            )
        write_artefact(lists, ctx.target("popularity.parquet"), "popularity")
        heads = lists.filter(pl.col("rank") == 1)
        return {"rows": lists.height, "lists": dict(sorted(heads["kind"].value_counts().iter_rows()))}

    return Stage(
        name="popularity",
        version=1,
        inputs=("items.parquet", "purchases.parquet"),
        outputs=("popularity.parquet",),
        work=work,
        config=config,
    )


def _scopes(config: PopularityConfig) -> Sequence[tuple[str, ...]]:
    if not config.by_channel_and_region:
        return [()]
    return [
        tuple(name for name, wanted in zip(SCOPE, choice, strict=True) if wanted)
        for choice in product((False, True), repeat=len(SCOPE))
    ]


def _lines(purchases: pl.LazyFrame, begin: date, window_days: int, sellable: pl.DataFrame) -> pl.DataFrame:
    inside = (pl.col("day") >= begin) & (pl.col("day") < begin + timedelta(days=window_days))
    return (
        purchases.filter(inside)
        .select("user_row", "item_row", *SCOPE)
        .unique()
        .join(sellable.lazy().select("item_row"), on="item_row", how="semi")
        .collect(engine="streaming")
    )


def _counts(lines: pl.DataFrame, scope: tuple[str, ...], name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    # An absent channel or region is ALL already: it has no list of its own.
    told = lines.filter(*(pl.col(column) != ALL for column in scope)) if scope else lines
    by_item = told.select("user_row", "item_row", *scope).unique().group_by("item_row", *scope).len(name)
    absent = [pl.lit(ALL).alias(column) for column in SCOPE if column not in scope]
    by_item = by_item.with_columns(*absent)
    buyers = told.select("user_row", *scope).unique().group_by(*scope).len(f"{name}_all") if scope else None
    if buyers is None:
        buyers = pl.DataFrame(
            {f"{name}_all": [told["user_row"].n_unique()]}, schema={f"{name}_all": pl.UInt32}
        )
    return by_item, buyers.with_columns(*absent)


def _trend(
    recent: pl.DataFrame, earlier: pl.DataFrame, scope: tuple[str, ...], config: PopularityConfig
) -> pl.DataFrame:
    now, all_now = _counts(recent, scope, "buyers")
    before, all_before = _counts(earlier, scope, "before")
    prior = config.trend_prior_buyers
    # Without buyers in the window before there is nothing to compare with: no trend, score 0.
    expected = pl.col("before").fill_null(0) * pl.col("buyers_all") / pl.col("before_all")
    return (
        now.join(before, on=["item_row", *SCOPE], how="left")
        .join(all_now, on=list(SCOPE), how="left")
        .join(all_before, on=list(SCOPE), how="left")
        .filter(pl.col("buyers") >= config.min_item_buyers)
        .select(
            "item_row",
            *SCOPE,
            buyers=pl.col("buyers").cast(pl.Int32),
            score=((pl.col("buyers") + prior) / (expected + prior))
            .log(2.0)
            .fill_nan(0.0)
            .fill_null(0.0)
            .cast(pl.Float32),
        )
    )


def _ranked(counts: pl.DataFrame, paths: pl.DataFrame, config: PopularityConfig) -> pl.DataFrame:
    group = ["category", *SCOPE]
    whole_shop = pl.all_horizontal(pl.col(column) == ALL for column in group)
    return (
        counts.lazy()
        .join(paths.lazy(), on="item_row")
        .filter((pl.col("buyers").sum().over(group) >= config.min_list_buyers) | whole_shop)
        .sort([*group, "score", "item_row"], descending=[False, False, False, True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(group))
        .filter(pl.col("rank") <= config.items_per_list)
        .collect()
    )
