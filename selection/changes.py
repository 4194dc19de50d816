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


def changes(facts: Facts, windows: Windows, config: ActionsConfig) -> list[Change]:
    """Returns what would change the action by the rules of `choose_actions`, nearest first, at most three.

    Every sentence is put to the rules: it is said only where it changes the action, all else being as it is;
    several clauses stand together only where none of them would do alone.
    """
    moves = Moves(facts, windows, config)
    tried = [
        [move for move in together if move is not None]
        for together in _tried(facts, moves, config)
        if together and all(move is not None for move in together)
    ]
    singles = [[move] for together in tried if len(together) > 1 for move in together]
    actions = _actions(facts, [*tried, *singles], config)
    do_alone = [
        move for (move,), action in zip(singles, actions[len(tried) :], strict=True) if action != facts.action
    ]
    found = [
        _said(facts, together, action)
        for together, action in zip(tried, actions, strict=False)
        if action != facts.action and (len(together) == 1 or not any(move in do_alone for move in together))
    ]
    return found[:MAX_CHANGES]


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
    zh = f"若{'且'.join(move.zh for move in together)}，{zh_end}"
    first, *others = (move.en for move in together)
    clauses = " and ".join([first, *(clause.removeprefix("it ") for clause in others)])
    en = f"{en_start} {clauses}" if first.startswith("after ") else f"{en_start} if {clauses}"
    given: dict[str, Any] = {}
    for move in together:
        given |= move.given
    return Change(zh, en, action, given)


def _actions(facts: Facts, supposed: Sequence[Sequence[Move]], config: ActionsConfig) -> list[str]:
    """Returns the action of an item under each of some suppositions."""
    rows = []
    for together in supposed:
        row = facts
        for move in together:
            row = row._replace(**move.given)
        rows.append(row)
    return actions_of(rows, config).tolist() if rows else []


def actions_of(rows: Sequence[Facts], config: ActionsConfig) -> NDArray[np.str_]:
    """Returns what `choose_actions` says of the facts, (n_rows,)."""

    def chances(values: Sequence[float | None]) -> NDArray[np.float64]:
        return np.array([np.nan if value is None else value for value in values], np.float64)

    places = [(row.place_of - row.place + 1) / row.place_of if row.place_of else 0.0 for row in rows]
    return choose_actions(
        ActionInputs(
            stage=np.array([row.stage for row in rows], np.str_),
            quantile=np.array(places, np.float64),
            demand=np.array([row.demand for row in rows], np.float64),
            buyers=np.array([row.buyers for row in rows], np.int64),
            units_recent=np.array([row.units_recent for row in rows], np.float64),
            trend_z=np.array([row.trend_z for row in rows], np.float64),
            hit_probability=chances([row.hit_probability for row in rows]),
            keep_probability=chances([row.keep_probability for row in rows]),
        ),
        config,
    )
