"""What single damaged records of the live store do to a server, over a real socket."""

from __future__ import annotations

from pathlib import Path

import grpc
import lmdb
import pytest

from recdata.live import LiveStore
from recdata.live.environment import COUNTERS_KEY
from recdata.live.records import Counters, user_key
from recsvc.v1.common_pb2 import DegradationReason
from recsvc.v1.event_service_pb2 import Event, EventType, RecordEventsRequest
from recsvc.v1.recommendation_service_pb2 import RecommendRequest
from tests.recsvc.conftest import refusal
from tests.recsvc.running import without_retries
from tests.recsvc.tiny import Tiny

PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
UNAVAILABLE = DegradationReason.DEGRADATION_REASON_LIVE_STORE_UNAVAILABLE


def put_into_live_store(home: Path, section: bytes, key: bytes, content: bytes) -> None:
    """Writes bytes past the store's own code."""
    with LiveStore.open(home, max_bytes=1 << 20):
        pass
    file = str(home / "live" / "live.lmdb")
    with (
        lmdb.open(file, subdir=False, max_dbs=20, map_size=1 << 24) as env,
        env.begin(write=True, db=env.open_db(section)) as transaction,
    ):
        transaction.put(key, content)


DAMAGE = pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x91\x93\xa1\xff\xa4view\x01"])


@DAMAGE
def test_a_shopper_whose_record_is_damaged_is_answered_without_it_until_the_next_event(
    tmp_path, start, damage
):
    Tiny().publish(tmp_path)
    put_into_live_store(tmp_path, b"recent", user_key("ann"), damage)
    with without_retries(start(tmp_path).address) as stubs:
        answer = stubs.recommendations.Recommend(RecommendRequest(user_id="ann"))
        assert len(answer.results) == 5
        assert [each.reason for each in answer.info.degradations] == [UNAVAILABLE]
        assert stubs.recommendations.Recommend(RecommendRequest(user_id="cold")).results
        event = Event(event_id="e", user_id="ann", item_id="pear", event_type=EventType.EVENT_TYPE_VIEW)
        stubs.events.RecordEvents(RecordEventsRequest(events=[event]))
        assert not stubs.recommendations.Recommend(RecommendRequest(user_id="ann")).info.degraded
    with LiveStore.open(tmp_path, max_bytes=0) as store, store.view() as view:
        assert view.last_sequence == 1


@DAMAGE
@pytest.mark.parametrize(
    ("section", "key", "version"), [(b"items", b"pear", "catalogue"), (b"rules", b"r", "rules")]
)
def test_a_damaged_item_or_rule_degrades_every_answer_and_says_so(
    tmp_path, start, section, key, version, damage
):
    Tiny().publish(tmp_path)
    counters = Counters(catalogue_version=1) if version == "catalogue" else Counters(rules_version=1)
    put_into_live_store(tmp_path, section, key, damage)
    put_into_live_store(tmp_path, b"meta", COUNTERS_KEY, counters.encode())
    with without_retries(start(tmp_path).address) as stubs:
        answer = stubs.recommendations.Recommend(RecommendRequest(user_id="ann"))
        assert len(answer.results) == 5
        assert [each.reason for each in answer.info.degradations] == [UNAVAILABLE]
        assert "damaged" in answer.info.degradations[0].detail


def test_damaged_counters_degrade_answers_and_refuse_writes(tmp_path, start):
    Tiny().publish(tmp_path)
    put_into_live_store(tmp_path, b"meta", COUNTERS_KEY, b"short")
    with without_retries(start(tmp_path).address) as stubs:
        answer = stubs.recommendations.Recommend(RecommendRequest(user_id="ann"))
        assert [each.reason for each in answer.info.degradations] == [UNAVAILABLE]
        event = Event(event_id="e", user_id="ann", item_id="pear", event_type=EventType.EVENT_TYPE_VIEW)
        refused = refusal(stubs.events.RecordEvents, RecordEventsRequest(events=[event]))
        assert (refused.code, refused.reason) == (PRECONDITION, "LIVE_STORE_UNAVAILABLE")
