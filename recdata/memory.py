"""Owns watching how much memory a piece of work holds at its highest."""

from __future__ import annotations

import threading
from types import TracebackType


class PeakMemory:
    """Watches the resident memory of this process and its children, in MB, while a block runs.

    Pages shared by forked children are counted once for each, so the figure is an upper bound.
    """

    def __init__(self, *, every_s: float = 0.05) -> None:
        self.peak_mb = 0.0
        self._every_s = every_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="peak-memory")

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        import psutil  # only the offline job has it

        this = psutil.Process()
        while True:
            total = this.memory_info().rss
            for child in this.children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak_mb = max(self.peak_mb, total / 2**20)
            if self._done.wait(self._every_s):
                return
