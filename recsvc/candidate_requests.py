"""Owns reading what a caller asks of the candidates: filter, order and weights, each checked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from recdata.snapshot.columns import NUMBERS
from recsvc.answers import category_rows, unknown_place
from recsvc.candidates import LOCAL, CandidateQuery, Order, Weights
from recsvc.checks import check_count, check_length
from recsvc.errors import InvalidFieldError, quoted
from recsvc.serving import Generation
from recsvc.v1.selection_service_pb2 import CandidateFilter, ComponentWeight, ReviewState
from recsvc.words import action_word, stage_word

#: What candidates may be ordered by; the last only where they sold in the channel or region asked for.
ORDER_FIELDS = ("rank", *NUMBERS, *LOCAL)
MAX_ORDER_FIELDS = 5
MAX_ORDER_BYTES = 512
MAX_WEIGHTS = 100


def query_of(filter_: CandidateFilter, generation: Generation) -> CandidateQuery:
    """Returns what a filter says, but for the state of review.

    Raises:
        UnknownNameError: the snapshot does not know the category, channel or region.
        InvalidFieldError: this version does not know the action or stage.
    """
    category_rows(filter_.category, "filter.category", generation)
    _check_sold("channel", filter_.sold_in_channel, generation)
    _check_sold("region", filter_.sold_in_region, generation)
    return CandidateQuery(
        category=filter_.category,
        channel=filter_.sold_in_channel,
        region=filter_.sold_in_region,
        action=action_word(filter_.action, "filter.action"),
        stage=stage_word(filter_.stage, "filter.stage"),
    )


def state_wanted(filter_: CandidateFilter) -> ReviewState.ValueType:
    """Returns the state of review that a filter asks for, UNSPECIFIED for any.

    Raises:
        InvalidFieldError: this version does not know it.
    """
    if filter_.review_state not in ReviewState.values():
        raise InvalidFieldError(
            "filter.review_state",
            f"filter.review_state is {filter_.review_state}, which this version does not know; "
            "give PENDING, APPROVED, REJECTED or SNOOZED",
        )
    return filter_.review_state


def order_of(order_by: str, filter_: CandidateFilter) -> Order:
    """Returns the order that a text such as "score desc, rank" asks for; an empty one is by rank.

    Raises:
        InvalidFieldError: it names no field (reason UNKNOWN_ORDER_FIELD), too many, one of a place without a
            channel or region in the filter, or says more of one than "desc".
    """
    check_length("order_by", order_by, MAX_ORDER_BYTES)
    parts = order_by.split(",") if order_by.strip() else []
    if len(parts) > MAX_ORDER_FIELDS:
        raise InvalidFieldError(
            "order_by", f"order_by has {len(parts)} fields; at most {MAX_ORDER_FIELDS} are allowed"
        )
    fields = []
    for part in parts:
        name, *rest = part.split() or [""]
        if name not in ORDER_FIELDS:
            raise InvalidFieldError(
                "order_by",
                f"order_by names {quoted(name)}, which candidates cannot be ordered by; give "
                f"{', '.join(ORDER_FIELDS)}",
                reason="UNKNOWN_ORDER_FIELD",
            )
        if rest not in ([], ["desc"]):
            raise InvalidFieldError(
                "order_by",
                f'order_by says {quoted(" ".join(rest))} of {name}; write "desc" for the largest first, '
                "and nothing for the smallest",
            )
        if name in LOCAL and not (filter_.sold_in_channel or filter_.sold_in_region):
            raise InvalidFieldError(
                "order_by",
                f"order_by names {name} of no place; give filter.sold_in_channel or filter.sold_in_region",
            )
        fields.append((name, bool(rest)))
    while fields and fields[-1] == ("rank", False):  # equals come by rank anyway
        fields.pop()
    return tuple(fields)


def weights_of(asked: Sequence[ComponentWeight], components: Sequence[str]) -> Weights:
    """Returns weights in the components' order, without those that weigh nothing.

    Raises:
        InvalidFieldError: none or too many, one that is negative or no finite number, a component twice or
            one that the snapshot does not have (reason UNKNOWN_COMPONENT), or none above 0.
    """
    check_count("weights", asked, MAX_WEIGHTS, least=1)
    weights: dict[str, float] = {}
    for place, each in enumerate(asked):
        where = f"weights[{place}]"
        if each.name not in components:
            known = ", ".join(components) if components else "none: there is no candidate"
            raise InvalidFieldError(
                f"{where}.name",
                f"{where}.name {quoted(each.name)} is no component of the score; the snapshot's are {known}",
                reason="UNKNOWN_COMPONENT",
            )
        if each.name in weights:
            raise InvalidFieldError(
                f"{where}.name", f"{where}.name {each.name!r} stands in a weight before; give it once"
            )
        if not (math.isfinite(each.weight) and each.weight >= 0):
            raise InvalidFieldError(
                f"{where}.weight",
                f"{where}.weight of {each.name} is {each.weight:g}; give a finite number, 0 or more",
            )
        weights[each.name] = each.weight
    if not any(weights.values()):
        raise InvalidFieldError("weights", "weights are all 0; give at least one above 0")
    return tuple((name, weights[name]) for name in components if weights.get(name))


def _check_sold(facet: str, value: str, generation: Generation) -> None:
    if value and generation.snapshot.facet_rows(facet, value) is None:
        field = f"filter.sold_in_{facet}"
        raise unknown_place(facet, value, field, generation)
