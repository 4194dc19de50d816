"""Owns the counterfactuals: which change of the facts would change an item's action, in both languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selection.actions import ActionInputs, choose_actions
from selection.config import ActionsConfig
from selection.moves import Move, Moves, best_place
from selection.reasons import Facts, Windows

__all__ = ["Change", "best_place", "changes"]

#: Sentences at most.
MAX_CHANGES = 3
#: How a sentence names the action that an item would have instead.
INSTEAD = {
    "push": ("改为主推", "Would be pushed"),
    "launch": ("可全面铺开", "Would be rolled out"),
    "keep": ("改为保留", "Would be kept"),
    "discount": ("改为促销", "Would be discounted"),
    "drop": ("改为淘汰", "Would be dropped"),
}
#: And where a launch would be kept.
WAIT = ("则暂不铺开", "Would wait")

Tried = tuple[Move | None, ...]


class Change(NamedTuple):
    """One sentence in both languages, the action that it leads to, and the facts that it supposes."""

    zh: str
    en: str
    action: str
    given: Mapping[str, Any]


def changes(rows: Sequence[Facts], windows: Windows, config: ActionsConfig) -> list[list[Change]]:
    """Returns what would change each item's action by the rules of `choose_actions`, nearest first.

    Every sentence is put to the rules: it is said only where it changes the action, all else being as it is;
    several clauses stand together only where none of them would do alone. At most three an item.
    """
    tried: list[tuple[int, list[Move]]] = []
    for at, facts in enumerate(rows):
        for together in _tried(facts, Moves(facts, windows, config), config):
            moves = [move for move in together if move is not None]
            if moves and len(moves) == len(together):
                tried.append((at, moves))
    singles = [(at, [move]) for at, moves in tried if len(moves) > 1 for move in moves]
    actions = _actions(rows, [*tried, *singles], config)
    moved = [action != rows[at].action for (at, _), action in zip([*tried, *singles], actions, strict=True)]
    alone = iter(moved[len(tried) :])
    found: list[list[Change]] = [[] for _ in rows]
    for (at, moves), action, does in zip(tried, actions, moved, strict=False):
        enough = [next(alone) for _ in moves] if len(moves) > 1 else []
        if does and not any(enough) and len(found[at]) < MAX_CHANGES:
            found[at].append(_said(rows[at], moves, action))
    return found


def _tried(facts: Facts, moves: Moves, config: ActionsConfig) -> list[Tried]:
    """Returns the moves, alone or together, that may change an item's action, nearest first."""
    if facts.action == "push":
        place, demand, hit = moves.below(config.push_quantile), moves.demand(), moves.hit()
        return [(place,), (demand,), (hit,), (hit, place), (hit, demand), (moves.hope(),)]
    if facts.action == "launch":
        nothing, falls, hit = moves.sells_nothing(), moves.falls(), moves.hit()
        place = moves.below(config.launch_quantile)
        return [(nothing,), (falls,), (place,), (hit,), (hit, falls), (hit, place)]
    if facts.action == "discount":
        last = moves.below(config.drop_quantile)
        return [(moves.stops_falling(),), (last,), (moves.sells(),), (moves.hit(),)]
    if facts.action == "drop":
        chance = moves.saved() if facts.stage in {"dead", "decline"} else moves.hope()
        sells = moves.sells() if facts.stage == "dead" else None
        place = moves.up_to(config.drop_quantile) if facts.stage == "decline" else None
        stops = moves.stops_falling() if facts.stage == "decline" else None
        return [(chance,), (sells,), (stops,), (place,)]
    return _tried_of_keep(facts, moves, config)


def _tried_of_keep(facts: Facts, moves: Moves, config: ActionsConfig) -> list[Tried]:
    hit = moves.hit()
    if facts.stage == "dead":
        return [(moves.saved(),)]
    if facts.stage == "launch":
        missing = (moves.buyers(), moves.sells(), moves.stops_falling(), moves.up_to(config.launch_quantile))
        return [tuple(move for move in missing if move is not None), (hit,), (moves.sells(),)]
    if facts.stage == "decline":
        place = moves.below(config.push_quantile)
        return [(place,), (hit,), (hit, place), (moves.dies(),)]
    short_of = (
        moves.up_to(config.push_quantile),
        moves.demand() if facts.demand < config.push_min_units else None,
    )
    return [tuple(move for move in short_of if move is not None), (hit,), (moves.dies(),), (moves.hope(),)]


def _said(facts: Facts, together: Sequence[Move], action: str) -> Change:
    zh_end, en_start = WAIT if facts.stage == "launch" and action == "keep" else INSTEAD[action]
    clauses_zh = "且".join(f" {move.zh}" if move.zh[0].isdigit() else move.zh for move in together)
    zh = f"若{clauses_zh}，{zh_end}"
    first, *others = (move.en for move in together)
    if first.startswith("it "):  # who it is need not be said again
        others = [clause.removeprefix("it ") for clause in others]
    clauses = " and ".join([first, *others])
    en = f"{en_start} {clauses}" if first.startswith("after ") else f"{en_start} if {clauses}"
    return Change(zh, en, action, _given(together))


def _actions(
    rows: Sequence[Facts], supposed: Sequence[tuple[int, Sequence[Move]]], config: ActionsConfig
) -> list[str]:
    """Returns the action of an item under each of some suppositions, by `choose_actions`."""
    names = ("stage", "demand", "buyers", "units_recent", "trend_z", "hit_probability", "keep_probability")
    columns: dict[str, list[Any]] = {name: [] for name in (*names, "quantile")}
    for at, moves in supposed:
        row, given = rows[at], _given(moves)
        for name in names:
            columns[name].append(given.get(name, getattr(row, name)))
        place, place_of = given.get("place", row.place), given.get("place_of", row.place_of)
        columns["quantile"].append((place_of - place + 1) / place_of if place_of else 0.0)

    def numbers(name: str) -> NDArray[np.float64]:
        return np.array(columns[name], np.float64)  # None is NaN

    inputs = ActionInputs(
        stage=np.array(columns["stage"], np.str_),
        quantile=numbers("quantile"),
        demand=numbers("demand"),
        buyers=np.array(columns["buyers"], np.int64),
        units_recent=numbers("units_recent"),
        trend_z=numbers("trend_z"),
        hit_probability=numbers("hit_probability"),
        keep_probability=numbers("keep_probability"),
    )
    return [str(action) for action in choose_actions(inputs, config)]


def _given(moves: Sequence[Move]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for move in moves:
        given |= move.given
    return given
