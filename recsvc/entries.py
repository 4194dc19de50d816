"""Owns what lists are put together from: entries as bytes, kept side by side, and copied in machine code.

An entry is the part of a list that stands for one item, up to its score; four bytes of score follow it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from recdata.machine_code import compiled
from recdata.snapshot.records import Float32s, Int32s

#: Sources are numbered below this.
MAX_SOURCES = 16
SCORE_BYTES = 4
#: A slot's second number is where its entry begins, times 2 to this power, plus the entry's bytes.
SIZE_BITS = 24
_FIRST_BYTES = 1 << 16

Int64s = NDArray[np.int64]
Uint8s = NDArray[np.uint8]
#: Slots, entries, and the bytes of the longest entry with its score.
Table = tuple[Int64s, Uint8s, int]


def put_together(
    rows: Int32s, scores: Float32s, sources: Uint8s, slots: Int64s, kept: Uint8s, out: Uint8s
) -> int:
    """Writes a list's entries, each with its score. To be compiled.

    Args:
        rows: `(n,)` item rows.
        scores: `(n,)`.
        sources: `(n,)`; there is no entry of `MAX_SOURCES` and above.
        slots: a hash table with open places; two numbers a slot: row × `MAX_SOURCES` + source + 1, 0 where
            nothing is; and where its entry is.
        kept: the entries.
        out: takes the bytes; it has room for so many entries of the longest size, with their scores.

    Returns:
        How many bytes were written; −1 where an entry is not kept, or only in later arrays than these.
    """
    n_slots = slots.size // 2
    places = np.empty(rows.size, np.int64)
    # Looked up before any is copied: the looks do not wait for each other then.
    for k in range(rows.size):
        if sources[k] >= MAX_SOURCES:
            return -1  # its key would be that of another row
        key = np.int64(rows[k]) * MAX_SOURCES + sources[k] + 1
        slot = key % n_slots
        while slots[2 * slot] != key:
            if slots[2 * slot] == 0:
                return -1
            slot += 1
            if slot == n_slots:
                slot = 0
        places[k] = slots[2 * slot + 1]
    as_sent = scores.view(np.uint8)
    at = 0
    for k in range(rows.size):
        first, size = places[k] >> SIZE_BITS, places[k] & ((1 << SIZE_BITS) - 1)
        if first + size > kept.size or at + size + SCORE_BYTES > out.size:
            return -1
        # Parts of arrays, since the compiler copies from place 0 on in steps of many bytes.
        entry, to = kept[first : first + size], out[at : at + size]
        for j in range(size):
            to[j] = entry[j]
        at += size
        for j in range(SCORE_BYTES):
            out[at + j] = as_sent[SCORE_BYTES * k + j]
        at += SCORE_BYTES
    return at


@cache
def copier() -> Callable[..., int]:
    """Returns `put_together` as machine code."""
    given = "int32[:]", "float32[:]", "uint8[:]", "int64[:]", "uint8[:]"
    return compiled(put_together, *given, "out uint8[:]", lets_others_run=False)


class Entries:
    """Entries by row and source; safe to use from several threads.

    Args:
        max_kept: how many are kept at most. Past it all are let go: what is asked for often is soon back.
    """

    def __init__(self, max_kept: int) -> None:
        self._max_kept = max_kept
        self._lock = threading.Lock()
        self._table = _empty(max_kept)
        self._end = self._count = 0

    def __len__(self) -> int:
        """Returns how many are kept."""
        return self._count

    def together(self, rows: Int32s, scores: Float32s, sources: Uint8s) -> bytes | None:
        """Returns the entries with their scores, one after the other; None where one of them is not kept.

        Args:
            rows: `(n,)` int32.
            scores: `(n,)` float32.
            sources: `(n,)` uint8.
        """
        slots, kept, longest = self._table
        out = np.empty(rows.size * longest, np.uint8)
        size: int = copier()(rows, scores, sources, slots, kept, out)
        return None if size < 0 else out[:size].tobytes()

    def keep(self, entries: dict[tuple[int, int], bytes]) -> None:
        """Keeps entries by (row, source); one that is kept already stays."""
        with self._lock:
            if self._count + len(entries) > self._max_kept:
                self._table = _empty(self._max_kept)
                self._end = self._count = 0
            for (row, source), entry in list(entries.items())[: self._max_kept]:
                self._put(row * MAX_SOURCES + source + 1, entry)

    def _put(self, key: int, entry: bytes) -> None:
        slots, kept, longest = self._table
        n_slots = slots.size // 2
        slot = key % n_slots
        while slots[2 * slot] not in (0, key):
            slot = (slot + 1) % n_slots
        if slots[2 * slot] == key or len(entry) >> SIZE_BITS:
            return
        first, end = self._end, self._end + len(entry)
        if end > kept.size:
            # A reader that still has the old array takes what lies past its end for not kept.
            larger = np.empty(kept.size + max(kept.size, len(entry)), np.uint8)
            larger[:first] = kept[:first]
            kept = larger
        kept[first:end] = np.frombuffer(entry, np.uint8)
        self._table = slots, kept, max(longest, len(entry) + SCORE_BYTES)
        slots[2 * slot + 1] = first << SIZE_BITS | len(entry)
        slots[2 * slot] = key
        self._end, self._count = end, self._count + 1


def _empty(max_kept: int) -> Table:
    # Half of the slots stay free, so that few looks go on to a next one.
    return np.zeros(2 * (2 * max_kept + 1), np.int64), np.empty(_FIRST_BYTES, np.uint8), SCORE_BYTES
