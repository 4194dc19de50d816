"""Owns what can be said of an item's buyers, appeal and price, in Chinese and English."""

from __future__ import annotations

from collections.abc import Iterator

from selection.known import Facts, Reason, Windows, plural
from selection.words import BAND_WORDS, money, percent


def of_customers(facts: Facts, windows: Windows, currency: str) -> Iterator[Reason]:
    """Yields who buys it, how often, and in which orders."""
    if facts.repurchase_usual > 0 and facts.watched > 0:
        ratio = facts.repurchase_rate / facts.repurchase_usual
        rate, usual = percent(facts.repurchase_rate), percent(facts.repurchase_usual)
        yield Reason(
            min(abs(ratio - 1) * 2, 1.8) if rate != usual else 0.0,
            f"{facts.watched:,} 位买家中有 {facts.came_back:,} 位在 {windows.repurchase} 天内再次购买"
            f"（品类估计 {usual}）",
            f"{facts.came_back:,} of {plural(facts.watched, 'buyer')} bought it again within "
            f"{windows.repurchase} days (category: an estimated {usual})",
            good=ratio > 1,
        )
    if facts.order_value_usual > 0 and facts.value_orders > 0:
        ratio = facts.order_value / facts.order_value_usual
        value, usual = money(facts.value_mean, currency), money(facts.order_value_usual, currency)
        one = facts.value_orders == 1
        orders = "one order that contains it was" if one else f"{facts.value_orders:,} orders with it were"
        yield Reason(
            min(abs(ratio - 1), 1.4),
            f"含该商品的 {facts.value_orders:,} 个订单平均 {value}（全店平均 {usual}）",
            f"The {orders} worth {value}{'' if one else ' on average'} (shop: {usual})",
            good=ratio > 1,
        )
    yield Reason(
        0.6 if facts.buyers >= 10 else 0.5 if facts.buyers < 3 else 0.1,
        f"近 {windows.base} 天有 {facts.buyers:,} 位不同买家",
        f"{plural(facts.buyers, 'distinct buyer')} in the last {windows.base} days",
        good=True if facts.buyers >= 10 else False if facts.buyers < 3 else None,
    )
    if facts.promotion_share >= 0.5 and facts.buyers >= 3:
        yield Reason(
            0.9,
            f"{percent(facts.promotion_share)} 的销量出自促销日",
            f"{percent(facts.promotion_share)} of its units were sold on promotion days",
            good=False,
        )


def of_appeal(facts: Facts) -> Iterator[Reason]:
    """Yields what it leaves, how it is liked, and whom it draws."""
    if facts.margin is not None:
        yield Reason(
            4.0 if facts.margin < 0 else abs(facts.margin - 0.3) * 2,
            f"毛利率 {percent(facts.margin)}",
            f"Sold below cost: margin {percent(facts.margin)}"
            if facts.margin < 0
            else f"Margin {percent(facts.margin)} of its price",
            good=facts.margin >= 0.3,
        )
    if facts.satisfaction is not None and facts.rating_mean is not None:
        stars, liked = f"{facts.rating_mean * 10:.1f}", facts.rating_mean >= 0.7
        yield Reason(
            abs(facts.satisfaction - 0.7) * 4 if liked == (facts.satisfaction >= 0.7) else 0.0,
            f"{facts.ratings:,} 个评分平均 {stars}（满分 10）",
            f"Rated {stars} of 10 on average ({plural(facts.ratings, 'rating')})",
            good=liked,
        )
    if facts.tier_usual > 0 and facts.buyers >= 3:
        ratio = facts.tier_share / facts.tier_usual
        share, usual = percent(facts.tier_share), percent(facts.tier_usual)
        yield Reason(
            min(abs(ratio - 1) * 1.5, 1.2) if share != usual else 0.0,
            f"{facts.buyers:,} 位买家中有 {facts.tier_buyers:,} 位高价值用户（全店 {usual}）",
            f"{facts.tier_buyers:,} of its {facts.buyers:,} buyers are high-value customers (shop: {usual})",
            good=ratio > 1,
        )
    if facts.overlap is not None and facts.overlap_name:
        both, buyers = f"{facts.overlap_buyers:,}", f"{facts.buyers:,}"
        yield Reason(
            facts.overlap * 2,
            f"{buyers} 位买家中有 {both} 位也购买同品类更畅销的「{facts.overlap_name}」",
            f"{both} of its {buyers} buyers also buy “{facts.overlap_name}”, "
            "which sells better in its category",
            good=False,
        )
    if facts.early_buyers is not None:
        share = percent(facts.early_buyers)
        yield Reason(
            abs(facts.early_buyers - 0.5) * 4,
            f"首批买家的眼光估计为 {share}（50% 为一般：他们以往首批购买的新品后来表现如何）",
            f"Its first buyers' record is an estimated {share} (50% is usual: how the new items that they "
            "bought early fared)",
            good=facts.early_buyers > 0.5,
        )


def of_price(facts: Facts) -> Iterator[Reason]:
    """Yields which discount is advised, and where its price stands."""
    if facts.discount is not None and facts.action == "discount":
        zh, en = f"建议降价 {percent(facts.discount)}", f"Suggested discount {percent(facts.discount)}"
        if facts.elasticity is not None and facts.elasticity_low is not None:
            ends = f"{facts.elasticity_low:.1f}…{facts.elasticity_high:.1f}"
            zh = f"{zh}：价格弹性估计 {facts.elasticity:.1f}（90% 区间 {ends}）"
            en = f"{en}: price elasticity an estimated {facts.elasticity:.1f} (90% interval {ends})"
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
