"""Owns writing a snapshot file: sorted sections in, one LMDB file and its manifest out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from types import TracebackType

import lmdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from recdata.errors import PublishError
from recdata.places import PlaceShares
from recdata.runs import digest_file, write_atomic
from recdata.snapshot.checking import FINITE, PADDED_ROWS, RowCheck, check_finite, check_lengths
from recdata.snapshot.columns import arrays_of, columns_of
from recdata.snapshot.local import names_of, place_arrays
from recdata.snapshot.records import (
    FORMAT_VERSION,
    CandidateRecord,
    FoldIn,
    ForecastRecord,
    ItemRecord,
    Manifest,
    RankedList,
    UserRecord,
    digest_key,
    packed,
    row_key,
)

SNAPSHOT_FILE = "snapshot.mdb"
MANIFEST_FILE = "manifest.json"
SECTIONS = (
    "arrays",
    "items",
    "item_rows",
    "categories",
    "facets",
    "users",
    "lists",
    "forecasts",
    "candidates",
    "candidate_columns",
    "places",
)
#: Sections that a snapshot may lack: they came later, and what they serve is refused without them.
OPTIONAL_SECTIONS = ("places",)
CATEGORY_NAMES = b"names"
COLUMN_NAMES = b"names"
PLACE_NAMES = b"names"
BATCH = 10_000
# A value this long gets pages of its own, so that its bytes are aligned for a view.
ALIGNED_BYTES = 4096
# Virtual, not used: LMDB's file is only as long as the pages that are written.
MAP_BYTES = 1 << 40


class ArrayHead(msgspec.Struct, frozen=True, array_like=True):
    """How an array's bytes are read: numpy dtype string and shape."""

    dtype: str
    shape: tuple[int, ...]


class ColumnNames(msgspec.Struct, frozen=True, array_like=True):
    """What the candidates' columns cannot say in numbers: their codes' words, and the components in order."""

    words: dict[str, list[str]]
    components: list[str]


class SnapshotWriter:
    """Writes one snapshot into an empty folder; leave the block by an error and nothing is promised.

    The snapshot id is a hash over every key and value in order, so equal content gives an equal id. Each
    section is given once, whole; items by item_row, users in ascending order of user_id's bytes.

    Raises:
        PublishError: the disk is full or refuses, or what is given contradicts itself: rows without an item,
            arrays of different lengths, scores or factors that are no numbers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digest = hashlib.sha256()
        self._counts: dict[str, int] = {}
        self._windows: dict[str, list[int]] = {}
        self._rows = RowCheck()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._env = lmdb.open(
                str(folder / SNAPSHOT_FILE),
                map_size=MAP_BYTES,
                subdir=False,
                lock=False,
                sync=False,
                max_dbs=len(SECTIONS),
            )
        except (OSError, lmdb.Error) as error:
            raise _refused(folder, error) from error

    def __enter__(self) -> SnapshotWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._env.close()

    def write_arrays(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Stores whole arrays, each as one value that a reader views without copying."""
        entries: list[tuple[bytes, bytes]] = []
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            if name in FINITE:
                check_finite(array, name)
            if name in PADDED_ROWS:
                self._rows.see(array, name, lowest_allowed=-1)  # -1 pads
            entries += _array_entries(name, array)
        self._put("arrays", sorted(entries))

    def write_items(self, items: Iterable[ItemRecord]) -> None:
        """Stores items; the position is the item_row. Item ids must ascend."""
        rows: list[tuple[bytes, bytes]] = []
        ids: list[tuple[bytes, bytes]] = []
        for row, item in enumerate(items):
            rows.append((row_key(row), packed(item)))
            ids.append((item.item_id.encode(), row_key(row)))
        self._put("items", rows)
        self._put("item_rows", sorted(ids))
        self._counts["items"] = len(rows)

    def write_categories(self, categories: Mapping[str, NDArray[np.int32]]) -> None:
        """Stores, for every category path at any depth, the ascending rows of the items in it and below."""
        names = sorted(categories)
        for name in names:
            self._rows.see(categories[name], f"category {name!r}")
        entries = [(digest_key(name), categories[name].astype("<i4").tobytes()) for name in names]
        entries.append((CATEGORY_NAMES, packed(names)))
        self._put("categories", sorted(entries))
        self._counts["categories"] = len(names)

    def write_facets(self, facets: Mapping[tuple[str, str], NDArray[np.int32]]) -> None:
        """Stores, by (facet, value), the ascending rows of the items that have it.

        Facets are "brand", "channel" and "region" (the item sold there), and "attribute:NAME".
        """
        for key, rows in facets.items():
            self._rows.see(rows, f"facet {key}")
        entries = sorted((digest_key(*key), rows.astype("<i4").tobytes()) for key, rows in facets.items())
        self._counts["facets"] = self._put("facets", entries)

    def write_users(self, users: Iterable[tuple[str, UserRecord]]) -> None:
        """Stores users in ascending order of their id's bytes."""
        self._counts["users"] = self._put(
            "users", ((user_id.encode(), self._checked(user_id, user).encode()) for user_id, user in users)
        )

    def write_lists(self, lists: Mapping[tuple[str, int, str, str, str], RankedList]) -> None:
        """Stores popularity lists by (kind, window_days, category, channel, region)."""
        for key, value in lists.items():
            where = f"list {key}"
            check_lengths(where, rows=value.rows, scores=value.scores, buyers=value.buyers)
            check_finite(value.scores, f"{where}.scores")
            self._rows.see(value.rows, where)
        for kind, window_days, *_ in lists:
            windows = self._windows.setdefault(kind, [])
            if window_days not in windows:
                windows.append(window_days)
        for windows in self._windows.values():
            windows.sort(reverse=True)
        entries = sorted((digest_key(*key), value.encode()) for key, value in lists.items())
        self._counts["lists"] = self._put("lists", entries)

    def write_forecasts(self, forecasts: Mapping[tuple[str, str], ForecastRecord]) -> None:
        """Stores daily forecasts by (level, key)."""
        for key, value in forecasts.items():
            check_lengths(f"forecast {key}", mean=value.mean, q10=value.q10, q90=value.q90)
        entries = sorted((digest_key(*key), value.encode()) for key, value in forecasts.items())
        self._counts["forecasts"] = self._put("forecasts", entries)

    def write_places(self, shares: PlaceShares) -> None:
        """Stores how items' forecasts fall on channels and regions; the items are stored before.

        Raises:
            PublishError: as `recdata.snapshot.local.place_arrays` says.
        """
        arrays = place_arrays(shares, self._counts["items"])
        stored = [(PLACE_NAMES, packed(names_of(shares)))]
        for name, array in arrays.items():
            stored += _array_entries(name, array)
        self._put("places", sorted(stored))

    def write_candidates(self, candidates: Iterable[CandidateRecord]) -> None:
        """Stores selection candidates, best first, with ranks 1, 2, 3 and so on, and their columns.

        Raises:
            PublishError: as `recdata.snapshot.columns.columns_of` says.
        """
        ranked = list(candidates)
        columns = columns_of(ranked)
        self._rows.see(np.array([candidate.item_row for candidate in ranked], np.int32), "a candidate")
        entries = ((row_key(candidate.rank), packed(candidate)) for candidate in ranked)
        self._counts["candidates"] = self._put("candidates", entries)
        words = {name: list(words) for name, words in columns.words.items()}
        stored = [(COLUMN_NAMES, packed(ColumnNames(words, list(columns.components))))]
        for name, array in arrays_of(columns).items():
            stored += _array_entries(name, array)
        self._put("candidate_columns", sorted(stored))

    def finish(
        self,
        *,
        as_of: date,
        created_at: datetime,
        currency: str,
        metrics: Mapping[str, float],
        lineage: Mapping[str, str],
        orders: int = 0,
        fold_in: FoldIn | None = None,
        catalogue_at: datetime | None = None,
        erasures_applied: int = 0,
        business_timezone: str = "UTC",
    ) -> Manifest:
        """Closes the file, makes it durable, writes the manifest beside it and returns it.

        Args:
            as_of: first day that is not in the data.
            created_at: now.
            currency: ISO 4217 code of every price.
            metrics: what was measured of it.
            lineage: what it was made from.
            orders: how many orders the bought-together lists were counted in.
            fold_in: what it takes to compute a vector; None where there is no model.
            catalogue_at: when the catalogue was imported; live updates made later hold over it.
            erasures_applied: the number of the last erasure that the data are without.
            business_timezone: IANA name of the zone whose midnight ends a business day.
        """
        self._rows.finish(self._counts.get("items", 0))
        self._counts["orders"] = orders
        folding = "" if fold_in is None else msgspec.json.encode(fold_in).decode()
        # A later erasure is a new snapshot, even of a person whom the data do not know: the manifest of an
        # equal one that lies there already would go on saying that it is not applied.
        said = (FORMAT_VERSION, as_of, currency, orders, folding, erasures_applied, business_timezone)
        self._digest.update(" ".join(map(str, said)).encode())
        path = self._folder / SNAPSHOT_FILE
        try:
            self._env.sync(True)
            self._env.close()
            manifest = Manifest(
                snapshot_id=f"{as_of:%Y%m%d}-{self._digest.hexdigest()[:12]}",
                format_version=FORMAT_VERSION,
                as_of=as_of,
                created_at=created_at,
                currency=currency,
                counts=self._counts,
                windows=self._windows,
                file_bytes=path.stat().st_size,
                file_sha256=digest_file(path),
                metrics=dict(metrics),
                lineage=dict(lineage),
                fold_in=fold_in,
                catalogue_at=catalogue_at,
                erasures_applied=erasures_applied,
                business_timezone=business_timezone,
            )
            write_manifest(self._folder, manifest)
        except (OSError, lmdb.Error) as error:
            raise _refused(self._folder, error) from error
        return manifest

    def _checked(self, user_id: str, user: UserRecord) -> UserRecord:
        where = f"user {user_id!r}"
        check_lengths(
            where,
            ranked_rows=user.ranked_rows,
            ranked_scores=user.ranked_scores,
            ranked_sources=user.ranked_sources,
        )
        check_lengths(where, purchased_rows=user.purchased_rows, purchased_days=user.purchased_days)
        check_lengths(where, interacted_rows=user.interacted_rows, confidences=user.confidences)
        check_finite(user.factors, f"{where} factors")
        check_finite(user.ranked_scores, f"{where} ranked_scores")
        check_finite(user.confidences, f"{where} confidences")
        for rows in (user.purchased_rows, user.ranked_rows, user.interacted_rows):
            self._rows.see(rows, where)
        return user

    def _put(self, section: str, entries: Iterable[tuple[bytes, bytes]]) -> int:
        """Appends sorted entries in batches, so that no transaction holds more than `BATCH` of them."""
        count = 0
        self._digest.update(section.encode())
        try:
            database = self._env.open_db(section.encode())
            batch: list[tuple[bytes, bytes]] = []
            for key, value in entries:
                for part in (key, value):
                    self._digest.update(len(part).to_bytes(8, "little"))
                    self._digest.update(part)
                batch.append((key, value))
                count += 1
                if len(batch) == BATCH:
                    self._append(database, batch)
                    batch = []
            self._append(database, batch)
        except (OSError, lmdb.Error) as error:
            raise _refused(self._folder, error) from error
        return count

    def _append(self, database: lmdb._Database, batch: list[tuple[bytes, bytes]]) -> None:
        if not batch:
            return
        with self._env.begin(write=True, db=database) as transaction, transaction.cursor() as cursor:
            _, added = cursor.putmulti(batch, append=True, overwrite=False)
        if added != len(batch):
            raise PublishError(
                f"{self._folder}: keys are repeated or do not ascend between {batch[0][0]!r} and "
                f"{batch[-1][0]!r}; delete the run folder and run again"
            )


def _array_entries(name: str, array: NDArray[np.generic]) -> list[tuple[bytes, bytes]]:
    """Returns the two entries of an array: its bytes, and how they are read."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return [
        (f"{name}:data".encode(), little.tobytes().ljust(ALIGNED_BYTES, b"\0")),
        (f"{name}:head".encode(), packed(ArrayHead(little.dtype.str, little.shape))),
    ]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes a manifest into a snapshot's folder, atomically.

    Raises:
        OSError: the disk refuses.
    """
    write_atomic(folder / MANIFEST_FILE, msgspec.json.format(msgspec.json.encode(manifest)))


def _refused(folder: Path, error: Exception) -> PublishError:
    return PublishError(
        f"{folder}: the snapshot could not be written ({error}); free disk space or mend the folder's rights "
        "and run `recsvc publish` again; the live snapshot is untouched"
    )
