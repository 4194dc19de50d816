"""Owns ReviewCandidate: checking what a person says of a candidate, and storing it before the answer."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec
from google.type.date_pb2 import Date

from recdata.live import LiveView, ReviewRecord
from recdata.live.records import microseconds
from recsvc.answers import answer_info
from recsvc.call import Call
from recsvc.checks import check_length
from recsvc.errors import InvalidFieldError, PreconditionError, UnknownNameError, quoted
from recsvc.review_book import date_message, status_of
from recsvc.serving import Generation
from recsvc.v1.selection_service_pb2 import Review, ReviewCandidateRequest, ReviewCandidateResponse
from recsvc.words import action_of, action_word, decision_of, decision_word

MAX_REQUEST_ID_BYTES = 128
MAX_NOTE_CHARACTERS = 2000
#: A later day is a slip of the year.
MAX_SNOOZE = timedelta(days=3653)


def review_candidate(call: Call, request: ReviewCandidateRequest) -> bytes:
    """Returns a serialised ReviewCandidateResponse, once the review is on disk.

    Raises:
        InvalidFieldError: the review lacks something, or says what cannot be.
        UnknownNameError: the item is no candidate.
        PreconditionError: something else is advised than the reviewer saw.
        ReviewExistsError: the request_id came with another review before.
        LiveStoreError: it cannot be written.
    """
    generation = call.generation
    reviews = generation.candidates.reviews
    today = reviews.today()
    asked = _record(request, call.now, generation.snapshot_id)
    if not _made_before(call.view, asked.review_id):
        _check_snooze(asked.snooze_until, today)  # sent again after midnight, its day may be over
        advised = reviews.advised(candidate_place(request.item_id, generation))
        _check_action(request, advised)
        asked = msgspec.structs.replace(asked, action=advised)
    stored, state = call.store.review(asked)
    row = generation.snapshot.item_row(stored.item_id)
    now_place = None if row is None else generation.candidates.columns.place(row)
    return ReviewCandidateResponse(
        review=review_message(stored),
        status=status_of(state, "" if now_place is None else reviews.advised(now_place), today),
        info=answer_info(generation, call.degradations),
    ).SerializeToString()


def candidate_place(item_id: str, generation: Generation) -> int:
    """Returns the place of an item among the candidates, its rank less 1.

    Raises:
        InvalidFieldError: no item id, or too long a one.
        UnknownNameError: the snapshot does not know the item, or it is no candidate.
    """
    if not item_id:
        raise InvalidFieldError("item_id", "item_id is empty; name the item")
    check_length("item_id", item_id)
    row = generation.snapshot.item_row(item_id)
    named = {"item_id": item_id, "snapshot_id": generation.snapshot_id}
    if row is None:
        raise UnknownNameError(
            f"item_id {quoted(item_id)} is not in snapshot {generation.snapshot_id}; "
            "items are known from the nightly job after they came into the catalogue",
            reason="ITEM_NOT_FOUND",
            field="item_id",
            metadata=named,
        )
    place = generation.candidates.columns.place(row)
    if place is None:
        raise UnknownNameError(
            f"item {quoted(item_id)} is no candidate of snapshot {generation.snapshot_id}; "
            "candidates are the items that could be sold when it was made",
            reason="CANDIDATE_NOT_FOUND",
            field="item_id",
            metadata=named,
        )
    return place


def review_message(review: ReviewRecord) -> Review:
    """Returns a review as its message."""
    made = Review(
        review_id=review.review_id,
        item_id=review.item_id,
        decision=decision_of(review.decision),
        note=review.note,
        reviewer=review.reviewer,
        snooze_until=None if review.snooze_until is None else date_message(review.snooze_until),
        snapshot_id=review.snapshot_id,
        action=action_of(review.action),
    )
    made.review_time.FromMicroseconds(review.review_time_us)
    return made


def _record(request: ReviewCandidateRequest, now: datetime, snapshot_id: str) -> ReviewRecord:
    """Returns a review as it is stored, checked, but for the action and whether its snooze is ahead.

    Raises:
        InvalidFieldError: it lacks something, or says what cannot be.
    """
    _required("request_id", request.request_id, "send an id of your own, unique for ever, such as a UUID")
    check_length("request_id", request.request_id, MAX_REQUEST_ID_BYTES)
    if not request.item_id:
        raise InvalidFieldError("item_id", "item_id is empty; name the item")
    check_length("item_id", request.item_id)
    decision = decision_word(request.decision, "decision")
    if not decision:
        raise InvalidFieldError(
            "decision", "decision is not stated; give APPROVE, REJECT, SNOOZE, NOTE or REOPEN"
        )
    _required("reviewer", request.reviewer, "say who reviews")
    check_length("reviewer", request.reviewer)
    if len(request.note) > MAX_NOTE_CHARACTERS:
        raise InvalidFieldError(
            "note",
            f"note has {len(request.note)} characters; at most {MAX_NOTE_CHARACTERS} are allowed",
        )
    if decision == "note":
        _required("note", request.note, "a NOTE needs one")
    until = None
    if decision == "snooze":
        until = _day(request.snooze_until)
    elif request.HasField("snooze_until"):
        raise InvalidFieldError(
            "snooze_until", f"snooze_until is given with {decision.upper()}; only a SNOOZE has one"
        )
    return ReviewRecord(
        request.request_id,
        request.item_id,
        decision,
        request.note,
        request.reviewer,
        microseconds(now),
        until,
        snapshot_id,
        "",
    )


def _made_before(view: LiveView | None, review_id: str) -> bool:
    """Returns whether the request came before; what it made then holds, whatever serves now."""
    return view is not None and view.reviews.known(review_id) is not None


def _check_snooze(until: date | None, today: date) -> None:
    if until is not None and not today <= until <= today + MAX_SNOOZE:
        raise InvalidFieldError(
            "snooze_until",
            f"snooze_until is {until}; give a day from today, {today}, to {today + MAX_SNOOZE}",
        )


def _check_action(request: ReviewCandidateRequest, advised: str) -> None:
    seen = action_word(request.action, "action")
    if seen and seen != advised:
        raise PreconditionError(
            f"action is {seen.upper()}, but {advised.upper()} is advised now; look at the candidate again",
            reason="ACTION_CHANGED",
            field="action",
            metadata={"action": advised},
        )


def _required(field: str, value: str, remedy: str) -> None:
    if not value or value.isspace():
        raise InvalidFieldError(field, f"{field} is {'blank' if value else 'empty'}; {remedy}")


def _day(day: Date) -> date:
    try:
        return date(day.year, day.month, day.day)
    except (ValueError, OverflowError) as error:
        raise InvalidFieldError(
            "snooze_until",
            f"snooze_until is no day (year {day.year}, month {day.month}, day {day.day}); "
            "a SNOOZE needs its last day",
        ) from error
