from __future__ import annotations

import time

import grpc
import pytest

from recdata.live import LiveStore
from recdata.releases import Releases
from recsvc.v1.customer_service_pb2 import EraseCustomerRequest
from recsvc.v1.event_service_pb2 import Event, EventType, RecordEventsRequest
from recsvc.v1.recommendation_service_pb2 import RecommendRequest
from recsvc.v1.snapshot_service_pb2 import ActivateSnapshotRequest, GetServingStateRequest
from tests.recsvc.conftest import CONFIG, Stubs, refusal
from tests.recsvc.tiny import UNICODE_USER, Tiny


@pytest.fixture
def home(tmp_path):
    for suffix in ("", " 2", " 3"):
        Tiny(title_suffix=suffix).publish(tmp_path)
    return tmp_path


@pytest.fixture
def stubs(home, start):
    with grpc.insecure_channel(start(home).address) as channel:
        yield Stubs(channel)


def view(stubs, event_id: str, user_id: str, session_id: str = "") -> None:
    viewed = Event(
        event_id=event_id,
        user_id=user_id,
        session_id=session_id,
        item_id="apple",
        event_type=EventType.EVENT_TYPE_VIEW,
    )
    stubs.events.RecordEvents(RecordEventsRequest(events=[viewed]))


def erase(stubs, user_id: str):
    answer = stubs.customers.EraseCustomer(EraseCustomerRequest(user_id=user_id))
    return answer, {store.name: store for store in answer.stores}


@pytest.mark.parametrize("user_id", ["ann", UNICODE_USER])
def test_an_erased_customer_is_gone_from_the_live_store_and_what_is_left_is_named(
    stubs, home, user_id
) -> None:
    view(stubs, "1", user_id, "s")
    view(stubs, "2", "", "s")
    view(stubs, "3", "bob")
    answer, stores = erase(stubs, user_id)
    assert answer.erasure_number == 1
    assert answer.erase_time.seconds > 1_700_000_000
    removed = {name: store.removed_count for name, store in stores.items() if store.removed_count}
    assert removed == {"live/events": 2, "live/recent": 1, "live/sessions": 1, "serving": 1}
    ids = Releases(home).ids()
    left = {name: store.remaining_count for name, store in stores.items() if store.remaining_count}
    assert left == {f"snapshot {snapshot_id}": 1 for snapshot_id in ids}
    assert len(ids) == 3
    assert "recsvc snapshots prune" in stores[f"snapshot {ids[0]}"].note
    assert "recsvc erasures check" in stores["tables"].note
    with LiveStore.open(home, max_bytes=0) as store, store.view() as now:
        assert [found.event_id for _, found in now.events()] == ["3"]
        assert now.person(user_id, "s").entries == ()


def test_a_second_erasure_has_another_number_and_finds_nothing_in_the_live_store(stubs) -> None:
    view(stubs, "1", "ann")
    erase(stubs, "ann")
    answer, stores = erase(stubs, "ann")
    assert answer.erasure_number == 2
    assert sum(store.removed_count for name, store in stores.items() if name.startswith("live/")) == 0


def test_a_stranger_is_erased_too_and_leaves_no_snapshot_in_the_answer(stubs) -> None:
    answer, stores = erase(stubs, "stranger")
    assert answer.erasure_number == 1
    assert set(stores) == {"live/events", "live/recent", "live/sessions", "serving", "tables"}
    assert all(store.removed_count == store.remaining_count == 0 for store in stores.values())


def test_an_erased_customer_is_recommended_what_a_stranger_is(stubs) -> None:
    def shown(user_id: str) -> list[str]:
        answer = stubs.recommendations.Recommend(RecommendRequest(user_id=user_id))
        return [result.item.item_id for result in answer.results]

    assert shown("ann") != shown("stranger")
    erase(stubs, "ann")
    assert shown("ann") == shown("stranger")


def test_the_server_goes_on_swapping_after_it_looked_into_every_snapshot(stubs, home) -> None:
    erase(stubs, "ann")
    oldest = Releases(home).ids()[0]
    stubs.snapshots.ActivateSnapshot(ActivateSnapshotRequest(snapshot_id=oldest))
    newest = Tiny(title_suffix=" 4").publish(home).snapshot_id
    erase(stubs, "ann")
    deadline = time.monotonic() + 30
    while (state := stubs.snapshots.GetServingState(GetServingStateRequest())).snapshot.snapshot_id != newest:
        assert time.monotonic() < deadline
        assert not state.HasField("load_failure")
        erase(stubs, "ann")


@pytest.mark.parametrize("user_id", ["", "u" * 257])
def test_a_customer_without_a_usable_id_is_refused(stubs, user_id) -> None:
    refused = refusal(stubs.customers.EraseCustomer, EraseCustomerRequest(user_id=user_id))
    assert (refused.code, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, "user_id")


def test_without_a_live_store_nobody_can_be_erased(home, start) -> None:
    (home / "live").write_text("a file")
    with grpc.insecure_channel(start(home, CONFIG).address) as channel:
        refused = refusal(Stubs(channel).customers.EraseCustomer, EraseCustomerRequest(user_id="ann"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LIVE_STORE_UNAVAILABLE")
