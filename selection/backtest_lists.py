"""Owns the back-test's two other lists: next hits, with their lead, and drops, with the false kills.

The picks by score answer "what will sell most".  A hit is asked for before it is one, and a drop is right
where nothing is lost by it, so both have lists of their own: equally long for every rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from selection.candidates import Candidates
from selection.config import SelectionConfig
from selection.outcomes.config import OutcomesConfig
from selection.outcomes.facts import UNIT, Facts, Floats, Ints
from selection.outcomes.labels import Flags, alive_at, is_hit, labels_at, units_between
from selection.score import best_first
from selection.summary import METHODS

Row = dict[str, object]
#: Rules that look back so many days count units.
UNITS_DAYS = 84
#: A rate over the whole history is over no fewer days: the first day's sale is no rate.
RATE_DAYS = 28


@dataclass(slots=True)
class Listed:
    """What the lists of the origin before held.

    Attributes:
        hits: method -> item_row -> the day number of the first origin since which it has been listed.
        drops: method -> item rows.
    """

    hits: dict[str, dict[int, int]] = field(default_factory=dict)
    drops: dict[str, set[int]] = field(default_factory=dict)


def score_lists(
    candidates: Candidates, facts: Facts, origin: date, config: SelectionConfig, listed: Listed
) -> Iterator[Row]:
    """Yields scope x method x metric rows of the lists of one origin, and remembers what was listed.

    Scope hits: `hits_top_k` items that were no hit in the days before, the engine's by chance of a hit.

    - precision: share of them that are one in the horizon
    - announced: share of all such hits that were on the list
    - lead_days: of those announced, mean days from the first origin since which the item has been on the
      list without a break to the day on which it first crossed the hit level, see `crossing_days`

    Scope drops: `drop_share` of the items that sold in the keep days, the engine's by least chance of selling
    something worth keeping.

    - false_kills: share of them that sold something worth keeping in the keep days after
    - killed_value: revenue that the list sold in the keep days after, in money

    Both: turnover, the share that was not listed at the origin before.
    """
    number = facts.number(origin)
    scores = _scores(candidates, facts, number)
    yield from _hits(candidates, facts, number, scores, config, listed)
    yield from _drops(candidates, facts, number, scores, config, listed)


def crossing_days(facts: Facts, rows: Ints, origin: int, config: OutcomesConfig) -> Ints:
    """Returns `(n,)` int64, 1 to the horizon: days from an origin to the first crossing of the hit level.

    The level is crossed on the first day by whose end the days before it, as many as the horizon is long,
    sold `hit_ratio` times the units of the category's mean item: the day on which a look at the sales would
    call it a hit. One that is a hit of the horizon has crossed by its end.

    Args:
        facts: the run's.
        rows: item rows that were no hit at the origin.
        origin: day number.
        config: horizon, and what a hit is.
    """
    days = config.horizon_days
    item, day = facts.sales.keys // facts.sales.span, facts.sales.keys % facts.sales.span - (origin - days)
    inside = (day >= 0) & (day < 2 * days)
    item, day = item[inside], day[inside]
    units = np.diff(facts.sales.running["units"])[inside] / UNIT
    alive = alive_at(facts, origin, config)
    n_groups = int(facts.group.max(initial=-1)) + 1
    whole = _by_day(facts.group[item], day, np.where(alive[item], units, 0.0), n_groups, 2 * days)
    count = np.maximum(np.bincount(facts.group[alive], minlength=n_groups), 1)
    place = np.full(facts.n_items, -1, np.int64)
    place[rows] = np.arange(rows.size)
    asked = place[item] >= 0
    mine = _by_day(place[item[asked]], day[asked], units[asked], rows.size, 2 * days)
    level = config.hit_ratio * (_trailing(whole, days) / count[:, None])[facts.group[rows]]
    sold = _trailing(mine, days)
    crossed = (sold > 0) & (sold >= level)
    found: Ints = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, days)
    return found


def _hits(
    candidates: Candidates,
    facts: Facts,
    origin: int,
    scores: dict[str, Floats],
    config: SelectionConfig,
    listed: Listed,
) -> Iterator[Row]:
    outcomes = config.outcomes
    if origin + outcomes.horizon_days > facts.n_days:
        return
    rows = candidates.rows
    alive = alive_at(facts, origin, outcomes)
    before = is_hit(facts, origin - outcomes.horizon_days, origin, alive=alive, ratio=outcomes.hit_ratio)
    came = labels_at(facts, origin, outcomes).hit[rows] & ~before[rows]
    among = ~before[rows]
    length = min(config.backtest.hits_top_k, candidates.shop_most)
    if not came.any() or length < 1 or int(among.sum()) <= length:
        return
    crossing = np.zeros(rows.size, np.int64)
    crossing[came] = origin + crossing_days(facts, rows[came], origin, outcomes)
    scores = scores | {"oracle": came.astype(np.float64)}
    if "hit" in candidates.chances:
        scores["selection"] = candidates.chances["hit"]
    for method, score in _known(scores):
        picks = _list(candidates, score, among, length)
        since = listed.hits.get(method)
        now = {int(row): (since or {}).get(int(row), origin) for row in rows[picks]}
        found = picks[came[picks]]
        figures = {"precision": found.size / picks.size, "announced": found.size / int(came.sum())}
        if found.size:
            leads = [int(crossing[at]) - now[int(rows[at])] for at in found]
            figures["lead_days"] = sum(leads) / len(leads)
        if since is not None:
            figures["turnover"] = len(now.keys() - since.keys()) / len(now)
        listed.hits[method] = now
        yield from _told("hits", method, figures)


def _drops(
    candidates: Candidates,
    facts: Facts,
    origin: int,
    scores: dict[str, Floats],
    config: SelectionConfig,
    listed: Listed,
) -> Iterator[Row]:
    outcomes = config.outcomes
    if origin + outcomes.keep_days > facts.n_days:
        return
    rows = candidates.rows
    among = facts.last_sale(origin)[rows] >= origin - outcomes.keep_days
    length = int(among.sum() * outcomes.drop_share)
    if length < 1:
        return
    keep = labels_at(facts, origin, outcomes).keep[rows]
    later = facts.sales.sums("revenue", origin, origin + outcomes.keep_days)[rows] / UNIT
    scores = scores | {"oracle": keep.astype(np.float64)}
    if "keep" in candidates.chances:
        scores["selection"] = candidates.chances["keep"]
    for method, score in _known(scores):
        picks = _list(candidates, -score, among, length)
        figures = {"false_kills": float(keep[picks].mean()), "killed_value": float(later[picks].sum())}
        now, before = {int(row) for row in rows[picks]}, listed.drops.get(method)
        if before is not None:
            figures["turnover"] = len(now - before) / len(now)
        listed.drops[method] = now
        yield from _told("drops", method, figures)


def _scores(candidates: Candidates, facts: Facts, origin: int) -> dict[str, Floats]:
    """Returns method -> `(n,)` what a rule goes by; a hit is one of units, so some rules count units."""
    rows = candidates.rows
    watched = np.clip(origin - facts.born[rows], RATE_DAYS, max(origin, RATE_DAYS))
    found = {
        "bestsellers_84": units_between(facts, origin - UNITS_DAYS, origin)[rows],
        "average": units_between(facts, 0, origin)[rows] / watched,
        "buyers": facts.distinct_buyers(origin - UNITS_DAYS, origin)[rows],
    }
    own = {"score": candidates.scores["selection"]} if "selection" in candidates.scores else {}
    kept = (
        "bestsellers",
        "bestsellers_units",
        "bestsellers_base",
        "bestsellers_both",
        "bestsellers_long",
        "last_year",
        "momentum",
        "random",
    )
    return own | {name: candidates.scores[name] for name in kept if name in candidates.scores} | found


def _known(scores: dict[str, Floats]) -> list[tuple[str, Floats]]:
    return [(name, scores[name]) for name in METHODS if name in scores]


def _list(candidates: Candidates, score: Floats, among: Flags, length: int) -> NDArray[np.intp]:
    """Returns the positions of the greatest scores, ties by item id up; what is not known comes last."""
    order = best_first(np.nan_to_num(score, nan=-np.inf), candidates.by_id)
    return order[among[order]][:length]


def _told(scope: str, method: str, figures: dict[str, float]) -> Iterator[Row]:
    for metric, value in figures.items():
        yield {"scope": scope, "method": method, "metric": metric, "value": value}


def _by_day(which: Ints, day: Ints, values: Floats, n: int, days: int) -> Floats:
    flat = np.bincount(which * days + day, values, minlength=n * days)
    return flat.reshape(n, days).astype(np.float64)


def _trailing(by_day: Floats, days: int) -> Floats:
    """Returns `(n, days)`: sums of `days` days that end with the 1st, 2nd, … day of the second half."""
    running = np.cumsum(np.pad(by_day, ((0, 0), (1, 0))), axis=1)
    sums: Floats = running[:, days + 1 :] - running[:, 1 : days + 1]
    return sums
