"""Owns the language of what merchandisers read on a terminal: headings, names of facts, words of enums."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from recsvc.v1.common_pb2 import Language
from selection.words import ACTION_WORDS, BAND_WORDS, COMPONENT_WORDS, STAGE_WORDS

#: Returns an English phrase, or a pattern for `str.format`, in the language asked for.
Say = Callable[[str], str]

_CHINESE = {
    # tables
    "Selection candidates, {} of {}": "选品候选：{} / {}",
    "Candidates under other weights, {} of {}": "调整权重后的候选：{} / {}",
    "title, item and reason": "商品与理由",
    "action\nstage": "建议\n阶段",
    "score": "得分",
    "trend": "趋势",
    "demand\n80% interval": "预测销量\n80% 区间",
    "was": "原名次",
    "before": "原得分",
    "component": "分项",
    "value": "分值",
    "Items like it": "相似品",
    "item": "商品编号",
    "title and item": "商品",
    "alike": "相似度",
    "Reviews, latest first": "评审记录（最新在前）",
    "when": "时间 (UTC)",
    "who": "评审人",
    "said": "决定",
    "why": "说明",
    "to {}": "对“{}”",
    "until {}": "至 {}",
    # one candidate
    "Why": "理由",
    "Against it": "不利因素",
    "What would change it": "何种变化会改变建议",
    "advice": "建议",
    "stage": "阶段",
    "review": "评审",
    "category": "品类",
    "price": "价格",
    "price band": "价格带",
    "price place": "价格位置",
    "demand": "预测销量",
    "recent sales": "近期销量",
    "expected value": "预期价值",
    "revenue at stake": "涉及销售额",
    "may be a hit": "爆款概率",
    "alarm rang on": "爆款预警日",
    "may be on top": "品类前列概率",
    "worth keeping": "值得保留概率",
    "elasticity": "价格弹性",
    "discount": "建议折扣",
    "in the assortment": "列入选品组合",
    "yes": "是",
    "no": "否",
    "not known": "未知",
    # reviews
    "review {}: {} says {} to {} {}": "评审 {}：{} {}“{}” {}",
    "now {}, {} reviews in all": "现为{}，共 {} 条评审",
    "pending": "待定",
    "approved": "已批准",
    "rejected": "已否决",
    "snoozed": "已搁置",
    "approve": "批准",
    "reject": "否决",
    "snooze": "搁置",
    "note": "备注",
    "reopen": "重新评审",
    # forecasts
    "Forecast of {} ({}): {} days, {} units in all": "{} 的需求预测（{}）：{} 天，共 {} 件",
    "{} of the demand; the first {} days together {} ({} – {})": "占需求的 {}；前 {} 天合计 {}（{} – {}）",
    "… {} more days": "… 另有 {} 天",
    "day": "日期",
    "mean": "预测",
    "q10": "下限 q10",
    "q90": "上限 q90",
    "total": "全店",
    "channel": "渠道",
    "region": "区域",
    " in {}": "，{}",
    # every answer
    "snapshot {}": "快照 {}",
    "note: {}": "注意：{}",
}
_ACTIONS, _STAGES, _BANDS = (
    {name: zh for name, (zh, _) in words.items()} for words in (ACTION_WORDS, STAGE_WORDS, BAND_WORDS)
)


def saying(language: Language.ValueType) -> Say:
    """Returns what puts a phrase of this module into a language; anything but Chinese is English."""
    if language != Language.LANGUAGE_ZH:
        return english
    return lambda phrase: _CHINESE.get(phrase, phrase)


def english(phrase: str) -> str:
    """Returns a phrase as it is."""
    return phrase


def action_name(action: str, say: Say) -> str:
    """Returns an action's name, such as "push"."""
    return _named(_ACTIONS, action, say)


def stage_name(stage: str, say: Say) -> str:
    """Returns the name of a stage of life, such as "growth"."""
    return _named(_STAGES, stage, say)


def band_name(band: str, say: Say) -> str:
    """Returns a price band's name, such as "mid"; "" for none."""
    return _named(_BANDS, band, say) if band else ""


def component_name(component: str, say: Say) -> str:
    """Returns a component's name, in Chinese with the one that --weight takes."""
    if say is english or component not in COMPONENT_WORDS:
        return component
    return f"{COMPONENT_WORDS[component][0]} {component}"


def _named(words: Mapping[str, str], word: str, say: Say) -> str:
    return word if say is english else words.get(word, word)
