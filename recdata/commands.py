"""Owns the floor's verbs: `config`, `import` and `snapshots`."""

from __future__ import annotations

import click
import msgspec
from rich import box
from rich.markup import escape
from rich.table import Table

from recdata.cli import Door, pass_door
from recdata.config_text import config_text, room_configs
from recdata.decisions import Decision
from recdata.errors import SnapshotError, SnapshotNotFoundError
from recdata.releases import Releases
from recdata.snapshot import Manifest
from recdata.snapshot.reader import read_manifest


@click.command()
def config() -> None:
    """Print every config key with its meaning and default."""
    click.echo(config_text(room_configs()))


@click.group()
def snapshots() -> None:
    """List, show, activate (roll back to) and prune snapshots."""


@snapshots.command("list")
@pass_door
def list_snapshots(door: Door) -> None:
    """Show every snapshot, the newest last, the serving one marked, and what was refused since."""
    releases = Releases(door.home)
    ids = releases.ids()
    if not ids:
        door.out.print(f"no snapshots in {releases.root} yet; `recsvc nightly` makes one", soft_wrap=True)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("snapshot", no_wrap=True)
    for name in ("as of", "published, UTC", "items", "users", "MB"):
        table.add_column(name, justify="right" if name in {"items", "users", "MB"} else "left")
    table.add_column("")
    current = releases.current_id()
    unusable: list[str] = []
    for snapshot_id in ids:
        mark = "serving" if snapshot_id == current else ""
        try:
            manifest = read_manifest(releases.folder(snapshot_id))
            forced = f"forced: {manifest.forced}" if manifest.forced else ""
            table.add_row(snapshot_id, *_row(manifest), escape(" ".join(filter(None, (mark, forced)))))
        except SnapshotError as error:
            table.add_row(snapshot_id, "", "", "", "", "", f"{mark} unusable".strip())
            unusable.append(f"{snapshot_id}: {error}")
    door.out.print(table)
    for message in unusable:
        door.out.print(message, style="red", markup=False, soft_wrap=True)
    for each in _refused_since(releases.log.read(), current):
        told = f"refused {each.at:%Y-%m-%d %H:%M}: {each.reason}"
        door.out.print(told, style="yellow", markup=False, soft_wrap=True)


@snapshots.command("show")
@click.argument("snapshot_id", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
@pass_door
def show_snapshot(door: Door, snapshot_id: str | None, *, as_json: bool) -> None:
    """Show one snapshot's manifest; the serving one where no id is given."""
    releases = Releases(door.home)
    wanted = snapshot_id or releases.current_id()
    if wanted is None:
        raise SnapshotNotFoundError(f"no snapshot serves in {releases.root} yet; `recsvc nightly` makes one")
    manifest = read_manifest(releases.folder(wanted))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(manifest)))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(overflow="fold", style="dim")
    table.add_column(overflow="fold")
    for name, value in msgspec.to_builtins(manifest).items():
        if isinstance(value, dict):
            for key, part in value.items():
                table.add_row(f"{name}.{key}", str(part))
        else:
            table.add_row(name, str(value))
    door.out.print(table)


@snapshots.command("activate")
@click.argument("snapshot_id")
@pass_door
def activate_snapshot(door: Door, snapshot_id: str) -> None:
    """Make a snapshot the serving one; running servers pick it up by themselves."""
    manifest = Releases(door.home).activate(snapshot_id)
    door.out.print(f"serving: {manifest.snapshot_id} (as of {manifest.as_of})")


@snapshots.command("prune")
@click.option("--keep", type=int, default=7, show_default=True, help="How many of the newest to keep.")
@pass_door
def prune_snapshots(door: Door, keep: int) -> None:
    """Delete all but the newest snapshots and the serving one."""
    deleted = Releases(door.home).prune(keep=keep)
    door.out.print(f"deleted: {', '.join(deleted) or 'none'}")


def _refused_since(decisions: list[Decision], current: str | None) -> list[Decision]:
    """Returns the refusals at the end of the log, after the last publish, with `current` live."""
    last = max((at for at, each in enumerate(decisions) if each.verdict != "refused"), default=-1)
    return [each for each in decisions[last + 1 :] if each.live_id == current]


def _row(manifest: Manifest) -> tuple[str, ...]:
    return (
        str(manifest.as_of),
        f"{manifest.created_at:%Y-%m-%d %H:%M}",
        f"{manifest.counts.get('items', 0):,}",
        f"{manifest.counts.get('users', 0):,}",
        f"{manifest.file_bytes / 1e6:.1f}",
    )
