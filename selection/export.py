"""Owns selection.csv: every row of the selection, safe to open in a spreadsheet, Chinese included."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from selection.score import COMPONENTS
from selection.select import TEXTS
from selection.words import ACTION_WORDS, BAND_WORDS, COMPONENT_WORDS, STAGE_WORDS

#: A text cell that starts with one of these is read as a formula (full-width forms by East Asian Excel).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

#: Artefact column -> header.
HEADERS = {
    "rank": "排名 Rank",
    "item_id": "商品编号 Item",
    "title": "商品 Title",
    "category": "品类 Category",
    "brand": "品牌 Brand",
    "price": "价格 Price",
    "price_band": "价格带 Price band",
    "action_zh": "建议",
    "action": "Action",
    "stage_zh": "生命周期",
    "stage": "Stage",
    "breakout": "突破 Breakout",
    "score": "得分 Score",
    "recent_sales": "近期销量 Recent units",
    "trend": "趋势估计 Trend, estimated",
    "demand": "预测销量 Forecast units",
    "demand_q10": "预测下限 Forecast 10%",
    "demand_q90": "预测上限 Forecast 90%",
    "revenue_at_stake": "预测销售额 Forecast revenue",
    "expected_value": "预期销售额 Expected revenue",
    "expected_value_q10": "预期下限 Expected 10%",
    "expected_value_q90": "预期上限 Expected 90%",
    "hit_probability": "爆款概率 Hit probability",
    "hit_alarm_on": "爆款预警日 Hit alarm",
    "top_probability": "品类前列概率 Top probability",
    "keep_probability": "值得保留概率 Keep probability",
    "price_place": "价格位置 Price place",
    "elasticity": "价格弹性 Elasticity",
    "elasticity_low": "弹性下限 Elasticity low",
    "elasticity_high": "弹性上限 Elasticity high",
    "discount": "建议折扣 Discount",
    "repurchase_rate": "复购率估计 Repurchase rate, estimated",
    "order_value": "订单价值估计 Order value, estimated",
    **{f"part_{name}": f"{zh}分 {en} score" for name, (zh, en) in COMPONENT_WORDS.items()},
    "reasons_zh": "理由",
    "against_zh": "反对理由",
    "changes_zh": "何时改变",
    "reasons_en": "Reasons",
    "against_en": "Against",
    "changes_en": "What would change it",
}
#: Columns of numbers, and to how many places they are shown.
PLACES = dict.fromkeys(
    (
        "score",
        "trend",
        "repurchase_rate",
        "hit_probability",
        "top_probability",
        "keep_probability",
        "price_place",
        "discount",
    ),
    4,
) | dict.fromkeys(
    (
        "price",
        "demand",
        "demand_q10",
        "demand_q90",
        "revenue_at_stake",
        "expected_value",
        "expected_value_q10",
        "expected_value_q90",
        "order_value",
        "elasticity",
        "elasticity_low",
        "elasticity_high",
    ),
    2,
)


def write_csv(selection: pl.DataFrame, items: pl.DataFrame, path: Path) -> None:
    """Writes every row of a SELECTION frame, best first, as UTF-8 with a byte order mark.

    Text cells that a spreadsheet would run as a formula are led by an apostrophe; numbers are numbers.
    """
    frame = (
        selection.join(
            items.select("item_row", "title", "brand", "price"),
            on="item_row",
            how="left",
            maintain_order="left",
        )
        .sort("rank")
        .with_columns(
            _translated("action", ACTION_WORDS).alias("action_zh"),
            _translated("stage", STAGE_WORDS).alias("stage_zh"),
            _translated("price_band", BAND_WORDS),
            *(
                pl.col("components").str.json_path_match(f"$.{name}").cast(pl.Float64).alias(f"part_{name}")
                for name in COMPONENTS
            ),
            *(_sentences(name, "；" if name.endswith("zh") else "; ") for name in TEXTS),
            *(pl.col(name).round(places) for name, places in PLACES.items()),
        )
        .select(pl.col(name).alias(header) for name, header in HEADERS.items())
    )
    _safe(frame).write_csv(path, include_bom=True, line_terminator="\r\n")


def _translated(column: str, words: dict[str, tuple[str, str]]) -> pl.Expr:
    return pl.col(column).replace({key: zh for key, (zh, _) in words.items()})


def _sentences(column: str, separator: str) -> pl.Expr:
    return pl.col(column).str.json_decode(pl.List(pl.String)).list.join(separator)


def _safe(frame: pl.DataFrame) -> pl.DataFrame:
    text = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    starts = "|".join(re.escape(start) for start in FORMULA_STARTS)
    return frame.with_columns(pl.col(text).str.replace(f"^({starts})", "'$1"))
