"""Owns which snapshot answers: handing it to calls, the swap to a new one without a gap, and the way back.

Everything that a snapshot hands out points into its map, so a snapshot may be closed only when nothing uses
it any more. Who uses it holds its generation, and nothing else need be done: the last reference gone closes
it. That costs a call nothing, where a counter would need a lock. Reference counting makes it prompt; garbage
collection would only make it later.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recdata.errors import RecsvcError, SnapshotError, SnapshotNotFoundError
from recdata.releases import Releases
from recdata.snapshot import Snapshot
from recsvc.candidates import CandidateIndex
from recsvc.catalogue import CatalogueKeeper
from recsvc.config import ServingConfig
from recsvc.cores import leave_core
from recsvc.errors import NotMappedError, StoppedError
from recsvc.log import log
from recsvc.v1.common_pb2 import Language
from recsvc.verifying import Verifier
from recsvc.wire import ItemBytes

#: How long an activation waits for a snapshot that is just being closed.
CLOSING_SECONDS = 5.0


class Generation:
    """One snapshot that serves or served, with what is made of it once and kept.

    Attributes:
        snapshot: the mapped snapshot.
        snapshot_id: its id.
        sellable: `(n_items,)` bool.
        items: the items as bytes.
        candidates: which candidates match which filter.
        keeper: the catalogue, kept up with the live store.
        bestseller_window_days: the window of the bestsellers that fill a shopper's list; 0 without any list.
        default_language: the language where a request names none.
        loaded_at: when it began to serve.
        verified: whether its checksum was compared and is right.
        info_head: kept by `recsvc.answers.full_answer_info`; empty before its first use.
    """

    def __init__(self, snapshot: Snapshot, config: ServingConfig) -> None:
        self.snapshot = snapshot
        self.snapshot_id = snapshot.manifest.snapshot_id
        self.sellable: NDArray[np.bool_] = snapshot.sellable
        self.items = ItemBytes(snapshot.item, currency=snapshot.manifest.currency)
        self.candidates = CandidateIndex(snapshot)
        self.keeper = CatalogueKeeper(snapshot, config.order)
        windows = snapshot.manifest.windows.get("best", [])
        self.bestseller_window_days = min(
            windows, key=lambda days: (abs(days - config.bestseller_window_days), days), default=0
        )
        self.default_language = (
            Language.LANGUAGE_ZH if config.default_language == "zh" else Language.LANGUAGE_EN
        )
        self.loaded_at = datetime.now(UTC)
        # A snapshot that lacks a matrix is refused here, before it serves.
        _ = snapshot.item_factors, snapshot.similar_rows, snapshot.similar_scores
        self.verified = False
        self.info_head = b""

    @cached_property
    def all_rows(self) -> NDArray[np.int32]:
        """Returns every item row, `(n_items,)` int32."""
        return np.arange(self.snapshot.n_items, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """A published snapshot that was refused."""

    snapshot_id: str
    message: str
    failed_at: datetime


class _StillClosing(Exception):  # noqa: N818 - says that now is not the time, not that something is wrong
    """The snapshot wanted is just being closed."""


class Serving:
    """The generation that answers, those kept to go back to, and the thread that looks for the next one.

    Attributes:
        failure: the last snapshot that was refused; None once the published one serves.
        started_at: when this process began to serve.
        worker: which of the server's workers this is, from 0.
        made: called with a generation before it begins to serve.
        swapped: called with the generation after it began to serve.

    Args:
        home: the home folder.
        config: how to load.
        worker: see above.
        verifies: whether to compare checksums after loading, where the config says so; otherwise somebody
            else does, and calls `verified`.

    Raises:
        SnapshotError: nothing is published, or what is published cannot be used.
    """

    def __init__(self, home: Path, config: ServingConfig, *, worker: int = 0, verifies: bool = True) -> None:
        self.releases = Releases(home)
        self._config = config
        self.worker = worker
        self.failure: LoadFailure | None = None
        self.started_at = datetime.now(UTC)
        self.made: Callable[[Generation], None] = lambda _: None
        self.swapped: Callable[[Generation], None] = lambda _: None
        self._verifier: Verifier | None = None
        if verifies and config.verify_snapshots == "after":
            self._verifier = Verifier(self.releases, self.verified, yields=False)
        # Held for a change of what serves; calls do not need it.
        self._changing = threading.RLock()
        self._stop = threading.Event()
        self._look = threading.Event()
        self._refused: tuple[str, int] | None = None
        # LMDB refuses to map a file that this process still maps, so what is open is known by id: in use, or
        # being closed.
        self._in_use: weakref.WeakValueDictionary[str, Generation] = weakref.WeakValueDictionary()
        self._open: set[str] = set()
        snapshot_id = self.releases.current_id()
        if snapshot_id is None:
            raise SnapshotNotFoundError(
                f"{self.releases.root} has no published snapshot; `recsvc nightly` or `recsvc demo` makes one"
            )
        self._current: Generation | None = self._load(snapshot_id)
        #: By id, the serving one first, then the latest before it; replaced as a whole, never changed.
        self._mapped = {snapshot_id: self._current}
        self._poller = threading.Thread(target=self._poll, daemon=True, name="snapshot-poll")

    def acquire(self, snapshot_id: str = "") -> Generation:
        """Returns the serving generation, or the mapped one of an id; it stays mapped while it is held.

        Raises:
            StoppedError: nothing serves any more.
            NotMappedError: the snapshot is not mapped here.
        """
        generation = self._mapped.get(snapshot_id) if snapshot_id else self._current
        if generation is None:
            mapped = self.mapped_ids()
            raise NotMappedError(snapshot_id, mapped) if mapped else StoppedError
        return generation

    @contextmanager
    def lease(self) -> Iterator[Generation]:
        """Hands out the serving generation for a block."""
        yield self.acquire()

    def mapped_ids(self) -> list[str]:
        """Returns the ids of the snapshots that requests may pin, the serving one first."""
        return list(self._mapped)

    def published_id(self) -> str:
        """Returns the id that the published pointer names, "" where it names none or cannot be read."""
        try:
            return self.releases.current_id() or ""
        except SnapshotError:
            return ""

    def start(self) -> None:
        """Begins to look for new snapshots."""
        self._poller.start()
        if self._verifier is not None:
            self._verifier.start()

    def look(self) -> None:
        """Looks at the published pointer at once, on the thread that does so."""
        self._look.set()

    def stop(self) -> None:
        """Stops looking and lets go of every snapshot; each is closed once its last call has ended."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._look.set()
        if self._poller.is_alive():
            self._poller.join()
        with self._changing:
            self._current, self._mapped = None, {}

    def refresh(self) -> bool:
        """Serves the published snapshot if it is another one; returns whether it swapped.

        A snapshot that cannot be used is logged, remembered in `failure`, and tried again only when its files
        change; the serving one goes on.
        """
        with self._changing:
            serving = self._current
            if serving is None:
                return False
            try:
                snapshot_id = self.releases.current_id()
            except SnapshotError as error:
                if self._refused != (str(error), 0):
                    self._refuse("", error)
                    self._refused = str(error), 0
                return False
            if snapshot_id is not None and self._refused == (snapshot_id, self._touched_ns(snapshot_id)):
                return False
            if snapshot_id == serving.snapshot_id:
                self.failure = self._refused = None
            if snapshot_id is None or snapshot_id == serving.snapshot_id:
                return False
            try:
                generation = self._load(snapshot_id)
            except _StillClosing:
                return False
            except (RecsvcError, OSError, KeyError, ValueError) as error:
                self._refuse(snapshot_id, error)
                return False
            self._serve(generation)
            return True

    def activate(self, snapshot_id: str) -> tuple[Generation, str]:
        """Makes a published snapshot the serving one, here and by the pointer.

        Returns:
            Its generation, and the id of the one that served before.

        Raises:
            SnapshotError: it is not there or cannot be used; the pointer stays where it was.
            PublishError: the pointer cannot be written.
            StoppedError: nothing serves any more.
        """
        with self._changing:
            before = self.acquire()
            deadline = time.monotonic() + CLOSING_SECONDS
            while True:
                try:
                    generation = self._load(snapshot_id)
                    break
                except _StillClosing:
                    if time.monotonic() > deadline:
                        raise SnapshotError(
                            f"snapshot {snapshot_id} is just being closed; try again in a moment"
                        ) from None
                    time.sleep(0.01)
            self.releases.point(snapshot_id, verify=not generation.verified)
            generation.verified = True
            if generation is not before:
                self._serve(generation)
            self.failure = self._refused = None
            return generation, before.snapshot_id

    @contextmanager
    def reading(self, snapshot_id: str) -> Iterator[Snapshot]:
        """Hands out any published snapshot for a look: the one in use here, or one mapped for the block.

        Raises:
            SnapshotError: it is not there, cannot be used, or is just being closed.
        """
        with self._changing:  # so that nothing is loaded while it is mapped for a look
            generation = self._in_use.get(snapshot_id)
            if generation is not None:
                yield generation.snapshot
                return
            if snapshot_id in self._open:
                raise SnapshotError(f"snapshot {snapshot_id} is just being closed; try again in a moment")
            with closing(self.releases.open(snapshot_id, verify=False)) as snapshot:
                yield snapshot

    def _serve(self, generation: Generation) -> None:
        """Lets a generation answer, and lets go of those past the ones to keep."""
        old = self.acquire()
        others = [kept for kept in self._mapped.values() if kept is not generation]
        kept = [generation, *others[: self._config.keep_previous]]
        generation.loaded_at = datetime.now(UTC)
        self._mapped = {each.snapshot_id: each for each in kept}
        self._current = generation
        self.failure = self._refused = None
        log(logging.INFO, "snapshot swapped", snapshot_id=generation.snapshot_id, replaced=old.snapshot_id)
        self.swapped(generation)

    def _load(self, snapshot_id: str) -> Generation:
        """Returns the generation of a snapshot: the one that is in use, or one just mapped.

        Raises:
            SnapshotError: it cannot be used.
            _StillClosing: it is just being closed; a moment later it can be mapped again.
        """
        generation = self._in_use.get(snapshot_id)
        if generation is not None:
            return generation
        if snapshot_id in self._open:
            raise _StillClosing
        before = self._config.verify_snapshots == "before"
        snapshot = self.releases.open(snapshot_id, verify=before)
        try:
            generation = Generation(snapshot, self._config)
            self.made(generation)
        except BaseException:
            snapshot.close()
            raise
        generation.verified = before
        self._open.add(snapshot_id)
        if self._verifier is not None:
            self._verifier.want(snapshot_id)
        self._in_use[snapshot_id] = generation
        weakref.finalize(generation, _close, snapshot, self._open).atexit = False
        return generation

    def _refuse(self, snapshot_id: str, error: Exception) -> None:
        self._refused = (snapshot_id, self._touched_ns(snapshot_id))
        self.failure = LoadFailure(snapshot_id, str(error), datetime.now(UTC))
        log(
            logging.ERROR,
            "snapshot refused",
            snapshot_id=snapshot_id,
            serving=next(iter(self._mapped), ""),
            reason=str(error),
        )

    def _touched_ns(self, snapshot_id: str) -> int:
        """Returns when the newest file of a snapshot changed, 0 where there is none."""
        folder = self.releases.root / snapshot_id
        try:
            return max((path.stat().st_mtime_ns for path in folder.iterdir()), default=0)
        except OSError:
            return 0

    def verified(self, snapshot_id: str, why: str) -> None:
        """Takes note of what a snapshot's checksum said.

        Args:
            snapshot_id: the snapshot.
            why: what is wrong with it, "" where nothing is. A wrong one serves no longer: the mapped one
                before it does. Where none is mapped it goes on, since a doubtful answer is more than none.
        """
        with self._changing:
            generation = self._mapped.get(snapshot_id)
            if generation is None:
                return
            if not why:
                generation.verified = True
                return
            others = {name: kept for name, kept in self._mapped.items() if name != snapshot_id}
            if others:
                self._mapped = others
                self._current = next(iter(others.values()))
            self._refuse(snapshot_id, SnapshotError(why))

    def _poll(self) -> None:
        leave_core()
        while not self._stop.is_set():
            self._look.wait(self._config.poll_seconds)
            self._look.clear()
            if self._stop.is_set():
                return
            try:
                self.refresh()
            except Exception as error:  # the poll must outlive any surprise
                log(logging.ERROR, "looking for a new snapshot failed", error=error)


def _close(snapshot: Snapshot, still_open: set[str]) -> None:
    """Closes a snapshot that nothing uses any more."""
    snapshot.close()
    still_open.discard(snapshot.manifest.snapshot_id)
    log(logging.INFO, "snapshot closed", snapshot_id=snapshot.manifest.snapshot_id)
