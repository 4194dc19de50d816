"""Owns the moves: single changes of an item's facts that a rule looks at, as clauses in both languages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from selection.config import ActionsConfig
from selection.statements import Facts, Windows
from selection.words import count, percent


class Move(NamedTuple):
    """A clause in both languages, and the facts that it supposes."""

    zh: str
    en: str
    given: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moves:
    """The moves of one item; each is None where the item is already there or cannot get there."""

    facts: Facts
    windows: Windows
    config: ActionsConfig

    def up_to(self, quantile: float) -> Move | None:
        """Rises to the last place at or above a quantile of the score."""
        last, place = best_place(self.facts.place_of, quantile), self.facts.place
        if place <= last:
            return None
        return Move(
            f"排名升至前 {last:,} 名（现第 {place:,}）",
            f"it reached place {last:,} (now {place:,})",
            {"place": last},
        )

    def below(self, quantile: float) -> Move | None:
        """Falls to the first place below a quantile of the score."""
        last, place = best_place(self.facts.place_of, quantile), self.facts.place
        if not place <= last < self.facts.place_of:
            return None
        return Move(
            f"排名跌出前 {last:,} 名（现第 {place:,}）",
            f"it fell below place {last:,} (now {place:,})",
            {"place": last + 1},
        )

    def demand(self) -> Move | None:
        """Is forecast to sell enough for a push, or no longer."""
        floor = self.config.push_min_units
        needed, now = _apart(floor, self.facts.demand, units=True)
        days = self.windows.horizon
        if self.facts.demand < floor:
            zh, en = (
                f"{days} 天预测达到 {needed} 件（现 {now}）",
                f"it were forecast to sell {needed} units (now {now})",
            )
            return Move(zh, en, {"demand": floor})
        zh, en = (
            f"{days} 天预测低于 {needed} 件（现 {now}）",
            f"its forecast fell below {needed} units (now {now})",
        )
        return Move(zh, en, {"demand": math.nextafter(floor, -math.inf)}) if floor > 0 else None

    def hit(self) -> Move | None:
        """Has the chance of a hit that a push asks for, or no longer."""
        bar, chance = self.config.push_hit_probability, self.facts.hit_probability
        if chance is None:
            return None
        needed, now = _apart(bar, chance)
        if chance < bar:
            zh, en = f"爆款概率升至 {needed}（现 {now}）", f"its chance of a hit reached {needed} (now {now})"
            return Move(zh, en, {"hit_probability": bar})
        zh, en = f"爆款概率跌破 {needed}（现 {now}）", f"its chance of a hit fell below {needed} (now {now})"
        return Move(zh, en, {"hit_probability": math.nextafter(bar, -math.inf)}) if bar > 0 else None

    def saved(self) -> Move | None:
        """Has the chance of selling something worth keeping that saves it, or no longer."""
        bar, chance = self.config.save_keep_probability, self.facts.keep_probability
        if chance is None:
            return None
        zh, en = self._worth_keeping()
        needed, now = _apart(bar, chance)
        if chance < bar:
            return Move(
                f"{zh}升至 {needed}（现 {now}）",
                f"{en} reached {needed} (now {now})",
                {"keep_probability": bar},
            )
        given: dict[str, Any] = {"keep_probability": math.nextafter(bar, -math.inf)}
        return (
            Move(f"{zh}跌破 {needed}（现 {now}）", f"{en} fell below {needed} (now {now})", given)
            if bar > 0
            else None
        )

    def hope(self) -> Move | None:
        """Has hardly a chance of selling something worth keeping, or more than that."""
        bar, chance = self.config.drop_keep_probability, self.facts.keep_probability
        if chance is None:
            return None
        zh, en = self._worth_keeping()
        needed, now = _apart(bar, chance)
        if chance > bar:
            return Move(
                f"{zh}降至 {needed}（现 {now}）",
                f"{en} fell to {needed} (now {now})",
                {"keep_probability": bar},
            )
        given: dict[str, Any] = {"keep_probability": math.nextafter(bar, math.inf)}
        return (
            Move(f"{zh}高于 {needed}（现 {now}）", f"{en} were above {needed} (now {now})", given)
            if bar < 1
            else None
        )

    def buyers(self) -> Move | None:
        """Has the buyers that a launch asks for."""
        floor, now = self.config.launch_min_buyers, self.facts.buyers
        if now >= floor:
            return None
        return Move(
            f"买家达到 {floor} 位（现 {now}）", f"it had {floor} buyers (now {now})", {"buyers": floor}
        )

    def sells(self) -> Move | None:
        """Sells again; a dead item is then ordinary, and where it stands in its category is not known."""
        days = self.windows.recent
        if self.facts.units_recent > 0:
            return None
        given: dict[str, Any] = {"units_recent": 1.0, "days_since_sale": 0}
        if self.facts.stage == "dead":
            return Move("重新售出", "it sold again", given | {"stage": "mature"})
        return Move(f"近 {days} 天有售出", f"it sold in the last {days} days", given)

    def sells_nothing(self) -> Move | None:
        """Sells nothing in the recent window."""
        days = self.windows.recent
        if self.facts.units_recent <= 0:
            return None
        return Move(f"近 {days} 天没有售出", f"it sold nothing in {days} days", {"units_recent": 0.0})

    def dies(self) -> Move | None:
        """Sells nothing for so long that it is dead."""
        since, days = self.facts.days_since_sale, self.windows.dead
        if since is None or since > days or self.facts.stage in {"dead", "seasonal"}:
            return None
        if (self.facts.keep_probability or 0.0) >= self.config.save_keep_probability:
            return None  # dead or not, its chance would save it
        return Move(
            f"连续 {days} 天没有售出（现 {since} 天）",
            f"after {days} days without a sale (now {since})",
            {"stage": "dead", "units_recent": 0.0, "days_since_sale": days + 1, "place": 0, "place_of": 0},
        )

    def falls(self) -> Move | None:
        """Loses orders faster than a launch may."""
        bar = self.config.launch_min_z
        if self.facts.trend_z < bar or bar > 0:
            return None
        return Move(
            f"订单下降超过 {-bar:g} 个标准误",
            f"its orders fell by more than {-bar:g} standard errors",
            {"trend_z": math.nextafter(bar, -math.inf)},
        )

    def stops_falling(self) -> Move | None:
        """Has as many orders as before."""
        declining = self.facts.stage == "decline"
        if not declining and self.facts.trend_z >= self.config.launch_min_z:
            return None
        given: dict[str, Any] = {"trend_z": max(self.facts.trend_z, self.config.launch_min_z, 0.0)}
        return Move(
            "订单不再下滑", "its orders stopped falling", given | ({"stage": "mature"} if declining else {})
        )

    def _worth_keeping(self) -> tuple[str, str]:
        days = self.windows.keep
        return f"未来 {days} 天仍有可观销售的概率", "its chance of selling something worth keeping"


def best_place(place_of: int, quantile: float) -> int:
    """Returns the last place among `place_of` items that is still at or above a quantile of the score."""
    return max(1, int(place_of * (1 - quantile) + 1e-9) + (1 if quantile > 0 else 0)) if place_of else 0


def _apart(needed: float, now: float, *, units: bool = False) -> tuple[str, str]:
    """Returns both numbers for people, with as many decimals (two at most) as tell them apart."""
    told = (count(needed), count(now)) if units else (percent(needed), percent(now))
    for digits in (1, 2):
        if told[0] != told[1] or needed == now:
            break
        form = f".{digits}f" if units else f".{digits}%"
        told = (format(needed, form), format(now, form))
    return told
