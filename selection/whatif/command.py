"""Owns the verb `select whatif`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from selection.whatif.plan import Asked, read_asked

DAY = click.DateTime(formats=["%Y-%m-%d"])
SHARE = click.FloatRange(0, 1, max_open=True)


def asked_of(
    promotion: Path | None,
    item: Sequence[str],
    first: datetime | None,
    last: datetime | None,
    *,
    kind: str,
    discount: float,
) -> list[Asked]:
    """Returns the promotions that the options ask about.

    Raises:
        click.UsageError: neither a file nor an item with both days.
        TableError: the file is wrong.
    """
    found = read_asked(promotion) if promotion is not None else []
    if item and (first is None or last is None):
        raise click.UsageError("--item needs --from and --to, the promotion's first and last day")
    if item and first is not None and last is not None:
        found += [Asked(each, kind, first.date(), last.date(), discount) for each in item]
    if not found:
        raise click.UsageError("give --promotion FILE.csv, or --item with --from and --to")
    return found
