"""Owns what people said of one snapshot's candidates, kept up with the live store's trail.

A decision holds for the action that it was about: what was approved as a push is asked again once the
selection advises to drop it. A snooze holds until its day is over, whatever is advised meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from google.type.date_pb2 import Date
from numpy.typing import NDArray

from recdata.errors import SnapshotError
from recdata.live import LiveView, ReviewState
from recdata.snapshot import Snapshot
from recsvc.v1 import selection_service_pb2 as pb
from recsvc.words import action_of

#: By decision, the state that it brings while it holds.
STATES = {
    "approve": pb.ReviewState.REVIEW_STATE_APPROVED,
    "reject": pb.ReviewState.REVIEW_STATE_REJECTED,
    "snooze": pb.ReviewState.REVIEW_STATE_SNOOZED,
}
PENDING = pb.ReviewState.REVIEW_STATE_PENDING
#: The status of a candidate of which nobody ever said anything.
UNTOUCHED = pb.ReviewStatus(state=PENDING).SerializeToString()


class ReviewBook:
    """Where each candidate of one snapshot stands with the people who review. Thread-safe.

    Only items that were reviewed since the last look are looked at.

    Raises:
        SnapshotError: the snapshot's time zone is not known on this machine.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._lock = threading.Lock()
        self._sequence = -1
        self._by_place: dict[int, ReviewState] = {}
        self._made: tuple[int, date, NDArray[np.uint8]] | None = None
        name = snapshot.manifest.business_timezone
        try:
            self._zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise SnapshotError(
                f"snapshot {snapshot.manifest.snapshot_id} has the time zone {name!r}, which this machine "
                "does not know; install the system's tzdata"
            ) from error

    def today(self) -> date:
        """Returns the business day of now."""
        return datetime.now(UTC).astimezone(self._zone).date()

    def current(self, view: LiveView) -> Mapping[int, ReviewState]:
        """Returns what is known of the reviewed candidates by place, as a view has it or a later one.

        Look places up; copy it before iterating.

        Raises:
            LiveStoreUnavailableError: the live store cannot be read.
        """
        if view.reviews.last_sequence > self._sequence:
            self._catch_up(view)
        return self._by_place

    def states(self, view: LiveView, today: date) -> NDArray[np.uint8]:
        """Returns every candidate's ReviewState by place, `(n_candidates,)` uint8, read-only.

        Raises:
            LiveStoreUnavailableError: the live store cannot be read.
        """
        self.current(view)
        made = self._made
        sequence = self._sequence  # before the states are read: a later review makes this old, never too new
        if made is not None and made[:2] == (sequence, today):
            return made[2]
        states = np.full(self._snapshot.manifest.counts.get("candidates", 0), PENDING, np.uint8)
        for place, state in self._by_place.copy().items():
            states[place] = state_of(state, self.advised(place), today)
        states.flags.writeable = False
        self._made = (sequence, today, states)
        return states

    def advised(self, place: int) -> str:
        """Returns the action that the snapshot advises for a candidate."""
        columns = self._snapshot.candidate_columns
        return columns.words["action"][int(columns.codes["action"][place])]

    def _catch_up(self, view: LiveView) -> None:
        with self._lock:
            reviews, known = view.reviews, self._sequence
            last = reviews.last_sequence
            if last <= known:
                return
            if known < 0:
                found = reviews.states()
            else:
                ids = sorted({review.item_id for review in reviews.since(known)})
                found = {item_id: state for item_id in ids if (state := reviews.state(item_id)) is not None}
            for item_id, state in found.items():
                row = self._snapshot.item_row(item_id)
                place = None if row is None else self._snapshot.candidate_columns.place(row)
                if place is not None:
                    self._by_place[place] = state
            self._sequence = last


def state_of(state: ReviewState | None, advised: str, today: date) -> pb.ReviewState.ValueType:
    """Returns where a candidate stands.

    Args:
        state: what is known of it; None where it was never reviewed.
        advised: the action that is advised now.
        today: the business day.
    """
    if state is None or not state.decision:
        return PENDING
    if state.decision == "snooze":
        holds = state.snooze_until is not None and today <= state.snooze_until
    else:
        holds = state.action == advised
    return STATES[state.decision] if holds and state.decision in STATES else PENDING


def status_of(state: ReviewState | None, advised: str, today: date) -> pb.ReviewStatus:
    """Returns where a candidate stands as its message; arguments as those of `state_of`."""
    status = pb.ReviewStatus(state=state_of(state, advised, today))
    if state is not None:
        status.review_count = state.count
        status.action = action_of(state.action)
        if status.state == pb.ReviewState.REVIEW_STATE_SNOOZED and state.snooze_until is not None:
            status.snooze_until.CopyFrom(date_message(state.snooze_until))
    return status


def date_message(day: date) -> Date:
    """Returns a day as its message."""
    return Date(year=day.year, month=day.month, day=day.day)
