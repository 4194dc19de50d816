"""Owns the pilot plan itself: regions, weeks, what it can find, where to roll out; or why there is none."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from selection.pilot.config import PilotConfig
from selection.pilot.design import (
    MIN_PAIRS,
    Noise,
    detectable,
    draw,
    lengths,
    match,
    noise,
    pairs_needed,
    rehearse,
)
from selection.pilot.regions import Regions, unlikeness

Status = Literal[
    "planned", "too_weak", "no_picks", "no_regions", "one_region", "few_regions", "short_history"
]


class Option(msgspec.Struct, frozen=True):
    """One length of the test: the regions it needs (null: too many), the least rise that all would find."""

    weeks: int
    regions: int | None
    least_rise: float


class PilotPair(msgspec.Struct, frozen=True):
    """A region where the picks are tried and one like it where nothing changes; see `unlikeness`."""

    test: str
    control: str
    unlikeness: float


class RollOut(msgspec.Struct, frozen=True):
    """The regions most like a test region, nearest first: where to go if it wins there."""

    region: str
    like_it: list[str]


class PilotPlan(msgspec.Struct, frozen=True):
    """The content of pilot.json.

    Attributes:
        status: planned; too_weak (no allowed test finds the effect: the largest one is shown); no_picks;
            no_regions; one_region; few_regions (too few sell the picks steadily); short_history.
        items: item ids that are tried, best first.
        regions, eligible: regions that sell anything, and those that sell the picks steadily.
        weeks: how long the test lasts.
        pairs: the regions, those most alike first.
        effect, power, false_alarm: what was asked for.
        least_rise: the least rise that this plan finds with that power.
        noise: standard deviation of a pair's difference, as a share of a region's usual sales.
        noise_raw: the same without correcting each region by its own weeks before.
        rehearsed_false_alarms, rehearsed_found: how often past weeks would have told a rise or fall where
            nothing was tried, and how often the effect would have been found, 0..1.
        imbalance: the trait in which the sides differ most, in standard deviations over the regions.
        options: other lengths of the test.
        roll_out: where to go next.
    """

    status: Status
    items: list[str]
    regions: int
    eligible: int
    effect: float
    power: float
    false_alarm: float
    weeks: int = 0
    pairs: list[PilotPair] = []
    least_rise: float | None = None
    noise: float | None = None
    noise_raw: float | None = None
    rehearsed_false_alarms: float | None = None
    rehearsed_found: float | None = None
    imbalance: float | None = None
    options: list[Option] = []
    roll_out: list[RollOut] = []


def plan_pilot(regions: Regions, items: list[str], config: PilotConfig) -> PilotPlan:
    """Returns the plan with the fewest region-weeks that finds the effect, or the strongest one allowed."""
    sold = (regions.sales > 0).mean(axis=1) if regions.weeks else np.zeros(len(regions.names))
    allowed = (sold >= config.min_coverage) & (regions.sales.mean(axis=1) > 0 if regions.weeks else False)
    base = PilotPlan(
        status="planned",
        items=items,
        regions=len(regions.names),
        eligible=int(allowed.sum()),
        effect=config.effect,
        power=config.power,
        false_alarm=config.false_alarm,
    )
    hindered = _hindered(regions, items, allowed, config)
    if hindered is not None:
        return msgspec.structs.replace(base, status=hindered)
    unlike = unlikeness(regions)
    pairs = match(unlike, allowed)[: max(config.max_regions // 2, 1)]
    measured = [
        noise(regions.sales, pairs, weeks, config.weeks_before) for weeks in lengths(config.max_weeks)
    ]
    known = [each for each in measured if each is not None]
    if not known:
        return msgspec.structs.replace(base, status="short_history")
    options = [_option(each, len(pairs), config) for each in known]
    able = [option for option in options if option.regions is not None]
    if able:
        picked = min(able, key=lambda option: ((option.regions or 0) * option.weeks, option.weeks))
        count = (picked.regions or 0) // 2
    else:
        picked = min(options, key=lambda option: (option.least_rise, option.weeks))
        count = len(pairs)
    found = known[options.index(picked)]
    return _filled(base, regions, unlike, pairs[:count], found, options, config, enough=bool(able))


def _hindered(
    regions: Regions, items: list[str], allowed: NDArray[np.bool_], config: PilotConfig
) -> Status | None:
    if not items:
        return "no_picks"
    if not regions.names:
        return "no_regions"
    if len(regions.names) == 1:
        return "one_region"
    if regions.weeks < config.weeks_before + 2:
        return "short_history"
    if min(int(allowed.sum()), config.max_regions) < 2 * MIN_PAIRS:
        return "few_regions"
    return None


def _option(found: Noise, most: int, config: PilotConfig) -> Option:
    needed = pairs_needed(found.sd, config, most)
    least = round(detectable(found.sd, most, config), 4)
    return Option(found.weeks, None if needed is None else 2 * needed, least)


def _filled(
    base: PilotPlan,
    regions: Regions,
    unlike: NDArray[np.float64],
    pairs: NDArray[np.intp],
    found: Noise,
    options: list[Option],
    config: PilotConfig,
    *,
    enough: bool,
) -> PilotPlan:
    usual = regions.sales.mean(axis=1)
    traits = np.column_stack([np.log(regions.size), usual / regions.size, regions.mix])
    drawn, balance = draw(pairs, traits, config.seed)
    alarms, power = rehearse(found, len(drawn), config)
    names = regions.names
    inside = np.zeros(len(names), np.bool_)
    inside[drawn.ravel()] = True
    return msgspec.structs.replace(
        base,
        status="planned" if enough else "too_weak",
        weeks=found.weeks,
        pairs=[PilotPair(names[a], names[b], round(float(unlike[a, b]), 4)) for a, b in drawn],
        least_rise=round(detectable(found.sd, len(drawn), config), 4),
        noise=round(found.sd, 4),
        noise_raw=round(found.raw_sd, 4),
        rehearsed_false_alarms=round(alarms, 4),
        rehearsed_found=round(power, 4),
        imbalance=round(float(np.abs(balance).max()), 4),
        options=options,
        roll_out=_roll_out(names, unlike, drawn[:, 0], inside, config.roll_out),
    )


def _roll_out(
    names: tuple[str, ...],
    unlike: NDArray[np.float64],
    tests: NDArray[np.intp],
    inside: NDArray[np.bool_],
    count: int,
) -> list[RollOut]:
    outside = np.flatnonzero(~inside)
    found = []
    for test in tests:
        nearest = outside[np.argsort(unlike[test, outside], kind="stable")][:count]
        found.append(RollOut(names[test], [names[row] for row in nearest]))
    return found
