"""Owns the promotions that are asked about, and what the run's forecasts come to with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from recdata.errors import TableError
from selection.whatif.effects import Effects

#: The columns of a file of promotions; the last two may be left out.
COLUMNS = ("item_id", "kind", "from", "to", "discount")
#: One row an item: units and money of the days from the run's own to the end of its forecast.
DIFFERENCES = {
    "item_id": pl.String,
    "days": pl.Int64,  # days that the plan did not have yet
    "factor": pl.Float64,  # units of a promoted day over those of a plain one, with an 80% interval
    "factor_low": pl.Float64,
    "factor_high": pl.Float64,
    "units": pl.Float64,  # forecast as planned
    "more_units": pl.Float64,  # what the asked for days add, with an 80% interval
    "more_units_low": pl.Float64,
    "more_units_high": pl.Float64,
    "revenue": pl.Float64,
    "more_revenue": pl.Float64,
    "more_revenue_low": pl.Float64,
    "more_revenue_high": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A promotion that is asked about.

    Attributes:
        item_id: of the item.
        kind: as in the table of promotions; "" for the kind that the shop has most of.
        first, last: its days, both inside.
        discount: share of the price, 0 to 1; 0 leaves the price as it is.
    """

    item_id: str
    kind: str
    first: date
    last: date
    discount: float = 0.0


def read_asked(path: Path) -> list[Asked]:
    """Returns the promotions of a CSV file with the columns item_id, from, to and, if wanted, kind, discount.

    Raises:
        TableError: it cannot be read, or a column or value is missing or wrong; the row is named.
    """
    try:
        frame = pl.read_csv(path, infer_schema=False, encoding="utf8-lossy")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise TableError(f"{path}: not a CSV file ({error}); write one with a header {COLUMNS}") from error
    missing = [name for name in ("item_id", "from", "to") if name not in frame.columns]
    if missing:
        raise TableError(f"{path}: no column {', '.join(missing)}; a header is {', '.join(COLUMNS)}")
    found = []
    for number, row in enumerate(frame.iter_rows(named=True), 2):
        try:
            found.append(
                Asked(
                    item_id=row["item_id"] or "",
                    kind=row.get("kind") or "",
                    first=date.fromisoformat((row["from"] or "").strip()),
                    last=date.fromisoformat((row["to"] or "").strip()),
                    discount=float(row.get("discount") or 0.0),
                )
            )
        except ValueError as error:
            remedy = "days are as 2024-06-18, a discount a share as 0.2"
            raise TableError(f"{path}, row {number}: {error}; {remedy}") from error
    return found


def check_asked(
    asked: Sequence[Asked], *, known: Mapping[str, int], kinds: Sequence[str], as_of: date, until: date
) -> None:
    """Refuses what cannot be answered.

    Args:
        asked: promotions.
        known: item_id -> item_row of what has a forecast by day.
        kinds: kinds of promotion that the shop has had.
        as_of: the run's own day.
        until: the first day that is not forecast.

    Raises:
        TableError: names the promotion, the value and the remedy.
    """
    for each in asked:
        name = f"promotion of {each.item_id!r} from {each.first} to {each.last}"
        if each.item_id not in known:
            raise TableError(f"{name}: no forecast by day of this item; mend the id or leave it out")
        if each.last < each.first:
            raise TableError(f"{name}: it ends before it begins; swap the days")
        if each.first < as_of:
            raise TableError(
                f"{name}: it begins before {as_of}, the run's day; only days to come can be asked"
            )
        if each.last >= until:
            last = until - timedelta(days=1)
            raise TableError(f"{name}: forecasts end on {last}; end it by then")
        if not 0 <= each.discount < 1:
            raise TableError(f"{name}: discount {each.discount:g} is no share of the price from 0 to below 1")
        if each.kind and each.kind not in kinds:
            told = ", ".join(kinds) or "none"
            raise TableError(f"{name}: the shop has had no {each.kind!r}; kinds with a past: {told}")


def differences(
    asked: Sequence[Asked],
    *,
    daily: pl.DataFrame,
    planned: pl.DataFrame,
    usual: Mapping[tuple[int, str], float],
    plan_ends: Mapping[str, date],
    effects: Mapping[str, Effects],
    known: Mapping[str, int],
    prices: Mapping[int, float],
) -> pl.DataFrame:
    """Returns `DIFFERENCES`, one row an item that is asked about, most additional money first.

    A day's forecast as planned holds the promotions that the plan has of it, or, for kinds whose plan does
    not reach that far, the item's usual share of promoted days. It is taken apart into a plain day and that
    share, and put together again with the promotion on. A day that the plan already has promoted in this
    kind stays as it is; of two kinds asked for on one day the stronger one counts.

    Args:
        asked: promotions, checked.
        daily: item_row, day and mean of the run's forecasts by day.
        planned: item_row, day and kind of planned promotions.
        usual: item_row and kind -> share of its latest days that an item was promoted so.
        plan_ends: kind -> the last day that the plan reaches.
        effects: kind -> effects.
        known: item_id -> item_row.
        prices: item_row -> money of a unit.
    """
    on: dict[int, dict[date, list[Asked]]] = {}
    for each in asked:
        row = known[each.item_id]
        for number in range((each.last - each.first).days + 1):
            on.setdefault(row, {}).setdefault(each.first + timedelta(days=number), []).append(each)
    ids = {row: item_id for item_id, row in known.items()}
    stands = set(planned.select("item_row", "day", "kind").iter_rows())
    units: dict[int, dict[date, float]] = {}
    for row, day, mean in daily.select("item_row", "day", "mean").iter_rows():
        if row in on:
            units.setdefault(row, {})[day] = max(float(mean), 0.0)
    rows = []
    for row, days in on.items():
        price = prices.get(row, 0.0)
        more, money, told, fresh = np.zeros(3), np.zeros(3), np.zeros(3), 0
        for day, wanted in sorted(days.items()):
            new = [each for each in wanted if (row, day, each.kind) not in stands]
            if not new:
                continue
            best = max(new, key=lambda each: (float(effects[each.kind].factor[row]), each.discount))
            effect = effects[best.kind]
            factor = np.array([effect.factor[row], effect.low[row], effect.high[row]])
            share = usual.get((row, best.kind), 0.0) if day > plan_ends[best.kind] else 0.0
            mean = units.get(row, {}).get(day, 0.0)
            promoted = mean / (1 + share * (factor - 1)) * factor
            more += promoted - mean
            money += promoted * price * (1 - best.discount) - mean * price
            told += factor
            fresh += 1
        total = sum(units.get(row, {}).values())
        factors = told / fresh if fresh else np.ones(3)
        rows.append(
            (ids[row], fresh, *factors.tolist(), total, *_ordered(more), total * price, *_ordered(money))
        )
    frame = pl.DataFrame(rows, schema=DIFFERENCES, orient="row")
    return frame.sort("more_revenue", "item_id", descending=[True, False])


def _ordered(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float, float]:
    """Returns the mean and the bounds, the lesser one first."""
    mean, low, high = (float(value) for value in values)
    return mean, min(low, high), max(low, high)
