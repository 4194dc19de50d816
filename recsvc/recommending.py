"""Owns Recommend, BatchRecommend, RecommendPage and RankItems: one shopper's list, many, a page, an order."""

from __future__ import annotations

import numpy as np

from recsvc import paging
from recsvc.answers import answer_info, full_answer_info, language_of
from recsvc.call import Call
from recsvc.checks import check_lengths
from recsvc.choosing import Chosen, choose, who
from recsvc.errors import InvalidFieldError, RequestError, of_part, status_of
from recsvc.reasons import explained
from recsvc.v1.common_pb2 import ReasonView, SourceType
from recsvc.v1.recommendation_service_pb2 import (
    BatchRecommendRequest,
    BatchRecommendResult,
    RankItemsRequest,
    RankItemsResponse,
    RecommendRequest,
    RecommendResponse,
)
from recsvc.wire import RESULTS_TAG, varint
from recsvc.wording import endings

MAX_BATCH = 1000
MAX_RANKED_ITEMS = 1000
FULL = ReasonView.REASON_VIEW_FULL
#: By number, what the metrics call a source.
SOURCE_NAMES: dict[int, str] = {
    number: name.removeprefix("SOURCE_TYPE_") for name, number in SourceType.items()
}
#: BatchRecommendResult's field 1 (`response`), length-delimited.
RESPONSE_TAG = b"\x0a"


def recommend(call: Call, request: RecommendRequest) -> bytes:
    """Returns a serialised RecommendResponse.

    Raises:
        InvalidFieldError: a negative page size, too long an id, too many items, a wrong filter.
    """
    limit = paging.page_size(request.page_size)
    chosen = choose(call, request, who(call, request), limit=limit)
    results = results_bytes(call, request, chosen)
    # Serialised messages may be concatenated: the results' entries, then a response that has the info only.
    if not call.degradations:
        return results + full_answer_info(call.generation)
    info = answer_info(call.generation, call.degradations)
    return results + RecommendResponse(info=info).SerializeToString()


def batch_recommend(call: Call, request: BatchRecommendRequest) -> bytes:
    """Returns a serialised BatchRecommendResponse; an entry that fails carries its own status.

    Raises:
        InvalidFieldError: no entry, or too many.
    """
    count = len(request.requests)
    if not 1 <= count <= MAX_BATCH:
        raise InvalidFieldError("requests", f"requests has {count} entries; 1 to {MAX_BATCH} are allowed")
    parts: list[bytes] = []
    for entry in request.requests:
        try:
            with call.pinned(entry.snapshot_id) as single:
                content = recommend(single, entry)
        except RequestError as error:
            result = BatchRecommendResult(status=status_of(error)).SerializeToString()
        else:
            result = RESPONSE_TAG + varint(len(content)) + content
        parts += (RESULTS_TAG, varint(len(result)), result)
    return b"".join(parts)


def rank_items(call: Call, request: RankItemsRequest) -> bytes:
    """Returns a serialised RankItemsResponse.

    Raises:
        InvalidFieldError: no items or too many, and as for `recommend`.
    """
    item_ids = list(dict.fromkeys(request.item_ids))
    if not 1 <= len(item_ids) <= MAX_RANKED_ITEMS:
        raise InvalidFieldError(
            "item_ids", f"item_ids has {len(item_ids)} ids; 1 to {MAX_RANKED_ITEMS} are allowed"
        )
    check_lengths("item_ids", request.item_ids)
    snapshot = call.generation.snapshot
    rows = {item_id: snapshot.item_row(item_id) for item_id in item_ids}
    known = np.unique(np.array([row for row in rows.values() if row is not None], np.int32))
    asked = RecommendRequest()
    asked.CopyFrom(request.shopper)
    asked.max_per_category = 0  # not read: every item that may be shown is returned
    with of_part("shopper"):
        chosen = choose(call, asked, who(call, asked), limit=known.size, only=known)
    results = results_bytes(call, asked, chosen)
    shown = set(chosen.picks.rows.tolist())
    rest = RankItemsResponse(
        left_out_item_ids=[item_id for item_id, row in rows.items() if row not in shown],
        info=answer_info(call.generation, call.degradations),
    )
    return results + rest.SerializeToString()


def results_bytes(call: Call, request: RecommendRequest, chosen: Chosen) -> bytes:
    """Returns the `results` entries of a response whose field 1 is `repeated RankedItem`."""
    picks, generation, category = chosen.picks, call.generation, chosen.category
    language = language_of(request.language, generation)
    ends = endings(language, category)
    if picks.sources.size:
        call.source = SOURCE_NAMES[picks.sources.item(0)]
    if request.reason_view == FULL:
        entries = (entry.SerializeToString() for entry in explained(call, chosen, ends, language))
        return b"".join(part for entry in entries for part in (RESULTS_TAG, varint(len(entry)), entry))
    return generation.items.results(
        picks.rows,
        picks.scores,
        picks.sources,
        ends,
        keep_as=None if category else language,
        prices=call.catalogue.repriced,
    )
