"""Owns what the plan of promotions says: which items will be promoted, and what was bought while promoted.

The plan is taken as known `lead_days` ahead, like that of the forecast.  A shop's table may end earlier, so
each kind of promotion is known up to the last day on which it has at least `SHARE_OF_USUAL` as many items as
on a usual day; the periods that are learned from look no further ahead than the day of asking can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Flags = NDArray[np.uint8]

MAX_KINDS = 3  # that are looked at by themselves, those with most promoted days
OTHERS = "others"  # all the rest together
RECENT_DAYS = 28  # the last days that the coming ones are compared with
PAST_DAYS = 364  # purchases of so many days tell how much is bought on promotion
MEMORY_DAYS = 728  # of the plan before the day of asking, so that earlier periods can be learned from
SHARE_OF_USUAL = 0.25
#: What is said of an item for each kind of promotion.
FEATURES_OF_KIND = ("planned", "recent", "rise")
_LINE = ("planned_", "recent_")  # the third is their difference


@dataclass(frozen=True, slots=True)
class Plan:
    """Days on which items are promoted.

    Attributes:
        first: the day of the first column.
        kinds: of promotions, that with most promoted days first; "others" is all the rest.
        leads: coming days that are known of each, 1 or more.
        place: `(n_items,)` int32, the item's row; 0 where it is never promoted.
        flags: `(1 + n_promoted, n_days)` uint8, bit k of a day is kind k; the first row has none.
    """

    first: date
    kinds: tuple[str, ...]
    leads: tuple[int, ...]
    place: NDArray[np.int32]
    flags: Flags

    def seen_from(self, day: date) -> Promoted:
        """Returns what is known on the morning of a day, which is no later than that of asking.

        The features are NaN where the plan begins only after that day.
        """
        today = (day - self.first).days
        columns: list[Floats] = []
        for kind, lead in enumerate(self.leads):
            on = (self.flags & np.uint8(1 << kind)) > 0
            planned, recent = (
                on[:, max(start, 0) : max(start + days, 0)].sum(axis=1) / (days if today >= 0 else np.nan)
                for start, days in ((today, lead), (today - RECENT_DAYS, RECENT_DAYS))
            )
            columns += [planned, recent, planned - recent]
        names = tuple(f"{name}_{kind + 1}" for kind in range(len(self.leads)) for name in FEATURES_OF_KIND)
        features = np.column_stack(columns).astype(np.float32)
        return Promoted(names, features[self.place])

    @property
    def planned_days(self) -> dict[str, int]:
        """Returns how many coming days are known of each kind."""
        return dict(zip(self.kinds, self.leads, strict=True))

    def shares_bought(self, day: date, bought: pl.DataFrame, n_pairs: int) -> Floats32:
        """Returns the share of each pair's purchases in which the item was promoted, `(n_pairs,)`.

        NaN where the pair was not bought since the plan begins, or in the last `PAST_DAYS`.

        Args:
            day: the morning of which it is asked.
            bought: (user_row, item_row, age), one row a pair and day, sorted by pair; age is days before it.
            n_pairs: how many pairs there are.
        """
        users, items, ages = (bought[name].to_numpy() for name in ("user_row", "item_row", "age"))
        begins = np.ones(users.size, bool)
        begins[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
        pair = np.cumsum(begins) - 1
        today = (day - self.first).days
        told = ages <= min(PAST_DAYS, today)
        pair, items, ages = pair[told], items[told], ages[told]
        on = self.flags[self.place[items], today - ages] > 0
        count = np.bincount(pair, minlength=n_pairs)
        shares = np.full(n_pairs, np.nan, np.float32)
        np.divide(np.bincount(pair, on, n_pairs), count, out=shares, where=count > 0, casting="unsafe")
        return shares


@dataclass(frozen=True, slots=True)
class Promoted:
    """What is known of every item's promotions on one morning.

    Attributes:
        names: of the features: for each kind of promotion `FEATURES_OF_KIND`, with its number.
        features: `(n_items, len(names))` float32; shares of the coming days and of the last 28 that the item
            is promoted, and the first less the second.
    """

    names: tuple[str, ...]
    features: Floats32


def plan_of(promoted_days: pl.LazyFrame, n_items: int, *, as_of: date, lead_days: int) -> Plan | None:
    """Returns the plan as it is known on the morning of `as_of`; None where nothing to come is known.

    Args:
        promoted_days: the artefact.
        n_items: how many items there are.
        as_of: the day of asking.
        lead_days: promotions of so many coming days count as known, where the table has them.
    """
    first, end = as_of - timedelta(days=MEMORY_DAYS), as_of + timedelta(days=lead_days)
    rows = (
        promoted_days.filter((pl.col("day") >= first) & (pl.col("day") < end))
        .select("item_row", "kind", number=(pl.col("day") - pl.lit(first)).dt.total_days().cast(pl.Int32))
        .unique()
        .collect(engine="streaming")
    )
    ranked = rows.group_by("kind").len().sort("len", "kind", descending=[True, False])["kind"].to_list()
    groups = {kind: [kind] for kind in ranked[:MAX_KINDS]}
    if len(ranked) > MAX_KINDS:
        groups[OTHERS] = ranked[MAX_KINDS:]
    parts, leads = [], {}
    for name, kinds in groups.items():
        part = rows.filter(pl.col("kind").is_in(kinds)).select("item_row", "number").unique()
        if lead := _lead(np.bincount(part["number"].to_numpy(), minlength=MEMORY_DAYS + lead_days)):
            parts.append(part.filter(pl.col("number") < MEMORY_DAYS + lead))
            leads[name] = lead
    if not parts:
        return None
    items = np.unique(np.concatenate([part["item_row"].to_numpy() for part in parts]))
    oldest = min(int(part["number"].min()) for part in parts)  # type: ignore[arg-type]
    place = np.zeros(n_items, np.int32)
    place[items] = np.arange(1, items.size + 1)
    flags = np.zeros((items.size + 1, MEMORY_DAYS + max(leads.values()) - oldest), np.uint8)
    for kind, part in enumerate(parts):
        at = place[part["item_row"].to_numpy()], part["number"].to_numpy() - oldest
        flags[at] |= np.uint8(1 << kind)
    return Plan(first + timedelta(days=oldest), tuple(leads), tuple(leads.values()), place, flags)


def names_of_line(names: Sequence[str]) -> list[str]:
    """Returns those of the features that a line is made of: the shares, not their difference."""
    return [name for name in names if name.startswith(_LINE)]


def _lead(promoted: NDArray[np.int64]) -> int:
    """Returns how many days from `MEMORY_DAYS` on are known, by how many items are promoted on each day."""
    usual = promoted[MEMORY_DAYS - RECENT_DAYS : MEMORY_DAYS].mean()
    coming = promoted[MEMORY_DAYS:]
    known = np.flatnonzero((coming > 0) & (coming >= SHARE_OF_USUAL * usual))
    return int(known[-1]) + 1 if known.size else 0
