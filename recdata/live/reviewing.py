"""Owns people's reviews of selection candidates in the live store: an audit trail that only grows.

Every review is an entry of the trail, by sequence, and points to the one before it of the same item; beside
it stands each item's decision of now. Ids stay strings, so that reviews outlive snapshots.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING

import lmdb
import msgspec

from recdata.errors import ReviewExistsError
from recdata.live.environment import LiveFile, explained
from recdata.live.records import Decoder, event_key, sequence_key

if TYPE_CHECKING:  # a batch knows views, and those this module
    from recdata.live.writing import Batch

#: What a person may say. A note leaves the decision as it is, reopen takes it back.
DECISIONS = ("approve", "reject", "snooze", "note", "reopen")

_PACK = msgspec.msgpack.Encoder().encode


class ReviewRecord(msgspec.Struct, frozen=True, array_like=True):
    """One review as it was made.

    Attributes:
        review_id: the id that its request came with; sent again, it is not made again.
        item_id: the candidate.
        decision: one of `DECISIONS`.
        note: why, for people; may be empty.
        reviewer: who.
        review_time_us: when.
        snooze_until: the last day of a snooze; None for every other decision.
        snapshot_id: the snapshot that the reviewer saw.
        action: what that snapshot advised to do.
        previous: the sequence of the item's review before; 0 for its first. Set by the store.
    """

    review_id: str
    item_id: str
    decision: str
    note: str
    reviewer: str
    review_time_us: int
    snooze_until: date | None
    snapshot_id: str
    action: str
    previous: int = 0

    def says_what(self, other: ReviewRecord) -> bool:
        """Returns whether the two say the same; when, and on which snapshot, may differ if sent again."""
        return _said(self) == _said(other)


class ReviewState(msgspec.Struct, frozen=True, array_like=True):
    """Where an item stands after its reviews.

    Attributes:
        last: the sequence of its latest review.
        count: how many reviews it has.
        decision: approve, reject or snooze; "" where it was never decided, or reopened.
        snooze_until: the last day of the snooze; None without one.
        action: the action that the decision was about; "" without a decision.
    """

    last: int
    count: int
    decision: str = ""
    snooze_until: date | None = None
    action: str = ""


_REVIEW, _STATE = Decoder(ReviewRecord), Decoder(ReviewState)


class Reviews:
    """The reviews as one transaction sees them; nothing where a store of before has none.

    Reading raises LiveStoreUnavailableError where LMDB fails.
    """

    __slots__ = ("_file", "_sections", "_transaction")

    def __init__(self, transaction: lmdb.Transaction[bytes], file: LiveFile) -> None:
        self._transaction = transaction
        self._file = file
        self._sections: Mapping[str, lmdb._Database] = file.sections

    @property
    def last_sequence(self) -> int:
        """Returns the sequence of the latest review, 0 where there is none; it rises with every review."""
        section = self._sections.get("reviews")
        if section is None:
            return 0
        try:
            with self._transaction.cursor(section) as cursor:
                return int.from_bytes(cursor.key(), "big") if cursor.last() else 0
        except lmdb.Error as error:
            raise explained(self._file.path, error) from error

    def since(self, sequence: int) -> Iterator[ReviewRecord]:
        """Yields the reviews after a sequence, in the order in which they were made."""
        for _, content in self._all("reviews", sequence_key(sequence + 1)):
            yield _REVIEW.decode(content)

    def states(self) -> dict[str, ReviewState]:
        """Returns where every reviewed item stands, by item_id."""
        return {key.decode(): _STATE.decode(content) for key, content in self._all("reviewed", b"")}

    def state(self, item_id: str) -> ReviewState | None:
        """Returns where an item stands, None where it was never reviewed."""
        content = self._get("reviewed", item_id.encode())
        return None if content is None else _STATE.decode(content)

    def trail(self, item_id: str, *, most: int | None = None) -> list[ReviewRecord]:
        """Returns an item's reviews, latest first; all of them where `most` is left out."""
        state = self.state(item_id)
        return list(itertools.islice(self._back_from(state.last), most)) if state is not None else []

    def known(self, review_id: str) -> ReviewRecord | None:
        """Returns the review that was made under an id, None where there is none."""
        sequence = self._get("review_ids", event_key(review_id))
        return None if sequence is None else self._entry(sequence)

    def _back_from(self, sequence: int) -> Iterator[ReviewRecord]:
        while sequence:
            review = self._entry(sequence_key(sequence))
            if review is None or review.previous >= sequence:  # only in a damaged file; never in circles
                return
            yield review
            sequence = review.previous

    def _entry(self, key: bytes) -> ReviewRecord | None:
        content = self._get("reviews", key)
        return None if content is None else _REVIEW.decode(content)

    def _get(self, name: str, key: bytes) -> bytes | None:
        section = self._sections.get(name)
        try:
            return None if section is None else self._transaction.get(key, None, section)
        except lmdb.Error as error:
            raise explained(self._file.path, error) from error

    def _all(self, name: str, first: bytes) -> Iterator[tuple[bytes, bytes]]:
        section = self._sections.get(name)
        if section is None:
            return
        try:
            with self._transaction.cursor(section) as cursor:
                if cursor.set_range(first) if first else cursor.first():
                    yield from cursor
        except lmdb.Error as error:
            raise explained(self._file.path, error) from error


def add(batch: Batch, review: ReviewRecord) -> tuple[ReviewRecord, ReviewState]:
    """Adds a review to the trail and returns it as stored, with where its item stands now.

    One whose id is known, and which says the same, is not added again: the stored one is returned.

    Raises:
        ReviewExistsError: the id is known, and its review says something else.
        LiveStoreFullError: there is no room.
    """
    reviews, put = Reviews(batch.transaction, batch.file), batch.transaction.put
    stored = reviews.known(review.review_id)
    before = reviews.state(review.item_id)
    if stored is not None:
        if not stored.says_what(review):
            raise ReviewExistsError(
                f"a review {review.review_id!r} exists and says something else (of item {stored.item_id!r}: "
                f"{stored.decision}); send each review with an id of its own"
            )
        return stored, before or ReviewState(0, 0)
    batch.need_room()
    sequence = reviews.last_sequence + 1
    stored = msgspec.structs.replace(review, previous=before.last if before else 0)
    state = _after(before, stored, sequence)
    put(sequence_key(sequence), _PACK(stored), append=True, db=batch.sections["reviews"])
    put(event_key(review.review_id), sequence_key(sequence), db=batch.sections["review_ids"])
    put(review.item_id.encode(), _PACK(state), db=batch.sections["reviewed"])
    return stored, state


def _after(before: ReviewState | None, review: ReviewRecord, sequence: int) -> ReviewState:
    old = before or ReviewState(0, 0)
    count = old.count + 1
    if review.decision == "note":
        return msgspec.structs.replace(old, last=sequence, count=count)
    if review.decision == "reopen":
        return ReviewState(sequence, count)
    return ReviewState(sequence, count, review.decision, review.snooze_until, review.action)


def _said(review: ReviewRecord) -> tuple[object, ...]:
    return review.item_id, review.decision, review.note, review.reviewer, review.snooze_until
