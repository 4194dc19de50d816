"""How answers look on a terminal: tables for people, JSON for machines."""

from __future__ import annotations

from recsvc.showing.day import (
    action_text,
    scope_text,
    show_erasure,
    show_item,
    show_recorded,
    show_rules,
    show_updated,
    target_text,
)
from recsvc.showing.lists import show_bestsellers, show_page, show_rank, show_ranked, show_together
from recsvc.showing.operating import show_activated, show_snapshots, show_state
from recsvc.showing.parts import show_json
from recsvc.showing.selection import (
    show_candidate,
    show_candidates,
    show_forecast,
    show_rescored,
    show_review,
    sparkline,
)

__all__ = [
    "action_text",
    "scope_text",
    "show_activated",
    "show_bestsellers",
    "show_candidate",
    "show_candidates",
    "show_erasure",
    "show_forecast",
    "show_item",
    "show_json",
    "show_page",
    "show_rank",
    "show_ranked",
    "show_recorded",
    "show_rescored",
    "show_review",
    "show_rules",
    "show_snapshots",
    "show_state",
    "show_together",
    "show_updated",
    "sparkline",
    "target_text",
]
