"""Owns the live store's file: mapping it once a process, its sections, its format version, its errors.

LMDB refuses to map a file twice in one process, so every store of one file shares one mapping.
"""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path
from typing import ClassVar

import lmdb

from recdata.errors import (
    LiveStoreError,
    LiveStoreFormatError,
    LiveStoreFullError,
    LiveStoreReadOnlyError,
    LiveStoreUnavailableError,
)
from recdata.live.records import LIVE_FORMAT_VERSION, Counters
from recdata.runs import is_disk_full

LIVE_FILE = "live.lmdb"
#: Sections that files of the first releases lack; one that may only be read goes on without them.
ADDED_SECTIONS = ("reviews", "review_ids", "reviewed")
SECTIONS = (
    *("meta", "events", "event_ids", "recent", "items", "item_log", "rules", "erasures"),
    *ADDED_SECTIONS,
)
FORMAT_KEY, COUNTERS_KEY, INTENT_KEY = b"format", b"counters", b"intent"

#: How LMDB begins each of its first two pages, of which that of the later transaction counts: magic number,
#: size of the map, size of a page, last page, transaction.
HEADER = struct.Struct("<16xI4x8xQI92xQQ")
HEADER_MAGIC = 0xBEEFC0DE

MAX_READERS = 512
#: Reading transactions kept for the next call of any thread; making one anew costs ten times as much.
SPARE_READERS = 64
#: LMDB writes changed pages anew before it frees the old ones, so that even deleting needs room. What is
#: mapped beyond `max_bytes` is for that alone.
RESERVE_BYTES = 8 << 20


class LiveFile:
    """One mapped file, shared by the stores of one process.

    Attributes:
        env: the LMDB environment.
        sections: its databases by name.
        path: the file.
        writable: whether this process may write it.
    """

    _open: ClassVar[dict[tuple[int, str], LiveFile]] = {}
    _lock = threading.Lock()

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self.path = path
        self._users = 0
        is_new = not path.exists()
        self.env, self.writable = _mapped(path, max_bytes)
        self._page_bytes = self.env.stat()["psize"]
        try:
            self._identity = _identity(path)
            self.sections = self._checked(max_bytes)
            if is_new:  # what is in a file is lost where its name in the folder is
                for folder in (path.parent, path.parent.parent):
                    sync_folder(folder)
        except BaseException:
            self.env.close()
            raise

    @classmethod
    def acquire(cls, home: Path, *, max_bytes: int) -> LiveFile:
        """Returns the file of a home folder, mapped; give it back with `release`.

        Raises:
            LiveStoreError: as `LiveStore.open` says.
        """
        path = home / "live" / LIVE_FILE
        key = (os.getpid(), os.path.realpath(path))
        with cls._lock:
            found = cls._open.get(key)
            if found is None:
                try:
                    found = cls._open[key] = cls(path, max_bytes=max_bytes)
                except (lmdb.Error, OSError) as error:
                    raise explained(path, error) from error
            found._users += 1
            return found

    def release(self) -> None:
        """Gives the file back; the last one unmaps it."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._open.pop((os.getpid(), os.path.realpath(self.path)), None)
                self.env.close()

    def check_in_place(self) -> None:
        """Checks that the file is still the one in its folder: what is written into another is lost.

        Raises:
            LiveStoreUnavailableError: it was moved away, deleted or replaced.
        """
        if _identity(self.path) != self._identity:
            raise LiveStoreUnavailableError(
                f"{self.path} was moved away or replaced; put it back, or start this process again "
                "to go on with what is there now"
            )

    def size_bytes(self) -> int:
        """Returns how large the file is, pages that wait to be used again included."""
        return (self.env.info()["last_pgno"] + 1) * self._page_bytes

    def _checked(self, max_bytes: int) -> dict[str, lmdb._Database]:
        """Returns the sections, made where they are not there, after the format was checked.

        Raises:
            LiveStoreFormatError: another version wrote the file.
            LiveStoreUnavailableError: the file is empty and may not be written.
        """
        try:
            meta = self.env.open_db(b"meta", create=self.writable)
        except (lmdb.NotFoundError, lmdb.ReadonlyError) as error:
            raise LiveStoreUnavailableError(
                f"{self.path} holds nothing yet and may not be written; mend the rights of its folder"
            ) from error
        with self.env.begin(db=meta) as transaction:
            found = transaction.get(FORMAT_KEY)
        if found is None and self.writable:
            with self.env.begin(db=meta, write=True) as transaction:  # of two at once, one finds the other's
                transaction.put(FORMAT_KEY, LIVE_FORMAT_VERSION.to_bytes(4, "big"), overwrite=False)
                found = transaction.get(FORMAT_KEY)
        version = int.from_bytes(found or b"", "big")
        if version != LIVE_FORMAT_VERSION:
            raise LiveStoreFormatError(
                f"{self.path} has format {version}, this version knows {LIVE_FORMAT_VERSION}; "
                "use the version that wrote it, or export its events with that one and move the folder away"
            )
        sections = {}
        for name in SECTIONS:
            try:
                sections[name] = self.env.open_db(name.encode(), create=self.writable)
            except (lmdb.NotFoundError, lmdb.ReadonlyError):
                if name not in ADDED_SECTIONS:
                    raise
        if self.writable:
            self.env.reader_check()  # what a killed process was reading would keep old pages for ever
            if max_bytes:
                self._limit(sections["meta"], max_bytes)
        return sections

    def _limit(self, meta: lmdb._Database, max_bytes: int) -> None:
        with self.env.begin(db=meta) as transaction:
            same = Counters.decode(transaction.get(COUNTERS_KEY)).max_bytes == max_bytes
        if same:
            return
        with self.env.begin(db=meta, write=True) as transaction:
            counters = Counters.decode(transaction.get(COUNTERS_KEY))
            counters.max_bytes = max_bytes
            transaction.put(COUNTERS_KEY, counters.encode())


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns what tells a file from every other; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_whole(path: Path) -> None:
    """Lets a file that was cut off reach as far as its header says, as one that LMDB can find damaged.

    To read a mapped page behind the end of its file kills the process, at every start again. LMDB itself
    may leave the last pages unwritten where they are not in use, so that a short file is no proof of damage.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return  # it may only be read, or LMDB says so itself
    try:
        first = os.pread(descriptor, HEADER.size, 0)
        if len(first) < HEADER.size:
            return
        magic, _, page_bytes, *_ = HEADER.unpack(first)
        second = os.pread(descriptor, HEADER.size, page_bytes)
        if magic != HEADER_MAGIC or len(second) < HEADER.size:
            return  # LMDB says so itself
        headers = (HEADER.unpack(first), HEADER.unpack(second))
        _, map_bytes, _, last_page, _ = max(headers, key=lambda header: header[-1])
        end = (last_page + 1) * page_bytes
        if os.fstat(descriptor).st_size < end <= map_bytes:
            os.posix_fallocate(descriptor, end - 1, 1)  # never cuts off what another process adds meanwhile
    finally:
        os.close(descriptor)


def _mapped(path: Path, max_bytes: int) -> tuple[lmdb.Environment, bool]:
    """Returns the environment, and whether it may be written."""
    if not max_bytes and not path.is_file():
        raise LiveStoreUnavailableError(
            f"{path} is not there: nothing was recorded in this home; give the server's --home"
        )
    size = max_bytes + RESERVE_BYTES if max_bytes else 0  # 0 takes what the file says
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return _mapped_to_read(path, size), False
    else:
        _make_whole(path)
    try:
        env = lmdb.open(
            str(path),
            subdir=False,
            map_size=size,
            max_dbs=len(SECTIONS),
            max_readers=MAX_READERS,
            max_spare_txns=SPARE_READERS,
            mode=0o660,
            readahead=False,
        )
    except lmdb.ReadonlyError:
        if not path.is_file():
            raise
        return _mapped_to_read(path, size), False
    return env, True


def _mapped_to_read(path: Path, size: int) -> lmdb.Environment:
    def opened(*, lock: bool) -> lmdb.Environment:
        return lmdb.open(
            str(path),
            subdir=False,
            readonly=True,
            lock=lock,
            map_size=size,
            max_dbs=len(SECTIONS),
            max_readers=MAX_READERS,
            max_spare_txns=SPARE_READERS,
            readahead=False,
        )

    try:
        return opened(lock=True)
    except lmdb.Error:  # the file of locks may not be written either, so nobody can be told that we read
        return opened(lock=False)


def explained(path: Path, error: Exception) -> LiveStoreError:
    """Returns the error of our tree that LMDB's or the system's is, with the remedy."""
    if isinstance(error, lmdb.MapFullError):
        return LiveStoreFullError(
            f"{path} is full; raise [serving] live_store_mb and start again, or run `recsvc events export`, "
            "which makes room of what is older than its --keep-days"
        )
    if isinstance(error, lmdb.DiskError) or is_disk_full(error):
        return LiveStoreFullError(f"{path}: the disk is full ({error}); make room and send it again")
    if isinstance(error, lmdb.ReadonlyError | PermissionError):
        return read_only(path)
    if isinstance(error, lmdb.MapResizedError):
        return LiveStoreUnavailableError(
            f"{path} was given more room by another process; start this one again with the same limit"
        )
    if isinstance(error, lmdb.InvalidError | lmdb.CorruptedError | lmdb.VersionMismatchError):
        return LiveStoreUnavailableError(
            f"{path} is damaged ({error}); move its folder away and start again; "
            "what was not exported is lost"
        )
    return LiveStoreUnavailableError(
        f"{path} cannot be used ({error}); mend it, then start this process again"
    )


def read_only(path: Path) -> LiveStoreReadOnlyError:
    """Returns the error of a write where only reading is allowed."""
    return LiveStoreReadOnlyError(
        f"{path} may only be read by this process; mend the rights of its folder and start again"
    )
