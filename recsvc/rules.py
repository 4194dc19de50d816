"""Owns the merchandisers' rules over lists: which hold in a request, and what they come to together."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from google.protobuf.message import DecodeError

from recdata.live.records import RuleRecord
from recdata.snapshot.records import Float32s, Int32s
from recsvc.errors import InvalidFieldError
from recsvc.filtering import SEPARATOR, Conditions, Stock, compiled, contains, union
from recsvc.goods import Goods
from recsvc.log import log
from recsvc.v1.catalog_service_pb2 import Rule, RuleAction

#: Scopes whose rules are kept; past it all are let go and looked up again.
MAX_SCOPES = 4096
MAX_KEPT_CATEGORY = 1024  # characters; a longer path is looked up at every call
#: Boosts multiply within these bounds, so that a score stays a number.
MAX_FACTOR = 1e12

_NO_ROWS = np.empty(0, np.int32)
_NO_FACTORS = np.empty(0, np.float32)
_EVER = datetime.max.replace(tzinfo=UTC)
_ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pin:
    """An item that stands at a place, 1 being the top."""

    position: int
    row: int
    rule_id: str


@dataclass(frozen=True, slots=True)
class ActiveRules:
    """What the rules that hold in a request come to; item rows of the snapshot.

    A row is in one of `hidden`, `pins`, `buried` and `moved` only: HIDE goes before PIN, PIN before the
    others, and a buried item is not boosted. The rules say nothing of stock: what may be shown is the
    request's matter.

    Attributes:
        hidden: ascending.
        pins: by position, then rule_id; an item once, at its highest place. Two may ask for one position:
            give those that may be shown to `place_pins`, which settles it.
        pin_rows: the row of each pin.
        moved: ascending.
        factors: by `moved`, above 0: what its score is multiplied by.
        buried: ascending.
        acting: by rule_id upwards, the rows of each rule.
    """

    hidden: Int32s
    pins: tuple[Pin, ...]
    pin_rows: Int32s
    moved: Int32s
    factors: Float32s
    buried: Int32s
    acting: tuple[tuple[str, Int32s], ...]

    def of_counts(self) -> ActiveRules:
        """Returns the same without what multiplies scores, for an order that is a count."""
        return replace(self, moved=_NO_ROWS, factors=_NO_FACTORS, buried=_NO_ROWS, acting=())

    def rule_ids(self, rows: Int32s) -> dict[int, str]:
        """Returns by row, of those given, the rule that puts it in its place.

        That is the pin, else the first by rule_id of those that bury or boost it.
        """
        found: dict[int, str] = {}
        for rule_id, of_rule in reversed(self.acting):
            hit = contains(of_rule, rows) & (contains(self.moved, rows) | contains(self.buried, rows))
            found.update(dict.fromkeys(rows[hit].tolist(), rule_id))
        wanted = set(rows.tolist())
        found.update({pin.row: pin.rule_id for pin in self.pins if pin.row in wanted})
        return found


@dataclass(frozen=True, slots=True)
class _Compiled:
    """One rule against one snapshot."""

    rule_id: str
    action: RuleAction.ValueType
    target: Conditions
    position: int
    factor: float
    channels: frozenset[str]
    regions: frozenset[str]
    placements: frozenset[str]
    category: str
    start: datetime
    end: datetime

    def holds_in(self, channel: str, region: str, placement: str, category: str) -> bool:
        return (
            (not self.channels or channel in self.channels)
            and (not self.regions or region in self.regions)
            and (not self.placements or placement in self.placements)
            and (not self.category or is_within(category, self.category))
        )


@dataclass(slots=True)
class _Scope:
    """What holds in one scope from one moment to another."""

    begins: datetime
    ends: datetime
    rules: tuple[_Compiled, ...]
    of_rules: list[Int32s]
    version: int
    active: ActiveRules | None


class RuleBook:
    """Every rule, made ready for one snapshot. Thread-safe.

    A rule that this snapshot cannot obey (its prices are in another currency) is left out and logged.

    Args:
        records: the rules as they are stored.
        goods: the snapshot's items of now.
        before: the rules as they were; what has not changed is taken from there.
    """

    def __init__(
        self, records: Iterable[RuleRecord], goods: Goods, *, before: RuleBook | None = None
    ) -> None:
        self._goods = goods
        known = {} if before is None else before._by_record
        self._by_record: dict[RuleRecord, _Compiled | None] = {
            record: known[record] if record in known else _compiled(record, goods)
            for record in sorted(records, key=_rule_id)
        }
        self._rules = tuple(rule for rule in self._by_record.values() if rule is not None)
        self._priced = any(rule.target.priced for rule in self._rules)
        # What no rule is bound to does not tell scopes apart.
        self._channels = frozenset[str]().union(*(rule.channels for rule in self._rules))
        self._regions = frozenset[str]().union(*(rule.regions for rule in self._rules))
        self._placements = frozenset[str]().union(*(rule.placements for rule in self._rules))
        self._by_category = any(rule.category for rule in self._rules)
        self._kept: dict[tuple[str, str, str, str], _Scope] = {}

    def __len__(self) -> int:
        """Returns how many rules there are, holding or not."""
        return len(self._rules)

    def active(
        self, channel: str, region: str, placement: str, category: str, now: datetime
    ) -> ActiveRules | None:
        """Returns what the rules that hold in a request come to, None where they come to nothing.

        Args:
            channel: the request's channel, "" for none.
            region: the request's region, "" for none.
            placement: the request's placement, "" for none.
            category: the category that the request's filter names, "" for none.
            now: the moment, with a time zone.
        """
        if not self._rules:
            return None
        scope = (
            channel if channel in self._channels else "",
            region if region in self._regions else "",
            placement if placement in self._placements else "",
            category if self._by_category else "",
        )
        kept = self._kept.get(scope)
        if kept is None or not kept.begins <= now < kept.ends:
            kept = self._look_up(scope, now)
        elif self._priced and kept.version != self._goods.version:
            kept = self._renewed(kept)
        return kept.active

    def _look_up(self, scope: tuple[str, str, str, str], now: datetime) -> _Scope:
        bound = [rule for rule in self._rules if rule.holds_in(*scope)]
        turns = {moment for rule in bound for moment in (rule.start, rule.end)}
        holding = tuple(rule for rule in bound if rule.start <= now < rule.end)
        version = self._goods.version
        of_rules = [rule.target.rows() for rule in holding]
        kept = _Scope(
            begins=max((turn for turn in turns if turn <= now), default=_ALWAYS),
            ends=min((turn for turn in turns if turn > now), default=_EVER),
            rules=holding,
            of_rules=of_rules,
            version=version,
            active=_joined(holding, of_rules, self._goods.snapshot.n_items),
        )
        if len(scope[3]) <= MAX_KEPT_CATEGORY:
            if len(self._kept) >= MAX_SCOPES:
                self._kept = {}
            self._kept[scope] = kept
        return kept

    def _renewed(self, kept: _Scope) -> _Scope:
        """Returns the scope after prices may have changed; the same lists of rows come to the same."""
        version = self._goods.version
        of_rules = [rule.target.rows() for rule in kept.rules]
        if any(new is not old for new, old in zip(of_rules, kept.of_rules, strict=True)):
            kept.active = _joined(kept.rules, of_rules, self._goods.snapshot.n_items)
            kept.of_rules = of_rules
        kept.version = version
        return kept


@dataclass(frozen=True, slots=True)
class Placed:
    """An order with its pins.

    Attributes:
        rows: item rows, best first.
        origins: for each, its place in the order before, −1 for a pinned item that was not in it.
        pinned: by place in `rows`, the pin that put the item there.
    """

    rows: list[int]
    origins: list[int]
    pinned: dict[int, Pin]


def place_pins(rows: Sequence[int], pins: Iterable[Pin]) -> Placed:
    """Returns an order with pinned items at their positions.

    Of two pins for one position the smaller rule_id has it; the other takes the next one that no pin asks for
    or has. A pin past the end of the list comes at its end. A pinned item leaves the place that it had by its
    score, so an order that is to be cut needs as many items more as there are pins.

    Args:
        rows: item rows, best first, each once; hidden ones are left out already.
        pins: those whose items may be shown.
    """
    settled = settle(pins)
    by_row = {pin.row for pin in settled}
    origin = {row: place for place, row in enumerate(rows) if row in by_row}
    others = [place for place, row in enumerate(rows) if row not in by_row]
    placed_rows = [rows[place] for place in others]
    origins, pinned = others, {}
    for pin in settled:
        place = min(pin.position - 1, len(placed_rows))
        placed_rows.insert(place, pin.row)
        origins.insert(place, origin.get(pin.row, -1))
        pinned[place] = pin
    return Placed(placed_rows, origins, pinned)


def settle(pins: Iterable[Pin]) -> tuple[Pin, ...]:
    """Returns the pins with no two for one position nor for one item, by position."""
    first: dict[int, Pin] = {}
    for pin in sorted(pins, key=lambda pin: (pin.position, pin.rule_id)):
        first.setdefault(pin.row, pin)
    taken: dict[int, Pin] = {}
    late = [pin for pin in first.values() if taken.setdefault(pin.position, pin) is not pin]
    for pin in late:
        position = pin.position
        while position in taken:
            position += 1
        taken[position] = Pin(position, pin.row, pin.rule_id)
    return tuple(taken[position] for position in sorted(taken))


def is_within(category: str, above: str) -> bool:
    """Returns whether a category path is another one or below it."""
    return category == above or category.startswith(above + SEPARATOR)


def _rule_id(record: RuleRecord) -> str:
    return record.rule_id


def _compiled(record: RuleRecord, goods: Goods) -> _Compiled | None:
    try:
        rule = Rule.FromString(record.content)
        target = compiled(goods, rule.target, "rule.target", stock=Stock.ANY)
    except (DecodeError, InvalidFieldError) as error:
        log(
            logging.WARNING,
            "rule left out",
            rule_id=record.rule_id,
            snapshot_id=goods.snapshot.manifest.snapshot_id,
            reason=str(error),
        )
        return None
    scope = rule.scope
    return _Compiled(
        rule_id=record.rule_id,
        action=rule.action,
        target=target,
        position=rule.position,
        factor=rule.factor,
        channels=frozenset(scope.channels),
        regions=frozenset(scope.regions),
        placements=frozenset(scope.placements),
        category=scope.category,
        start=rule.start_time.ToDatetime(tzinfo=UTC) if rule.HasField("start_time") else _ALWAYS,
        end=rule.end_time.ToDatetime(tzinfo=UTC) if rule.HasField("end_time") else _EVER,
    )


def _joined(rules: Sequence[_Compiled], of_rules: Sequence[Int32s], n_items: int) -> ActiveRules | None:
    """Returns what rules come to together, None where they touch no item."""

    def rows_of(action: RuleAction.ValueType) -> list[Int32s]:
        return [
            rows for rule, rows in zip(rules, of_rules, strict=True) if rule.action == action and rows.size
        ]

    hidden = union(rows_of(RuleAction.RULE_ACTION_HIDE), n_items)
    asked = [
        Pin(rule.position, int(rows[0]), rule.rule_id)
        for rule, rows in zip(rules, of_rules, strict=True)
        if rule.action == RuleAction.RULE_ACTION_PIN and rows.size
    ]
    first: dict[int, Pin] = {}
    for pin in sorted(asked, key=lambda pin: (pin.position, pin.rule_id)):
        if not contains(hidden, np.array([pin.row], np.int32))[0]:
            first.setdefault(pin.row, pin)
    pin_rows = np.array(list(first), np.int32)
    before = np.sort(np.concatenate([hidden, pin_rows]))
    buried = union(rows_of(RuleAction.RULE_ACTION_BURY), n_items)
    buried = buried[~contains(before, buried)]
    moved, factors = _boosted(rules, of_rules, n_items)
    free = ~(contains(before, moved) | contains(buried, moved))
    moved, factors = moved[free], factors[free]
    if not (hidden.size or first or buried.size or moved.size):
        return None
    acting = tuple(
        (rule.rule_id, rows)
        for rule, rows in zip(rules, of_rules, strict=True)
        if rule.action in (RuleAction.RULE_ACTION_BOOST, RuleAction.RULE_ACTION_BURY) and rows.size
    )
    return ActiveRules(hidden, tuple(first.values()), pin_rows, moved, factors, buried, acting)


def _boosted(rules: Sequence[_Compiled], of_rules: Sequence[Int32s], n_items: int) -> tuple[Int32s, Float32s]:
    """Returns the ascending rows of every boost, and the product of their factors."""
    boosts = [
        (rule.factor, rows)
        for rule, rows in zip(rules, of_rules, strict=True)
        if rule.action == RuleAction.RULE_ACTION_BOOST and rows.size
    ]
    if not boosts:
        return _NO_ROWS, _NO_FACTORS
    moved = union([rows for _, rows in boosts], n_items)
    factors = np.ones(moved.size)
    for factor, rows in boosts:
        places = moved.searchsorted(rows)
        factors[places] = np.clip(factors[places] * factor, 1 / MAX_FACTOR, MAX_FACTOR)
    return moved, factors.astype(np.float32)
