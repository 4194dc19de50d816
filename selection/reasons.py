"""Owns the reasons: two to four sentences, Chinese and English, that say why an item has its action."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from selection.words import count, money, percent, signed_percent

MIN_REASONS, MAX_REASONS = 2, 4


class Windows(NamedTuple):
    """The lengths in days that the sentences name."""

    recent: int
    base: int
    repurchase: int
    horizon: int


class Facts(NamedTuple):
    """What is known of one item; the names are the feature columns' (`selection.features.FEATURES`).

    `place` and `place_of` are its rank by score among the living items of its category; 0 of 0 if none.
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
    orders_recent: float
    units_recent: float
    season_ratio: float | None
    repurchase_rate: float
    repurchase_usual: float
    order_value: float
    order_value_usual: float
    promotion_share: float
    demand: float
    demand_q10: float
    demand_q90: float
    demand_value: float
    forecast_method: str
    place: int
    place_of: int


class Reason(NamedTuple):
    """One sentence in both languages and how strongly it speaks (0 upwards)."""

    strength: float
    zh: str
    en: str


def explain(facts: Facts, windows: Windows, currency: str) -> list[Reason]:
    """Returns two to four reasons, strongest first; ties keep the order in which they are thought of.

    Strength is about 1 for what is remarkable. What decided the action stands above everything else, and
    what speaks against it is left out unless two reasons cannot be found otherwise.
    """
    found = sorted(_candidates(facts, windows, currency), key=lambda reason: -reason.strength)
    strong = [reason for reason in found if reason.strength >= 0.5]
    return (strong if len(strong) >= MIN_REASONS else found[:MIN_REASONS])[:MAX_REASONS]


def _candidates(facts: Facts, windows: Windows, currency: str) -> Iterator[Reason]:
    yield from _life(facts, windows)
    yield from _standing(facts)
    yield _demand(facts, windows, currency)
    yield from _trend(facts)
    yield from _customers(facts, windows, currency)


def _life(facts: Facts, windows: Windows) -> Iterator[Reason]:
    if facts.stage == "seasonal" and facts.season_ratio is not None:
        ratio = f"{facts.season_ratio:.1f}"
        yield Reason(
            5,
            f"旺季将至：去年同期的订单是全年平均的 {ratio} 倍",
            f"Season ahead: a year ago these weeks had {ratio} times the yearly average of orders",
        )
    since = facts.days_since_sale
    if since is None:
        listed = "" if facts.age_days is None else f"上架 {facts.age_days} 天，"
        listed_en = "" if facts.age_days is None else f"Listed for {facts.age_days} days, "
        sentence = "never sold in the data"
        yield Reason(
            6, f"{listed}有记录以来从未售出", (listed_en + sentence) if listed_en else sentence.capitalize()
        )
    elif facts.stage == "dead" or since > windows.recent:
        yield Reason(
            6 if facts.stage == "dead" else 2, f"已 {since} 天没有售出", f"Not sold for {since} days"
        )
    if facts.stage == "launch" and since is not None and facts.age_days is not None:
        yield Reason(
            5,
            f"上市 {facts.age_days} 天，已有 {facts.buyers} 位买家",
            f"{facts.age_days} days after launch it has {_plural(facts.buyers, 'buyer')}",
        )


def _standing(facts: Facts) -> Iterator[Reason]:
    if facts.place_of < 2 or facts.place < 1:
        return
    share = (facts.place - 1) / (facts.place_of - 1)
    front = facts.action in {"push", "launch", "keep"}
    strength = max(0.0, 1.5 - 10 * share) if front else max(0.0, share - 0.4)
    if front and facts.action == "push":
        strength += 2
    yield Reason(
        strength,
        f"综合得分在本品类 {facts.place_of:,} 个在售商品中排第 {facts.place:,}",
        f"Score ranks {facts.place:,} of {facts.place_of:,} live items in its category",
    )


def _demand(facts: Facts, windows: Windows, currency: str) -> Reason:
    units, low, high = count(facts.demand), count(facts.demand_q10), count(facts.demand_q90)
    zh = f"预计未来 {windows.horizon} 天售出 {units} 件（80% 区间 {low}–{high}）"
    plural = "" if units == "1" else "s"
    en = f"Forecast for the next {windows.horizon} days: {units} unit{plural} (80% interval {low}–{high})"
    if facts.demand_value > 0:
        amount = money(facts.demand_value, currency)
        zh, en = f"{zh}，约 {amount}", f"{en}, about {amount}"
    if not facts.forecast_method:
        zh, en = (
            f"{zh}；没有预测，按近 {windows.base} 天速度推算",
            f"{en}; no forecast, so the rate of the last {windows.base} days",
        )
    strength = {"push": 2.5, "launch": 2.0, "keep": 1.0, "discount": 0.9}.get(facts.action, 0.6)
    return Reason(strength, zh, en)


def _trend(facts: Facts) -> Iterator[Reason]:
    if abs(facts.trend_z) < 1 or abs(facts.trend) < 0.05 or facts.stage == "dead":
        return
    rising = facts.trend > 0
    fitting = rising == (facts.action in {"push", "launch", "keep"})
    strength = min(abs(facts.trend_z) / 2, 3.0) * (1 if fitting else 0.5)
    if facts.stage in {"growth", "decline"}:
        strength += 1.5
    newer, older = facts.trend_newer_days, facts.trend_older_days
    change, errors = signed_percent(facts.trend), f"{abs(facts.trend_z):.1f}"
    yield Reason(
        strength,
        f"近 {newer} 天日均订单比此前 {older} 天 {change}（已扣除全店变化，{errors} 个标准误）",
        f"Orders a day are {change} in the last {newer} days against the {older} days before, "
        f"net of the shop's own change ({errors} standard errors)",
    )


def _customers(facts: Facts, windows: Windows, currency: str) -> Iterator[Reason]:
    good = facts.action in {"push", "launch", "keep"}
    if facts.repurchase_usual > 0:
        ratio = facts.repurchase_rate / facts.repurchase_usual
        fitting = (ratio > 1) == good
        rate, usual = percent(facts.repurchase_rate), percent(facts.repurchase_usual)
        yield Reason(
            min(abs(ratio - 1) * 2, 1.8) if fitting and rate != usual else 0.0,
            f"{rate} 的买家在 {windows.repurchase} 天内再次购买（品类平均 {usual}）",
            f"{rate} of its buyers buy it again within {windows.repurchase} days (category: {usual})",
        )
    if facts.order_value_usual > 0 and facts.buyers > 0:
        ratio = facts.order_value / facts.order_value_usual
        fitting = (ratio > 1) == good
        value, usual = money(facts.order_value, currency), money(facts.order_value_usual, currency)
        yield Reason(
            min(abs(ratio - 1), 1.4) if fitting else 0.0,
            f"含该商品的订单平均 {value}（全店平均 {usual}）",
            f"Orders that contain it are worth {value} on average (shop: {usual})",
        )
    few = not good and 0 < facts.buyers < 3
    yield Reason(
        0.6 if good and facts.buyers >= 10 else (0.5 if few else 0.1),
        f"近 {windows.base} 天有 {facts.buyers:,} 位不同买家",
        f"{_plural(facts.buyers, 'distinct buyer')} in the last {windows.base} days",
    )
    if facts.promotion_share >= 0.5 and facts.buyers >= 3:
        yield Reason(
            0.9 if not good else 0.55,
            f"{percent(facts.promotion_share)} 的销量出自促销日",
            f"{percent(facts.promotion_share)} of its units were sold on promotion days",
        )


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
