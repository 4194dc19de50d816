"""Owns RecommendPage: several carousels, no item twice."""

from __future__ import annotations

import numpy as np

from recsvc import paging, retrieval
from recsvc.answers import answer_info, no_list
from recsvc.bestselling import KINDS, ordered
from recsvc.call import Call
from recsvc.checks import check_names
from recsvc.choosing import Chosen, Shown, choose, narrower, who
from recsvc.errors import InvalidFieldError, UnknownNameError, of_part, quoted
from recsvc.filtering import contains
from recsvc.personal import Pool
from recsvc.recommending import results_bytes
from recsvc.retrieval import Eligible, Segment
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
    with of_part("shopper"):
        shopper = who(call, request.shopper)
    shown = Shown(max_per_category=request.max_per_category)
    parts: list[bytes] = []
    for place, carousel in enumerate(request.carousels):
        asked = _asked(request.shopper, carousel)
        with of_part("shopper", unless="carousels["):
            chosen = _filled(call, asked, carousel, f"carousels[{place}]", shopper, shown)
        shown.rows += chosen.picks.rows.tolist()
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
    elif carousel.source == CarouselSource.CAROUSEL_SOURCE_BUY_AGAIN:
        asked.exclude_purchased = False
    return asked


def _filled(
    call: Call, asked: RecommendRequest, carousel: Carousel, where: str, shopper: Shopper, shown: Shown
) -> Chosen:
    """Returns a carousel's list."""
    limit = paging.page_size(asked.page_size, f"{where}.page_size" if carousel.page_size else "page_size")
    also = carousel.filter if carousel.HasField("filter") else None
    source = carousel.source
    only, given = None, None
    if source == CarouselSource.CAROUSEL_SOURCE_BUY_AGAIN:
        only = shopper.purchased()
        given = _again(shopper)
    elif source in (_SIMILAR, _TOGETHER):
        given = _beside(call, source, _seeds(call, carousel, where, shopper))
    elif source == CarouselSource.CAROUSEL_SOURCE_BESTSELLERS:
        given = _best(call, asked, carousel, where)
    return choose(
        call,
        asked,
        shopper,
        limit=limit,
        also=also,
        also_field=f"{where}.filter",
        only=only,
        shown=shown,
        given=given,
    )


def _again(shopper: Shopper) -> Pool:
    """Returns what the shopper bought: in the order of the nightly list, then the latest first."""
    bought = shopper.purchased()
    ranked = np.empty(0, np.int32)
    if shopper.record is not None:
        ranked = shopper.record.ranked_rows[contains(bought, shopper.record.ranked_rows)]
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


def _seeds(call: Call, carousel: Carousel, where: str, shopper: Shopper) -> list[int]:
    """Returns the rows that a carousel is about, none where the visit has none.

    Raises:
        UnknownNameError: the snapshot does not know the item.
    """
    if not carousel.item_id:
        return shopper.context_rows or shopper.seeds()[:1]
    row = call.generation.snapshot.item_row(carousel.item_id)
    if row is None:
        raise UnknownNameError(
            f"{where}.item_id {quoted(carousel.item_id)} is not in snapshot {call.generation.snapshot_id}",
            reason="ITEM_NOT_FOUND",
            field=f"{where}.item_id",
            metadata={"item_id": carousel.item_id},
        )
    return [row]


def _beside(call: Call, source: CarouselSource.ValueType, seeds: list[int]) -> Pool:
    """Returns what goes with any of some items, by the highest score that it has with one of them."""
    find, mark = (
        (retrieval.similar, SourceType.SOURCE_TYPE_SIMILAR)
        if source == _SIMILAR
        else (retrieval.together, SourceType.SOURCE_TYPE_BOUGHT_TOGETHER)
    )
    found: dict[int, tuple[float, int]] = {}  # row -> score, seed
    for seed in seeds:
        rows, scores = find(call.generation.snapshot, seed)
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
            if row not in seeds and (row not in found or score > found[row][0]):
                found[row] = (score, seed)
    best = sorted(found, key=lambda row: (-found[row][0], row))
    rows = np.array(best, np.int32)
    return Pool(
        rows,
        np.array([found[row][0] for row in best], np.float32),
        np.full(len(best), mark, np.uint8),
        (rows, np.array([found[row][1] for row in best], np.int32)),
    )


def _best(call: Call, asked: RecommendRequest, carousel: Carousel, where: str) -> Pool:
    """Returns a list for everybody, as ListBestsellers has it."""
    if carousel.bestseller_kind not in KINDS:
        raise InvalidFieldError(
            f"{where}.bestseller_kind",
            f"{where}.bestseller_kind {carousel.bestseller_kind} is not one that this version knows",
        )
    kind, mark = KINDS[carousel.bestseller_kind]
    snapshot = call.generation.snapshot
    window_days = max(snapshot.manifest.windows.get(kind, []), default=0)
    filters = [(asked.filter, "filter"), (carousel.filter, f"{where}.filter")]
    eligible = Eligible(tuple(call.catalogue.conditions(each, field) for each, field in filters))
    segment = Segment(narrower(asked.filter.category, carousel.filter.category), asked.channel, asked.region)
    ranked, found = retrieval.find_list(snapshot, kind, window_days, segment)
    if found != segment:
        call.degrade("NO_LIST_FOR_SEGMENT", no_list(segment).detail)
    order = ordered(snapshot, ranked, eligible, kind, window_days, found, snapshot.n_items)
    marks = np.full(order.rows.size, mark, np.uint8)
    return Pool(order.rows, order.scores, marks, by_count=True)
