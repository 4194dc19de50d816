"""Owns the words that the server puts into an answer: why an item is shown, in Chinese and English."""

from __future__ import annotations

from functools import lru_cache

from recsvc.v1.common_pb2 import Language, RankedItem, Reason, ReasonCode, SourceType

#: By language: the words, and the words where the list is of one category.
_Texts = dict["Language.ValueType", tuple[str, str]]

#: By source: the reason's code and its words.
_WORDS: dict[SourceType.ValueType, tuple[ReasonCode.ValueType, _Texts]] = {
    SourceType.SOURCE_TYPE_UNSPECIFIED: (
        ReasonCode.REASON_CODE_UNSPECIFIED,
        {Language.LANGUAGE_ZH: ("", ""), Language.LANGUAGE_EN: ("", "")},
    ),
    SourceType.SOURCE_TYPE_COLLABORATIVE: (
        ReasonCode.REASON_CODE_SIMILAR_SHOPPERS,
        {
            Language.LANGUAGE_ZH: ("口味相近的顾客也在买", "口味相近的顾客也在买"),
            Language.LANGUAGE_EN: (
                "Shoppers with similar taste buy it",
                "Shoppers with similar taste buy it",
            ),
        },
    ),
    SourceType.SOURCE_TYPE_REPEAT: (
        ReasonCode.REASON_CODE_BOUGHT_BEFORE,
        {
            Language.LANGUAGE_ZH: ("您经常购买", "您经常购买"),
            Language.LANGUAGE_EN: ("You buy it regularly", "You buy it regularly"),
        },
    ),
    SourceType.SOURCE_TYPE_SIMILAR: (
        ReasonCode.REASON_CODE_SIMILAR_ITEM,
        {
            Language.LANGUAGE_ZH: ("买过该商品的顾客也在买", "买过该商品的顾客也在买"),
            Language.LANGUAGE_EN: ("Bought by the same shoppers", "Bought by the same shoppers"),
        },
    ),
    SourceType.SOURCE_TYPE_BESTSELLER: (
        ReasonCode.REASON_CODE_BESTSELLER,
        {
            Language.LANGUAGE_ZH: ("近期畅销", "{category}畅销"),
            Language.LANGUAGE_EN: ("Bestseller", "Bestseller in {category}"),
        },
    ),
    SourceType.SOURCE_TYPE_TRENDING: (
        ReasonCode.REASON_CODE_TRENDING,
        {
            Language.LANGUAGE_ZH: ("销量上升", "{category}热销上升"),
            Language.LANGUAGE_EN: ("Trending", "Trending in {category}"),
        },
    ),
    SourceType.SOURCE_TYPE_CATALOGUE: (
        ReasonCode.REASON_CODE_IN_CATALOGUE,
        {
            Language.LANGUAGE_ZH: ("在售商品", "{category}在售商品"),
            Language.LANGUAGE_EN: ("In the shop", "In {category}"),
        },
    ),
    SourceType.SOURCE_TYPE_NEW: (
        ReasonCode.REASON_CODE_NEW_ARRIVAL,
        {
            Language.LANGUAGE_ZH: ("新品上市", "{category}新品"),
            Language.LANGUAGE_EN: ("New", "New in {category}"),
        },
    ),
    SourceType.SOURCE_TYPE_BOUGHT_TOGETHER: (
        ReasonCode.REASON_CODE_BOUGHT_TOGETHER,
        {
            Language.LANGUAGE_ZH: ("经常一起购买", "经常一起购买"),
            Language.LANGUAGE_EN: ("Often bought together", "Often bought together"),
        },
    ),
    SourceType.SOURCE_TYPE_RULE: (
        ReasonCode.REASON_CODE_PICKED_BY_SHOP,
        {
            Language.LANGUAGE_ZH: ("店铺推荐", "店铺推荐"),
            Language.LANGUAGE_EN: ("Picked by the shop", "Picked by the shop"),
        },
    ),
    SourceType.SOURCE_TYPE_SEGMENT: (
        ReasonCode.REASON_CODE_BESTSELLER_IN_SEGMENT,
        {
            Language.LANGUAGE_ZH: ("本地本渠道畅销", "{category}畅销"),
            Language.LANGUAGE_EN: ("Bestseller where you shop", "Bestseller in {category}"),
        },
    ),
}


#: By reason's code: what is said where the item behind it is named.
_NAMED: dict[ReasonCode.ValueType, dict[Language.ValueType, str]] = {
    ReasonCode.REASON_CODE_BECAUSE_YOU_BOUGHT: {
        Language.LANGUAGE_ZH: "因为您买过「{title}」",
        Language.LANGUAGE_EN: "Because you bought {title}",
    },
    ReasonCode.REASON_CODE_BECAUSE_YOU_VIEWED: {
        Language.LANGUAGE_ZH: "因为您看过「{title}」",
        Language.LANGUAGE_EN: "Because you looked at {title}",
    },
    ReasonCode.REASON_CODE_SIMILAR_ITEM: {
        Language.LANGUAGE_ZH: "买过「{title}」的顾客也在买",
        Language.LANGUAGE_EN: "Bought by the same shoppers as {title}",
    },
    ReasonCode.REASON_CODE_BOUGHT_TOGETHER: {
        Language.LANGUAGE_ZH: "经常与「{title}」一起购买",
        Language.LANGUAGE_EN: "Often bought together with {title}",
    },
}


def named(code: ReasonCode.ValueType, title: str, language: Language.ValueType) -> str:
    """Returns the words of a reason that names the item behind it."""
    return _NAMED[code][language].replace("{title}", title)


@lru_cache(maxsize=4096)
def endings(language: Language.ValueType, category: str) -> tuple[bytes, ...]:
    """Returns, by SourceType number, the bytes of a RankedItem's source and reason.

    Args:
        language: LANGUAGE_ZH or LANGUAGE_EN.
        category: the path of the list's category, "" for the whole shop.
    """
    leaf = category.rsplit(" > ", 1)[-1]
    made = []
    for source, (code, words) in _WORDS.items():
        text = words[language][bool(leaf)].replace("{category}", leaf)
        made.append((source, RankedItem(source=source, reason=Reason(code=code, text=text))))
    return tuple(message.SerializeToString() for _, message in sorted(made, key=lambda pair: pair[0]))
