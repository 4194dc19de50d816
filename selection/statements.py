"""Owns what can be said of an item: sentences in Chinese and English, each with its strength and its side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from selection.words import BAND_WORDS, count, money, percent, signed_percent


class Windows(NamedTuple):
    """The lengths in days that the sentences name, and what a hit is."""

    recent: int
    base: int
    repurchase: int
    horizon: int
    keep: int = 84
    dead: int = 84
    hit_ratio: float = 4.0
    hit: int = 28


class Facts(NamedTuple):
    """What is known of one item; the names are the feature columns' (`selection.features.FEATURES`).

    `place` and `place_of` are its rank by score among the living items of its category; 0 of 0 if none.
    `overlap_name` is the title of the stronger item that shares its buyers.
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
    hit_probability: float | None = None
    top_probability: float | None = None
    keep_probability: float | None = None
    expected_value: float | None = None
    expected_value_q10: float | None = None
    expected_value_q90: float | None = None
    margin: float | None = None
    satisfaction: float | None = None
    tier_share: float = 0.0
    tier_usual: float = 0.0
    overlap: float | None = None
    overlap_name: str | None = None
    early_buyers: float | None = None
    price_band: str = ""
    price_place: float | None = None
    elasticity: float | None = None
    elasticity_low: float | None = None
    elasticity_high: float | None = None
    discount: float | None = None


class Reason(NamedTuple):
    """One sentence in both languages.

    strength is 0 upwards, about 1 for what is remarkable. good: it speaks for trusting the item; None: it
    speaks for whatever the action is.
    """

    strength: float
    zh: str
    en: str
    good: bool | None = None


def statements(facts: Facts, windows: Windows, currency: str) -> Iterator[Reason]:
    """Yields everything that can be said, in the order in which it is thought of."""
    yield from _life(facts, windows)
    yield from _standing(facts)
    yield _demand(facts, windows, currency)
    yield _recent(facts, windows)
    yield from _chances(facts, windows, currency)
    yield from _trend(facts)
    yield from _customers(facts, windows, currency)
    yield from _appeal(facts)
    yield from _price(facts)


def _life(facts: Facts, windows: Windows) -> Iterator[Reason]:
    if facts.stage == "seasonal" and facts.season_ratio is not None:
        ratio = f"{facts.season_ratio:.1f}"
        yield Reason(
            5,
            f"旺季将至：去年同期的订单是全年平均的 {ratio} 倍",
            f"Season ahead: a year ago these weeks had {ratio} times the yearly average of orders",
            good=True,
        )
    since = facts.days_since_sale
    if since is None:
        listed = "" if facts.age_days is None else f"上架 {facts.age_days} 天，"
        listed_en = "" if facts.age_days is None else f"Listed for {facts.age_days} days, "
        sentence = "never sold in the data"
        yield Reason(
            6,
            f"{listed}有记录以来从未售出",
            (listed_en + sentence) if listed_en else sentence.capitalize(),
            good=False,
        )
    elif facts.stage == "dead" or since > windows.recent:
        strength = 6 if facts.stage == "dead" else 2
        yield Reason(strength, f"已 {since} 天没有售出", f"Not sold for {since} days", good=False)
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
    zh = f"综合得分在本品类 {facts.place_of:,} 个在售商品中排第 {facts.place:,}"
    en = f"Score ranks {facts.place:,} of {facts.place_of:,} live items in its category"
    pushed = facts.action == "push"
    if share <= 0.5:
        yield Reason(max(0.0, 1.5 - 10 * share) + (2 if pushed else 0), zh, en, good=True)
    else:  # pushed for its chance of a hit, in spite of its place
        yield Reason(max(0.0, share - 0.4) + (0.5 if pushed else 0), zh, en, good=False)


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


def _recent(facts: Facts, windows: Windows) -> Reason:
    units = count(facts.units_recent)
    plural = "" if units == "1" else "s"
    zh, en = (
        f"近 {windows.recent} 天售出 {units} 件",
        f"{units} unit{plural} sold in the last {windows.recent} days",
    )
    return Reason(0.2, zh, en)


def _chances(facts: Facts, windows: Windows, currency: str) -> Iterator[Reason]:
    hit, top, keep = facts.hit_probability, facts.top_probability, facts.keep_probability
    if hit is not None and hit >= 0.1:
        ratio = f"{windows.hit_ratio:g}"
        yield Reason(
            0.6 + 3 * hit + (1 if facts.action == "push" else 0),
            f"成为爆款的概率 {percent(hit)}（{windows.hit} 天销量达到品类均值的 {ratio} 倍）",
            f"{percent(hit)} chance of a hit: {ratio} times its category's mean sales in {windows.hit} days",
            good=True,
        )
    if top is not None and top >= 0.3:
        yield Reason(
            0.5 + top,
            f"进入品类销售额前列的概率 {percent(top)}",
            f"{percent(top)} chance of being among the best of its category by revenue",
            good=True,
        )
    if keep is not None and (keep <= 0.25 or keep >= 0.75):
        low = keep <= 0.25
        yield Reason(
            3 * (0.25 - keep) / 0.25 + 0.5 if low else 2 * (keep - 0.75) + 0.4,
            f"未来 {windows.keep} 天仍有值得保留的销售的概率为 {percent(keep)}",
            f"{percent(keep)} chance that it sells something worth keeping in the next {windows.keep} days",
            good=not low,
        )
    if facts.expected_value is not None and facts.expected_value_q90 is not None:
        amounts = (facts.expected_value, facts.expected_value_q10 or 0.0, facts.expected_value_q90)
        mean, low_end, high_end = (money(amount, currency) for amount in amounts)
        yield Reason(
            0.55,
            f"预期销售额 {mean}（80% 区间 {low_end}–{high_end}，已修正择优偏差）",
            f"Expected revenue {mean} (80% interval {low_end}–{high_end}, corrected for picking winners)",
        )


def _trend(facts: Facts) -> Iterator[Reason]:
    if abs(facts.trend_z) < 1 or abs(facts.trend) < 0.05 or facts.stage == "dead":
        return
    strength = min(abs(facts.trend_z) / 2, 3.0)
    if facts.stage in {"growth", "decline"}:
        strength += 1.5
    newer, older = facts.trend_newer_days, facts.trend_older_days
    change, errors = signed_percent(facts.trend), f"{abs(facts.trend_z):.1f}"
    yield Reason(
        strength,
        f"近 {newer} 天日均订单比此前 {older} 天 {change}（已扣除全店变化，{errors} 个标准误）",
        f"Orders a day are {change} in the last {newer} days against the {older} days before, "
        f"net of the shop's own change ({errors} standard errors)",
        good=facts.trend > 0,
    )


def _customers(facts: Facts, windows: Windows, currency: str) -> Iterator[Reason]:
    if facts.repurchase_usual > 0:
        ratio = facts.repurchase_rate / facts.repurchase_usual
        rate, usual = percent(facts.repurchase_rate), percent(facts.repurchase_usual)
        yield Reason(
            min(abs(ratio - 1) * 2, 1.8) if rate != usual else 0.0,
            f"{rate} 的买家在 {windows.repurchase} 天内再次购买（品类平均 {usual}）",
            f"{rate} of its buyers buy it again within {windows.repurchase} days (category: {usual})",
            good=ratio > 1,
        )
    if facts.order_value_usual > 0 and facts.buyers > 0:
        ratio = facts.order_value / facts.order_value_usual
        value, usual = money(facts.order_value, currency), money(facts.order_value_usual, currency)
        yield Reason(
            min(abs(ratio - 1), 1.4),
            f"含该商品的订单平均 {value}（全店平均 {usual}）",
            f"Orders that contain it are worth {value} on average (shop: {usual})",
            good=ratio > 1,
        )
    yield Reason(
        0.6 if facts.buyers >= 10 else 0.5 if facts.buyers < 3 else 0.1,
        f"近 {windows.base} 天有 {facts.buyers:,} 位不同买家",
        f"{_plural(facts.buyers, 'distinct buyer')} in the last {windows.base} days",
        good=True if facts.buyers >= 10 else False if facts.buyers < 3 else None,
    )
    if facts.promotion_share >= 0.5 and facts.buyers >= 3:
        yield Reason(
            0.9,
            f"{percent(facts.promotion_share)} 的销量出自促销日",
            f"{percent(facts.promotion_share)} of its units were sold on promotion days",
            good=False,
        )


def _appeal(facts: Facts) -> Iterator[Reason]:
    if facts.margin is not None:
        yield Reason(
            4.0 if facts.margin < 0 else abs(facts.margin - 0.3) * 2,
            f"毛利率 {percent(facts.margin)}",
            f"Sold below cost: margin {percent(facts.margin)}"
            if facts.margin < 0
            else f"Margin {percent(facts.margin)} of its price",
            good=facts.margin >= 0.3,
        )
    if facts.satisfaction is not None:
        stars = f"{facts.satisfaction * 10:.1f}"
        yield Reason(
            abs(facts.satisfaction - 0.7) * 4,
            f"平均评分 {stars}（满分 10）",
            f"Rated {stars} of 10 on average",
            good=facts.satisfaction >= 0.7,
        )
    if facts.tier_usual > 0 and facts.buyers >= 3:
        ratio = facts.tier_share / facts.tier_usual
        share, usual = percent(facts.tier_share), percent(facts.tier_usual)
        yield Reason(
            min(abs(ratio - 1) * 1.5, 1.2) if share != usual else 0.0,
            f"{share} 的买家是高价值用户（全店 {usual}）",
            f"{share} of its buyers are high-value customers (shop: {usual})",
            good=ratio > 1,
        )
    if facts.overlap is not None and facts.overlap_name:
        share = percent(facts.overlap)
        yield Reason(
            facts.overlap * 2,
            f"{share} 的买家也购买同品类更畅销的「{facts.overlap_name}」",
            f"{share} of its buyers also buy “{facts.overlap_name}”, which sells better in its category",
            good=False,
        )
    if facts.early_buyers is not None:
        share = percent(facts.early_buyers)
        yield Reason(
            abs(facts.early_buyers - 0.5) * 4,
            f"首批买家的眼光 {share}（50% 为一般：他们以往首批购买的新品后来表现如何）",
            f"Its first buyers' record is {share} (50% is usual: how the new items they bought early fared)",
            good=facts.early_buyers > 0.5,
        )


def _price(facts: Facts) -> Iterator[Reason]:
    if facts.discount is not None and facts.action == "discount":
        zh, en = f"建议降价 {percent(facts.discount)}", f"Suggested discount {percent(facts.discount)}"
        if facts.elasticity is not None and facts.elasticity_low is not None:
            ends = f"{facts.elasticity_low:.1f}…{facts.elasticity_high:.1f}"
            zh = f"{zh}：价格弹性 {facts.elasticity:.1f}（90% 区间 {ends}）"
            en = f"{en}: price elasticity {facts.elasticity:.1f} (90% interval {ends})"
        else:
            zh, en = f"{zh}；价格弹性无法识别", f"{en}; its price elasticity is not identifiable"
        yield Reason(2.0, zh, en)
    if facts.price_place is not None and facts.price_band in {"premium", "value"}:
        zh_band, en_band = BAND_WORDS[facts.price_band]
        place = percent(facts.price_place)
        yield Reason(
            0.3,
            f"{zh_band}价格带：比本品类 {place} 的商品贵或相当",
            f"{en_band.capitalize()} price band: {place} of its category cost as much or less",
        )


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
