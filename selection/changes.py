"""Owns the counterfactuals: which change of the facts would change an item's action, in both languages."""

from __future__ import annotations

from typing import NamedTuple

from selection.config import ActionsConfig
from selection.reasons import Facts, Windows
from selection.words import count, percent

#: Sentences at most.
MAX_CHANGES = 3


class Change(NamedTuple):
    """One sentence in both languages."""

    zh: str
    en: str


def changes(facts: Facts, windows: Windows, config: ActionsConfig) -> list[Change]:
    """Returns what would change the action by the rules of `choose_actions`, nearest first, at most three."""
    found = {
        "push": _of_push,
        "launch": _of_launch,
        "keep": _of_keep,
        "discount": _of_discount,
        "drop": _of_drop,
    }[facts.action](facts, windows, config)
    return found[:MAX_CHANGES]


def best_place(place_of: int, quantile: float) -> int:
    """Returns the last place among `place_of` items that is still at or above a quantile of the score."""
    return max(1, int(place_of * (1 - quantile) + 1e-9) + (1 if quantile > 0 else 0)) if place_of else 0


def _of_push(facts: Facts, windows: Windows, config: ActionsConfig) -> list[Change]:
    last, floor = best_place(facts.place_of, config.push_quantile), count(config.push_min_units)
    return [
        Change(
            f"若排名跌出前 {last:,} 名（现第 {facts.place:,}），改为保留",
            f"Would be kept instead if it fell below place {last:,} (now {facts.place:,})",
        ),
        Change(
            f"若 {windows.horizon} 天预测低于 {floor} 件（现 {count(facts.demand)}），改为保留",
            f"Would be kept instead if its forecast fell below {floor} units (now {count(facts.demand)})",
        ),
    ]


def _of_launch(facts: Facts, windows: Windows, config: ActionsConfig) -> list[Change]:
    share, last = percent(1 - config.launch_quantile), best_place(facts.place_of, config.launch_quantile)
    return [
        Change(
            f"若近 {windows.recent} 天没有售出，或订单下降超过 {-config.launch_min_z:g} 个标准误，则暂不铺开",
            f"Would wait if it sold nothing in {windows.recent} days, or if orders fell by more than "
            f"{-config.launch_min_z:g} standard errors",
        ),
        Change(
            f"若排名跌出品类前 {share}（前 {last:,} 名，现第 {facts.place:,}），则暂不铺开",
            f"Would wait if it left the best {share} of its category (place {last:,}, now {facts.place:,})",
        ),
    ]


def _of_keep(facts: Facts, windows: Windows, config: ActionsConfig) -> list[Change]:
    if facts.stage == "launch":
        return _of_waiting(facts, windows, config)
    found = []
    last = best_place(facts.place_of, config.push_quantile)
    if facts.stage == "decline":
        found.append(
            Change(
                f"若排名跌出前 {last:,} 名（现第 {facts.place:,}）而仍在下滑，改为促销",
                f"Would be discounted if it fell below place {last:,} (now {facts.place:,}), still declining",
            )
        )
    elif facts.place_of:
        needs_zh, needs_en = [], []
        if facts.place > last:
            needs_zh.append(f"排名升至前 {last:,} 名（现第 {facts.place:,}）")
            needs_en.append(f"reached place {last:,} (now {facts.place:,})")
        if facts.demand < config.push_min_units:
            needs_zh.append(f"预测达到 {count(config.push_min_units)} 件（现 {count(facts.demand)}）")
            needs_en.append(
                f"were forecast to sell {count(config.push_min_units)} units (now {count(facts.demand)})"
            )
        if needs_en:
            found.append(
                Change(
                    f"若{'且'.join(needs_zh)}，改为主推", f"Would be pushed if it {' and '.join(needs_en)}"
                )
            )
    if facts.hit_probability is not None and facts.hit_probability < config.push_hit_probability:
        needed, now = percent(config.push_hit_probability), percent(facts.hit_probability)
        found.append(
            Change(
                f"若爆款概率升至 {needed}（现 {now}），改为主推",
                f"Would be pushed if its chance of a hit reached {needed} (now {now})",
            )
        )
    if facts.days_since_sale is not None:
        found.append(
            Change(
                f"若连续 {windows.dead} 天没有售出（现 {facts.days_since_sale} 天），改为淘汰",
                f"Would be dropped after {windows.dead} days without a sale (now {facts.days_since_sale})",
            )
        )
    return found


def _of_waiting(facts: Facts, windows: Windows, config: ActionsConfig) -> list[Change]:
    needs_zh, needs_en = [], []
    if facts.buyers < config.launch_min_buyers:
        needs_zh.append(f"买家达到 {config.launch_min_buyers} 位（现 {facts.buyers}）")
        needs_en.append(f"had {config.launch_min_buyers} buyers (now {facts.buyers})")
    if facts.units_recent <= 0:
        needs_zh.append(f"近 {windows.recent} 天有售出")
        needs_en.append(f"sold in the last {windows.recent} days")
    if facts.trend_z < config.launch_min_z:
        needs_zh.append("订单停止下滑")
        needs_en.append("stopped falling")
    if facts.place_of and facts.place > best_place(facts.place_of, config.launch_quantile):
        share = percent(1 - config.launch_quantile)
        needs_zh.append(f"排名进入品类前 {share}")
        needs_en.append(f"were in the best {share} of its category")
    if not needs_en:
        return []
    return [
        Change(f"若{'且'.join(needs_zh)}，可全面铺开", f"Would be rolled out if it {' and '.join(needs_en)}")
    ]


def _of_discount(facts: Facts, windows: Windows, config: ActionsConfig) -> list[Change]:
    share = percent(config.drop_quantile)
    found = []
    if facts.stage == "decline":
        found.append(
            Change("若订单不再下滑，改为保留", "Would be kept if its orders stopped falling"),
        )
        found.append(
            Change(
                f"若排名跌入品类末 {share}，改为淘汰",
                f"Would be dropped if it fell into the last {share} of its category",
            )
        )
    else:
        found.append(
            Change(
                f"若未来 {windows.recent} 天有售出，改为保留",
                f"Would be kept if it sold within the next {windows.recent} days",
            )
        )
    return found


def _of_drop(facts: Facts, windows: Windows, config: ActionsConfig) -> list[Change]:
    found = []
    if facts.keep_probability is not None:
        needed, now = percent(config.drop_keep_probability), percent(facts.keep_probability)
        if facts.keep_probability <= config.drop_keep_probability:
            found.append(
                Change(
                    f"若未来 {windows.keep} 天仍有可观销售的概率高于 {needed}（现 {now}），则不淘汰",
                    "Would stay if its chance of selling something worth keeping were above "
                    f"{needed} (now {now})",
                )
            )
    if facts.stage == "dead":
        found.append(Change("若重新售出，则不再视为停滞", "Would no longer be dead if it sold again"))
    elif facts.stage == "decline":
        found.append(Change("若订单不再下滑，改为保留", "Would be kept if its orders stopped falling"))
    return found
