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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recdata.artefacts import read_artefact, scan_artefact, write_artefact
from recdata.config import NonNegativeInt, PositiveFloat, PositiveInt, RoomConfig
from recdata.runs import Stage, StageContext
from recdata.tables import CATEGORY_SEPARATOR
from recdata.training_artefacts import ALL, POPULARITY

SCOPE = ("channel", "region")
Places = NDArray[np.int64]
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
    found = known.select(pl.col(column).unique().sort().implode() for column in SCOPE).collect()
    names = {column: sorted({ALL, *found[column][0]}) for column in SCOPE}
    lists = [pl.DataFrame(schema=POPULARITY)]
    for window_days in config.windows_days:
        start = as_of - timedelta(days=window_days)
        launched = sellable.filter(
            (pl.col("launched_on") >= start)
            & (pl.col("launched_on") < as_of)
            & (pl.col("launched_on") > first_day)
        ).select("item_row")
        recent, earlier = (
            _Lines.read(known, begin, window_days, sellable, names)
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


@dataclass(frozen=True, slots=True)
class _Lines:
    """The purchase lines of a window; places of channel and region are those of their names.

    Attributes:
        users: `(n,)` int64 user rows.
        items: `(n,)` int64 item rows.
        places: by column of `SCOPE`, `(n,)` int64.
        names: by column of `SCOPE`, every name that occurs, ALL (an absent one) among them.
    """

    users: Places
    items: Places
    places: Mapping[str, Places]
    names: Mapping[str, list[str]]

    @classmethod
    def read(
        cls,
        purchases: pl.LazyFrame,
        begin: date,
        window_days: int,
        sellable: pl.DataFrame,
        names: Mapping[str, list[str]],
    ) -> _Lines:
        """Returns the lines of sellable items from `begin` on."""
        inside = (pl.col("day") >= begin) & (pl.col("day") < begin + timedelta(days=window_days))
        # As numbers: a window of a large shop has more lines than its channels' names would leave room for.
        lines = (
            purchases.filter(inside)
            .select(
                "user_row",
                "item_row",
                *(pl.col(column).cast(pl.Enum(names[column])).to_physical() for column in SCOPE),
            )
            .join(sellable.lazy().select("item_row"), on="item_row", how="semi")
            .collect(engine="streaming")
        )
        user, item, *places = (lines[name].cast(pl.Int64).to_numpy() for name in lines.columns)
        return cls(user, item, dict(zip(SCOPE, places, strict=True)), names)

    def counts(self, scope: tuple[str, ...], name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Returns distinct buyers by (item_row, channel, region), and by (channel, region), of a scope.

        An absent channel or region is ALL already: it has no list of its own.

        Args:
            scope: columns that are told apart; the others are ALL.
            name: of the count's column; the second table has it with `_all`.
        """
        kept = np.ones(self.users.size, bool)
        cells, n_cells = np.zeros(self.users.size, np.int64), 1
        for column in scope:
            kept &= self.places[column] != self.names[column].index(ALL)
            cells = cells * len(self.names[column]) + self.places[column]
            n_cells *= len(self.names[column])
        users, items, cells = self.users[kept], self.items[kept], cells[kept]
        n_users, n_items = int(users.max(initial=0)) + 1, int(items.max(initial=0)) + 1
        # Sorting packed numbers finds what is distinct several times faster than hashing, as np.unique does.
        groups, buyers = _group_sizes(_distinct((cells * n_items + items) * n_users + users) // n_users)
        all_cells, all_buyers = _group_sizes(_distinct(cells * n_users + users) // n_users)
        if not scope:  # the whole shop is there also when nobody bought
            all_cells, all_buyers = np.zeros(1, np.int64), np.array([all_buyers.sum()])
        by_item = pl.DataFrame({"item_row": groups % n_items, name: buyers}, schema=_schema("item_row", name))
        by_cell = pl.DataFrame({f"{name}_all": all_buyers}, schema=_schema(f"{name}_all"))
        return (
            by_item.with_columns(self._told(groups // n_items, scope)),
            by_cell.with_columns(self._told(all_cells, scope)),
        )

    def _told(self, cells: Places, scope: tuple[str, ...]) -> list[pl.Series]:
        """Returns channel and region of each cell, ALL for a column outside of the scope."""
        told = {column: pl.Series(column, [ALL], pl.String).new_from_index(0, cells.size) for column in SCOPE}
        for column in reversed(scope):
            cells, places = np.divmod(cells, len(self.names[column]))
            told[column] = pl.Series(column, self.names[column], pl.String).gather(places)
        return list(told.values())


def _schema(*names: str) -> dict[str, type[pl.DataType]]:
    return {name: pl.Int32 if name == "item_row" else pl.UInt32 for name in names}


def _distinct(numbers: Places) -> Places:
    """Returns the distinct values, ascending; none is negative. The array itself is sorted."""
    numbers.sort()
    return numbers[np.diff(numbers, prepend=-1) > 0]


def _group_sizes(ordered: Places) -> tuple[Places, Places]:
    """Returns the distinct values of an ascending array, and how often each stands in it."""
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    return ordered[first], np.diff(first, append=ordered.size)


def _trend(recent: _Lines, earlier: _Lines, scope: tuple[str, ...], config: PopularityConfig) -> pl.DataFrame:
    now, all_now = recent.counts(scope, "buyers")
    before, all_before = earlier.counts(scope, "before")
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
