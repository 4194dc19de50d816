"""Owns what an item is worth beside its sales: satisfaction, whom it draws, whose buyers it shares."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from recdata.sums import group_sums
from selection.config import FeaturesConfig

#: Ratings are on a scale of 0 to this.
RATING_TOP = 10.0


def satisfaction(ratings: pl.LazyFrame, origin: date, zone: str, config: FeaturesConfig) -> pl.DataFrame:
    """Returns item_id and `satisfaction`, 0..1: the mean rating before the origin, shrunk to the shop's.

    `rating_prior` ratings of the shop's mean are mixed in, so that one enthusiast makes no favourite. Beside
    it what was counted: `ratings`, and `rating_mean`, their plain mean, 0..1.
    """
    until = datetime.combine(origin, time(), ZoneInfo(zone)).astimezone(UTC)
    known = ratings.filter(pl.col("rated_at") < until).select(
        "item_id", stars=pl.col("score") / RATING_TOP, given=pl.lit(1.0)
    )
    sums = group_sums(known.collect(), ["item_id"], ["stars", "given"])
    stars, given = (float(np.sum(sums.get_column(name).to_numpy())) for name in ("stars", "given"))
    usual = stars / given if given else 0.0
    prior = config.rating_prior
    shrunk = (pl.col("stars") + prior * usual) / (pl.col("given") + prior)
    return sums.select(
        "item_id",
        shrunk.alias("satisfaction"),
        pl.col("given").alias("ratings"),
        (pl.col("stars") / pl.col("given")).alias("rating_mean"),
    )


def tier_shares(purchases: pl.LazyFrame, origin: date, config: FeaturesConfig) -> pl.DataFrame:
    """Returns item_row, `tier_share`, `tier_usual`, `tier_buyers`: how many buyers are of high value.

    High-value are the customers whose spending in the long window is in the top `high_value_share`. Buyers
    are those of the base window; the share is shrunk to the shop's with the weight of `tier_prior_buyers`.
    """
    spent = group_sums(
        purchases.filter(pl.col("day") >= origin - timedelta(days=config.long_days))
        .select("user_row", "revenue")
        .collect(),
        ["user_row"],
        ["revenue"],
    )
    rank = pl.col("revenue").rank("ordinal", descending=True)
    high = spent.sort("revenue", "user_row", descending=[True, False]).select(
        "user_row", high=rank <= (pl.len() * config.high_value_share).ceil()
    )
    pairs = _buyers(purchases, origin, config).join(high, on="user_row", how="left")
    counts = pairs.group_by("item_row").agg(pl.len().alias("buyers"), pl.col("high").sum().alias("best"))
    usual = counts.select(pl.col("best").sum() / pl.col("buyers").sum()).item() if counts.height else 0.0
    prior = config.tier_prior_buyers
    return counts.select(
        "item_row",
        tier_share=(pl.col("best") + prior * usual) / (pl.col("buyers") + prior),
        tier_usual=pl.lit(usual, pl.Float64),
        tier_buyers=pl.col("best"),
    )


def overlaps(
    purchases: pl.LazyFrame, items: pl.DataFrame, origin: date, config: FeaturesConfig
) -> pl.DataFrame:
    """Returns item_row, `overlap`, `overlap_with`, `overlap_buyers`: whom it shares with a stronger item.

    Stronger items are the `overlap_leaders` of the category with the most revenue in the base window. Of
    them the one that most of an item's buyers bought as well; the share is of the item's buyers, with
    `overlap_prior_buyers` added to them, so that a single shared buyer is no cannibal. It is counted from
    purchases before the origin, not read from the collaborative model, which has seen the days after it.

    Args:
        purchases: PURCHASES before the origin.
        items: item_row, `group` and `revenue_base`.
        origin: the day that is not known yet.
        config: the windows.
    """
    selling = items.select("item_row", "group", "revenue_base").filter(pl.col("revenue_base") > 0)
    order = ["group", "revenue_base", "item_row"]
    strength = selling.sort(order, descending=[False, True, False]).with_columns(
        place=pl.int_range(pl.len()).over("group")
    )
    pairs = _buyers(purchases, origin, config).join(
        strength.select("item_row", "group", "place"), on="item_row", how="inner"
    )
    leaders = pairs.filter(pl.col("place") < config.overlap_leaders).select(
        "user_row", "group", leader=pl.col("item_row"), leader_place=pl.col("place")
    )
    counts = pairs.group_by("item_row").agg(pl.len().alias("buyers"))
    shared = (
        pairs.lazy()
        .join(leaders.lazy(), on=["user_row", "group"])
        .filter(pl.col("leader_place") < pl.col("place"))
        .group_by("item_row", "leader", "leader_place")
        .agg(pl.len().alias("both"))
        .collect(engine="streaming")
        .sort("item_row", "both", "leader_place", descending=[False, True, False])
        .unique("item_row", keep="first", maintain_order=True)
    )
    return shared.join(counts, on="item_row").select(
        "item_row",
        overlap=pl.col("both") / (pl.col("buyers") + config.overlap_prior_buyers),
        overlap_with=pl.col("leader"),
        overlap_buyers=pl.col("both"),
    )


def _buyers(purchases: pl.LazyFrame, origin: date, config: FeaturesConfig) -> pl.DataFrame:
    lately = pl.col("day") >= origin - timedelta(days=config.base_days)
    bought = purchases.filter(lately & (pl.col("quantity") > 0))
    return bought.select("item_row", "user_row").unique().collect()
