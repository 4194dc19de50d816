"""Owns the server's hold on the live store: a view for each call, another try where it cannot be used."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from recdata.errors import LiveStoreError
from recdata.live import LiveStore, LiveView
from recsvc.log import log

#: Seconds between tries to open a store that could not be opened.
RETRY_SECONDS = 5.0
#: Seconds between looks whether the store's file is still in its place; a write looks by itself.
LOOK_SECONDS = 1.0


class LiveHold:
    """The live store of one home folder, as far as it can be used.

    Attributes:
        store: the open store, None while it cannot be opened.
        problem: what is wrong and what to do, "" where nothing is.
    """

    def __init__(self, home: Path, *, max_bytes: int) -> None:
        self._home = home
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._next_try = 0.0
        self._next_look = 0.0
        self.store: LiveStore | None = None
        self.problem = ""
        self._open()

    def view(self) -> LiveView | None:
        """Returns an entered view of this thread, to be left with `leave`; None where there is none."""
        store = self.store
        if store is None:
            if time.monotonic() < self._next_try:
                return None
            self._open()
            store = self.store
            if store is None:
                return None
        try:
            if time.monotonic() >= self._next_look:
                store.check_in_place()
                self._next_look = time.monotonic() + LOOK_SECONDS
            view = store.view().__enter__()
        except LiveStoreError as error:
            self._fail(error)
            return None
        if self.problem:
            self.problem = ""
        return view

    @staticmethod
    def leave(view: LiveView) -> None:
        """Ends a view."""
        view.__exit__(None, None, None)

    def close(self) -> None:
        """Gives the store back."""
        with self._lock:
            self._next_try = float("inf")
            if self.store is not None:
                self.store.close()
                self.store = None

    def _open(self) -> None:
        with self._lock:
            if self.store is not None or time.monotonic() < self._next_try:
                return
            try:
                self.store = LiveStore.open(self._home, max_bytes=self._max_bytes)
                self.problem = ""
            except LiveStoreError as error:
                self._fail(error)

    def _fail(self, error: LiveStoreError) -> None:
        self._next_try = time.monotonic() + RETRY_SECONDS
        if self.problem != str(error):
            self.problem = str(error)
            log(logging.ERROR, "live store cannot be used", reason=self.problem)
