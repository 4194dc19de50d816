"""Owns what sells next in one channel or region, as a person reads it on a console."""

from __future__ import annotations

import numpy as np
import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recdata.artefacts import read_artefact
from recdata.errors import RunError
from recdata.intervals import count_bounds
from recdata.places import HORIZON, ITEM, PlaceShares, view_of
from recdata.runs import RunFolder
from selection.places import read_places
from selection.words import ACTION_WORDS, STAGE_WORDS, count, money, word


def show_local(
    console: Console, run: RunFolder, *, channel: str, region: str, currency: str, limit: int
) -> None:
    """Prints the items with most expected revenue in a channel, a region, or both.

    Raises:
        RunError: neither is given, nothing ever sold there, or it has closed.
    """
    picks = local_picks(
        read_artefact(run.resolve("selection.parquet"), "selection"),
        read_places(run),
        channel=channel,
        region=region,
    )
    titles = read_artefact(run.resolve("items.parquet"), "items").select("item_row", "title")
    rows = picks.head(limit).join(titles, on="item_row", how="left", maintain_order="left")
    where = " · ".join(name for name in (channel, region) if name)
    total = float(picks.get_column("local_value").to_numpy().sum())
    table = Table(
        title=Text(f"{where}：接下来卖什么 what sells there next ({money(total, currency)})"),
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in ("#", "商品 item\n品类 category", "建议\nadvice"):
        table.add_column(name, overflow="fold")
    for name in ("份额\nshare", "提升\nlift", "需求 demand\n80%", "价值\nvalue"):
        table.add_column(name, justify="right")
    for number, row in enumerate(rows.iter_rows(named=True), start=1):
        advice = (word(ACTION_WORDS, row["action"], "zh"), word(STAGE_WORDS, row["stage"], "zh"))
        category = row["category"].rsplit(" > ", 1)[-1]
        low, high = count(round(row["local_q10"])), count(round(row["local_q90"]))
        table.add_row(
            str(number),
            Text.assemble(row["title"] or row["item_id"], (f"\n{category}", "dim")),
            "\n".join(advice),
            f"{row['place_share']:.1%}",
            f"×{row['place_lift']:.1f}",
            f"{row['local_demand']:,.1f}\n{low} – {high}",
            money(row["local_value"], currency),
        )
    console.print(table)


def local_picks(selection: pl.DataFrame, places: PlaceShares, *, channel: str, region: str) -> pl.DataFrame:
    """Returns SELECTION rows with what is expected of them in a place, most revenue there first.

    Added are `place_share` of the item's demand, `place_lift` (that over the share of the shop's demand that
    falls there: with 2 it sells there twice as well as things usually do), `local_demand` in units of the
    horizon with `local_q10` and `local_q90`, and `local_value`, that share of the expected value (of the
    forecast money without one). Equals stand by item_id; what nothing is expected of is left out.

    Args:
        selection: SELECTION.
        places: how demand falls on channels and regions.
        channel: "" for all of them.
        region: "" for all of them.

    Raises:
        RunError: no place is given, nothing ever sold there, or it has closed.
    """
    told = " and ".join(
        f"{name} {value!r}" for name, value in (("channel", channel), ("region", region)) if value
    )
    if not told:
        raise RunError("no place is given; say --channel, --region, or both")
    within = places.within(channel, region)
    if not within.any():
        raise RunError(f"nothing was sold in {told}; spell it as in the events")
    usual = places.shop[within].sum(dtype=np.float64)
    if usual <= 0:
        raise RunError(f"{told} has closed; ask for a place that sells")
    share = places.shares(within)[selection.get_column("item_row").to_numpy()]
    demand = share * np.nan_to_num(selection.get_column("demand").to_numpy())
    low, high = count_bounds(demand, places.ratios[ITEM, view_of(channel, region), HORIZON])
    value = pl.coalesce(pl.col("expected_value").fill_nan(None), "revenue_at_stake").fill_nan(0.0)
    return (
        selection.with_columns(
            place_share=pl.Series(share, dtype=pl.Float64),
            place_lift=pl.Series(share / float(usual), dtype=pl.Float64),
            local_demand=pl.Series(demand, dtype=pl.Float64),
            local_q10=pl.Series(low, dtype=pl.Float64),
            local_q90=pl.Series(high, dtype=pl.Float64),
        )
        .with_columns(local_value=value.clip(lower_bound=0.0) * pl.col("place_share"))
        .filter(pl.col("local_value") > 0)
        .sort(["local_value", "item_id"], descending=[True, False])
    )
