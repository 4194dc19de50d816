"""Owns people's reviews as the nightly job reads them: a copy of the live store's trail in the run folder."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec

from recdata.errors import RunError
from recdata.live.environment import LIVE_FILE
from recdata.live.store import LiveStore
from recdata.runs import RunFolder, write_atomic

REVIEWS_NAME = "reviews.json"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Review(msgspec.Struct, frozen=True):
    """One review of a candidate.

    Attributes:
        review_id: unique.
        item_id: the candidate.
        decision: approve, reject, snooze, note (leaves the decision as it is) or reopen (takes it back).
        note: why, for people; may be empty.
        reviewer: who.
        reviewed_at: when, in UTC.
        snooze_until: the last day of a snooze; None for every other decision.
        snapshot_id: the snapshot that the reviewer saw.
        action: what that snapshot advised: launch, push, keep, discount or drop.
    """

    review_id: str
    item_id: str
    decision: str
    note: str
    reviewer: str
    reviewed_at: datetime
    snooze_until: date | None
    snapshot_id: str
    action: str


def read_reviews(home: Path) -> list[Review]:
    """Returns every review of a home folder's live store, in the order in which they were made.

    Without a live store there is none, and none is made.

    Raises:
        LiveStoreError: there is a store, and it cannot be read.
    """
    if not (home / "live" / LIVE_FILE).exists():
        return []
    with LiveStore.open(home, max_bytes=0) as store, store.view() as view:
        return [
            Review(
                review_id=each.review_id,
                item_id=each.item_id,
                decision=each.decision,
                note=each.note,
                reviewer=each.reviewer,
                reviewed_at=_EPOCH + timedelta(microseconds=each.review_time_us),
                snooze_until=each.snooze_until,
                snapshot_id=each.snapshot_id,
                action=each.action,
            )
            for each in view.reviews.since(0)
        ]


def keep_reviews(run: RunFolder) -> None:
    """Writes the reviews into the run folder, where they differ from what lies there; none are no file.

    A stage that has them as an input is done again after a new review. Equal reviews give equal bytes.

    Raises:
        LiveStoreError: the live store cannot be read.
        OSError: the run folder cannot be written.
    """
    path = run.resolve(REVIEWS_NAME)
    reviews = read_reviews(run.home)
    content = msgspec.json.format(msgspec.json.encode(reviews))
    try:
        known = path.read_bytes()
    except FileNotFoundError:
        known = None
    if content != known and (reviews or known is not None):
        write_atomic(path, content)


def load_reviews(path: Path) -> list[Review]:
    """Returns the reviews that lie in a run folder, in the order made; none without a file.

    Raises:
        RunError: the file cannot be read as reviews.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Review])
    except FileNotFoundError:
        return []
    except msgspec.DecodeError as error:
        raise RunError(f"{path}: no reviews ({error}); delete the file and run again") from error
