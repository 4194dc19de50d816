"""`recsvc call`: one sub-verb a method, its answer as a table or as JSON."""

from __future__ import annotations

import click

from recsvc.calling.day import erase, item, price, record, stock
from recsvc.calling.lists import bestsellers, page, rank, recommend, similar, together
from recsvc.calling.operating import activate, snapshots, state
from recsvc.calling.rules import rules
from recsvc.calling.selection import candidate, candidates, forecast, rescore, review

__all__ = ["call"]


@click.group()
def call() -> None:
    """Ask a running server; a table, or JSON."""


for verb in (
    *(recommend, similar, together, rank, page, bestsellers),
    *(candidates, candidate, rescore, review, forecast),
    *(record, item, stock, price, rules, erase, state, snapshots, activate),
):
    call.add_command(verb)
