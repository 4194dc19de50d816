"""Owns group commit: writes that wait at the same time are made durable together.

Whoever comes while nobody writes leads: it takes all that waits, commits it as one transaction, and hands
the lead to the first that came meanwhile. There is no thread of its own to wake up, so a lone write pays
for nothing but its commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import lmdb

from recdata.errors import LiveStoreError
from recdata.live.environment import LiveFile, explained, read_only
from recdata.live.writing import Batch

Result = TypeVar("Result")


class _Waiting(Generic[Result]):
    """One caller's write, and what became of it."""

    __slots__ = ("done", "error", "result", "turn", "work")

    def __init__(self, work: Callable[[Batch], Result]) -> None:
        self.work = work
        self.turn = threading.Lock()
        self.turn.acquire()  # released once the write is done, or its caller is to lead
        self.done = False
        self.result: Result
        self.error: BaseException | None = None


class Groups:
    """Writes to one file by many threads.

    Attributes:
        problem: why the last write failed, "" where it did not.
    """

    def __init__(self, file: LiveFile) -> None:
        self._file = file
        self._mutex = threading.Lock()
        self._queue: list[_Waiting[object]] = []
        self._led = False
        self.problem = ""

    def run(self, work: Callable[[Batch], Result]) -> Result:
        """Does a write and returns its result once it is on disk.

        Args:
            work: is given the batch that it shall write into; it may be called twice, in another transaction.

        Raises:
            LiveStoreError: what `work` raises, or the store is full, read-only or broken; nothing of this
                write is there then, and no other write is touched by it.
        """
        if not self._file.writable:
            raise read_only(self._file.path)
        mine = _Waiting(work)
        with self._mutex:
            self._queue.append(mine)  # type: ignore[arg-type] # each is given back its own result
            leads, self._led = not self._led, True
        if not leads:
            mine.turn.acquire()
        if not mine.done:
            self._lead()
        if mine.error is not None:
            raise mine.error
        return mine.result

    def _lead(self) -> None:
        with self._mutex:
            group, self._queue = self._queue, []
        try:
            self._commit(group)
        except BaseException as error:
            for each in group:
                each.error = each.error or error
            raise
        finally:
            with self._mutex:
                follower = self._queue[0] if self._queue else None
                self._led = follower is not None
            for each in group:
                each.done = True
                each.turn.release()
            if follower is not None:
                follower.turn.release()

    def _commit(self, group: Sequence[_Waiting[object]]) -> None:
        try:
            self._together(group)
        except Exception as error:  # one of them cannot be done, or all cannot: each finds out by itself
            if len(group) == 1:
                self._failed(group[0], error)
                return
            for each in group:
                try:
                    self._together((each,))
                except Exception as own:
                    self._failed(each, own)

    def _together(self, group: Sequence[_Waiting[object]]) -> None:
        with Batch(self._file) as batch:
            results = [each.work(batch) for each in group]
        # Only what is committed is told.
        for each, result in zip(group, results, strict=True):
            each.result = result
        self.problem = ""

    def _failed(self, each: _Waiting[object], error: Exception) -> None:
        if isinstance(error, lmdb.Error | OSError):
            if isinstance(error, lmdb.MapFullError):
                self._file.env.reader_check()  # a killed reader may be what keeps the old pages
            each.error = explained(self._file.path, error)
            each.error.__cause__ = error
            self.problem = str(each.error)
        else:
            each.error = error
            if isinstance(error, LiveStoreError) and error.lasting:
                self.problem = str(error)
