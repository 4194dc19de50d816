"""Owns RecommendPage: several carousels, no item twice."""

from __future__ import annotations

import numpy as np

from recsvc import paging, retrieval
from recsvc.answers import answer_info, check_names
from recsvc.bestselling import KINDS
from recsvc.call import Call
from recsvc.choosing import Chosen, Shown, choose, who
from recsvc.errors import InvalidFieldError, UnknownNameError, quoted
from recsvc.personal import Pool
from recsvc.recommending import results_bytes
from recsvc.retrieval import Segment
from recsvc.shopper import Shopper
from recsvc.v1.common_pb2 import SourceType
from recsvc.v1.recommendation_service_pb2 import (
    Carousel,
    CarouselResult,
    CarouselSource,
    RecommendPageRequest,
    RecommendPageResponse,
    RecommendRequest,
)
from recsvc.wire import RESULTS_TAG, varint

MAX_CAROUSELS = 20

_SIMILAR = CarouselSource.CAROUSEL_SOURCE_SIMILAR
_TOGETHER = CarouselSource.CAROUSEL_SOURCE_BOUGHT_TOGETHER


def recommend_page(call: Call, request: RecommendPageRequest) -> bytes:
    """Returns a serialised RecommendPageResponse.

    Raises:
        InvalidFieldError: no carousels or too many, one without a name or the item that it needs, and as for
            Recommend.
        UnknownNameError: the snapshot does not know a carousel's item.
    """
    _check(request)
    shopper = who(call, request.shopper)
    shown = Shown(max_per_category=request.max_per_category)
    parts: list[bytes] = []
    for place, carousel in enumerate(request.carousels):
        asked = _asked(request.shopper, carousel)
        chosen = _filled(call, asked, carousel, f"carousels[{place}]", shopper, shown)
        shown.rows += chosen.picks.rows
        entries = results_bytes(call, asked, chosen)
        result = entries + CarouselResult(carousel_id=carousel.carousel_id).SerializeToString()
        parts += (RESULTS_TAG, varint(len(result)), result)
    info = answer_info(call.generation, call.degradations)
    return b"".join(parts) + RecommendPageResponse(info=info).SerializeToString()


def _check(request: RecommendPageRequest) -> None:
    count = len(request.carousels)
    if not 1 <= count <= MAX_CAROUSELS:
        raise InvalidFieldError(
            "carousels", f"carousels has {count} entries; 1 to {MAX_CAROUSELS} are allowed"
        )
    if request.max_per_category < 0:
        raise InvalidFieldError(
            "max_per_category",
            f"max_per_category is {request.max_per_category}; give 0 for any number, or more",
        )
    names: set[str] = set()
    for place, carousel in enumerate(request.carousels):
        where = f"carousels[{place}]"
        name = carousel.carousel_id
        check_names(**{f"{where}.carousel_id": name, f"{where}.item_id": carousel.item_id})
        if not name or name in names:
            why = f"repeats {quoted(name)}" if name else "is empty"
            raise InvalidFieldError(f"{where}.carousel_id", f"{where}.carousel_id {why}; name each once")
        if carousel.max_per_category < 0:
            raise InvalidFieldError(
                f"{where}.max_per_category", f"{where}.max_per_category is negative; give 0 for any number"
            )
        if carousel.source not in CarouselSource.values():
            raise InvalidFieldError(
                f"{where}.source", f"{where}.source {carousel.source} is not one that this version knows"
            )
        names.add(name)


def _asked(page: RecommendRequest, carousel: Carousel) -> RecommendRequest:
    """Returns the page's request with the carousel's own wishes."""
    asked = RecommendRequest()
    asked.CopyFrom(page)
    asked.page_size = carousel.page_size or page.page_size
    asked.max_per_category = carousel.max_per_category or page.max_per_category
    if carousel.source == CarouselSource.CAROUSEL_SOURCE_DISCOVER:
        asked.exclude_purchased = True
    return asked


def _filled(
    call: Call, asked: RecommendRequest, carousel: Carousel, where: str, shopper: Shopper, shown: Shown
) -> Chosen:
    """Returns a carousel's list."""
    limit = paging.page_size(asked.page_size)
    also = carousel.filter if carousel.HasField("filter") else None
    source = carousel.source
    only, given = None, None
    if source == CarouselSource.CAROUSEL_SOURCE_BUY_AGAIN:
        only = shopper.purchased()
        given = _again(shopper)
    elif source in (_SIMILAR, _TOGETHER):
        given = _beside(call, source, _seed(call, carousel, where, shopper))
    elif source == CarouselSource.CAROUSEL_SOURCE_BESTSELLERS:
        given = _best(call, asked, carousel, where)
    return choose(call, asked, shopper, limit=limit, also=also, only=only, shown=shown, given=given)


def _again(shopper: Shopper) -> Pool:
    """Returns what the shopper bought: in the order of the nightly list, then the latest first."""
    bought = shopper.purchased()
    ranked = np.empty(0, np.int32)
    if shopper.record is not None:
        ranked = shopper.record.ranked_rows[retrieval.contains(bought, shopper.record.ranked_rows)]
    days = dict(zip(bought.tolist(), [0] * bought.size, strict=True))
    if shopper.record is not None:
        rows, last = shopper.record.purchased_rows, shopper.record.purchased_days
        days |= dict(zip(rows.tolist(), last.tolist(), strict=True))
    days |= {row: day for row, kind, day in shopper.recent if kind == "purchase"}
    listed = set(ranked.tolist())
    rest = sorted((row for row in days if row not in listed), key=lambda row: (-days[row], row))
    rows = np.concatenate([ranked, np.array(rest, np.int32)])
    return Pool(
        rows,
        np.linspace(1, 0, rows.size, endpoint=False, dtype=np.float32),
        np.full(rows.size, SourceType.SOURCE_TYPE_REPEAT, np.uint8),
    )


def _seed(call: Call, carousel: Carousel, where: str, shopper: Shopper) -> int | None:
    """Returns the row that a carousel is about, None where the visit has none.

    Raises:
        UnknownNameError: the snapshot does not know the item.
    """
    if not carousel.item_id:
        return next(iter([*shopper.context_rows, *shopper.seeds()]), None)
    row = call.generation.snapshot.item_row(carousel.item_id)
    if row is None:
        raise UnknownNameError(
            f"{where}.item_id {quoted(carousel.item_id)} is not in snapshot {call.generation.snapshot_id}",
            reason="ITEM_NOT_FOUND",
            field=f"{where}.item_id",
            metadata={"item_id": carousel.item_id},
        )
    return row


def _beside(call: Call, source: CarouselSource.ValueType, seed: int | None) -> Pool:
    """Returns what goes with an item; nothing without one."""
    if seed is None:
        return Pool(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.uint8))
    find, mark = (
        (retrieval.similar, SourceType.SOURCE_TYPE_SIMILAR)
        if source == _SIMILAR
        else (retrieval.together, SourceType.SOURCE_TYPE_BOUGHT_TOGETHER)
    )
    rows, scores = find(call.generation.snapshot, seed)
    keep = rows != seed
    rows, scores = rows[keep], scores[keep]
    marks = np.full(rows.size, mark, np.uint8)
    return Pool(rows, scores, marks, dict.fromkeys(rows.tolist(), seed))


def _best(call: Call, asked: RecommendRequest, carousel: Carousel, where: str) -> Pool:
    """Returns a list for everybody."""
    if carousel.bestseller_kind not in KINDS:
        raise InvalidFieldError(
            f"{where}.bestseller_kind",
            f"{where}.bestseller_kind {carousel.bestseller_kind} is not one that this version knows",
        )
    kind, mark = KINDS[carousel.bestseller_kind]
    snapshot = call.generation.snapshot
    windows = snapshot.manifest.windows.get(kind, [])
    category = carousel.filter.category or asked.filter.category
    segment = Segment(category, asked.channel, asked.region)
    ranked, _ = retrieval.find_list(snapshot, kind, max(windows, default=0), segment)
    if ranked is None:
        return Pool(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.uint8))
    return Pool(ranked.rows, ranked.scores, np.full(ranked.rows.size, mark, np.uint8))
