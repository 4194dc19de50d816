"""Owns what can be said without learning: the plain rules to beat, and chances from a shrunk rate of sale.

An item's rate of orders is gamma with its category's mean item as prior; what has been ordered makes it
sharper (orders, not units: one order of ten is one event), but never sharper than rates drift from month to
month.  What it will sell is then negative binomial, which gives every chance in closed form.  The model takes
these chances as columns, and they stand in for it where there is too little to learn from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from selection.outcomes.config import OutcomesConfig
from selection.outcomes.facts import Facts, Floats
from selection.outcomes.labels import alive_at, group_mean
from selection.outcomes.panel import Panel

#: Orders' worth of weight that the category's mean item has in an item's rate.
PRIOR_ORDERS = 0.5
#: Variance of the change of a rate from one month to the next, as a share of its square.
DRIFT = 0.15
#: What a day older than `RECENT_DAYS` counts.
OLD_WEIGHT = 0.25
RECENT_DAYS = 84

#: The plain rules, by the name under which they are reported; "random" and "oracle" stand beside them.
RULES = ("last 28 days", "last 84 days", "whole-history average", "blend", "momentum", "distinct buyers")


@dataclass(frozen=True, slots=True)
class PlainChances:
    """What the shrunk rate says of the items of a panel; arrays are `(n,)` float64.

    Attributes:
        hit: chance of a hit in the horizon.
        keep: chance of selling something worth keeping.
        top: chance of more revenue in the horizon than the last of the top had, at its rate.
        value: expected revenue of the horizon.
    """

    hit: Floats
    keep: Floats
    top: Floats
    value: Floats


def plain_rules(panel: Panel, *, money: bool) -> dict[str, Floats]:
    """Returns rule -> `(n,)` float64, more is better.

    Args:
        panel: what is known.
        money: sales in revenue instead of units; momentum and buyers are the same.
    """

    def column(name: str) -> Floats:
        return panel.columns[name].astype(np.float64)

    what = "revenue" if money else "units"
    last, base = column(f"{what}_28"), column(f"{what}_84")
    average = column("revenue_rate" if money else "rate_all")
    recent, older = column("units_28"), column("units_84") - column("units_28")
    return {
        "last 28 days": last,
        "last 84 days": base,
        "whole-history average": average,
        "blend": last / 28.0 + base / 84.0,
        "momentum": (recent + 1.0) / (np.maximum(older, 0.0) / 2.0 + 1.0),
        "distinct buyers": column("buyers_84"),
    }


def plain_chances(facts: Facts, panel: Panel, config: OutcomesConfig) -> PlainChances:
    """Returns what the shrunk rates say of a panel's items; see the module."""
    rows, origin = panel.rows, panel.origin
    column = {name: values.astype(np.float64) for name, values in panel.columns.items()}
    age = np.clip(column["age"], 1.0, max(origin, 1))
    recent_days = np.minimum(age, RECENT_DAYS)
    exposure = recent_days + OLD_WEIGHT * (age - recent_days)
    recent = column["orders_84"]
    orders = recent + OLD_WEIGHT * np.maximum(column["orders_all"] - recent, 0.0)
    size = np.where(column["units_per_order"] > 0, column["units_per_order"], 1.0)
    alive = alive_at(facts, origin, config)

    def usual(values: Floats) -> Floats:
        every = np.zeros(facts.n_items)
        every[rows] = values
        return group_mean(every, alive, facts.group)[rows]

    prior_rate = np.maximum(usual(orders / exposure), 1e-6)
    mean = (PRIOR_ORDERS + orders) / (PRIOR_ORDERS / prior_rate + exposure)
    shape = 1.0 / (1.0 / (PRIOR_ORDERS + orders) + DRIFT)
    rate = shape / mean
    price = np.where(np.isfinite(column["price"]), column["price"], 0.0)

    def at_least(bar: Floats, days: int) -> Floats:
        return np.asarray(stats.nbinom.sf(np.ceil(bar / size) - 1.0, shape, rate / (rate + days)), np.float64)

    horizon = config.horizon_days
    mean_units = usual(column["units_84"]) * horizon / max(min(origin, 84), 1)
    mean_revenue = usual(column["revenue_84"]) * config.keep_days / max(min(origin, 84), 1)
    enough = np.where(price > 0, config.keep_share * mean_revenue / np.maximum(price, 1e-9), np.inf)
    last_of_top = _last_of_top(column, horizon, origin)
    bar = np.where(price > 0, last_of_top / np.maximum(price, 1e-9), np.inf)
    return PlainChances(
        hit=at_least(np.maximum(config.hit_ratio * mean_units, 1.0), horizon),
        keep=at_least(np.maximum(enough, 1.0), config.keep_days),
        top=at_least(np.maximum(bar, 1.0), horizon),
        value=mean * horizon * size * price,
    )


def _last_of_top(column: dict[str, Floats], horizon: int, origin: int) -> Floats:
    """Returns the revenue of the horizon that the last of the top would have at the rate of 84 days."""
    share = column["bar_revenue_84"]
    known = np.isfinite(share) & (share > 0)
    bar = np.where(known, column["revenue_84"] / np.where(known, share, 1.0), 0.0)
    # Items without sales of their own do not tell their category's bar; the others' is nowhere needed.
    return np.where(known, bar, np.inf) * horizon / max(min(origin, 84), 1)
