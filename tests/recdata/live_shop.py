"""A live store's events, short to write."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from recdata.live import EventRecord
from recdata.live.records import microseconds

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
NOW_US = microseconds(NOW)
SECOND_US, DAY_US = 1_000_000, 86_400_000_000
MB = 1 << 20

ROOT = Path(__file__).parent.parent.parent


def event(event_id: str, user_id: str = "ann", item_id: str = "apple", **fields) -> EventRecord:
    """Returns an event; `at` is its time in seconds after NOW, `received` that of its receipt."""
    at = NOW_US + fields.pop("at", 0) * SECOND_US
    received = fields.pop("received", None)
    return EventRecord(
        event_id=event_id,
        user_id=user_id,
        session_id=fields.pop("session_id", ""),
        item_id=item_id,
        event_type=fields.pop("event_type", "view"),
        event_time_us=at,
        received_time_us=at if received is None else NOW_US + received * SECOND_US,
        **fields,
    )


@contextmanager
def running(home: Path, body: str) -> Iterator[subprocess.Popen[str]]:
    """Runs a process that has the store of the home folder as `store`, killed at the end at the latest."""
    head = f"""
        import os, signal, threading
        from pathlib import Path
        from recdata.live import LiveStore
        from tests.recdata.live_shop import MB, NOW_US, event
        home = Path({str(home)!r})
        store = LiveStore.open(home, max_bytes=64 * MB)
    """
    code = textwrap.dedent(head) + textwrap.dedent(body)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as job:
        try:
            yield job
        finally:
            job.kill()
