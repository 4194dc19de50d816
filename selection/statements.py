"""Owns what can be said of an item: sentences in Chinese and English, each with its strength and its side."""

from __future__ import annotations

from collections.abc import Iterator

from selection.known import Facts, Reason, Windows, plural
from selection.statements_buyers import of_appeal, of_customers, of_price
from selection.words import count, money, percent

__all__ = ["Facts", "Reason", "Windows", "statements"]


def statements(facts: Facts, windows: Windows, currency: str) -> Iterator[Reason]:
    """Yields everything that can be said, in the order in which it is thought of."""
    yield from _life(facts, windows)
    yield from _standing(facts)
    yield _demand(facts, windows, currency)
    yield _recent(facts, windows)
    yield from _chances(facts, windows, currency)
    yield from _breakout(facts, windows)
    yield from _trend(facts)
    yield from of_customers(facts, windows, currency)
    yield from of_appeal(facts)
    yield from of_price(facts)


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
            f"{facts.age_days} days after launch it has {plural(facts.buyers, 'buyer')}",
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


def _breakout(facts: Facts, windows: Windows) -> Iterator[Reason]:
    if not facts.breakout:
        return
    orders, expected = count(facts.breakout_orders), count(facts.breakout_expected)
    level = f"{windows.level * 100:g}%"
    why = "promotions and the shop's change allowed for"
    yield Reason(
        4.5,
        f"突破：近 {windows.recent} 天有 {orders} 个订单，"
        f"按其此前自身水平（已计入促销与全店变化）估计应有 {expected} 个，偶然如此的概率不到 {level}",
        f"Breaks out: {orders} orders in the last {windows.recent} days, where its own level before, {why}, "
        f"made an estimated {expected}; chance alone does that in under {level} of cases",
        good=True,
    )


def _trend(facts: Facts) -> Iterator[Reason]:
    if abs(facts.trend_z) < 1 or abs(facts.trend) < 0.05 or facts.stage == "dead":
        return
    if facts.breakout and facts.trend > 0:
        return  # said already, and better
    strength = min(abs(facts.trend_z) / 2, 3.0)
    if facts.stage in {"growth", "decline"}:
        strength += 1.5
    newer, older = facts.trend_newer_days, facts.trend_older_days
    orders, expected = count(facts.trend_orders), count(facts.trend_expected)
    errors = f"{abs(facts.trend_z):.1f}"
    yield Reason(
        strength,
        f"近 {newer} 天有 {orders} 个订单，按此前 {older} 天的速度、计入全店变化应有 {expected} 个"
        f"（相差 {errors} 个标准误）",
        f"{plural(orders, 'order')} in the last {newer} days; the rate of the {older} days before, moved "
        f"with the shop, made {expected} ({errors} standard errors apart)",
        good=facts.trend > 0,
    )
