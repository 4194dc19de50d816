"""Owns the words of the evaluation's page: models, measures and segments in both languages."""

from __future__ import annotations

from markupsafe import Markup

from selection.charts import bilingual
from training.evaluate.segments import CUSTOMERS, OTHER

MODEL_WORDS = {
    "bestsellers": ("畅销榜", "Bestsellers"),
    "own_frequency": ("个人购买频次", "Own frequency"),
    "als": ("协同过滤 ALS", "ALS"),
    "served": ("实际推荐", "Served"),
    "history": ("本人历史", "Own history"),
}
TARGET_WORDS = {
    "all": ("全部商品", "All items"),
    "never_bought": ("从未购买的商品", "Items never bought before"),
}
METRIC_WORDS = {
    "precision": ("精确率", "Precision"),
    "recall": ("召回率", "Recall"),
    "ndcg": ("NDCG", "NDCG"),
    "hit_rate": ("命中率", "Hit rate"),
    "value_captured": ("价值捕获率", "Value captured"),
    "revenue_captured": ("人均捕获金额", "Revenue captured a shopper"),
    "user_coverage": ("用户覆盖率", "User coverage"),
    "catalogue_coverage": ("目录覆盖率", "Catalogue coverage"),
    "novelty": ("新颖度（比特）", "Novelty, bits"),
    "popularity": ("热度（买过的用户占比）", "Popularity (share who had bought it)"),
    "head_share": ("头部商品占比", "Share of head items"),
    "category_diversity": ("品类多样性", "Diversity by category"),
    "vector_diversity": ("向量多样性", "Diversity by vector"),
    "miscalibration": ("品类偏离（0 最好）", "Miscalibration (0 is best)"),
    "gini": ("曝光基尼系数", "Gini of what is shown"),
}
#: What each measure beyond accuracy says, and which way is good.
BEYOND_MEANINGS = {
    "novelty": ("越大越少人买过", "higher: fewer people had bought it"),
    "popularity": ("越小越不靠大路货", "lower: leans less on what everybody buys"),
    "head_share": (
        "头部 = 购买对数的前三分之一",
        "the head makes the first third of all pairs of buyer and item",
    ),
    "category_diversity": (
        "列表中两件商品品类不同的概率",
        "chance that two shown items are of different categories",
    ),
    "vector_diversity": ("列表中两件商品的平均距离", "mean distance of two shown items"),
    "miscalibration": (
        "列表与本人历史的品类分布之差（KL 散度）",
        "divergence of the list's categories from the shopper's own (KL)",
    ),
    "gini": (
        "0 为所有商品曝光相同，1 为全部集中于一件",
        "0: all items are shown alike, 1: one has it all",
    ),
}
_KIND_WORDS = {
    "activity": ("活跃度", "Activity"),
    "spend": ("消费分层", "Spend"),
    "popularity": ("商品热度", "Popularity of the item"),
    "channel": ("渠道", "Channel"),
    "region": ("区域", "Region"),
}
_LEVELLED = ("activity", "spend", "popularity")
_LEVEL_WORDS = {
    "none": ("无历史", "no past"),
    "low": ("低", "low"),
    "middle": ("中", "middle"),
    "high": ("高", "high"),
    "head": ("头部", "head"),
    "torso": ("腰部", "torso"),
    "tail": ("长尾", "tail"),
}


def spoken(table: dict[str, tuple[str, str]], key: str) -> Markup:
    """Returns the word for a key in both languages; a key that has none stands for itself."""
    return bilingual(*table.get(key, (key, key)))


def kind_words(segment: str) -> tuple[str, str]:
    """Returns what a segment's kind is called in both languages."""
    kind = segment.partition(":")[0]
    if kind.startswith(CUSTOMERS):
        name = kind.removeprefix(CUSTOMERS)
        return f"用户属性 {name}", f"Customers' {name}"
    return _KIND_WORDS.get(kind, (kind, kind))


def value_words(segment: str) -> tuple[str, str]:
    """Returns what a segment is called within its kind in both languages."""
    kind, _, value = segment.partition(":")
    if value == OTHER:
        return "其他", "other"
    # What data call low or high is theirs.
    return _LEVEL_WORDS[value] if kind in _LEVELLED and value in _LEVEL_WORDS else (value, value)
