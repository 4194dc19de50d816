from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recdata.errors import PublishError, SnapshotCorruptError, SnapshotNotFoundError
from recdata.releases import Releases
from recdata.snapshot import Manifest
from recdata.snapshot.writer import SNAPSHOT_FILE
from tests.recdata.conftest import write_small


def publish(home: Path, title: str) -> Manifest:
    return Releases(home).publish(lambda writer: write_small(writer, title=title))


def test_what_is_published_serves(tmp_path: Path) -> None:
    manifest = publish(tmp_path, "Tea")
    releases = Releases(tmp_path)
    assert releases.current_id() == manifest.snapshot_id
    snapshot = releases.open_current()
    assert snapshot.item(0).title == "Tea"
    snapshot.close()


def test_equal_content_is_kept_once(tmp_path: Path) -> None:
    assert publish(tmp_path, "Tea") == publish(tmp_path, "Tea")
    assert len(Releases(tmp_path).ids()) == 1


def test_a_corrupt_copy_of_the_same_content_is_replaced(tmp_path: Path) -> None:
    manifest = publish(tmp_path, "Tea")
    releases = Releases(tmp_path)
    path = releases.folder(manifest.snapshot_id) / SNAPSHOT_FILE
    path.write_bytes(path.read_bytes()[:-1])
    publish(tmp_path, "Tea")
    releases.open_current().close()


def test_rolling_back_is_moving_the_pointer(tmp_path: Path) -> None:
    old, new = publish(tmp_path, "Tea"), publish(tmp_path, "Coffee")
    releases = Releases(tmp_path)
    assert releases.ids() == [old.snapshot_id, new.snapshot_id]
    releases.activate(old.snapshot_id)
    assert releases.current_id() == old.snapshot_id


def test_a_corrupt_snapshot_is_not_activated(tmp_path: Path) -> None:
    old, new = publish(tmp_path, "Tea"), publish(tmp_path, "Coffee")
    releases = Releases(tmp_path)
    path = releases.folder(old.snapshot_id) / SNAPSHOT_FILE
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SnapshotCorruptError):
        releases.activate(old.snapshot_id)
    assert releases.current_id() == new.snapshot_id


@pytest.mark.parametrize("snapshot_id", ["", "nope", "..", "../snapshots", ".lock"])
def test_an_unknown_id_names_those_there_are(tmp_path: Path, snapshot_id: str) -> None:
    manifest = publish(tmp_path, "Tea")
    with pytest.raises(SnapshotNotFoundError, match=manifest.snapshot_id):
        Releases(tmp_path).activate(snapshot_id)


def test_pruning_keeps_the_serving_one(tmp_path: Path) -> None:
    made = [publish(tmp_path, title).snapshot_id for title in ("a", "b", "c", "d")]
    releases = Releases(tmp_path)
    releases.activate(made[0])
    assert releases.prune(keep=1) == made[1:3]
    assert releases.ids() == [made[0], made[3]]
    with pytest.raises(PublishError, match="--keep is 0"):
        releases.prune(keep=0)


def test_before_the_first_publish_nothing_serves(tmp_path: Path) -> None:
    with pytest.raises(SnapshotNotFoundError, match="nightly"):
        Releases(tmp_path).open_current()


@contextmanager
def files_limited_to(size_bytes: int) -> Iterator[None]:
    """Makes the kernel refuse to write any file past a size, as a full disk does."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.parametrize("size_bytes", [0, 100, 20_000, 60_000])
def test_a_disk_that_refuses_leaves_the_old_one_and_no_part(tmp_path: Path, size_bytes: int) -> None:
    manifest = publish(tmp_path, "Tea")
    with files_limited_to(size_bytes), pytest.raises(PublishError, match="free disk space"):
        publish(tmp_path, "Coffee" * 10_000)
    assert Releases(tmp_path).current_id() == manifest.snapshot_id
    assert {entry.name for entry in (tmp_path / "snapshots").iterdir()} == {
        ".lock",
        manifest.snapshot_id,
        "CURRENT",
    }
    publish(tmp_path, "Coffee" * 10_000)


def test_parts_of_a_killed_publish_are_swept(tmp_path: Path) -> None:
    part = tmp_path / "snapshots" / ".12345.part"
    part.mkdir(parents=True)
    (part / "junk").write_text("half")
    publish(tmp_path, "Tea")
    assert not part.exists()
