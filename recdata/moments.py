"""Owns reading a moment that a person gives on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from recdata.errors import ConfigError


def moment(text: str | None, option: str) -> datetime:
    """Returns a moment in UTC from its text in ISO 8601 with a zone; without one, the clock's.

    Args:
        text: what was given.
        option: the option that it was given by, for the message.

    Raises:
        ConfigError: it is no such text.
    """
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{option} {text}: is no ISO 8601 time; write it as 2026-01-31T23:59:00Z"
        ) from error
    if found.tzinfo is None:
        raise ConfigError(f"{option} {text}: has no time zone; add one, as in 2026-01-31T23:59:00Z")
    return found.astimezone(UTC)
