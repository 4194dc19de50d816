"""Owns the live store's verbs: `events export`, `events status` and `erasures check`."""

from __future__ import annotations

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import click
from rich import box
from rich.table import Table

from recdata.cli import Door, pass_door
from recdata.live.environment import LIVE_FILE
from recdata.live.records import microseconds
from recdata.live.store import LiveStore
from recdata.moments import moment
from recdata.person import Found, records_of
from recdata.runs import job_progress

#: How long an exported event stays, so that one that is sent again is still known.
KEEP_DAYS = 30

#: What `erasures check` leaves with where something of the person is left.
FOUND = 1


@click.group()
def events() -> None:
    """Hand recorded events to the nightly job, and see how many wait."""


@events.command("export")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the CSV file; `recsvc import --from` it together with your other tables.",
)
@click.option(
    "--until",
    help="Only what was received before, ISO 8601 with a zone; default: the clock.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(min=1),
    default=KEEP_DAYS,
    show_default=True,
    help="How long exported events, their ids and what shoppers did lately stay in the live store.",
)
@pass_door
def export_events(door: Door, folder: Path, until: str | None, keep_days: int) -> None:
    """Write the events recorded since the last export, each exactly once.

    The file is called events-FIRST-LAST.csv and has the columns of the events table. An export that was cut
    off writes the same file again. Afterwards old events are deleted from the live store.
    """
    now, end = moment(None, ""), moment(until, "--until")
    with LiveStore.open(door.home, max_bytes=0) as store:
        with job_progress(door.console, "export") as progress:
            task = progress.add_task("events", total=store.state().unexported)
            outcome = store.export(
                folder, until_us=microseconds(end), progress=lambda count: progress.advance(task, count)
            )
        for path in outcome.files:
            door.out.print(f"wrote {path}", markup=False, soft_wrap=True)
        if outcome.files:
            door.out.print(
                f"{outcome.events:,} events exported, {outcome.waiting:,} wait for the next export"
            )
        else:
            door.out.print(
                f"nothing to export, no file written; {outcome.waiting:,} events wait", soft_wrap=True
            )
        pruned = store.prune(before_us=microseconds(now - timedelta(days=keep_days)))
        if pruned.events or pruned.recent_entries:
            door.out.print(
                f"deleted after {keep_days} days: {pruned.events:,} exported events, "
                f"{pruned.recent_entries:,} entries of what shoppers did lately",
                soft_wrap=True,
            )


@events.command("status")
@pass_door
def show_status(door: Door) -> None:
    """Show how full the live store is and how many events wait for their export."""
    with LiveStore.open(door.home, max_bytes=0) as store:
        state = store.state()
        with store.view() as view:
            erasures, intent = view.erasures, view.intent()
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        table.add_row("used", f"{state.used_bytes / 2**20:.1f} of {state.max_bytes / 2**20:,.0f} MB")
        table.add_row("recorded so far", f"{state.last_sequence:,} events")
        table.add_row("wait for export", f"{state.unexported:,} events")
        if intent is not None:
            name = str(Path(intent.folder) / intent.file_name)
            table.add_row("cut off", f"{name}; the next export writes it again")
        table.add_row("erasures", f"{erasures:,}")
        if store.problem:
            table.add_row("problem", store.problem)
        door.out.print(table)


@click.group()
def erasures() -> None:
    """See what is left of an erased customer."""


@erasures.command("check")
@click.option("--user", "user_id", required=True, help="The retailer's id of the person.")
@click.pass_context
@pass_door
def check_erasure(door: Door, context: click.Context, user_id: str) -> None:
    """Look for a person in every store; leaves with 1 where something is found.

    Reads the live store, the tables and their rejects, every run and every snapshot in the home folder.
    Leaves with 1 also where one of them cannot be read.
    """
    if not user_id:
        raise click.UsageError("--user is empty; give the retailer's id of the person")
    found: list[Found] = []
    if (door.home / "live" / LIVE_FILE).exists():
        with LiveStore.open(door.home, max_bytes=0) as store:
            with store.view() as view:
                number = view.erasure_number(user_id)
            for name, count in store.count(user_id).items():
                found.append(Found(name, count, "erase them (`recsvc call` EraseCustomer)" if count else ""))
    else:
        number = 0
    found += records_of(door.home, user_id, erasure_number=number)
    if not found:
        raise click.UsageError(f"{door.home} holds nothing to look in; give the --home of job and server")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("store", overflow="fold")
    table.add_column("records", justify="right")
    table.add_column("what is to do", overflow="fold")
    for each in found:
        table.add_row(each.store, f"{each.records:,}", each.remedy)
    door.out.print(table)
    total = sum(each.records for each in found)
    said = f"erased, number {number}" if number else "never erased"
    unread = sum(not each.records and bool(each.remedy) for each in found)
    told = f"{total:,} records found" if total else "nothing found"
    door.out.print(f"{said}; {told}{f'; {unread} of the stores cannot be read' if unread else ''}")
    if find_spec("polars") is None:
        door.out.print("tables and runs were not read: that needs the extra `training`", soft_wrap=True)
    if total or unread:
        context.exit(FOUND)
