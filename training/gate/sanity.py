"""Owns the checks of what a snapshot is, whatever its quality: whole, as large as before, not turned over."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recdata.snapshot import Manifest
from training.gate.checks import Check, at_least, at_most, number
from training.gate.config import GateConfig
from training.gate.measures import Measures, overlap

OF_PEOPLE = ("users", "orders")


@dataclass(frozen=True, slots=True)
class Sight:
    """One snapshot: what it says of itself, and what is seen of it."""

    manifest: Manifest
    seen: Measures


def sanity_checks(live: Sight | None, new: Sight, config: GateConfig) -> list[Check]:
    """Returns the checks; a figure with a limit of its own and one against the live one's meets both.

    Args:
        live: None where there is nothing to compare with.
        new: what is to be published.
        config: the limits.
    """
    was = None if live is None else live.seen.sellable
    checks = [
        _count("items", "items", live, new, config.max_item_drop),
        _count("shoppers", "users", live, new, config.max_user_drop),
        _kept("items that can be sold", was, new.seen.sellable, config.max_sellable_drop, least=1),
        _count("forecasts", "forecasts", live, new, config.max_forecast_drop),
    ]
    if new.seen.shoppers:
        known = live.seen if live is not None and live.seen.shoppers else None
        checks += _list_checks(known, new.seen, config)
    return checks if live is None else [*checks, *_comparisons(live, new, config)]


def _list_checks(live: Measures | None, new: Measures, config: GateConfig) -> list[Check]:
    """Returns the checks of the sampled shoppers' lists and vectors."""
    coverage, catalogue = config.min_user_coverage, config.min_catalogue_coverage
    empty = short = covered = shown = zero = None
    if live is not None:
        empty, short, zero = live.empty, live.short, live.zero_users
        covered, shown = live.covered, live.catalogue
        coverage = max(coverage, live.covered - config.max_user_coverage_drop)
        catalogue = max(catalogue, live.catalogue * (1.0 - config.max_catalogue_coverage_drop))
    return [
        _share("lists that are empty", empty, new.empty, config.max_empty_share, config.max_empty_rise),
        _share("lists that are short", short, new.short, config.max_short_share, config.max_short_rise),
        at_least("user coverage", new.covered, coverage, live=covered),
        at_least("catalogue coverage", new.catalogue, catalogue, live=shown),
        at_most("shoppers without a vector", new.zero_users, config.max_zero_user_share, live=zero),
    ]


def _comparisons(live: Sight, new: Sight, config: GateConfig) -> list[Check]:
    """Returns the checks that ask for a live snapshot."""
    days_back = float((live.manifest.as_of - new.manifest.as_of).days)
    was_mb, now_mb = live.manifest.file_bytes / 1e6, new.manifest.file_bytes / 1e6
    low_mb, high_mb = was_mb * (1.0 - config.max_file_drop), was_mb * config.max_file_growth
    between = f"{number(low_mb)} to {number(high_mb)}"
    checks = [
        _count("orders", "orders", live, new, config.max_order_drop, least=0),
        at_most("items without a vector", new.seen.zero_items,
                live.seen.zero_items + config.max_zero_item_rise, live=live.seen.zero_items),
        at_most("days behind the live data", days_back, config.max_days_back),
        Check("file, MB", was_mb, now_mb, between, low_mb <= now_mb <= high_mb),
    ]  # fmt: skip
    # Nobody of tonight's shoppers is known to a live snapshot that has orders: ids have changed.
    strangers = not live.seen.shoppers and live.manifest.counts["orders"] > 0 and new.seen.shoppers > 0
    if strangers or any(live.seen.heads.values()):
        shared = overlap(live.seen, new.seen)
        checks.append(at_least("overlap of the same shopper's lists", shared, config.min_overlap))
    return checks


def _count(
    name: str, section: str, live: Sight | None, new: Sight, max_drop: float, *, least: int = 1
) -> Check:
    was = None if live is None else live.manifest.counts[section]
    if live is not None and was is not None and section in OF_PEOPLE:
        # People who asked to be erased are no loss, and their orders none: as many as people have on average.
        erased = new.manifest.erasures_applied - live.manifest.erasures_applied
        was = round(was * max(0.0, 1.0 - max(0, erased) / max(1, live.manifest.counts["users"])))
    return _kept(name, was, new.manifest.counts[section], max_drop, least=least)


def _kept(name: str, live: int | None, new: int, max_drop: float, *, least: int) -> Check:
    """Returns the check of a count: some at least, and at most a share of the live one's lost."""
    floor = least if live is None else max(least, math.ceil(live * (1.0 - max_drop) - 1e-9))
    return at_least(name, new, floor, live=live)


def _share(name: str, live: float | None, new: float, limit: float, rise: float) -> Check:
    """Returns the check of a share: a limit of its own, and at most so much above the live one's."""
    return at_most(name, new, limit if live is None else min(limit, live + rise), live=live)
