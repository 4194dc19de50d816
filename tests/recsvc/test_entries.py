from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsvc.entries import MAX_SOURCES, SIZE_BITS, Entries, copier
from recsvc.v1.common_pb2 import SourceType

names = st.tuples(st.integers(0, 2**31 - 1), st.integers(0, MAX_SOURCES - 1))


def ask(entries: Entries, wanted: list[tuple[int, int]], scores: list[float]) -> bytes | None:
    return entries.together(
        np.array([row for row, _ in wanted], np.int32),
        np.array(scores, np.float32),
        np.array([source for _, source in wanted], np.uint8),
    )


@settings(deadline=None)  # the first one may make machine code
@given(st.dictionaries(names, st.binary(max_size=300), min_size=1, max_size=12), st.data())
def test_what_is_kept_is_put_together_with_its_scores(made, data):
    entries = Entries(12)  # full, so that keys lie on each other's slots
    entries.keep(made)
    wanted = data.draw(st.lists(st.sampled_from(list(made)), max_size=30))
    scores = data.draw(st.lists(st.floats(width=32), min_size=len(wanted), max_size=len(wanted)))
    parts = [made[each] + np.float32(score).tobytes() for each, score in zip(wanted, scores, strict=True)]
    assert ask(entries, wanted, scores) == b"".join(parts)
    assert len(entries) == len(made)


@settings(deadline=None)  # the first one may make machine code
@given(st.sets(names, max_size=8), names)
def test_what_is_not_kept_is_told(made, other):
    entries = Entries(8)
    entries.keep(dict.fromkeys(made - {other}, b"entry"))
    assert ask(entries, [other], [0.0]) is None


def test_entries_outgrow_their_room_and_all_are_let_go_past_the_limit():
    entries = Entries(100)
    for row in range(100):
        entries.keep({(row, 1): bytes([row]) * 5000})
    rows = [(row, 1) for row in range(100)]
    told = b"".join(bytes([row]) * 5000 + bytes(4) for row in range(100))
    assert ask(entries, rows, [0.0] * 100) == told
    entries.keep({(100, 1): b"new"})
    assert len(entries) == 1
    assert ask(entries, rows[:1], [0.0]) is None
    assert ask(entries, [(100, 1)], [0.0]) == b"new" + bytes(4)


def test_more_at_once_than_may_be_kept_are_kept_as_far_as_they_may():
    entries = Entries(3)
    entries.keep({(row, 0): b"x" for row in range(10)})
    assert len(entries) == 3


def test_an_entry_too_long_to_note_its_size_is_not_kept():
    entries = Entries(3)
    entries.keep({(1, 0): bytes(1 << SIZE_BITS), (2, 0): b"x"})
    assert len(entries) == 1


def test_every_source_has_a_number_that_entries_can_have():
    assert max(SourceType.values()) < MAX_SOURCES


def test_a_source_that_there_cannot_be_is_no_other_rows_entry():
    entries = Entries(3)
    entries.keep({(1, 0): b"one", (2, 0): b"two"})
    assert ask(entries, [(1, MAX_SOURCES)], [0.0]) is None


@pytest.mark.parametrize("damage", ["kept", "out"])
def test_older_arrays_are_no_place_to_read_or_write_past(damage):
    entries = Entries(3)
    entries.keep({(1, 0): bytes(100)})
    slots, kept, longest = entries._table
    out = np.empty(longest, np.uint8)
    if damage == "kept":
        kept = kept[:50]
    else:
        out = out[:50]
    one = np.ones(1, np.int32), np.ones(1, np.float32), np.zeros(1, np.uint8)
    assert copier()(*one, slots, kept, out) == -1


def test_readers_beside_a_writer_get_whole_entries_or_none():
    entries = Entries(500)
    wrong: list[bytes] = []
    done = threading.Event()

    def read(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not done.is_set():
            rows = rng.integers(0, 2000, 3).tolist()
            content = ask(entries, [(row, 2) for row in rows], [0.0] * 3)
            if content not in (None, b"".join(f"<{row}>".encode() * row + bytes(4) for row in rows)):
                wrong.append(content)

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
    for reader in readers:
        reader.start()
    for row in range(2000):
        entries.keep({(row, 2): f"<{row}>".encode() * row})
    done.set()
    for reader in readers:
        reader.join()
    assert not wrong
