"""Owns reading a snapshot: open, check, and hand out views into the map."""

from __future__ import annotations

import contextlib
import math
import threading
from functools import cached_property
from pathlib import Path

import lmdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from recdata.errors import SnapshotCorruptError, SnapshotError, SnapshotFormatError, SnapshotNotFoundError
from recdata.machine_code import aligned
from recdata.places import PlaceShares
from recdata.runs import digest_file
from recdata.snapshot.checking import ARRAYS, check_arrays, check_manifest
from recdata.snapshot.columns import COMPONENT, CandidateColumns, from_arrays, stored_names
from recdata.snapshot.local import read_places
from recdata.snapshot.records import (
    FORMAT_VERSION,
    MAX_ID_BYTES,
    CandidateRecord,
    Float32s,
    ForecastRecord,
    Int32s,
    ItemRecord,
    Manifest,
    RankedList,
    UserView,
    digest_key,
    row_key,
)
from recdata.snapshot.writer import (
    CATEGORY_NAMES,
    COLUMN_NAMES,
    MANIFEST_FILE,
    OPTIONAL_SECTIONS,
    PLACE_NAMES,
    SECTIONS,
    SNAPSHOT_FILE,
    ArrayHead,
    ColumnNames,
)

_ITEM = msgspec.msgpack.Decoder(ItemRecord)
_CANDIDATE = msgspec.msgpack.Decoder(CandidateRecord)


class Snapshot:
    """One mapped snapshot. Thread-safe; views stay valid until `close`.

    Open it in the process that reads it, after any fork. Each thread has one read transaction for as long as
    the snapshot is open: the file is never written again, so nothing waits for it.
    """

    def __init__(self, folder: Path, manifest: Manifest, env: lmdb.Environment) -> None:
        self.folder = folder
        self.manifest = manifest
        self._env = env
        self._databases = {}
        for name in SECTIONS:
            with contextlib.suppress(*((lmdb.NotFoundError,) if name in OPTIONAL_SECTIONS else ())):
                self._databases[name] = env.open_db(name.encode(), create=False)
        self._local = threading.local()

    @classmethod
    def open(cls, folder: Path, *, verify: bool = True) -> Snapshot:
        """Returns the snapshot in `folder`.

        Args:
            folder: holds the LMDB file and its manifest.
            verify: also compare the file's sha256 with the manifest's (about 1 s a GB); the size and the
                format are always checked.

        Raises:
            SnapshotNotFoundError: there is no snapshot in the folder.
            SnapshotFormatError: written by another format than this version reads.
            SnapshotCorruptError: truncated or altered, or its manifest and its file contradict each other.
            SnapshotError: this process may not read it.
        """
        try:
            snapshot = cls._map(folder, verify=verify)
        except OSError as error:
            raise SnapshotError(f"{folder} cannot be read ({error}); mend its rights") from error
        try:
            snapshot._check()
        except BaseException:
            snapshot.close()
            raise
        return snapshot

    @classmethod
    def _map(cls, folder: Path, *, verify: bool) -> Snapshot:
        manifest = check_files(folder, verify=verify)
        path = folder / SNAPSHOT_FILE
        try:
            env = lmdb.open(
                str(path), subdir=False, readonly=True, lock=False, max_dbs=len(SECTIONS), readahead=False
            )
            return cls(folder, manifest, env)
        except lmdb.Error as error:
            raise SnapshotCorruptError(
                f"{path}: LMDB cannot read it ({error}); publish the run again"
            ) from error

    def _check(self) -> None:
        """Checks that what the manifest says, what the file holds and what the arrays cover are one thing."""
        with self._env.begin() as transaction:
            entries = {
                section: transaction.stat(self._databases[section])["entries"]
                for section in SECTIONS
                if section not in ("arrays", "item_rows", "candidate_columns", "places")  # counted otherwise
            }
        entries["categories"] = max(0, entries["categories"] - 1)  # the names are an entry of their own
        where = str(self.folder)
        check_manifest(self.manifest, entries, where)
        try:
            arrays = {name: self.array(name) for name in (*ARRAYS, "item_gramian")}
        except (ValueError, TypeError, msgspec.DecodeError) as error:
            raise SnapshotCorruptError(
                f"{where}: an array cannot be read ({error}); publish the run again"
            ) from error
        check_arrays(arrays, self.n_items, where)
        _ = self.candidate_columns, self.places

    def close(self) -> None:
        """Unmaps the file. No view handed out before may be touched afterwards."""
        self._env.close()

    def array(self, name: str) -> NDArray[np.generic]:
        """Returns a read-only view of a whole array.

        Raises:
            SnapshotError: the snapshot has no array of that name.
        """
        return self._array("arrays", name)

    @cached_property
    def candidate_columns(self) -> CandidateColumns:
        """Returns what candidates are found, ordered and weighed by.

        Raises:
            SnapshotError: a column is missing or unsound.
        """
        try:
            names = msgspec.msgpack.decode(
                self._get("candidate_columns", COLUMN_NAMES) or b"", type=ColumnNames
            )
            arrays = {
                name: self._array("candidate_columns", name)
                for name in (*stored_names(), *(f"{COMPONENT}{name}" for name in names.components))
            }
        except (ValueError, TypeError, msgspec.DecodeError) as error:
            raise SnapshotCorruptError(
                f"{self.folder}: the candidates' columns cannot be read ({error}); publish the run again"
            ) from error
        return from_arrays(
            arrays,
            names.words,
            components=names.components,
            n_items=self.n_items,
            count=self.manifest.counts.get("candidates", 0),
        )

    @cached_property
    def places(self) -> PlaceShares | None:
        """Returns how items' forecasts fall on channels and regions; None where it is not told.

        Raises:
            SnapshotError: an array is missing or unsound.
        """
        if "places" not in self._databases:
            return None
        names = self._get("places", PLACE_NAMES) or b""
        return read_places(names, lambda name: self._array("places", name), self.n_items)

    @cached_property
    def item_factors(self) -> Float32s:
        """Returns `(n_items, n_factors)` float32."""
        return self.array("item_factors").view(np.float32)

    @cached_property
    def item_gramian(self) -> Float32s:
        """Returns `(n_factors, n_factors)` float32, the item factors' transpose times themselves."""
        return self.array("item_gramian").view(np.float32)

    @cached_property
    def similar_rows(self) -> Int32s:
        """Returns `(n_items, k)` int32 item rows, most similar first, padded with −1."""
        return self.array("similar_rows").view(np.int32)

    @cached_property
    def similar_scores(self) -> Float32s:
        """Returns `(n_items, k)` float32 cosine similarities."""
        return self.array("similar_scores").view(np.float32)

    @cached_property
    def together_rows(self) -> Int32s:
        """Returns `(n_items, k)` int32 rows of items in the same orders, best first, padded with −1."""
        return self.array("together_rows").view(np.int32)

    @cached_property
    def together_lifts(self) -> Float32s:
        """Returns `(n_items, k)` float32 lifts, 0 as padding."""
        return self.array("together_lifts").view(np.float32)

    @cached_property
    def together_orders(self) -> Int32s:
        """Returns `(n_items, k)` int32: how many orders hold both, 0 as padding."""
        return self.array("together_orders").view(np.int32)

    @cached_property
    def item_orders(self) -> Int32s:
        """Returns `(n_items,)` int32: how many orders hold the item, of `manifest.counts["orders"]`."""
        return self.array("item_orders").view(np.int32)

    @cached_property
    def active(self) -> NDArray[np.bool_]:
        """Returns `(n_items,)` bool: not discontinued."""
        return self.array("active").view(np.bool_)

    @cached_property
    def sellable(self) -> NDArray[np.bool_]:
        """Returns `(n_items,)` bool: active and not known to be out of stock."""
        return self.array("sellable").view(np.bool_)

    @cached_property
    def price(self) -> NDArray[np.float64]:
        """Returns `(n_items,)` float64 listed prices, NaN where not known."""
        return self.array("price").view(np.float64)

    @cached_property
    def unit_cost(self) -> NDArray[np.float64]:
        """Returns `(n_items,)` float64 costs of one unit, NaN where not known."""
        return self.array("unit_cost").view(np.float64)

    @cached_property
    def stock(self) -> NDArray[np.int64]:
        """Returns `(n_items,)` int64 units, −1 where stock is not tracked."""
        return self.array("stock").view(np.int64)

    @cached_property
    def daily_demand(self) -> Float32s:
        """Returns `(n_items,)` float32: units that are expected to sell a day, NaN where not known."""
        return self.array("daily_demand").view(np.float32)

    @cached_property
    def category_codes(self) -> Int32s:
        """Returns `(n_items,)` int32: the place of the narrowest category in `categories`, −1 without one."""
        return self.array("category_codes").view(np.int32)

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Returns every category path, of any depth, ascending."""
        names = self._get("categories", CATEGORY_NAMES)
        return () if names is None else tuple(msgspec.msgpack.decode(names, type=list[str]))

    @property
    def n_items(self) -> int:
        """Returns how many items there are; rows are 0 … n_items − 1."""
        return self.manifest.counts["items"]

    def category_rows(self, category: str) -> Int32s | None:
        """Returns the ascending item rows of a category and all below it, or None if it is unknown."""
        data = self._get("categories", digest_key(category))
        return None if data is None else np.frombuffer(data, "<i4")

    def facet_rows(self, facet: str, value: str) -> Int32s | None:
        """Returns the ascending rows of the items with a facet's value, or None where no item has it.

        Facets are "brand", "channel" and "region" (the item sold there), and "attribute:NAME".
        """
        data = self._get("facets", digest_key(facet, value))
        return None if data is None else np.frombuffer(data, "<i4")

    def item_row(self, item_id: str) -> int | None:
        """Returns an item's row, or None for an unknown id."""
        key = item_id.encode(errors="replace")
        found = self._get("item_rows", key) if 0 < len(key) <= MAX_ID_BYTES else None
        return None if found is None else int.from_bytes(found, "big")

    def item(self, item_row: int) -> ItemRecord:
        """Returns an item by row.

        Raises:
            SnapshotError: no item has that row.
        """
        found = self._get("items", row_key(item_row))
        if found is None:
            raise SnapshotError(f"item row {item_row} is not in snapshot {self.manifest.snapshot_id}")
        return _ITEM.decode(found)

    def user(self, user_id: str) -> UserView | None:
        """Returns a shopper's record, or None for an unknown id."""
        key = user_id.encode(errors="replace")
        found = self._get("users", key) if 0 < len(key) <= MAX_ID_BYTES else None
        return None if found is None else UserView(found)

    def ranked_list(
        self, kind: str, window_days: int, *, category: str = "", channel: str = "", region: str = ""
    ) -> RankedList | None:
        """Returns a popularity list, or None where that segment has none; "" stands for all."""
        found = self._get("lists", digest_key(kind, window_days, category, channel, region))
        return None if found is None else RankedList.decode(found)

    def forecast(self, level: str, key: str) -> ForecastRecord | None:
        """Returns the daily forecast of a level ("total", "category", "item" …) and key, or None."""
        found = self._get("forecasts", digest_key(level, key))
        return None if found is None else ForecastRecord.decode(found)

    def candidate(self, rank: int) -> CandidateRecord | None:
        """Returns the selection candidate of a rank (1 is the best), or None past the last."""
        found = self._get("candidates", row_key(rank))
        return None if found is None else _CANDIDATE.decode(found)

    def candidate_rank(self, item_row: int) -> int | None:
        """Returns the rank of an item among the selection's candidates, None where it is none."""
        place = self.candidate_columns.place(item_row)
        return None if place is None else place + 1

    def _array(self, section: str, name: str) -> NDArray[np.generic]:
        data = self._get(section, f"{name}:data".encode())
        head = self._get(section, f"{name}:head".encode())
        if data is None or head is None:
            raise SnapshotError(f"snapshot {self.manifest.snapshot_id} has no array {name!r}; publish again")
        shape = msgspec.msgpack.decode(head, type=ArrayHead)
        array = np.frombuffer(data, np.dtype(shape.dtype), math.prod(shape.shape)).reshape(shape.shape)
        return aligned(array)  # LMDB aligns large values alone, which are the ones worth no copy

    def _get(self, section: str, key: bytes) -> memoryview | None:
        try:
            transaction = self._local.transaction
        except AttributeError:
            transaction = self._local.transaction = self._env.begin(buffers=True)
        found: memoryview | None = transaction.get(key, db=self._databases[section])
        return found


def check_files(folder: Path, *, verify: bool) -> Manifest:
    """Returns a snapshot folder's manifest, after checking the file beside it without mapping it.

    Args:
        folder: holds the LMDB file and its manifest.
        verify: compare the file's sha256 with the manifest's too; its size always is.

    Raises:
        SnapshotNotFoundError: there is no snapshot in the folder.
        SnapshotFormatError: written by another format than this version reads.
        SnapshotCorruptError: truncated or altered.
        OSError: this process may not read it.
    """
    path = folder / SNAPSHOT_FILE
    manifest = read_manifest(folder)
    if not path.is_file():
        raise SnapshotCorruptError(f"{path} is missing beside its manifest; publish the run again")
    size = path.stat().st_size
    if size != manifest.file_bytes:
        raise SnapshotCorruptError(
            f"{path} has {size} bytes, its manifest says {manifest.file_bytes}: truncated or altered; "
            "publish the run again, or `recsvc snapshots activate` an older one"
        )
    if verify and (found := digest_file(path)) != manifest.file_sha256:
        raise SnapshotCorruptError(
            f"{path} has sha256 {found[:12]}…, its manifest says {manifest.file_sha256[:12]}…: altered; "
            "publish the run again, or `recsvc snapshots activate` an older one"
        )
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Returns a snapshot folder's manifest.

    Raises:
        SnapshotNotFoundError: there is none.
        SnapshotFormatError: a newer or unknown format wrote it.
        SnapshotCorruptError: it cannot be read.
    """
    path = folder / MANIFEST_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SnapshotNotFoundError(
            f"{folder} holds no snapshot; `recsvc snapshots list` names those there are"
        ) from None
    try:
        version = msgspec.json.decode(content).get("format_version")
        if version != FORMAT_VERSION:
            raise SnapshotFormatError(
                f"{path}: format_version is {version!r}, this version reads {FORMAT_VERSION}; "
                "upgrade recsvc, or publish again with this version"
            )
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, AttributeError) as error:
        raise SnapshotCorruptError(f"{path} cannot be read ({error}); publish the run again") from error
