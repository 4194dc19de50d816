from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from recdata.errors import PublishError, SnapshotCorruptError, SnapshotError, SnapshotNotFoundError
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
    assert publish(tmp_path, "Tea") == manifest
    with closing(releases.open_current()) as snapshot:
        assert snapshot.item(0).title == "Tea"


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
        "log.jsonl",
    }
    publish(tmp_path, "Coffee" * 10_000)


def test_parts_of_a_killed_publish_are_swept(tmp_path: Path) -> None:
    part = tmp_path / "snapshots" / ".12345.part"
    part.mkdir(parents=True)
    (part / "junk").write_text("half")
    publish(tmp_path, "Tea")
    assert not part.exists()


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_pointer_that_cannot_be_read_is_an_error_and_the_next_publish_mends_it(
    tmp_path: Path, content: bytes | None
) -> None:
    manifest = publish(tmp_path, "Tea")
    releases, path = Releases(tmp_path), tmp_path / "snapshots" / "CURRENT"
    if content is None:
        path.unlink()
        path.symlink_to(path)
    else:
        path.write_bytes(content)
    with pytest.raises(SnapshotError, match="snapshots activate"):
        releases.open_current()
    publish(tmp_path, "Tea")
    assert releases.current_id() == manifest.snapshot_id


@pytest.mark.parametrize("content", ["", " \n\t"])
def test_an_empty_pointer_names_nothing(tmp_path: Path, content: str) -> None:
    publish(tmp_path, "Tea")
    (tmp_path / "snapshots" / "CURRENT").write_text(content)
    with pytest.raises(SnapshotNotFoundError, match="no published snapshot"):
        Releases(tmp_path).open_current()


def test_a_snapshot_in_a_folder_of_another_name_is_not_activated(tmp_path: Path) -> None:
    manifest = publish(tmp_path, "Tea")
    releases = Releases(tmp_path)
    shutil.copytree(releases.folder(manifest.snapshot_id), releases.root / "backup")
    with pytest.raises(SnapshotCorruptError, match=f"backup holds snapshot '{manifest.snapshot_id}'"):
        releases.activate("backup")
    assert releases.current_id() == manifest.snapshot_id


def test_a_pointer_half_written_by_a_killed_publish_is_swept(tmp_path: Path) -> None:
    publish(tmp_path, "Tea")
    part = tmp_path / "snapshots" / ".CURRENT.123.part"
    part.write_text("2024")
    publish(tmp_path, "Tea")
    assert not part.exists()


def test_pruning_leaves_a_mapped_snapshot_readable(tmp_path: Path) -> None:
    publish(tmp_path, "Tea")
    releases = Releases(tmp_path)
    mapped = releases.open_current()
    publish(tmp_path, "Coffee")
    assert releases.prune(keep=1) == [mapped.manifest.snapshot_id]
    assert mapped.item(0).title == "Tea"
    mapped.close()
    names = {entry.name for entry in releases.root.iterdir()}
    assert names == {".lock", "CURRENT", "log.jsonl", *releases.ids()}


WORKER = """
import sys
from contextlib import closing
from pathlib import Path
from recdata.releases import Releases
from tests.recdata.conftest import write_small
for number in range(int(sys.argv[2])):
    Releases(Path(sys.argv[1])).publish(lambda writer: write_small(writer, title=f"{sys.argv[3]}{number}"))
"""


def worker(home: Path, count: int, title: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, str(home), str(count), title])


def test_activating_while_another_process_publishes_always_ends_with_a_whole_snapshot(tmp_path: Path) -> None:
    first = publish(tmp_path, "Tea").snapshot_id
    releases = Releases(tmp_path)
    with worker(tmp_path, 10, "new") as other:
        while other.poll() is None:
            releases.activate(first)
            releases.open_current().close()
    assert other.returncode == 0
    assert len(releases.ids()) == 11


def test_a_publish_that_is_killed_leaves_what_serves_and_nothing_in_the_way(tmp_path: Path) -> None:
    publish(tmp_path, "Tea")
    releases = Releases(tmp_path)
    with worker(tmp_path, 10**6, "new") as other:
        while len(releases.ids()) < 3:
            assert other.poll() is None
        other.kill()
    releases.open_current().close()
    last = publish(tmp_path, "last").snapshot_id
    assert releases.current_id() == last
    assert not list(releases.root.glob(".*.part"))
