"""Owns the log of releases: one line for each snapshot that was published, forced, or refused."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from recdata.snapshot import Manifest

LOG_VERSION = 1


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log.

    Attributes:
        at: when the snapshot was made, UTC.
        verdict: what became of it.
        snapshot_id: the new snapshot.
        live_id: the one that served before; None where there was none.
        run_id: the nightly job that made it; "" where it does not say.
        reason: why it was refused, or forced; "" where it was published.
        version: of this format.
    """

    at: datetime
    verdict: Literal["published", "forced", "refused"]
    snapshot_id: str
    live_id: str | None = None
    run_id: str = ""
    reason: str = ""
    version: int = LOG_VERSION

    @classmethod
    def of(cls, manifest: Manifest, *, live_id: str | None, reason: str, refused: bool = False) -> Decision:
        """Returns what was decided of a snapshot; a reason without refusal is that of a forced one."""
        return cls(
            at=manifest.created_at,
            verdict="refused" if refused else "forced" if reason else "published",
            snapshot_id=manifest.snapshot_id,
            live_id=live_id,
            run_id=manifest.lineage.get("run_id", ""),
            reason=reason,
        )


class DecisionLog:
    """A file of JSON lines, only ever added to; the caller lets one process write at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, decision: Decision) -> None:
        """Adds a line and makes it durable.

        Raises:
            OSError: the disk refuses.
        """
        with self.path.open("ab+") as file:
            if file.tell() and not self._ends_whole():
                file.write(b"\n")  # a writer was cut off; what it left must not spoil this line
            file.write(msgspec.json.encode(decision) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[Decision]:
        """Returns every line that can be read, the oldest first; none where there is no log."""
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError:
            return []
        decisions = []
        for line in lines:
            try:
                decision = msgspec.json.decode(line, type=Decision)
            except msgspec.DecodeError:
                continue
            if decision.version == LOG_VERSION:
                decisions.append(decision)
        return decisions

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"
