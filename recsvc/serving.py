"""Owns which snapshot answers: leases on it, and the swap to a new one without a gap.

Everything that a snapshot hands out points into its map, so a snapshot may be closed only when no call uses
it any more. A call takes a lease; a swap retires the old snapshot, and whoever ends its last lease closes it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
from recsvc.config import ServingConfig
from recsvc.errors import StoppedError
from recsvc.log import log
from recsvc.v1.common_pb2 import Language
from recsvc.wire import ItemBytes


class Generation:
    """One snapshot that serves or served, with what is made of it once and kept.

    Attributes:
        snapshot: the mapped snapshot.
        snapshot_id: its id.
        sellable: `(n_items,)` bool.
        items: the items as bytes.
        candidates: which candidates match which filter.
        bestseller_window_days: the window of the bestsellers that fill a shopper's list; 0 without any list.
        default_language: the language where a request names none.
        loaded_at: when it began to serve.
        info_head: kept by `recsvc.answers.full_answer_info`; empty before its first use.
    """

    def __init__(self, snapshot: Snapshot, config: ServingConfig) -> None:
        self.snapshot = snapshot
        self.snapshot_id = snapshot.manifest.snapshot_id
        self.sellable: NDArray[np.bool_] = snapshot.sellable
        self.items = ItemBytes(snapshot.item, currency=snapshot.manifest.currency)
        self.candidates = CandidateIndex(snapshot)
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
        self.info_head = b""
        self.leases = 0
        self.retired = False

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
    """The generation that answers, and the thread that looks for the next one.

    Raises:
        SnapshotError: nothing is published, or what is published cannot be used.
    """

    def __init__(self, home: Path, config: ServingConfig) -> None:
        self._releases = Releases(home)
        self._config = config
        self._lock = threading.Lock()
        self._stop = threading.Event()
        # Retired and not yet closed; LMDB refuses to map a file that this process still maps.
        self._retired: list[Generation] = []
        self._refused: tuple[str, int] | None = None
        self.failure: LoadFailure | None = None
        self.started_at = datetime.now(UTC)
        snapshot_id = self._releases.current_id()
        if snapshot_id is None:
            raise SnapshotNotFoundError(
                f"{self._releases.root} has no published snapshot; "
                "`recsvc nightly` or `recsvc demo` makes one"
            )
        self._current = self._load(snapshot_id)
        self._poller = threading.Thread(target=self._poll, daemon=True, name="snapshot-poll")

    @contextmanager
    def lease(self) -> Iterator[Generation]:
        """Hands out the serving generation and keeps it mapped until the block ends."""
        generation = self.acquire()
        try:
            yield generation
        finally:
            self.release(generation)

    def acquire(self) -> Generation:
        """Returns the serving generation; give it back with `release`, once.

        Raises:
            StoppedError: nothing serves any more. A call that was cut off may still come this far, and must
                not touch a map that is gone.
        """
        with self._lock:
            generation = self._current
            if generation.retired:
                raise StoppedError
            generation.leases += 1
        return generation

    def release(self, generation: Generation) -> None:
        """Ends one lease; the last one of a retired generation closes its snapshot."""
        with self._lock:
            generation.leases -= 1
            done = generation.retired and generation.leases == 0
        if done:
            self._close(generation)

    def published_id(self) -> str:
        """Returns the id that the published pointer names, "" where it names none or cannot be read."""
        try:
            return self._releases.current_id() or ""
        except SnapshotError:
            return ""

    def start(self) -> None:
        """Begins to look for new snapshots."""
        self._poller.start()

    def stop(self) -> None:
        """Stops looking and closes the serving snapshot once its last call has ended."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._poller.is_alive():
            self._poller.join()
        with self._lock:
            done = self._retire(self._current)
        if done:
            self._close(self._current)

    def refresh(self) -> bool:
        """Serves the published snapshot if it is another one; returns whether it swapped.

        A snapshot that cannot be used is logged, remembered in `failure`, and tried again only when its files
        change; the serving one goes on.
        """
        try:
            snapshot_id = self._releases.current_id()
        except SnapshotError as error:
            if self._refused != (str(error), 0):
                self._refuse("", error)
                self._refused = str(error), 0
            return False
        if snapshot_id == self._current.snapshot_id:
            self.failure = self._refused = None
        if snapshot_id is None or snapshot_id == self._current.snapshot_id:
            return False
        if self._refused == (snapshot_id, self._touched_ns(snapshot_id)):
            return False
        try:
            generation = self._kept(snapshot_id) or self._load(snapshot_id)
        except _StillClosing:
            return False
        except (RecsvcError, OSError, KeyError, ValueError) as error:
            self._refuse(snapshot_id, error)
            return False
        with self._lock:
            old, self._current = self._current, generation
            done = self._retire(old)
        self.failure = self._refused = None
        log(logging.INFO, "snapshot swapped", snapshot_id=generation.snapshot_id, replaced=old.snapshot_id)
        if done:
            self._close(old)
        return True

    def _retire(self, generation: Generation) -> bool:
        """Marks a generation as not serving any more; returns whether nobody uses it. Needs the lock."""
        generation.retired = True
        self._retired.append(generation)
        return generation.leases == 0

    def _kept(self, snapshot_id: str) -> Generation | None:
        """Returns a retired generation that calls still use, taken back into service, or None.

        Raises:
            _StillClosing: it is there and its last call has ended; it will be gone at the next look.
        """
        with self._lock:
            for generation in self._retired:
                if generation.snapshot_id == snapshot_id:
                    if not generation.leases:
                        raise _StillClosing
                    generation.retired = False
                    self._retired.remove(generation)
                    return generation
        return None

    def _load(self, snapshot_id: str) -> Generation:
        snapshot = self._releases.open(snapshot_id, verify=self._config.verify_snapshots)
        try:
            return Generation(snapshot, self._config)
        except BaseException:
            snapshot.close()
            raise

    def _refuse(self, snapshot_id: str, error: Exception) -> None:
        self._refused = (snapshot_id, self._touched_ns(snapshot_id))
        self.failure = LoadFailure(snapshot_id, str(error), datetime.now(UTC))
        log(
            logging.ERROR,
            "snapshot refused",
            snapshot_id=snapshot_id,
            serving=self._current.snapshot_id,
            reason=str(error),
        )

    def _touched_ns(self, snapshot_id: str) -> int:
        """Returns when the newest file of a snapshot changed, 0 where there is none."""
        folder = self._releases.root / snapshot_id
        try:
            return max((path.stat().st_mtime_ns for path in folder.iterdir()), default=0)
        except OSError:
            return 0

    def _poll(self) -> None:
        while not self._stop.wait(self._config.poll_seconds):
            try:
                self.refresh()
            except Exception as error:  # the poll must outlive any surprise
                log(logging.ERROR, "looking for a new snapshot failed", error=error)

    def _close(self, generation: Generation) -> None:
        generation.snapshot.close()
        with self._lock:
            self._retired.remove(generation)
        log(logging.INFO, "snapshot closed", snapshot_id=generation.snapshot_id)
