"""Owns how the server's state and the snapshots look on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from recsvc.showing.parts import MEGABYTE, day_text, second_text, show_facts, table_of
from recsvc.v1.snapshot_service_pb2 import (
    ActivateSnapshotResponse,
    GetServingStateResponse,
    ListSnapshotsResponse,
    LiveStoreState,
)


def show_state(out: Console, answer: GetServingStateResponse) -> None:
    """Prints what serves."""
    snapshot = answer.snapshot
    windows: dict[str, list[str]] = {}
    for each in snapshot.windows:
        windows.setdefault(each.kind, []).append(str(each.window.ToTimedelta().days))
    facts = {
        "snapshot": snapshot.snapshot_id,
        "data up to (excluded)": day_text(snapshot.as_of),
        "made at": second_text(snapshot.create_time),
        "serves since": second_text(snapshot.load_time),
        "published": answer.published_snapshot_id,
        "mapped": "\n".join(answer.mapped_snapshot_ids),
        "items": f"{snapshot.item_count:,}",
        "users": f"{snapshot.user_count:,}",
        "categories": f"{snapshot.category_count:,}",
        "candidates": f"{snapshot.candidate_count:,}",
        "forecasts": f"{snapshot.forecast_count:,}",
        "windows": "\n".join(f"{kind} {', '.join(days)} days" for kind, days in windows.items()),
        "currency": snapshot.currency,
        "format version": str(snapshot.format_version),
        "live store": _live_text(answer.live_store) if answer.HasField("live_store") else "",
        "server version": answer.server_version,
        "server started": second_text(answer.start_time),
        "worker": str(answer.worker),
    }
    facts |= {metric.name: f"{metric.value:.4g}" for metric in snapshot.metrics}
    if answer.HasField("load_failure"):
        facts["refused"] = f"{answer.load_failure.snapshot_id}: {answer.load_failure.message}"
    show_facts(out, "Serving state", facts)


def show_snapshots(out: Console, answer: ListSnapshotsResponse) -> None:
    """Prints the published snapshots, the latest first."""
    table = table_of("Published snapshots", "snapshot", "data up to", "made at", "MB", "state")
    for each in answer.results:
        states = [word for word, holds in (("published", each.active), ("mapped", each.mapped)) if holds]
        table.add_row(
            Text(each.snapshot_id),
            day_text(each.as_of),
            f"{each.create_time.ToDatetime():%Y-%m-%d %H:%M}",
            f"{each.file_bytes / MEGABYTE:,.1f}",
            Text("\n".join([*([", ".join(states)] if states else []), *filter(None, [each.problem])])),
        )
    out.print(table)


def show_activated(out: Console, answer: ActivateSnapshotResponse) -> None:
    """Prints which snapshot serves now, and which did before."""
    serving, replaced = answer.snapshot.snapshot_id, answer.replaced_snapshot_id
    before = "as before" if serving == replaced else f"in place of {replaced}"
    out.print(Text(f"snapshot {serving} serves, {before}"))


def _live_text(live: LiveStoreState) -> str:
    able = [name for name, holds in (("readable", live.readable), ("writable", live.writable)) if holds]
    used = f"{live.used_bytes / MEGABYTE:,.1f} of {live.max_bytes / MEGABYTE:,.1f} MB"
    events = f"{live.unexported_event_count:,} events not exported yet"
    return "\n".join(filter(None, [", ".join([*able, used, events]), live.problem]))
