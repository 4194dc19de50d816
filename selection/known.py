"""Owns what is known of one item for its sentences, and what a sentence is."""

from __future__ import annotations

from typing import NamedTuple


class Windows(NamedTuple):
    """The lengths in days that the sentences name, what a hit is, and the level of a breakout."""

    recent: int
    base: int
    repurchase: int
    horizon: int
    keep: int = 84
    dead: int = 84
    hit_ratio: float = 4.0
    hit: int = 28
    level: float = 0.01


class Facts(NamedTuple):
    """What is known of one item; the names are the feature columns' (`selection.features.FEATURES`).

    `place` and `place_of` are its rank by score among the living items of its category; 0 of 0 if none.
    `overlap_name` is the title of the stronger item that shares its buyers.

    A rate of few is shrunk before it decides anything. A sentence tells what was counted, or says that it
    tells an estimate; which side it speaks for, and how loudly, follows the shrunk rate.
    """

    action: str
    stage: str
    age_days: int | None
    days_since_sale: int | None
    buyers: int
    trend: float
    trend_z: float
    trend_newer_days: int
    trend_older_days: int
    trend_orders: float
    trend_expected: float
    orders_recent: float
    units_recent: float
    season_ratio: float | None
    repurchase_rate: float
    repurchase_usual: float
    watched: int
    came_back: int
    order_value: float
    order_value_usual: float
    value_orders: int
    value_mean: float
    promotion_share: float
    demand: float
    demand_q10: float
    demand_q90: float
    demand_value: float
    forecast_method: str
    place: int
    place_of: int
    hit_probability: float | None = None
    top_probability: float | None = None
    keep_probability: float | None = None
    expected_value: float | None = None
    expected_value_q10: float | None = None
    expected_value_q90: float | None = None
    margin: float | None = None
    satisfaction: float | None = None
    ratings: int = 0
    rating_mean: float | None = None
    tier_share: float = 0.0
    tier_usual: float = 0.0
    tier_buyers: int = 0
    overlap: float | None = None
    overlap_buyers: int = 0
    overlap_name: str | None = None
    early_buyers: float | None = None
    price_band: str = ""
    price_place: float | None = None
    elasticity: float | None = None
    elasticity_low: float | None = None
    elasticity_high: float | None = None
    discount: float | None = None
    breakout: bool = False
    breakout_orders: float = 0.0
    breakout_expected: float = 0.0


class Reason(NamedTuple):
    """One sentence in both languages.

    strength is 0 upwards, about 1 for what is remarkable. good: it speaks for trusting the item; None: it
    speaks for whatever the action is.
    """

    strength: float
    zh: str
    en: str
    good: bool | None = None


def plural(number: int | str, noun: str) -> str:
    """Returns a number with its noun."""
    told = number if isinstance(number, str) else f"{number:,}"
    return f"{told} {noun}{'' if told == '1' else 's'}"
