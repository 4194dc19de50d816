"""Owns the reasons: what speaks for an item's action and what against it."""

from __future__ import annotations

from typing import NamedTuple

from selection.statements import Facts, Reason, Windows, statements

__all__ = ["Facts", "Reason", "Reasons", "Windows", "explain"]

MIN_REASONS, MAX_REASONS = 2, 4
MAX_AGAINST = 3
#: Actions that trust an item; the others part with it.
TRUSTING = frozenset({"push", "launch", "keep"})
#: From this strength on a sentence is worth saying.
WORTH_SAYING = 0.5


class Reasons(NamedTuple):
    """What speaks for the action and what against it, strongest first."""

    supporting: list[Reason]
    against: list[Reason]


def explain(facts: Facts, windows: Windows, currency: str) -> Reasons:
    """Returns two to four reasons for the action and at most three against it, strongest first.

    Ties keep the order in which they are thought of. What decided the action stands above everything else.
    Where fewer than two reasons speak for it, the plainest facts are added.
    """
    found = sorted(statements(facts, windows, currency), key=lambda reason: -reason.strength)
    trusting = facts.action in TRUSTING
    fitting = [reason for reason in found if reason.good is None or reason.good == trusting]
    strong = [reason for reason in fitting if reason.strength >= WORTH_SAYING]
    supporting = strong if len(strong) >= MIN_REASONS else fitting[:MIN_REASONS]
    against = [reason for reason in found if reason.good == (not trusting)]
    return Reasons(
        supporting[:MAX_REASONS],
        [reason for reason in against if reason.strength >= WORTH_SAYING][:MAX_AGAINST],
    )
