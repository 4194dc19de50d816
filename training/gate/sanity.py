"""Owns the checks of what a snapshot is, whatever its quality: whole, as large as before, not turned over."""

from __future__ import annotations

from recdata.snapshot import Manifest
from training.gate.checks import Check, at_least, at_most, keeps, number
from training.gate.config import GateConfig
from training.gate.measures import Measures, overlap


def absolute_checks(manifest: Manifest, new: Measures, config: GateConfig) -> list[Check]:
    """Returns the checks that a snapshot must pass by itself, also the first one."""
    checks = [
        at_least("items", manifest.counts["items"], 1),
        at_least("shoppers", manifest.counts["users"], 1),
        at_least("items that can be sold", new.sellable, 1),
        at_least("forecasts", manifest.counts["forecasts"], 1),
    ]
    if new.shoppers:
        checks += [
            at_most("lists that are empty", new.empty, config.max_empty_share),
            at_most("lists that are short", new.short, config.max_short_share),
            at_least("user coverage", new.covered, config.min_user_coverage),
            at_least("catalogue coverage", new.catalogue, config.min_catalogue_coverage),
            at_most("shoppers without a vector", new.zero_users, config.max_zero_user_share),
        ]
    return checks


def relative_checks(
    live: Manifest, new: Manifest, seen_live: Measures, seen_new: Measures, config: GateConfig
) -> list[Check]:
    """Returns the checks of a snapshot against the live one."""
    days_back = float((live.as_of - new.as_of).days)
    checks = [
        Check("days behind the live data", 0.0, days_back, f"≤ {config.max_days_back}",
              days_back <= config.max_days_back),
        keeps("items", live.counts["items"], new.counts["items"], config.max_item_drop),
        keeps("shoppers", live.counts["users"], new.counts["users"], config.max_user_drop),
        keeps("orders", live.counts["orders"], new.counts["orders"], config.max_order_drop),
        keeps("items that can be sold", seen_live.sellable, seen_new.sellable, config.max_sellable_drop),
        keeps("forecasts", live.counts["forecasts"], new.counts["forecasts"], config.max_forecast_drop),
        _file_size(live, new, config),
        _rises("items without a vector", seen_live.zero_items, seen_new.zero_items,
               config.max_zero_item_rise),
    ]  # fmt: skip
    if seen_live.shoppers:
        checks += [
            _rises("lists that are empty", seen_live.empty, seen_new.empty, config.max_empty_rise),
            _rises("lists that are short", seen_live.short, seen_new.short, config.max_short_rise),
            at_least("user coverage", seen_new.covered, seen_live.covered - config.max_user_coverage_drop,
                     live=seen_live.covered),
            keeps("catalogue coverage", seen_live.catalogue, seen_new.catalogue,
                  config.max_catalogue_coverage_drop),
        ]  # fmt: skip
    comparable = any(seen_live.heads.values())
    # Nobody of tonight's shoppers is known to a live snapshot that has orders: ids have changed.
    strangers = not seen_live.shoppers and live.counts["orders"] > 0 and seen_new.shoppers > 0
    if comparable or strangers:
        shared = overlap(seen_live, seen_new)
        checks.append(at_least("overlap of the same shopper's lists", shared, config.min_overlap))
    return checks


def _rises(name: str, live: float, new: float, max_rise: float) -> Check:
    return at_most(name, new, live + max_rise, live=live)


def _file_size(live: Manifest, new: Manifest, config: GateConfig) -> Check:
    """Returns the check of the file's size in MB."""
    was, now = live.file_bytes / 1e6, new.file_bytes / 1e6
    low, high = was * (1.0 - config.max_file_drop), was * config.max_file_growth
    return Check("file, MB", was, now, f"{number(low)} to {number(high)}", low <= now <= high)
