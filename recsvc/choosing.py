"""Owns one list for one shopper: who may be in it, in which order, under which rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np

from recdata.snapshot import UserView
from recdata.snapshot.records import MAX_ID_BYTES, Int32s
from recsvc import retrieval
from recsvc.answers import no_list
from recsvc.call import Call
from recsvc.checks import check_names
from recsvc.errors import InvalidFieldError, quoted
from recsvc.filtering import Conditions
from recsvc.personal import ROTATION_PLACES, Pool, moved_pool, nightly_pool, rotate
from recsvc.retrieval import Eligible, Picks, Segment
from recsvc.rules import ActiveRules, Pin, is_within, settle
from recsvc.shopper import SECONDS_A_DAY, Shopper, identify
from recsvc.v1.common_pb2 import ItemFilter, SourceType
from recsvc.v1.recommendation_service_pb2 import RecommendRequest

#: So many times the page are looked at first; the whole list only where they do not fill it.
HEAD_PAGES = 3
#: Names of so many characters together need no look at each: none can be too long.
SURELY_SHORT = MAX_ID_BYTES // 4

_NO_ROWS = np.empty(0, np.int32)


@dataclass(slots=True)
class Chosen:
    """A list, and what is needed to explain it.

    Attributes:
        picks: the items.
        shopper: for whom.
        category: the category asked for, "" for all or one that is not known.
        pool: the personal order that they came from; None where the nightly list alone did.
        rules: the rules that held; None without any.
        fillers: rows that are not personal, and stand in where too few of those match; None for none.
    """

    picks: Picks
    shopper: Shopper
    category: str = ""
    pool: Pool | None = None
    rules: ActiveRules | None = None
    fillers: set[int] | None = None


@dataclass(slots=True)
class Shown:
    """What stands on a page already.

    Attributes:
        rows: the items of the carousels above.
        max_per_category: of the whole page; 0 for any number.
        taken: how many items of each category the page has.
    """

    rows: list[int] = field(default_factory=list)
    max_per_category: int = 0
    taken: Counter[int] = field(default_factory=Counter)


def who(call: Call, request: RecommendRequest) -> Shopper:
    """Returns the shopper of a request.

    Raises:
        InvalidFieldError: too long a name, too many items.
    """
    user_id, session_id = request.user_id, request.session_id
    channel, region, placement = request.channel, request.region, request.placement
    if len(user_id) + len(session_id) + len(channel) + len(region) + len(placement) > SURELY_SHORT:
        check_names(
            user_id=user_id, session_id=session_id, channel=channel, region=region, placement=placement
        )
    if request.max_per_category < 0:
        raise InvalidFieldError(
            "max_per_category",
            f"max_per_category is {request.max_per_category}; give 0 for any number, or more",
        )
    return identify(
        call,
        user_id=user_id,
        session_id=session_id,
        session_item_ids=request.session_item_ids,
        context_item_ids=request.context_item_ids,
    )


def choose(
    call: Call,
    request: RecommendRequest,
    shopper: Shopper,
    *,
    limit: int,
    also: ItemFilter | None = None,
    also_field: str = "filter",
    only: Int32s | None = None,
    shown: Shown | None = None,
    given: Pool | None = None,
) -> Chosen:
    """Returns the shopper's list.

    Args:
        call: what to answer from.
        request: its filter, scope and wishes; its page size is not read.
        shopper: who asks.
        limit: how many items.
        also: a filter that holds beside the request's own.
        also_field: where that filter stood.
        only: ascending rows, the only ones that may be in the list.
        shown: what stands on the page already.
        given: an order that takes the place of the personal one; the page is not filled then.

    Raises:
        InvalidFieldError: a filter holds a wrong value.
    """
    eligible, category = _eligible(call, request, shopper, also, only, also_field=also_field)
    if shown is not None and shown.rows:
        eligible = eligible.but(np.unique(np.array(shown.rows, np.int32)))
    picks = Picks(limit)
    if request.max_per_category or (shown is not None and shown.max_per_category):
        picks.cap = request.max_per_category
        picks.category_codes = call.generation.snapshot.category_codes
        if shown is not None:
            picks.page_cap, picks.taken = shown.max_per_category, shown.taken
    rules = None
    if call.catalogue.rules:
        rules = call.catalogue.rules.active(
            request.channel, request.region, request.placement, category, call.now
        )
    chosen = Chosen(picks, shopper, category, rules=rules)
    plain = rules is None and call.catalogue.order_weights is None and given is None
    if plain and not shopper.moved and not request.HasField("rotation_seed"):
        if shopper.record is not None:
            _add_nightly(picks, shopper.record, eligible, request)
        if picks.missing:
            _fill(chosen, picks, request, _without_purchases(eligible, request, shopper), category, call)
            _note(chosen, request, category, call)
    else:
        eligible = _without_purchases(eligible, request, shopper)
        _choose_with_all(chosen, request, eligible, category, call, given)
    return chosen


def _without_purchases(eligible: Eligible, request: RecommendRequest, shopper: Shopper) -> Eligible:
    return eligible.but(shopper.purchased()) if request.exclude_purchased else eligible


def _add_nightly(picks: Picks, record: UserView, eligible: Eligible, request: RecommendRequest) -> None:
    """Adds the shopper's ranked items, in their order."""
    capped = bool(picks.cap or picks.page_cap)
    if not capped and (mask := eligible.mask()) is not None:
        picks.add_head(record, mask, fresh_only=request.exclude_purchased)
        return
    rows = record.ranked_rows
    fresh = record.ranked_fresh if request.exclude_purchased else None
    for end in (HEAD_PAGES * picks.limit, rows.size):
        keep = eligible.among(rows[:end])
        if fresh is not None:
            keep &= fresh[:end]
        places = keep.nonzero()[0]
        if places.size >= picks.limit and not capped:
            places = places[: picks.limit]
            break
        if end >= rows.size:
            break
    picks.add(rows.take(places), record.ranked_scores.take(places), record.ranked_sources.take(places))


def _choose_with_all(
    chosen: Chosen,
    request: RecommendRequest,
    eligible: Eligible,
    category: str,
    call: Call,
    given: Pool | None,
) -> None:
    """Fills the page where live events, context, rules, an order of value or rotation take part."""
    picks, shopper = chosen.picks, chosen.shopper
    if given is not None and given.by_count and chosen.rules is not None:
        chosen.rules = chosen.rules.of_counts()
    rules = chosen.rules
    pins: list[Pin] = []
    buried = _NO_ROWS
    if rules is not None:
        eligible = eligible.but(rules.hidden)
        kept = eligible.among(rules.pin_rows)
        eligible = eligible.but(np.unique(rules.pin_rows[kept]))
        pins = list(settle([pin for pin, keep in zip(rules.pins, kept.tolist(), strict=True) if keep]))
        buried = rules.buried[eligible.among(rules.buried)]
    # A pin within the page takes its place, and counts under the caps, before anything else is chosen.
    limit = picks.limit
    placed = [pin for pin in pins if pin.position <= limit and picks.reserve(pin.row)]
    if given is not None:
        pool = given
        pool.take(eligible.among(pool.rows).nonzero()[0])
    else:
        pool = (
            moved_pool(call, shopper, eligible, limit=picks.limit)
            if shopper.moved
            else nightly_pool(shopper, eligible)
        )
    chosen.pool = pool
    weights = call.catalogue.order_weights
    if weights is not None and not pool.by_count:
        pool.scores = pool.scores * weights[pool.rows]
        pool.take(np.argsort(-pool.scores, kind="stable"))
    last = pool.split(buried) if buried.size else None
    main = eligible.but(buried)
    if given is None:
        _lengthen(chosen, request, main, category, call)
    if rules is not None and rules.moved.size:
        _boost(pool, rules)
    if request.HasField("rotation_seed"):
        rotate(pool, request.rotation_seed)
    picks.because = pool.because
    picks.add(pool.rows, pool.scores, pool.sources)
    if picks.missing and given is None:
        _fill(chosen, picks, request, main, category, call)
    if picks.missing and last is not None:
        picks.add(last.rows, last.scores, last.sources)
        if picks.missing and given is None:
            _fill(chosen, picks, request, eligible.within(buried), category, call)
    placed += [pin for pin in pins if pin.position > limit and picks.reserve(pin.row)]
    for pin in placed:
        picks.pin(pin.row, pin.position)
    if given is None:
        _note(chosen, request, category, call)


def _lengthen(
    chosen: Chosen, request: RecommendRequest, eligible: Eligible, category: str, call: Call
) -> None:
    """Appends to the pool what would fill the page, and boosted items, where rotation or a boost needs them.

    So a boost moves an item up or down among all that may be shown, and not among the personal items alone.
    """
    pool, rules, limit = chosen.pool, chosen.rules, chosen.picks.limit
    boosting = rules is not None and rules.moved.size > 0
    count = HEAD_PAGES * limit if boosting else 0
    if request.HasField("rotation_seed"):
        count = max(count, limit + int(ROTATION_PLACES))
    if pool is None or not count:
        return
    if pool.rows.size < count:
        more = Picks(count - pool.rows.size)
        _fill(chosen, more, request, eligible.but(np.sort(pool.rows)), category, call)
        pool.add(more.rows, more.sources)
    if rules is not None and boosting:
        up = rules.moved[rules.factors > 1]
        up = up[eligible.among(up) & ~np.isin(up, pool.rows)]
        if up.size:
            more = Picks(limit)
            _fill(chosen, more, request, eligible.within(up), category, call)
            pool.add(more.rows, np.full(more.rows.size, SourceType.SOURCE_TYPE_RULE, np.uint8))
            chosen.fillers = (chosen.fillers or set()).difference(more.rows.tolist())


def _boost(pool: Pool, rules: ActiveRules) -> None:
    """Multiplies scores by the rules' factors."""
    places = rules.moved.searchsorted(pool.rows)
    found = rules.moved.take(places, mode="clip") == pool.rows
    pool.scores = np.where(found, pool.scores * rules.factors.take(places, mode="clip"), pool.scores)
    pool.take(np.argsort(-pool.scores, kind="stable"))


def _fill(
    chosen: Chosen, picks: Picks, request: RecommendRequest, eligible: Eligible, category: str, call: Call
) -> None:
    """Fills a list step by step, each as far as those before left room."""
    shopper = chosen.shopper
    if shopper.record is not None or chosen.pool is not None:
        taste = None if chosen.pool is None else chosen.pool.taste
        vector = taste.vector if taste is not None else None
        if vector is None and shopper.record is not None:
            vector = shopper.record.factors
        if vector is not None:
            retrieval.add_by_vector(picks, vector, eligible, call)
            if not picks.missing:
                return
    personal = picks.rows.size
    retrieval.add_bestsellers(picks, Segment(category, request.channel, request.region), eligible, call)
    if picks.missing:
        retrieval.add_catalogue(picks, eligible)
    chosen.fillers = (chosen.fillers or set()).union(picks.rows[personal:].tolist())


def _note(chosen: Chosen, request: RecommendRequest, category: str, call: Call) -> None:
    """Notes what the list as it stands had to do without."""
    picks, shopper = chosen.picks, chosen.shopper
    fillers = chosen.fillers or set()
    n_fillers = sum(row in fillers for row in picks.rows.tolist())
    if n_fillers or picks.missing:
        segment = Segment(category, request.channel, request.region)
        if (segment.channel or segment.region) and retrieval.bestsellers(call, segment) is None:
            call.degrade("NO_LIST_FOR_SEGMENT", no_list(segment).detail)
    if shopper.record is None and not shopper.moved:
        call.degrade(
            "UNKNOWN_USER",
            "nothing is known of the user_id or the session; the list is the same for everybody",
        )
    elif n_fillers:
        call.degrade(
            "TOO_FEW_PERSONAL",
            f"{picks.rows.size - n_fillers} personal items match; what sells best fills the rest",
        )


def _eligible(
    call: Call,
    request: RecommendRequest,
    shopper: Shopper,
    also: ItemFilter | None,
    only: Int32s | None,
    *,
    also_field: str,
) -> tuple[Eligible, str]:
    """Returns who may be in the list, purchases aside, and the category whose lists fill it."""
    category = ""
    without: list[Int32s] = []
    conditions: tuple[Conditions, ...] = (call.catalogue.everything,)
    if request.HasField("filter") or also is not None:
        asked = [("filter", request.filter)] if request.HasField("filter") else []
        if also is not None:
            asked.append((also_field, also))
        conditions = tuple(call.catalogue.conditions(each, field) for field, each in asked)
        for condition in conditions:
            if condition.unknown_category:
                call.degrade(
                    "UNKNOWN_CATEGORY", f"category {quoted(condition.category)} is not in the snapshot"
                )
            category = narrower(category, condition.category)
        if any(condition.unknown_category for condition in conditions):
            # Nothing can match, so no wider list is looked for, however many parts the path has.
            category = ""
        for field, each in asked:
            without += shopper_conditions(call, each, shopper, field)
    if shopper.context_rows:
        without.append(np.unique(np.array(shopper.context_rows, np.int32)))
    return Eligible(conditions, tuple([rows for rows in without if rows.size]), only), category


def narrower(category: str, other: str) -> str:
    """Returns the second category where it lies below the first, or where there is no first."""
    return other if not category or (other and is_within(other, category)) else category


def shopper_conditions(
    call: Call, asked: ItemFilter, shopper: Shopper, field_name: str = "filter"
) -> list[Int32s]:
    """Returns the ascending rows that a filter's conditions on the shopper leave out.

    Raises:
        InvalidFieldError: a negative time.
    """
    without = []
    if asked.HasField("not_purchased_within"):
        span = asked.not_purchased_within
        if span.seconds < 0 or span.nanos < 0:
            raise InvalidFieldError(
                f"{field_name}.not_purchased_within",
                f"{field_name}.not_purchased_within is {span.seconds} s; give 0 or more",
            )
        days = -(-(span.seconds + bool(span.nanos)) // SECONDS_A_DAY)
        if days:
            zone = ZoneInfo(call.generation.snapshot.manifest.business_timezone)
            without.append(shopper.purchased_within(days, now=call.now, zone=zone))
    if asked.exclude_seen_in_session and shopper.session_rows:
        without.append(np.unique(np.array(shopper.session_rows, np.int32)))
    return without
