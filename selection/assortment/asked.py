"""Owns what is left of the limits asked for where their items are no longer on sale, and says so.

A shelf changes between two nights and its config does not. An item or a category that the catalogue knows but
that cannot be sold now must not stop a night; one that nothing ever had is a slip of the pen and does.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import polars as pl

from selection.assortment.config import AssortmentConfig
from selection.assortment.limits import is_inside

#: A remark in Chinese and in English.
Remark = tuple[str, str]


def on_sale(
    config: AssortmentConfig, selection: pl.DataFrame, items: pl.DataFrame
) -> tuple[AssortmentConfig, list[Remark]]:
    """Returns the config without what cannot be had today, and what was left out and what to do about it.

    Args:
        config: as people set it.
        selection: SELECTION, what can be sold.
        items: ITEMS, what the catalogue knows.
    """
    changes: dict[str, object] = {}
    remarks: list[Remark] = []
    selling, known = set(selection.get_column("item_id")), set(items.get_column("item_id"))
    for name in ("always", "never"):
        asked: tuple[str, ...] = getattr(config, name)
        gone = {item_id for item_id in asked if item_id in known - selling}
        if gone:
            changes[name] = tuple(item_id for item_id in asked if item_id not in gone)
            remarks.append(_said(name, gone))
    for name in ("slots", "least"):
        limits: dict[str, int] = getattr(config, name)
        gone = {path for path in limits if not _has(selection, path) and _has(items, path)}
        if gone:
            changes[name] = {path: bound for path, bound in limits.items() if path not in gone}
            remarks.append(_said(name, gone))
    return msgspec.structs.replace(config, **changes), remarks


def _has(frame: pl.DataFrame, path: str) -> bool:
    return not frame.filter(is_inside(path)).is_empty()


def _said(name: str, gone: Iterable[str]) -> Remark:
    told = ", ".join(map(repr, sorted(gone)))
    key = f"selection.assortment.{name}"
    return (
        f"{key}：{told} 目前不在售（已下架或尚未上市），本次未计入；如不再需要，请从设置中删去",
        f"{key}: {told} not on sale now (discontinued, or not launched yet), so left out tonight; "
        "take it out of the config if it is not to come back",
    )
