"""Owns the words of the reports: names of actions, stages, bands and components, money and numbers."""

from __future__ import annotations

from typing import Literal, NamedTuple

Language = Literal["zh", "en"]

ACTION_WORDS = {
    "push": ("主推", "Push"),
    "launch": ("上新", "Launch"),
    "keep": ("保留", "Keep"),
    "discount": ("促销", "Discount"),
    "drop": ("淘汰", "Drop"),
}
ACTION_MEANINGS = {
    "push": ("给更多曝光和库存", "give it exposure and stock"),
    "launch": ("新品已被验证，全面铺开", "a new item that has proved itself: roll it out"),
    "keep": ("维持现状", "leave as it is"),
    "discount": ("需求下滑，降价消化", "demand is falling: sell it down"),
    "drop": ("不再补货，退出", "stop buying it in"),
}
STAGE_WORDS = {
    "launch": ("上市期", "launch"),
    "growth": ("成长期", "growth"),
    "mature": ("成熟期", "mature"),
    "decline": ("衰退期", "decline"),
    "seasonal": ("季节性", "seasonal"),
    "dead": ("停滞", "dead"),
}
BAND_WORDS = {
    "premium": ("高端", "premium"),
    "high": ("中高端", "high"),
    "mid": ("中端", "mid"),
    "value": ("平价", "value"),
    "": ("无价格", "no price"),
}
COMPONENT_WORDS = {
    "demand": ("预测需求", "Forecast"),
    "value": ("预期价值", "Expected value"),
    "sales": ("近期销售", "Recent sales"),
    "buyers": ("购买人数", "Buyers"),
    "trend": ("趋势", "Trend"),
    "hit": ("爆款概率", "Hit chance"),
    "repurchase": ("复购", "Repurchase"),
    "order_value": ("订单价值", "Order value"),
    "margin": ("毛利", "Margin"),
    "satisfaction": ("满意度", "Satisfaction"),
    "tier": ("高价值用户", "High-value buyers"),
    "novelty": ("独特性", "Novelty"),
    "safety": ("确定性", "Certainty"),
}
#: What people did about an advice.
DECISION_WORDS = {
    "": ("–", "–"),
    "approve": ("已批准", "approved"),
    "reject": ("已否决", "rejected"),
    "snooze": ("已搁置", "snoozed"),
}


class Days(NamedTuple):
    """The lengths of the windows that plain rules look back, as the config has them."""

    recent: int = 28
    base: int = 84
    long: int = 365


_METHOD_WORDS = {
    "selection": ("选品模型", "Selection"),
    "score": ("综合得分", "The score"),
    "equal": ("等权重", "Equal weights"),
    "value": ("仅预期价值", "Expected value alone"),
    "forecast": ("仅预测需求", "Forecast alone"),
    "bestsellers": ("上期畅销（{recent} 天销售额）", "Last period's bestsellers ({recent} days, revenue)"),
    "bestsellers_units": ("上期畅销（{recent} 天销量）", "Last period's bestsellers ({recent} days, units)"),
    "bestsellers_base": ("近 {base} 天畅销（销售额）", "Bestsellers of {base} days (revenue)"),
    "bestsellers_both": (
        "近 {recent} 天与 {base} 天畅销各半",
        "Bestsellers of {recent} and {base} days, half each",
    ),
    "bestsellers_long": ("近 {long} 天畅销（销售额）", "Bestsellers of {long} days (revenue)"),
    "bestsellers_84": ("近 84 天畅销（销量）", "Bestsellers of 84 days (units)"),
    "average": ("全部历史日均销量", "Units a day over the whole history"),
    "buyers": ("近 84 天买家数", "Distinct buyers of 84 days"),
    "last_year": ("去年同期", "The same weeks a year before"),
    "momentum": ("增长最快", "Fastest growth"),
    "random": ("品类内随机", "Random in category"),
    "oracle": ("事后最优", "Oracle (hindsight)"),
}
#: Where a rule lists what to drop: what it holds least of comes first. Others are called as ever.
_DROP_WORDS = {
    "score": ("综合得分最低", "Lowest score"),
    "bestsellers": ("上期销售额最低（{recent} 天）", "Least revenue of the last period ({recent} days)"),
    "bestsellers_units": ("上期销量最低（{recent} 天）", "Fewest units of the last period ({recent} days)"),
    "bestsellers_base": ("近 {base} 天销售额最低", "Least revenue of {base} days"),
    "bestsellers_both": (
        "近 {recent} 天与 {base} 天销售额最低，各半",
        "Least revenue of {recent} and {base} days, half each",
    ),
    "bestsellers_long": ("近 {long} 天销售额最低", "Least revenue of {long} days"),
    "bestsellers_84": ("近 84 天销量最低", "Fewest units of 84 days"),
    "average": ("全部历史日均销量最低", "Fewest units a day over the whole history"),
    "buyers": ("近 84 天买家最少", "Fewest distinct buyers of 84 days"),
    "last_year": ("去年同期销售额最低", "Least revenue in the same weeks a year before"),
    "momentum": ("增长最慢", "Slowest growth"),
    "random": ("随机", "Random"),
}
#: For a console, where room is short.
_METHOD_LABELS = {
    "selection": "selection",
    "score": "the score",
    "equal": "equal",
    "value": "value",
    "forecast": "forecast",
    "bestsellers": "bestsellers",
    "bestsellers_units": "by units",
    "bestsellers_base": "of {base} days",
    "bestsellers_both": "{recent}+{base} days",
    "bestsellers_long": "of {long} days",
    "bestsellers_84": "84 days, units",
    "average": "whole history",
    "buyers": "buyers",
    "last_year": "last year",
    "momentum": "growth",
    "random": "random",
    "oracle": "oracle",
}
METRIC_WORDS = {
    "precision": ("命中率", "Precision"),
    "capture": ("价值捕获率", "Value captured"),
    "announced": ("提前上榜", "Announced"),
    "lead_days": ("提前天数", "Lead days"),
    "turnover": ("换榜率", "Turnover"),
    "false_kills": ("误淘汰率", "False kills"),
    "killed_value": ("误失销售额", "Value lost"),
}

_SYMBOLS = {"CNY": "¥", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "JP¥", "HKD": "HK$", "TWD": "NT$"}


def word(table: dict[str, tuple[str, str]], key: str, language: Language) -> str:
    """Returns the word for a key; a key that has none stands for itself."""
    return table.get(key, (key, key))[0 if language == "zh" else 1]


def method_words(method: str, days: Days) -> tuple[str, str]:
    """Returns what a method of the back-test is called in Chinese and English."""
    return _with_days(_METHOD_WORDS[method], days)


def drop_words(method: str, days: Days) -> tuple[str, str]:
    """Returns what a method is called where it lists what to drop, in Chinese and English."""
    return _with_days(_DROP_WORDS.get(method, _METHOD_WORDS[method]), days)


def _with_days(words: tuple[str, str], days: Days) -> tuple[str, str]:
    zh, en = words
    return zh.format(**days._asdict()), en.format(**days._asdict())


def method_label(method: str, days: Days) -> str:
    """Returns what a method of the back-test is called where room is short."""
    return _METHOD_LABELS[method].format(**days._asdict())


def money(value: float, currency: str) -> str:
    """Returns an amount for people: no decimals from 100 on, thousands separated; "-¥3.50" below zero."""
    symbol = _SYMBOLS.get(currency, f"{currency} ")
    digits = 0 if abs(value) >= 100 else 2
    return f"{'-' if round(value, digits) < 0 else ''}{symbol}{abs(value):,.{digits}f}"


def count(value: float) -> str:
    """Returns a number of units for people: one decimal below 10 unless whole, else none."""
    if abs(value) < 10 and abs(value - round(value)) >= 0.05:
        return f"{value:.1f}"
    return f"{value:,.0f}"


def percent(share: float) -> str:
    """Returns a share as a whole percentage; never "-0%"."""
    return signed_percent(share).lstrip("+")


def signed_percent(share: float, *, digits: int = 0) -> str:
    """Returns a change as a percentage with its sign; never "-0%"."""
    return f"{round(share * 100, digits) + 0.0:+.{digits}f}%"
