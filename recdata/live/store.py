"""Owns the live store: what changes during the day, shared by every server process and the nightly job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

from recdata.live import erasing, exporting, pruning, reviewing
from recdata.live.environment import LiveFile, read_only
from recdata.live.erasing import Erasure
from recdata.live.exporting import ExportOutcome
from recdata.live.groups import Groups, Result
from recdata.live.pruning import PruneOutcome
from recdata.live.records import EventRecord, ItemChange, RuleRecord
from recdata.live.reviewing import ReviewRecord, ReviewState
from recdata.live.view import LiveView, Views
from recdata.live.writing import Batch, Expect, PreparedEvent, RecordOutcome


@dataclass(frozen=True, slots=True)
class LiveState:
    """How the store stands.

    Attributes:
        used_bytes: what is in use; the file may be larger, by pages that wait to be used again.
        max_bytes: from where on nothing is recorded.
        unexported: events that wait for their export.
        last_sequence: of the latest event; sequences count from 1 and are never given twice.
        exported_sequence: of the latest event exported.
    """

    used_bytes: int
    max_bytes: int
    unexported: int
    last_sequence: int
    exported_sequence: int


class LiveStore:
    """The live store of one home folder; open it in the process that uses it, after any fork.

    Safe to use from many threads of many processes. A write is on disk when its method returns, and seen by
    every view that begins afterwards, in any process. Every method raises LiveStoreUnavailableError where
    the file cannot be used, and a writing one LiveStoreFullError where no room is left and
    LiveStoreReadOnlyError where only reading is allowed; nothing has changed then.

    Attributes:
        home: the home folder.
        readable: whether it can be read.
        writable: whether it can be written.
    """

    def __init__(self, home: Path, file: LiveFile) -> None:
        self.home = home
        self._file = file
        self._views = Views(file)
        self._groups = Groups(file)
        self.readable = True
        self.writable = file.writable

    @classmethod
    def open(cls, home: Path, *, max_bytes: int) -> LiveStore:
        """Returns the store of a home folder; one that is not there is made.

        Args:
            home: the home folder.
            max_bytes: how large it may become, the same in every process; 0 leaves the limit as it is, and
                makes no store where there is none.

        Raises:
            LiveStoreFormatError: written by another format than this version knows.
            LiveStoreUnavailableError: damaged, or not there and not to be made.
            LiveStoreReadOnlyError, LiveStoreFullError: it cannot be made.
        """
        return cls(home, LiveFile.acquire(home, max_bytes=max_bytes))

    def close(self) -> None:
        """Gives the file back; views and writes raise afterwards, unless another store of it is open."""
        if self.readable:
            self.readable = self.writable = False
            self._file.release()

    def __enter__(self) -> LiveStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def problem(self) -> str:
        """Returns what is wrong and what to do, "" where nothing is."""
        if not self.readable:
            return "the live store is closed"
        return self._groups.problem if self.writable else str(read_only(self._file.path))

    def view(self) -> LiveView:
        """Returns this thread's view, to be used in a `with` block."""
        return self._views.of_this_thread()

    def state(self) -> LiveState:
        """Returns how the store stands."""
        with self.view() as view:
            return LiveState(
                used_bytes=view.used_bytes(),
                max_bytes=view.max_bytes,
                unexported=view.unexported,
                last_sequence=view.last_sequence,
                exported_sequence=view.exported_sequence,
            )

    def record(self, events: Sequence[EventRecord]) -> RecordOutcome:
        """Records events, all or none; one whose event_id is known is counted and not recorded again."""
        prepared = [PreparedEvent.of(event) for event in events]
        return self.write(lambda batch: batch.record(prepared))

    def update_items(self, changes: Mapping[str, ItemChange]) -> None:
        """Changes items by item_id, all or none."""
        self.write(lambda batch: batch.update_items(changes))

    def put_rule(self, rule: RuleRecord, *, expect: Expect) -> None:
        """Adds or replaces a rule.

        Args:
            rule: the rule.
            expect: "new": no rule may have its id; "known": one must have it; "any": either.

        Raises:
            RuleExistsError, RuleNotFoundError: against what was expected.
        """
        self.write(lambda batch: batch.put_rule(rule, expect))

    def change_rule(self, rule_id: str, change: Callable[[bytes], bytes]) -> None:
        """Changes a rule with no other change of it in between, so that none undoes another.

        Args:
            rule_id: the rule.
            change: returns the new content for the stored one; it may be called twice, and what it raises is
                raised.

        Raises:
            RuleNotFoundError: no rule has that id.
        """
        self.write(lambda batch: batch.change_rule(rule_id, change))

    def delete_rule(self, rule_id: str) -> None:
        """Deletes a rule.

        Raises:
            RuleNotFoundError: no rule has that id.
        """
        self.write(lambda batch: batch.delete_rule(rule_id))

    def review(self, review: ReviewRecord) -> tuple[ReviewRecord, ReviewState]:
        """Adds a review of a candidate; returns it as stored, and where its item stands now.

        One that is known by its id is not added again.

        Raises:
            ReviewExistsError: a review has that id, and says something else.
        """
        return self.write(lambda batch: reviewing.add(batch, review))

    def erase(self, user_id: str, *, now: datetime) -> Erasure:
        """Removes a person at once, and remembers the hash of their id; see `recdata.live.erasing`.

        Every erasure has a number of its own, also where nothing was found: what the store does not see (an
        import, a nightly job at work) may have brought the person back since the last one.
        """
        return erasing.erase(self, user_id, now=now)

    def count(self, user_id: str) -> dict[str, int]:
        """Returns store -> records of a person: "live/events", "live/recent", "live/sessions"."""
        return erasing.count(self, user_id)

    def export(
        self, folder: Path, *, until_us: int, progress: Callable[[int], None] = lambda _: None
    ) -> ExportOutcome:
        """Writes what was recorded since the last export as a CSV file; see `recdata.live.exporting`.

        Raises:
            ExportBusyError: another export is at work.
        """
        return exporting.export(self, folder, until_us=until_us, progress=progress)

    def prune(self, *, before_us: int) -> PruneOutcome:
        """Deletes exported events received before a moment, their ids, and recent entries as old."""
        return pruning.prune(self, before_us=before_us)

    def check_in_place(self) -> None:
        """Checks that the file is still the one in its folder.

        Raises:
            LiveStoreUnavailableError: it was moved away, deleted or replaced.
        """
        self._file.check_in_place()

    def reader_check(self) -> None:
        """Frees what killed readers hold."""
        if self.writable:
            self._file.env.reader_check()

    def write(self, work: Callable[[Batch], Result]) -> Result:
        """Does any work as one durable write; for the modules of this package."""
        return self._groups.run(work)
