"""Owns which snapshot serves: publish, activate, list and prune below `home/snapshots`.

`snapshots/<id>/` is complete or absent: it is made in a side folder and renamed. `snapshots/CURRENT` holds
the serving id and is replaced atomically, so a reader sees one release or the other. Every change takes a
file lock, so two jobs cannot interleave.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from recdata.decisions import Decision, DecisionLog
from recdata.errors import (
    GateRefusedError,
    PublishError,
    SnapshotCorruptError,
    SnapshotError,
    SnapshotNotFoundError,
)
from recdata.runs import write_atomic
from recdata.snapshot import Manifest, Snapshot, SnapshotWriter
from recdata.snapshot.reader import check_files, read_manifest
from recdata.snapshot.writer import MANIFEST_FILE, write_manifest

CURRENT_FILE = "CURRENT"
LOG_FILE = "log.jsonl"


class Releases:
    """The snapshots of one home folder, and the pointer to the one that serves."""

    def __init__(self, home: Path) -> None:
        self.root = home / "snapshots"
        self.log = DecisionLog(self.root / LOG_FILE)

    def current_id(self) -> str | None:
        """Returns the serving snapshot's id, or None before the first publish.

        Raises:
            SnapshotError: the pointer cannot be read.
        """
        path = self.root / CURRENT_FILE
        try:
            return path.read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SnapshotError(
                f"{path} cannot be read ({error}); mend its rights, or `recsvc snapshots activate` one"
            ) from error

    def folder(self, snapshot_id: str) -> Path:
        """Returns where a snapshot lies.

        Raises:
            SnapshotNotFoundError: no snapshot has that id.
        """
        ids = self.ids()
        if snapshot_id not in ids:
            known = ", ".join(ids) or "none yet; `recsvc nightly` makes one"
            raise SnapshotNotFoundError(f"no snapshot {snapshot_id!r} in {self.root}; there are: {known}")
        return self.root / snapshot_id

    def ids(self) -> list[str]:
        """Returns every snapshot id, in the order in which they were published, then by id.

        Raises:
            SnapshotError: the folder cannot be read.
        """
        try:
            if not self.root.is_dir():
                return []
            folders = [entry for entry in self.root.iterdir() if entry.is_dir() and entry.name[0] != "."]
        except OSError as error:
            raise SnapshotError(f"{self.root} cannot be read ({error}); mend its rights") from error
        return [folder.name for folder in sorted(folders, key=lambda each: (_published_ns(each), each.name))]

    def open_current(self, *, verify: bool = True) -> Snapshot:
        """Returns the serving snapshot, mapped.

        Raises:
            SnapshotNotFoundError: nothing has been published.
            SnapshotError: it cannot be used (see `Snapshot.open`).
        """
        snapshot_id = self.current_id()
        if snapshot_id is None:
            raise SnapshotNotFoundError(
                f"{self.root} has no published snapshot; `recsvc nightly` or `recsvc demo` makes one"
            )
        return self.open(snapshot_id, verify=verify)

    def open(self, snapshot_id: str, *, verify: bool = True) -> Snapshot:
        """Returns a snapshot, mapped.

        Raises:
            SnapshotNotFoundError: no snapshot has that id.
            SnapshotError: it cannot be used (see `Snapshot.open`), or is another one than its folder says.
        """
        folder = self.folder(snapshot_id)
        snapshot = Snapshot.open(folder, verify=verify)
        told = snapshot.manifest.snapshot_id
        if told != snapshot_id:
            snapshot.close()
            raise SnapshotCorruptError(
                f"{folder} holds snapshot {told!r}; give the folder that name, or delete it if that is there"
            )
        return snapshot

    def publish(
        self,
        write: Callable[[SnapshotWriter], Manifest],
        *,
        approve: Callable[[Snapshot], str] | None = None,
    ) -> Manifest:
        """Writes a snapshot with `write`, checks it by opening it, and makes it the serving one.

        Equal content is published once: an id that is there already is only made current.

        Args:
            write: writes every section.
            approve: asked of the opened snapshot before it is made current; what it returns is the reason for
                which the snapshot is forced to serve, "" where nothing speaks against it.

        Raises:
            GateRefusedError: `approve` refused; as below, and the refusal stands in the log.
            PublishError: disk full or refused; the serving snapshot is untouched and no part is left.
        """
        with self._locked():
            part = self.root / f".{os.getpid()}.part"
            try:
                shutil.rmtree(part, ignore_errors=True)
                with SnapshotWriter(part) as writer:
                    manifest = write(writer)
                before = self._live_id()
                forced = self._approved(part, approve)
                if forced:
                    manifest = msgspec.structs.replace(manifest, forced=forced)
                    write_manifest(part, manifest)
                final = self.root / manifest.snapshot_id
                if not self._usable(final):
                    shutil.rmtree(final, ignore_errors=True)
                    part.replace(final)
                    _sync_folder(self.root)
                elif forced:
                    write_manifest(final, manifest)
                self._point(manifest.snapshot_id)
                if before != manifest.snapshot_id:
                    self._tell(Decision.of(manifest, live_id=before, reason=forced))
            except GateRefusedError as error:
                self._tell(Decision.of(manifest, live_id=before, reason=str(error), refused=True))
                raise
            except OSError as error:
                raise PublishError(
                    f"{self.root}: cannot publish ({error}); free disk space or mend the folder's rights and "
                    "run `recsvc publish` again; the live snapshot is untouched"
                ) from error
            finally:
                shutil.rmtree(part, ignore_errors=True)
            return read_manifest(self.root / manifest.snapshot_id)

    def activate(self, snapshot_id: str) -> Manifest:
        """Makes an existing snapshot the serving one, after checking all of it; returns its manifest.

        Raises:
            SnapshotError: it is not there or cannot be used; the pointer stays where it was.
        """
        with self._locked():
            snapshot = self.open(snapshot_id)
            snapshot.close()
            self._point(snapshot_id)
            return snapshot.manifest

    def check(self, snapshot_id: str) -> Manifest:
        """Returns a snapshot's manifest after comparing its size and checksum, without mapping it.

        A process that has it mapped can check it so; LMDB refuses to map a file twice.

        Raises:
            SnapshotNotFoundError: no snapshot has that id.
            SnapshotError: it cannot be read, or is truncated or altered.
        """
        folder = self.folder(snapshot_id)
        try:
            return check_files(folder, verify=True)
        except OSError as error:
            raise SnapshotError(f"{folder} cannot be read ({error}); mend its rights") from error

    def point(self, snapshot_id: str, *, verify: bool = True) -> Manifest:
        """Makes a snapshot the serving one that the caller has opened; returns its manifest.

        Args:
            snapshot_id: the snapshot.
            verify: compare its checksum too; for a caller who has not.

        Raises:
            SnapshotError: it is not there, or is truncated or altered; the pointer stays where it was.
            PublishError: the pointer cannot be written.
        """
        with self._locked():
            manifest = self.check(snapshot_id) if verify else read_manifest(self.folder(snapshot_id))
            try:
                self._point(snapshot_id)
            except OSError as error:
                raise PublishError(
                    f"{self.root / CURRENT_FILE} cannot be written ({error}); mend the folder's rights or "
                    "free disk space"
                ) from error
            return manifest

    def prune(self, *, keep: int) -> list[str]:
        """Deletes all but the newest `keep` snapshots and the serving one; returns the deleted ids.

        Raises:
            PublishError: `keep` is below 1, or the folder refuses.
        """
        if keep < 1:
            raise PublishError(f"--keep is {keep}; keep at least 1, so that there is one to roll back to")
        with self._locked():
            ids = self.ids()
            doomed = [name for name in ids[: max(0, len(ids) - keep)] if name != self.current_id()]
            for name in doomed:
                part = self.root / f".{name}.part"  # out of the list at once, so that no half of it is
                try:
                    (self.root / name).replace(part)
                    shutil.rmtree(part)
                except OSError as error:
                    raise PublishError(f"{self.root / name} cannot be deleted ({error})") from error
            return doomed

    def _live_id(self) -> str | None:
        """Returns the serving id, None also where the pointer cannot be read."""
        try:
            return self.current_id()
        except SnapshotError:
            return None

    def _tell(self, decision: Decision) -> None:
        """Adds to the log; a disk that has just become full does not undo what is decided."""
        with suppress(OSError):
            self.log.add(decision)

    def _approved(self, part: Path, approve: Callable[[Snapshot], str] | None) -> str:
        with closing(Snapshot.open(part)) as snapshot:
            return "" if approve is None else approve(snapshot)

    def _usable(self, folder: Path) -> bool:
        try:
            Snapshot.open(folder).close()
        except SnapshotError:
            return False
        return True

    def _point(self, snapshot_id: str) -> None:
        write_atomic(self.root / CURRENT_FILE, f"{snapshot_id}\n".encode())
        _sync_folder(self.root)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = (self.root / ".lock").open("w")
        except OSError as error:
            raise PublishError(f"{self.root}: cannot be written ({error}); mend its rights") from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for stale in self.root.glob(".*.part"):  # left by a publish that was killed
                if stale.is_dir():
                    shutil.rmtree(stale, ignore_errors=True)
                else:
                    stale.unlink(missing_ok=True)
            yield


def _published_ns(folder: Path) -> int:
    try:
        return (folder / MANIFEST_FILE).stat().st_mtime_ns
    except OSError:
        return 0


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
