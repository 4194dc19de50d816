from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import grpc
import msgspec
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

from recdata.live import LiveStore
from recsvc.recording import TYPES
from recsvc.v1.event_service_pb2 import Event, EventType, RecordEventsRequest
from recsvc.v1.snapshot_service_pb2 import GetServingStateRequest
from tests.recsvc.conftest import CONFIG, Stubs, refusal
from tests.recsvc.tiny import UNICODE_USER, Tiny


@pytest.fixture
def home(tmp_path):
    Tiny().publish(tmp_path)
    return tmp_path


@pytest.fixture
def stubs(home, start):
    with grpc.insecure_channel(start(home).address) as channel:
        yield Stubs(channel)


def event(event_id: str = "e1", **fields) -> Event:
    known = {"user_id": "ann", "item_id": "apple", "event_type": EventType.EVENT_TYPE_VIEW}
    return Event(event_id=event_id, **(known | fields))


def stored(home) -> list:
    with LiveStore.open(home, max_bytes=0) as store, store.view() as view:
        return [found for _, found in view.events()]


def after(**delta) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(datetime.now(UTC) + timedelta(**delta))
    return made


def test_an_event_is_stored_with_every_field_as_it_was_sent(stubs, home) -> None:
    sent = event(
        user_id=UNICODE_USER,
        session_id="s",
        event_type=EventType.EVENT_TYPE_PURCHASE,
        event_time=Timestamp(seconds=1_740_000_000, nanos=123_456_789),
        quantity=2.5,
        unit_price=Money(currency_code="CNY", units=2, nanos=190_000_000),
        order_id="o",
        channel="app",
        region="north",
        promotion_id="p",
        attribution_token="t",
    )
    answer = stubs.events.RecordEvents(RecordEventsRequest(events=[sent]))
    assert (answer.recorded_count, answer.duplicate_count) == (1, 0)
    (found,) = stored(home)
    assert (found.event_id, found.user_id, found.session_id, found.item_id) == (
        "e1",
        UNICODE_USER,
        "s",
        "apple",
    )
    assert (found.event_type, found.event_time_us) == ("purchase", 1_740_000_000_123_456)
    assert (found.quantity, found.unit_price, found.order_id) == (2.5, 2.19, "o")
    assert (found.channel, found.region, found.promotion_id, found.attribution_token) == (
        "app",
        "north",
        "p",
        "t",
    )


def test_what_is_left_out_has_its_default(stubs, home) -> None:
    stubs.events.RecordEvents(
        RecordEventsRequest(events=[event(user_id="", session_id="s", item_id="unheard of")])
    )
    (found,) = stored(home)
    assert (found.quantity, found.unit_price, found.order_id) == (1.0, None, "")
    assert found.event_time_us == found.received_time_us
    assert abs(found.received_time_us / 1e6 - datetime.now(UTC).timestamp()) < 60


def test_every_event_type_is_stored_as_the_tables_call_it(stubs, home) -> None:
    kinds = [number for number in EventType.values() if number]
    stubs.events.RecordEvents(
        RecordEventsRequest(events=[event(str(number), event_type=number) for number in kinds])
    )
    names = [EventType.Name(number).removeprefix("EVENT_TYPE_").lower() for number in kinds]
    assert [found.event_type for found in stored(home)] == names == list(TYPES.values())


def test_a_call_may_be_sent_again(stubs, home) -> None:
    request = RecordEventsRequest(events=[event("1"), event("2"), event("1")])
    first, again = stubs.events.RecordEvents(request), stubs.events.RecordEvents(request)
    assert (first.recorded_count, first.duplicate_count) == (2, 1)
    assert (again.recorded_count, again.duplicate_count) == (0, 3)
    assert len(stored(home)) == 2


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"event_id": ""}, "event_id"),
        ({"event_id": "x" * 129}, "event_id"),
        ({"item_id": ""}, "item_id"),
        ({"item_id": " \t"}, "item_id"),
        ({"item_id": "界" * 86}, "item_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "u" * 257}, "user_id"),
        ({"session_id": "  "}, "session_id"),
        ({"order_id": "o" * 257}, "order_id"),
        ({"channel": "c" * 257}, "channel"),
        ({"region": "r" * 257}, "region"),
        ({"promotion_id": "p" * 257}, "promotion_id"),
        ({"attribution_token": "t" * 257}, "attribution_token"),
        ({"event_type": 0}, "event_type"),
        ({"event_type": 99}, "event_type"),
        ({"event_time": Timestamp(seconds=946_684_799)}, "event_time"),
        ({"event_time": Timestamp(seconds=1_740_000_000_000)}, "event_time"),
        ({"event_time": Timestamp(seconds=2**62)}, "event_time"),
        ({"event_time": Timestamp(seconds=1_740_000_000, nanos=-1)}, "event_time.nanos"),
        ({"event_time": Timestamp(seconds=1_740_000_000, nanos=10**9)}, "event_time.nanos"),
        ({"quantity": -1.0}, "quantity"),
        ({"quantity": math.nan}, "quantity"),
        ({"quantity": math.inf}, "quantity"),
        ({"quantity": 2e9}, "quantity"),
        ({"unit_price": Money(units=-1)}, "unit_price"),
        ({"unit_price": Money(units=10**13)}, "unit_price"),
        ({"unit_price": Money(units=1, nanos=-1)}, "unit_price.nanos"),
        ({"unit_price": Money(currency_code="EUR", units=1)}, "unit_price.currency_code"),
    ],
)
def test_a_wrong_event_names_its_place_and_nothing_of_its_call_is_recorded(stubs, home, wrong, field) -> None:
    events = [event("0"), event("1"), event(**({"event_id": "2"} | wrong))]
    refused = refusal(stubs.events.RecordEvents, RecordEventsRequest(events=events))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.field, refused.reason) == (f"events[2].{field}", "INVALID_FIELD")
    assert "events[2]" in refused.message
    assert stored(home) == []


@pytest.mark.parametrize("count", [0, 1001])
def test_too_few_or_too_many_events_are_refused(stubs, count) -> None:
    refused = refusal(
        stubs.events.RecordEvents, RecordEventsRequest(events=[event(str(each)) for each in range(count)])
    )
    assert (refused.code, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, "events")


def test_1000_events_of_a_day_ahead_and_of_ids_of_256_bytes_are_taken(stubs) -> None:
    events = [
        event(
            "🍐" * 31 + f"{each:04d}", user_id="界" * 85 + "a", item_id="i" * 256, event_time=after(hours=23)
        )
        for each in range(1000)
    ]
    assert stubs.events.RecordEvents(RecordEventsRequest(events=events)).recorded_count == 1000


def test_a_full_live_store_is_told_with_its_reason_and_answers_go_on(home, start) -> None:
    server = start(home, msgspec.structs.replace(CONFIG, live_store_mb=1))
    with grpc.insecure_channel(server.address) as channel:
        stubs = Stubs(channel)

        def fill() -> None:
            for number in range(9):
                events = [event(f"{number}-{each}", promotion_id="p" * 256) for each in range(1000)]
                stubs.events.RecordEvents(RecordEventsRequest(events=events))

        with pytest.raises(grpc.RpcError):
            fill()
        assert len(stored(home)) >= 2000
        refused = refusal(stubs.events.RecordEvents, RecordEventsRequest(events=[event("last")]))
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIVE_STORE_FULL")
        assert "recsvc events export" in refused.message
        state = stubs.snapshots.GetServingState(GetServingStateRequest()).live_store
        assert state.readable
        assert "is full" in state.problem


def test_a_live_store_that_cannot_be_used_is_told_with_its_reason(home, start) -> None:
    (home / "live").mkdir()
    (home / "live" / "live.lmdb").write_bytes(b"x" * 9000)
    with grpc.insecure_channel(start(home).address) as channel:
        refused = refusal(Stubs(channel).events.RecordEvents, RecordEventsRequest(events=[event()]))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LIVE_STORE_UNAVAILABLE")
    assert "damaged" in refused.message
