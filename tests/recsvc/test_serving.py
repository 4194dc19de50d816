from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from pathlib import Path

import grpc
import msgspec
import pytest

from recdata.errors import SnapshotError, SnapshotNotFoundError
from recdata.releases import Releases
from recdata.runs import write_atomic
from recsvc.errors import NotMappedError, StoppedError
from recsvc.serving import Serving
from recsvc.v1.bestseller_service_pb2 import ListBestsellersRequest
from recsvc.v1.recommendation_service_pb2 import RecommendRequest
from recsvc.v1.snapshot_service_pb2 import GetServingStateRequest
from tests.recsvc.conftest import CONFIG, Stubs, refusal
from tests.recsvc.tiny import Tiny

STILL = msgspec.structs.replace(CONFIG, poll_seconds=3600.0)  # swaps only when told to


def until(condition, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def closed(caplog):
    """Returns what tells the ids of the snapshots closed so far, in order."""
    caplog.set_level(logging.INFO, "recsvc")
    return lambda: [
        record.fields["snapshot_id"] for record in caplog.records if record.message == "snapshot closed"
    ]


@pytest.fixture
def serving(tmp_path):
    Tiny().publish(tmp_path)
    made = Serving(tmp_path, STILL)
    yield made
    made.stop()


@pytest.fixture
def forgetful(tmp_path):
    """Keeps no former snapshot."""
    Tiny().publish(tmp_path)
    made = Serving(tmp_path, msgspec.structs.replace(STILL, keep_previous=0))
    yield made
    made.stop()


def test_the_old_snapshot_is_closed_when_its_last_user_ends_and_not_before(tmp_path, forgetful, closed):
    first = forgetful.acquire()
    second = forgetful.acquire()
    assert first is second
    old = first.snapshot_id
    Tiny(title_suffix="!").publish(tmp_path)
    assert forgetful.refresh()
    new = forgetful.acquire()
    assert new is not first
    assert new.snapshot.item(0).title == "Apple!"
    del first
    assert second.snapshot.item(0).title == "Apple"
    assert second.sellable.tolist() == [True, True, True, False, True, True]
    assert closed() == []
    del second
    assert closed() == [old]


def test_an_old_snapshot_that_nobody_uses_is_closed_by_the_swap(tmp_path, forgetful, closed):
    old = forgetful.acquire().snapshot_id
    Tiny(title_suffix="!").publish(tmp_path)
    assert forgetful.refresh()
    assert closed() == [old]


def test_rolling_back_while_a_call_still_uses_the_old_snapshot_serves_it_again(tmp_path, forgetful):
    held = forgetful.acquire()
    Tiny(title_suffix="!").publish(tmp_path)
    assert forgetful.refresh()
    point_at(tmp_path, held.snapshot_id)
    assert forgetful.refresh()
    assert forgetful.acquire() is held


def test_the_snapshot_before_stays_mapped_and_the_one_before_that_does_not(tmp_path, serving, closed):
    ids = [serving.acquire().snapshot_id]
    for suffix in ("!", "?"):
        ids.append(Tiny(title_suffix=suffix).publish(tmp_path).snapshot_id)
        assert serving.refresh()
    assert serving.mapped_ids() == [ids[2], ids[1]]
    assert serving.acquire(ids[1]).snapshot.item(0).title == "Apple!"
    assert closed() == [ids[0]]
    with pytest.raises(NotMappedError, match=f"{ids[0]}.*mapped are {ids[2]}, {ids[1]};"):
        serving.acquire(ids[0])


def test_activating_moves_the_pointer_and_takes_the_mapped_snapshot(tmp_path, serving):
    old = serving.acquire()
    new_id = Tiny(title_suffix="!").publish(tmp_path).snapshot_id
    assert serving.refresh()
    assert serving.activate(old.snapshot_id) == (old, new_id)
    assert serving.published_id() == old.snapshot_id
    assert serving.mapped_ids() == [old.snapshot_id, new_id]
    assert serving.activate(old.snapshot_id) == (old, old.snapshot_id)


def test_a_snapshot_with_a_wrong_checksum_is_not_activated(tmp_path, serving):
    good = serving.acquire().snapshot_id
    bad = point_at_a_damaged_copy(tmp_path, flip_the_last_byte)
    point_at(tmp_path, good)
    with pytest.raises(SnapshotError, match="altered"):
        serving.activate(bad)
    assert serving.published_id() == serving.acquire().snapshot_id == good


def test_a_wrong_checksum_found_while_a_snapshot_serves_brings_the_one_before_it_back(tmp_path, serving):
    good = serving.acquire().snapshot_id
    bad = point_at_a_damaged_copy(tmp_path, flip_the_last_byte)
    serving.start()
    serving.look()
    until(lambda: serving.failure)
    assert serving.acquire().snapshot_id == good
    assert serving.failure.snapshot_id == bad
    assert "altered" in serving.failure.message
    assert not serving.refresh(), "it is not tried again"


def test_a_wrong_checksum_without_another_snapshot_is_told_and_it_goes_on(tmp_path):
    Tiny().publish(tmp_path)
    bad = point_at_a_damaged_copy(tmp_path, flip_the_last_byte)
    serving = Serving(tmp_path, STILL)
    serving.start()
    until(lambda: serving.failure)
    assert serving.acquire().snapshot_id == serving.failure.snapshot_id == bad
    serving.stop()


def test_nothing_is_swapped_while_the_pointer_stays(tmp_path, serving):
    assert not serving.refresh()
    (tmp_path / "snapshots" / "CURRENT").unlink()
    assert not serving.refresh()
    with serving.lease() as generation:
        assert generation.snapshot.item(0).title == "Apple"


def test_without_a_published_snapshot_there_is_no_server(tmp_path):
    with pytest.raises(SnapshotNotFoundError, match="no published snapshot"):
        Serving(tmp_path, STILL)


def test_a_snapshot_that_lacks_a_matrix_is_not_published(tmp_path):
    with pytest.raises(SnapshotError, match="similar_rows"):
        Tiny(without_arrays=("similar_rows",)).publish(tmp_path)
    assert Releases(tmp_path).current_id() is None


def point_at(home: Path, snapshot_id: str) -> None:
    """Moves the pointer as another process would: LMDB lets one process map a file only once."""
    write_atomic(home / "snapshots" / "CURRENT", f"{snapshot_id}\n".encode())


def point_at_a_damaged_copy(home: Path, damage) -> str:
    """Makes CURRENT name a copy of the serving snapshot that `damage` was done to."""
    releases = Releases(home)
    copy = releases.root / "20250302-bad"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(releases.folder(releases.current_id()), copy)
    manifest = copy / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"snapshot_id": copy.name}))
    damage(copy)
    point_at(home, copy.name)
    return copy.name


def flip_a_byte(folder: Path) -> None:
    path = folder / "snapshot.mdb"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def flip_the_last_byte(folder: Path) -> None:
    """Damages what LMDB does not look at when it opens the file."""
    path = folder / "snapshot.mdb"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 0xFF]))


def cut_short(folder: Path) -> None:
    path = folder / "snapshot.mdb"
    path.write_bytes(path.read_bytes()[:-4096])


def raise_the_format(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 999}))


def empty_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (flip_a_byte, "altered"),
        (cut_short, "truncated"),
        (raise_the_format, "format_version is 999"),
        (empty_the_manifest, "cannot be read"),
        (shutil.rmtree, "no snapshot"),
    ],
)
def test_a_bad_new_snapshot_is_refused_and_the_old_one_goes_on(start, tmp_path, damage, why):
    good = Tiny().publish(tmp_path).snapshot_id
    server = start(tmp_path, msgspec.structs.replace(CONFIG, verify_snapshots="before"))
    with grpc.insecure_channel(server.address) as channel:
        stubs = Stubs(channel)

        def state():
            return stubs.snapshots.GetServingState(GetServingStateRequest())

        bad = point_at_a_damaged_copy(tmp_path, damage)
        until(lambda: state().HasField("load_failure"))
        told = state()
        assert told.snapshot.snapshot_id == good
        assert told.published_snapshot_id == told.load_failure.snapshot_id == bad
        assert why in told.load_failure.message
        assert stubs.recommendations.Recommend(RecommendRequest(user_id="ann")).info.snapshot_id == good
        point_at(tmp_path, good)
        until(lambda: not state().HasField("load_failure"))


def test_a_refused_snapshot_is_tried_again_when_its_files_change(tmp_path, serving):
    with serving.lease() as generation:
        good = Releases(tmp_path).folder(generation.snapshot_id)
    bad = point_at_a_damaged_copy(tmp_path, cut_short)
    assert not serving.refresh()
    refused = serving.failure
    assert not serving.refresh()
    assert serving.failure is refused, "it was read again though nothing changed"
    shutil.copy(good / "snapshot.mdb", tmp_path / "snapshots" / bad / "snapshot.mdb")
    assert serving.refresh()
    assert serving.failure is None


def test_snapshots_swap_under_load_without_one_failed_or_mixed_answer(start, tmp_path):
    ids = {
        Tiny().publish(tmp_path).snapshot_id: "",
        Tiny(title_suffix="!").publish(tmp_path).snapshot_id: "!",
    }
    server = start(tmp_path, msgspec.structs.replace(CONFIG, poll_seconds=0.01, threads=4))
    done, failures, served = threading.Event(), [], set()

    def ask() -> None:
        with grpc.insecure_channel(server.address) as channel:
            stubs = Stubs(channel)
            while not done.is_set():
                try:
                    answer = stubs.recommendations.Recommend(RecommendRequest(user_id="ann", page_size=5))
                except grpc.RpcError as error:
                    failures.append(error)
                    return
                served.add(answer.info.snapshot_id)
                titles = [entry.item.title for entry in answer.results]
                suffix = ids[answer.info.snapshot_id]
                if titles != [name + suffix for name in ("Bread", "Apple", "Wine", "梨 🍐", "Beer")]:
                    failures.append(titles)
                    return

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for snapshot_id in [*ids] * 10:
        point_at(tmp_path, snapshot_id)
        time.sleep(0.08)
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert served == set(ids)


def test_a_page_token_does_not_outlive_its_snapshot(start, tmp_path):
    Tiny().publish(tmp_path)
    server = start(tmp_path, STILL)
    with grpc.insecure_channel(server.address) as channel:
        stubs = Stubs(channel)
        token = stubs.bestsellers.ListBestsellers(ListBestsellersRequest(page_size=1)).next_page_token
        Tiny(title_suffix="!").publish(tmp_path)
        server.serving.refresh()
        refused = refusal(
            stubs.bestsellers.ListBestsellers, ListBestsellersRequest(page_size=1, page_token=token)
        )
        assert refused.reason == "SNAPSHOT_CHANGED"


def test_a_call_that_comes_after_the_stop_is_refused_and_touches_no_closed_map(serving, closed):
    late = serving.acquire()
    serving.stop()
    for snapshot_id in ("", late.snapshot_id):
        with pytest.raises(StoppedError, match="another server"):
            serving.acquire(snapshot_id)
    assert late.sellable.tolist() == [True, True, True, False, True, True]
    assert closed() == []
    told = late.snapshot_id
    del late
    assert closed() == [told]


def test_a_late_call_ends_as_unavailable_so_that_it_is_sent_again(start, tmp_path):
    Tiny().publish(tmp_path)
    server = start(tmp_path, STILL)
    with grpc.insecure_channel(server.address) as channel:
        server.serving.stop()
        refused = refusal(Stubs(channel).recommendations.Recommend, RecommendRequest(user_id="ann"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPED")


def test_a_pointer_of_garbage_is_told_and_the_snapshot_goes_on(start, tmp_path):
    good = Tiny().publish(tmp_path).snapshot_id
    server = start(tmp_path, STILL)
    (tmp_path / "snapshots" / "CURRENT").write_bytes(b"\xff\xfe")
    assert not server.serving.refresh()
    told = server.serving.failure
    assert not server.serving.refresh()
    assert server.serving.failure is told, "it was told again though nothing changed"
    with grpc.insecure_channel(server.address) as channel:
        state = Stubs(channel).snapshots.GetServingState(GetServingStateRequest())
    assert (state.snapshot.snapshot_id, state.published_snapshot_id) == (good, "")
    assert "cannot be read" in state.load_failure.message
    point_at(tmp_path, good)
    server.serving.refresh()
    assert server.serving.failure is None
