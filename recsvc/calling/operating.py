"""Owns the `recsvc call` verbs for operators: what serves, and what else could."""

from __future__ import annotations

import click

from recsvc import showing
from recsvc.calling.line import Line, asks
from recsvc.calling.options import top_k


@click.command()
@asks
def state(line: Line) -> None:
    """Show which snapshot serves."""
    line.ask(lambda client: client.get_serving_state(), showing.show_state)


@click.command()
@top_k
@asks
def snapshots(line: Line, top_k: int) -> None:
    """Show the published snapshots, the latest first."""
    line.ask(lambda client: client.list_snapshots(page_size=top_k), showing.show_snapshots)


@click.command()
@click.option("--snapshot", required=True, help="Id of the snapshot.")
@asks
def activate(line: Line, snapshot: str) -> None:
    """Serve another published snapshot; an older one rolls back."""
    line.ask(lambda client: client.activate_snapshot(snapshot_id=snapshot), showing.show_activated)
