"""Owns the list of what the server runs as machine code, so that no caller waits for its making."""

from __future__ import annotations

from recdata.foldin import intake
from recdata.snapshot.heads import heads_compiled
from recsvc.entries import copier
from recsvc.fusing import fuser, gatherer


def load_machine_code() -> None:
    """Makes or loads it: a moment where this process has it, seconds where the disk has, longer otherwise."""
    for made in (intake, heads_compiled, gatherer, fuser, copier):
        made()
