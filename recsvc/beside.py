"""Owns the lists beside an item: what the same shoppers buy, and what lies in the same orders."""

from __future__ import annotations

import numpy as np

from recdata.snapshot.records import Int32s
from recsvc import paging, retrieval
from recsvc.answers import answer_info, category_rows, language_of
from recsvc.call import Call
from recsvc.checks import check_names
from recsvc.errors import InvalidFieldError, UnknownNameError, quoted
from recsvc.retrieval import Eligible
from recsvc.v1.common_pb2 import ItemFilter, RankedItem, SourceType
from recsvc.v1.recommendation_service_pb2 import (
    BoughtTogetherItem,
    ListBoughtTogetherRequest,
    ListBoughtTogetherResponse,
    ListSimilarItemsRequest,
    ListSimilarItemsResponse,
)
from recsvc.wording import endings

MAX_SEED_ITEMS = 100


def list_similar_items(call: Call, request: ListSimilarItemsRequest) -> bytes:
    """Returns a serialised ListSimilarItemsResponse.

    Raises:
        UnknownNameError: the item or the category is not in the snapshot.
        InvalidFieldError: a bad page size or token, no item id or too long a one, a wrong filter.
    """
    generation = call.generation
    limit = paging.page_size(request.page_size)
    check_names(item_id=request.item_id)
    if not request.item_id:
        raise InvalidFieldError("item_id", "item_id is empty; name the item at hand")
    item_row = generation.snapshot.item_row(request.item_id)
    if item_row is None:
        raise _unknown(call, "item_id", request.item_id)
    start = paging.page_start(request, request.page_token, generation.snapshot_id)
    eligible = _eligible(call, request.filter, np.array([item_row], np.int32))
    rows, scores = retrieval.similar(generation.snapshot, item_row)
    keep = eligible.among(rows)
    rows, scores = rows[keep], scores[keep]
    end = start + limit
    page = rows[start:end]
    rest = ListSimilarItemsResponse(info=answer_info(generation, call.degradations))
    if end < rows.size:
        rest.next_page_token = paging.next_token(request, generation.snapshot_id, end)
    language = language_of(request.language, generation)
    results = generation.items.results(
        page,
        scores[start:end],
        np.full(page.size, SourceType.SOURCE_TYPE_SIMILAR, np.uint8),
        endings(language, ""),
        keep_as=language,
        prices=call.catalogue.repriced,
    )
    return results + rest.SerializeToString()


def list_bought_together(call: Call, request: ListBoughtTogetherRequest) -> bytes:
    """Returns a serialised ListBoughtTogetherResponse.

    Raises:
        UnknownNameError: no item of the request is in the snapshot, or the category is not.
        InvalidFieldError: a bad page size or token, no items, too many or too long ids, a wrong filter.
    """
    snapshot, snapshot_id = call.generation.snapshot, call.generation.snapshot_id
    limit = paging.page_size(request.page_size)
    count = len(request.item_ids)
    if not 1 <= count <= MAX_SEED_ITEMS:
        raise InvalidFieldError("item_ids", f"item_ids has {count} ids; 1 to {MAX_SEED_ITEMS} are allowed")
    check_names(**{f"item_ids[{place}]": item_id for place, item_id in enumerate(request.item_ids)})
    seeds = [row for row in map(snapshot.item_row, request.item_ids) if row is not None]
    if not seeds:
        raise _unknown(call, "item_ids", request.item_ids[0])
    start = paging.page_start(request, request.page_token, snapshot_id)
    eligible = _eligible(call, request.filter, np.unique(np.array(seeds, np.int32)))
    found: dict[int, tuple[float, int, int]] = {}  # row -> lift, orders, seed
    for seed in dict.fromkeys(seeds):
        there = snapshot.together_rows[seed]
        known = there >= 0
        told = snapshot.together_lifts[seed][known].tolist(), snapshot.together_orders[seed][known].tolist()
        for row, lift, orders in zip(there[known].tolist(), *told, strict=True):
            if row not in found or lift > found[row][0]:
                found[row] = (lift, orders, seed)
    rows = np.array(sorted(found, key=lambda row: (-found[row][0], row)), np.int32)
    rows = rows[eligible.among(rows)]
    end = start + limit
    ending = endings(language_of(request.language, call.generation), "")[
        SourceType.SOURCE_TYPE_BOUGHT_TOGETHER
    ]
    all_orders = max(1, snapshot.manifest.counts.get("orders", 0))
    answer = ListBoughtTogetherResponse(info=answer_info(call.generation, call.degradations))
    for row in rows[start:end].tolist():
        lift, orders, seed = found[row]
        entry = RankedItem.FromString(ending)
        entry.item.CopyFrom(call.generation.items.message(row, prices=call.catalogue.repriced))
        entry.score = lift
        answer.results.append(
            BoughtTogetherItem(
                ranked_item=entry,
                with_item_id=snapshot.item(seed).item_id,
                order_count=orders,
                support=orders / all_orders,
                confidence=orders / max(1, int(snapshot.item_orders[seed])),
                lift=lift,
            )
        )
    if end < rows.size:
        answer.next_page_token = paging.next_token(request, snapshot_id, end)
    return answer.SerializeToString()


def _eligible(call: Call, asked: ItemFilter, without: Int32s) -> Eligible:
    """Returns who may be in a list beside an item.

    Raises:
        UnknownNameError: the snapshot does not know the filter's category.
    """
    category_rows(asked.category, "filter.category", call.generation)
    return Eligible((call.catalogue.conditions(asked),), (without,))


def _unknown(call: Call, field: str, item_id: str) -> UnknownNameError:
    snapshot_id = call.generation.snapshot_id
    return UnknownNameError(
        f"{field} {quoted(item_id)} is not in snapshot {snapshot_id}; "
        "items are known from the nightly job after they came into the catalogue",
        reason="ITEM_NOT_FOUND",
        field=field,
        metadata={"item_id": item_id, "snapshot_id": snapshot_id},
    )
