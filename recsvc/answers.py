"""Owns what every answer has in common: its info, its language, and the names that it rests on."""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Sequence
from functools import cache

from recdata.snapshot.records import Int32s
from recsvc.errors import UnknownNameError, quoted
from recsvc.retrieval import Segment
from recsvc.serving import Generation
from recsvc.v1.common_pb2 import AnswerInfo, Degradation, DegradationReason, Language
from recsvc.v1.recommendation_service_pb2 import RecommendResponse

_SPOKEN = frozenset((Language.LANGUAGE_ZH, Language.LANGUAGE_EN))
_ANSWERS = itertools.count(1)


@cache
def _process() -> str:
    """Returns this process's own name; made when the first answer is, since processes are forked before."""
    return base64.urlsafe_b64encode(os.urandom(9)).decode()


def attribution_token() -> str:
    """Returns a token of its own for an answer: process, then answer; always as many characters."""
    return f"{_process()}.{next(_ANSWERS):012x}"


def answer_info(generation: Generation, degradations: Sequence[Degradation] = ()) -> AnswerInfo:
    """Returns an answer's info, with an attribution token of its own."""
    return AnswerInfo(
        snapshot_id=generation.snapshot_id,
        attribution_token=attribution_token(),
        degraded=bool(degradations),
        degradations=degradations,
    )


def full_answer_info(generation: Generation) -> bytes:
    """Returns the bytes of a RecommendResponse that has the info of a full answer, and no results.

    The token comes last in them and is always as long, so all before it is made once for a generation.
    """
    if not generation.info_head:
        made = RecommendResponse(info=answer_info(generation)).SerializeToString()
        generation.info_head = made[: -len(attribution_token())]
    return generation.info_head + attribution_token().encode()


def language_of(asked: Language.ValueType, generation: Generation) -> Language.ValueType:
    """Returns the language to word an answer in; one that this version does not know means the default."""
    return asked if asked in _SPOKEN else generation.default_language


def category_rows(category: str, field: str, generation: Generation) -> Int32s | None:
    """Returns the rows of a category, or None for the whole shop ("").

    Raises:
        UnknownNameError: the snapshot does not know the category.
    """
    if not category:
        return None
    rows = generation.snapshot.category_rows(category)
    if rows is None:
        raise UnknownNameError(
            f"{field} {quoted(category)} is not in snapshot {generation.snapshot_id}; "
            'give the whole path, parts joined by " > "',
            reason="CATEGORY_NOT_FOUND",
            field=field,
            metadata={"category": category, "snapshot_id": generation.snapshot_id},
        )
    return rows


def no_list(segment: Segment) -> Degradation:
    """Returns the degradation of a segment without a list of its own."""
    return Degradation(
        reason=DegradationReason.DEGRADATION_REASON_NO_LIST_FOR_SEGMENT,
        detail=f"no list of category {quoted(segment.category)}, channel {segment.channel!r}, "
        f"region {segment.region!r}; a wider one took its place",
    )


def unknown_place(facet: str, value: str, field: str, generation: Generation) -> UnknownNameError:
    """Returns the error of a channel or region in which nothing of the snapshot sold.

    Args:
        facet: "channel" or "region".
        value: its name in the request.
        field: where it stands there.
        generation: the snapshot that was asked.
    """
    return UnknownNameError(
        f"{field} {quoted(value)} is not in snapshot {generation.snapshot_id}: nothing sold there; "
        f"spell the {facet} as in the events",
        reason=f"{facet.upper()}_NOT_FOUND",
        field=field,
        metadata={facet: value, "snapshot_id": generation.snapshot_id},
    )
