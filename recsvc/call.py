"""Owns what a method answers from: one snapshot, the day's changes, the clock and the caller's patience."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from recdata.errors import LiveStoreError, LiveStoreUnavailableError
from recdata.live import LiveStore, LiveView
from recdata.snapshot import Snapshot
from recsvc.catalogue import Catalogue
from recsvc.live import LiveHold
from recsvc.serving import Generation, Serving
from recsvc.v1.common_pb2 import Degradation, DegradationReason


class Patience(Protocol):
    """Knows how long the caller still waits; grpc's context is one."""

    def time_remaining(self) -> float | None:
        """Returns the seconds left, None where the caller waits for ever."""


class Call:
    """One call on its way to an answer.

    Attributes:
        generation: the snapshot, kept mapped until the call ends.
        catalogue: what may be shown now: the snapshot's items with the live store's changes and rules.
        view: the live store at one moment; None where it cannot be read.
        live: the server's hold on the live store, for writing.
        home: the home folder.
        degradations: what the answer had to do without so far.
        source: what put the first item into the answer, such as "REPEAT", for the metrics; "" for nothing.
    """

    __slots__ = (
        "_patience",
        "_serving",
        "catalogue",
        "degradations",
        "generation",
        "home",
        "live",
        "source",
        "view",
    )

    def __init__(
        self,
        generation: Generation,
        *,
        view: LiveView | None,
        live: LiveHold,
        home: Path,
        patience: Patience | None,
        serving: Serving | None = None,
    ) -> None:
        self.generation = generation
        self.live = live
        self.home = home
        self._patience = patience
        self._serving = serving
        self.degradations: list[Degradation] = []
        self.source = ""
        problem = live.problem
        try:
            self.catalogue: Catalogue = generation.keeper.current(view)
        except LiveStoreError as error:
            view, problem = None, str(error)
            self.catalogue = generation.keeper.current(None)
        self.view = view
        if view is None:
            self.degrade("LIVE_STORE_UNAVAILABLE", problem or "the live store cannot be read")

    @property
    def store(self) -> LiveStore:
        """Returns the live store, for writing.

        Raises:
            LiveStoreUnavailableError: it cannot be used.
        """
        store = self.live.store
        if store is None:
            raise LiveStoreUnavailableError(self.live.problem)
        return store

    @property
    def now(self) -> datetime:
        """Returns the moment, in UTC."""
        return datetime.now(UTC)

    @contextmanager
    def pinned(self, snapshot_id: str) -> Iterator[Call]:
        """Hands out the same call with degradations of its own, on another snapshot where one is named.

        Raises:
            NotMappedError: the snapshot is not mapped.
        """
        if not snapshot_id or snapshot_id == self.generation.snapshot_id or self._serving is None:
            yield self._on(self.generation)
            return
        yield self._on(self._serving.acquire(snapshot_id))

    @contextmanager
    def reading(self, snapshot_id: str) -> Iterator[Snapshot]:
        """Hands out any published snapshot for a look.

        Raises:
            SnapshotError: it is not there, or cannot be used.
        """
        if snapshot_id == self.generation.snapshot_id or self._serving is None:
            yield self.generation.snapshot
            return
        with self._serving.reading(snapshot_id) as snapshot:
            yield snapshot

    def seconds_left(self) -> float:
        """Returns how long the caller still waits, infinity where it is for ever."""
        left = None if self._patience is None else self._patience.time_remaining()
        return math.inf if left is None else left

    def affords(self, seconds: float, what: str) -> bool:
        """Returns whether work fits into half of the time that is left; notes it where it does not."""
        if 2 * seconds < self.seconds_left():
            return True
        self.degrade("DEADLINE", f"too little of the deadline was left for {what}")
        return False

    def degrade(self, name: str, detail: str) -> None:
        """Notes, once for each reason, what the answer has to do without.

        Args:
            name: a DegradationReason without its prefix.
            detail: one English sentence with the names in it.
        """
        reason = DegradationReason.Value(f"DEGRADATION_REASON_{name}")
        if all(each.reason != reason for each in self.degradations):
            self.degradations.append(Degradation(reason=reason, detail=detail))

    def _on(self, generation: Generation) -> Call:
        return Call(
            generation,
            view=self.view,
            live=self.live,
            home=self.home,
            patience=self._patience,
            serving=self._serving,
        )
