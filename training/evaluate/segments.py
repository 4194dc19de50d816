"""Owns the parts of a mean: shoppers by activity, spend, channel, region, attribute; items by popularity."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.evaluate.config import EvaluateConfig
from training.evaluate.split import Split

Mask = NDArray[np.bool_]
OTHER = "other"
MIN_SHARE = 0.05  # of those who have a value; a rarer one is too few people to tell anything by themselves
CUSTOMERS = "customers."  # in front of the name of an attribute of the customers table


def user_segments(
    purchases: pl.LazyFrame,
    users: pl.DataFrame,
    customers: pl.LazyFrame,
    judged: NDArray[np.int64],
    *,
    split: Split,
    config: EvaluateConfig,
) -> dict[str, Mask]:
    """Returns segment name -> which of the judged shoppers it holds, `(n_judged,)` bool.

    Activity counts orders before the split, spend the revenue.  A shopper's channel is that of most of his
    purchase lines before it (ties: the smaller name), his region that of the `users` artefact.  A channel,
    region or attribute that all share makes no segment.

    Args:
        purchases: the `purchases` artefact.
        users: the `users` artefact.
        customers: the input table.
        judged: ascending user rows.
        split: the test period.
        config: which attributes, and how many values of each.
    """
    before = purchases.filter((pl.col("day") < split.start) & (pl.col("quantity") > 0))
    counts = before.group_by("user_row").agg(orders=pl.col("order_id").n_unique()).collect()
    orders = np.zeros(users.height, np.int64)
    orders[counts["user_row"].to_numpy()] = counts["orders"].to_numpy()
    lines = before.select("user_row", "revenue").collect()
    rows, revenue = lines["user_row"].to_numpy(), lines["revenue"].to_numpy()
    spend = np.bincount(rows, weights=revenue, minlength=users.height)
    chosen = users[judged]
    known = pl.DataFrame({"user_row": chosen["user_row"]})
    channels = known.join(_usual_channel(before), on="user_row", how="left", maintain_order="left")
    segments = third_segments("activity", orders[judged]) | third_segments("spend", spend[judged])
    segments |= value_segments("channel", channels["channel"].to_list(), largest=config.segment_values)
    segments |= value_segments("region", chosen["region"].to_list(), largest=config.segment_values)
    for name, values in _attributes(customers, chosen["user_id"], config.user_attributes).items():
        segments |= value_segments(CUSTOMERS + name, values, largest=config.segment_values)
    return segments


def third_segments(name: str, amounts: NDArray[np.int64] | NDArray[np.float64]) -> dict[str, Mask]:
    """Returns who has none, little, some and much of it; the latter three are thirds of those with any.

    Shoppers with equal amounts stay together, so the thirds may differ in size.
    """
    some = amounts[amounts > 0]
    low, high = np.quantile(some, (1 / 3, 2 / 3), method="lower") if some.size else (0, 0)
    return {
        f"{name}:none": amounts <= 0,
        f"{name}:low": (amounts > 0) & (amounts <= low),
        f"{name}:middle": (amounts > low) & (amounts <= high),
        f"{name}:high": amounts > high,
    }


def popularity_segments(buyers: NDArray[np.int64]) -> dict[str, Mask]:
    """Returns which items are head, torso and tail: each a third of all known pairs of buyer and item.

    Items are taken from the most to the least bought; the tail holds those never bought before, too.
    """
    order = np.lexsort((np.arange(buyers.size), -buyers))
    before = np.empty(buyers.size)
    before[order] = np.cumsum(buyers[order]) - buyers[order]
    share = before / max(int(buyers.sum()), 1)
    tail = (share >= 2 / 3) | (buyers == 0)
    return {
        "popularity:head": (share < 1 / 3) & ~tail,
        "popularity:torso": (share >= 1 / 3) & ~tail,
        "popularity:tail": tail,
    }


def value_segments(name: str, values: Sequence[str | None], *, largest: int) -> dict[str, Mask]:
    """Returns "name:value" -> who has it, for the most common values; the others are "name:other".

    Others are, too, those that fewer than `MIN_SHARE` have.  Ties go to the smaller value.  Who has no value
    is in none; where only one segment would be left, there is none.
    """
    given = np.array(["" if value is None else value for value in values], dtype=np.str_)
    found, counts = np.unique(given[given != ""], return_counts=True)
    common = np.lexsort((found, -counts))[:largest]
    kept = found[common[counts[common] >= MIN_SHARE * counts.sum()]].tolist()
    segments = {f"{name}:{value}": given == value for value in kept}
    rest = (given != "") & ~np.isin(given, kept)
    if rest.any():
        other = f"{name}:{OTHER}"
        segments[other] = segments.get(other, False) | rest
    return segments if len(segments) > 1 else {}


def _usual_channel(before: pl.LazyFrame) -> pl.DataFrame:
    return (
        before.filter(pl.col("channel") != "")
        .group_by("user_row", "channel")
        .agg(lines=pl.len())
        .sort(["user_row", "lines", "channel"], descending=[False, True, False])
        .group_by("user_row", maintain_order=True)
        .agg(pl.col("channel").first())
        .collect()
    )


def _attributes(
    customers: pl.LazyFrame, user_ids: pl.Series, names: Sequence[str]
) -> dict[str, list[str | None]]:
    if not names:
        return {}
    wanted = user_ids.to_frame("user_id").lazy()
    rows = wanted.join(customers.select("user_id", "attributes"), on="user_id", how="left").collect()
    by_user = dict(rows.iter_rows())
    told = [msgspec.json.decode(by_user[user] or "{}") for user in user_ids]
    return {name: [None if each.get(name) is None else str(each[name]) for each in told] for name in names}
