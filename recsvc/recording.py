"""Owns EventService: checking what shoppers did, and recording it before the answer goes out."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from recdata.live.records import EventRecord, microseconds
from recsvc.call import Call
from recsvc.checks import MAX_PRICE, amount_of, check_count, check_length
from recsvc.errors import InvalidFieldError
from recsvc.v1.event_service_pb2 import Event, EventType, RecordEventsRequest, RecordEventsResponse

MAX_EVENTS = 1000
MAX_EVENT_ID_BYTES = 128
#: As the import of the tables has it: more is a slip, such as a bar code in the wrong field.
MAX_QUANTITY = 1e9

#: How an event type is stored.
TYPES: dict[int, str] = {
    EventType.EVENT_TYPE_IMPRESSION: "impression",
    EventType.EVENT_TYPE_CLICK: "click",
    EventType.EVENT_TYPE_VIEW: "view",
    EventType.EVENT_TYPE_ADD_TO_CART: "add_to_cart",
    EventType.EVENT_TYPE_PURCHASE: "purchase",
    EventType.EVENT_TYPE_RETURN: "return",
}
_OPTIONAL_NAMES = (
    "user_id",
    "session_id",
    "order_id",
    "channel",
    "region",
    "promotion_id",
    "attribution_token",
)

_SECOND_US, _DAY_US = 1_000_000, 86_400_000_000
_YEAR_2000_US = 946_684_800 * _SECOND_US
_MAX_NANOS = 999_999_999


def record_events(call: Call, request: RecordEventsRequest) -> bytes:
    """Returns a serialised RecordEventsResponse, once the events are on disk.

    Raises:
        InvalidFieldError: an event lacks something or holds a wrong value; nothing is recorded.
        LiveStoreError: the live store is full or cannot be written; nothing is recorded.
    """
    check_count("events", request.events, MAX_EVENTS, least=1)
    now_us, currency = microseconds(call.now), call.generation.snapshot.manifest.currency
    events = [
        _record(event, f"events[{place}]", now_us, currency) for place, event in enumerate(request.events)
    ]
    outcome = call.store.record(events)
    return RecordEventsResponse(
        recorded_count=outcome.recorded, duplicate_count=outcome.duplicates
    ).SerializeToString()


def _record(event: Event, at: str, now_us: int, currency: str) -> EventRecord:
    """Returns a checked event as it is stored; `at` is its place in the request."""
    _required(f"{at}.event_id", event.event_id, "send an id of your own, unique for ever, such as a UUID")
    check_length(f"{at}.event_id", event.event_id, MAX_EVENT_ID_BYTES)
    _required(f"{at}.item_id", event.item_id, "send the retailer's id of the item")
    check_length(f"{at}.item_id", event.item_id)
    if not event.user_id and not event.session_id:
        raise InvalidFieldError(
            f"{at}.user_id",
            f"{at} has neither user_id nor session_id; send the shopper's id, the visit's or both",
        )
    for name in _OPTIONAL_NAMES:
        if value := getattr(event, name):
            _required(f"{at}.{name}", value, "leave it empty where there is none")
            check_length(f"{at}.{name}", value)
    kind = TYPES.get(event.event_type)
    if kind is None:
        raise InvalidFieldError(
            f"{at}.event_type", f"{at}.event_type is {event.event_type}; send one of EventType, such as VIEW"
        )
    return EventRecord(
        event.event_id,
        event.user_id,
        event.session_id,
        event.item_id,
        kind,
        _time_us(event.event_time, f"{at}.event_time", now_us) if event.HasField("event_time") else now_us,
        now_us,
        _quantity(event.quantity, f"{at}.quantity"),
        _price(event, f"{at}.unit_price", currency),
        event.order_id,
        event.channel,
        event.region,
        event.promotion_id,
        event.attribution_token,
    )


def _required(field: str, value: str, remedy: str) -> None:
    if not value or value.isspace():
        raise InvalidFieldError(field, f"{field} is {'blank' if value else 'empty'}; {remedy}")


def _time_us(time: Timestamp, field: str, now_us: int) -> int:
    if not 0 <= time.nanos <= _MAX_NANOS:
        raise InvalidFieldError(f"{field}.nanos", f"{field}.nanos is {time.nanos}; send 0 to {_MAX_NANOS}")
    time_us = time.seconds * _SECOND_US + time.nanos // 1000
    if time_us < _YEAR_2000_US:
        raise InvalidFieldError(
            field,
            f"{field} is {time.seconds} s after 1970, before the year 2000; send seconds since 1970, UTC",
        )
    if time_us > now_us + _DAY_US:
        raise InvalidFieldError(
            field,
            f"{field} is {time.seconds} s after 1970, more than a day ahead of the server's clock; "
            "send seconds since 1970, UTC, not milliseconds, or leave it out for now",
        )
    return time_us


def _quantity(quantity: float, field: str) -> float:
    if not 0 <= quantity <= MAX_QUANTITY:  # also what is no number
        raise InvalidFieldError(
            field,
            f"{field} is {quantity:g}; send units above 0, of a return too, and at most {MAX_QUANTITY:,.0f}, "
            "or leave it out for 1",
        )
    return quantity or 1.0


def _price(event: Event, field: str, currency: str) -> float | None:
    if not event.HasField("unit_price"):
        return None
    price = amount_of(event.unit_price, field, currency)
    if not 0 <= price <= MAX_PRICE:
        raise InvalidFieldError(
            field, f"{field} is {price:g}; send what one unit cost, 0 to {MAX_PRICE:,.0f}, or leave it out"
        )
    return price
