"""Owns the records inside a snapshot and how each becomes bytes.

Numbers are little-endian. Every record is either msgpack of a struct below, or a fixed header
followed by raw arrays, so that a reader makes views and no copies. `FORMAT_VERSION` is raised whenever
a reader of the old format would misread the new one.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from recdata.snapshot.heads import Head, heads_compiled

FORMAT_VERSION = 4

#: LMDB keys hold 511 bytes at most; ids are limited well below by the import.
MAX_ID_BYTES = 256

# Made once: a user is decoded in every call, and numpy reads a dtype's name anew each time.
_F4, _I4, _U1 = np.dtype("<f4"), np.dtype("<i4"), np.dtype("u1")
#: user_row, tier, then how many factors, purchased, ranked and interacted rows there are.
_USER_HEADER = struct.Struct("<6i")

Int32s = NDArray[np.int32]
Float32s = NDArray[np.float32]


class Source(IntEnum):
    """Where a ranked item comes from; the numbers are stored, so they never change meaning."""

    UNSPECIFIED = 0
    COLLABORATIVE = 1  # alternating least squares
    REPEAT = 2  # the shopper's own repeat purchases
    SIMILAR = 3
    BESTSELLER = 4
    TRENDING = 5
    NEW = 7  # launched lately, matched by its traits; 6 is the wire's


class FoldIn(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to compute a shopper's vector as the training did; see `recdata.foldin`."""

    penalty: float  # on the squared length of a vector whose pairs have a weight of 1 in all
    alpha: float  # confidence of a weight of 1
    event_weights: dict[str, float]  # weight of one event of today, by event type
    bm25_k1: float = 0.0  # 0 where weights are taken as they are
    n_sold: int = 0  # items with any interaction, for bm25's rarity and the weight of all pairs
    frequency_scaling: float = 0.0  # power of that weight in the penalty; 0 is one penalty for everybody


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot says of itself; stored beside the file as `manifest.json`."""

    snapshot_id: str
    format_version: int
    as_of: date
    created_at: datetime
    currency: str
    counts: dict[str, int]
    windows: dict[str, list[int]]  # popularity kind -> window lengths in days, longest first
    file_bytes: int
    file_sha256: str
    metrics: dict[str, float] = {}
    lineage: dict[str, str] = {}
    fold_in: FoldIn | None = None  # None where the model cannot take in new events
    catalogue_at: datetime | None = None  # when the catalogue was imported; live updates after it hold
    erasures_applied: int = 0  # erasures up to this number are in no section
    business_timezone: str = "UTC"  # IANA name of the zone whose midnight ends a business day
    forced: str = ""  # why it was published though the gate refused it; "" where the gate let it pass


class ItemRecord(msgspec.Struct, frozen=True, array_like=True):
    """One item as shown; price in the manifest's currency, None where unknown."""

    item_id: str
    title: str
    category: str
    brand: str
    price: float | None
    stock: int | None
    status: str
    launched_on: date | None


class CandidateRecord(msgspec.Struct, frozen=True, array_like=True):
    """One selection candidate: the SELECTION artefact's row with its JSON opened; None where not known.

    `chosen` is the ASSORTMENT artefact's: whether the item is in the assortment that was solved for.
    """

    rank: int
    item_row: int
    category: str
    action: str
    stage: str
    score: float
    trend: float
    demand: float
    demand_q10: float
    demand_q90: float
    recent_sales: float
    revenue_at_stake: float
    repurchase_rate: float
    order_value: float
    price_band: str
    components: dict[str, float]
    reasons_zh: list[str]
    reasons_en: list[str]
    against_zh: list[str] = []
    against_en: list[str] = []
    changes_zh: list[str] = []
    changes_en: list[str] = []
    hit_probability: float | None = None
    hit_alarm_on: date | None = None
    top_probability: float | None = None
    keep_probability: float | None = None
    expected_value: float | None = None
    expected_value_q10: float | None = None
    expected_value_q90: float | None = None
    price_place: float | None = None
    elasticity: float | None = None
    elasticity_low: float | None = None
    elasticity_high: float | None = None
    discount: float | None = None
    look_alikes: list[tuple[str, float]] = []
    chosen: bool | None = None


class UserRecord(msgspec.Struct, frozen=True):
    """One shopper, to be written.

    Attributes:
        user_row: row in the nightly job's user table.
        tier: membership tier's code; 0 until customer tiers are computed.
        factors: `(n_factors,)` float32.
        purchased_rows: `(n_purchased,)` int32, ascending: everything ever bought.
        purchased_days: `(n_purchased,)` int32, the last day each was bought, in days since 1970-01-01.
        ranked_rows: `(n_ranked,)` int32, best first.
        ranked_scores: `(n_ranked,)` float32.
        ranked_sources: `(n_ranked,)` uint8, `Source` codes.
        interacted_rows: `(n_interacted,)` int32, ascending: the items that made the factors.
        confidences: `(n_interacted,)` float32, the confidence of each in the model, above 0.
    """

    user_row: int
    tier: int
    factors: Float32s
    purchased_rows: Int32s
    purchased_days: Int32s
    ranked_rows: Int32s
    ranked_scores: Float32s
    ranked_sources: NDArray[np.uint8]
    interacted_rows: Int32s
    confidences: Float32s

    def encode(self) -> bytes:
        """Returns the record's bytes: six int32 of header, then the arrays, those of most calls first."""
        return b"".join(
            (
                _USER_HEADER.pack(
                    self.user_row,
                    self.tier,
                    self.factors.size,
                    self.purchased_rows.size,
                    self.ranked_rows.size,
                    self.interacted_rows.size,
                ),
                self.ranked_rows.astype("<i4", copy=False).tobytes(),
                self.ranked_scores.astype("<f4", copy=False).tobytes(),
                self.purchased_rows.astype("<i4", copy=False).tobytes(),
                self.purchased_days.astype("<i4", copy=False).tobytes(),
                self.factors.astype("<f4", copy=False).tobytes(),
                self.interacted_rows.astype("<i4", copy=False).tobytes(),
                self.confidences.astype("<f4", copy=False).tobytes(),
                self.ranked_sources.astype("u1", copy=False).tobytes(),
                np.isin(self.ranked_rows, self.purchased_rows, invert=True).tobytes(),
            )
        )


class UserView:
    """One shopper as written; an array is a read-only view into the map, made when it is asked for.

    The arrays are those of `UserRecord`, and `ranked_fresh`; most calls need the ranked ones alone.

    Args:
        buffer: the record's bytes; it must outlive the view and all that it hands out.
    """

    __slots__ = ("_buffer", "_n", "tier", "user_row")

    def __init__(self, buffer: memoryview | bytes) -> None:
        self._buffer = buffer
        self.user_row, self.tier, *self._n = _USER_HEADER.unpack_from(buffer)

    @property
    def ranked_rows(self) -> Int32s:
        """Returns `(n_ranked,)` int32, best first."""
        return np.frombuffer(self._buffer, _I4, self._n[2], _USER_HEADER.size)

    @property
    def ranked_scores(self) -> Float32s:
        """Returns `(n_ranked,)` float32."""
        return np.frombuffer(self._buffer, _F4, self._n[2], _USER_HEADER.size + 4 * self._n[2])

    @property
    def purchased_rows(self) -> Int32s:
        """Returns `(n_purchased,)` int32, ascending: everything ever bought."""
        return np.frombuffer(self._buffer, _I4, self._n[1], self._words(2 * self._n[2]))

    @property
    def purchased_days(self) -> Int32s:
        """Returns `(n_purchased,)` int32, the last day each was bought, in days since 1970-01-01."""
        return np.frombuffer(self._buffer, _I4, self._n[1], self._words(2 * self._n[2] + self._n[1]))

    @property
    def factors(self) -> Float32s:
        """Returns `(n_factors,)` float32."""
        return np.frombuffer(self._buffer, _F4, self._n[0], self._words(2 * (self._n[2] + self._n[1])))

    @property
    def interacted_rows(self) -> Int32s:
        """Returns `(n_interacted,)` int32, ascending: the items that made the factors."""
        at = 2 * (self._n[2] + self._n[1]) + self._n[0]
        return np.frombuffer(self._buffer, _I4, self._n[3], self._words(at))

    @property
    def confidences(self) -> Float32s:
        """Returns `(n_interacted,)` float32, the confidence of each in the model, above 0."""
        at = 2 * (self._n[2] + self._n[1]) + self._n[0] + self._n[3]
        return np.frombuffer(self._buffer, _F4, self._n[3], self._words(at))

    @property
    def ranked_sources(self) -> NDArray[np.uint8]:
        """Returns `(n_ranked,)` uint8, `Source` codes."""
        return np.frombuffer(self._buffer, _U1, self._n[2], self._marks())

    @property
    def ranked_fresh(self) -> NDArray[np.bool_]:
        """Returns `(n_ranked,)` bool: what was never bought."""
        return np.frombuffer(self._buffer, np.bool_, self._n[2], self._marks() + self._n[2])

    def head(self, allowed: NDArray[np.bool_], limit: int, *, fresh_only: bool) -> Head:
        """Returns the first ranked items that are allowed.

        Args:
            allowed: `(n_items,)`.
            limit: how many items.
            fresh_only: whether to leave out what was bought.

        Returns:
            `(n,)` int32 rows, `(n,)` float32 scores, `(n,)` uint8 sources.

        Raises:
            IndexError: a row is that of no item.
        """
        record = np.frombuffer(self._buffer, _U1)
        n_ranked = self._n[2]
        room = min(limit, n_ranked)
        rows, scores, sources = np.empty(room, np.int32), np.empty(room, np.float32), np.empty(room, np.uint8)
        count = heads_compiled()(
            record, _USER_HEADER.size, n_ranked, self._marks(), allowed, fresh_only, rows, scores, sources
        )
        return (rows, scores, sources) if count == room else (rows[:count], scores[:count], sources[:count])

    def _words(self, count: int) -> int:
        """Returns the byte at which the word after so many begins."""
        return _USER_HEADER.size + 4 * count

    def _marks(self) -> int:
        """Returns the byte at which the sources begin."""
        n_factors, n_purchased, n_ranked, n_interacted = self._n
        return self._words(2 * (n_ranked + n_purchased + n_interacted) + n_factors)


@dataclass(frozen=True, slots=True)
class RankedList:
    """A list for everybody: rows best first, `(n,)` int32, scores float32, distinct buyers int32."""

    rows: Int32s
    scores: Float32s
    buyers: Int32s

    def encode(self) -> bytes:
        """Returns the count, then the three arrays."""
        return b"".join(
            (
                np.int32(self.rows.size).tobytes(),
                self.rows.astype("<i4", copy=False).tobytes(),
                self.scores.astype("<f4", copy=False).tobytes(),
                self.buyers.astype("<i4", copy=False).tobytes(),
            )
        )

    @classmethod
    def decode(cls, buffer: memoryview | bytes) -> RankedList:
        """Returns views into `buffer`; it must outlive the list."""
        size = int(np.frombuffer(buffer, "<i4", 1)[0])
        return cls(
            np.frombuffer(buffer, "<i4", size, 4),
            np.frombuffer(buffer, "<f4", size, 4 + 4 * size),
            np.frombuffer(buffer, "<i4", size, 4 + 8 * size),
        )


class _ForecastHead(msgspec.Struct, frozen=True, array_like=True):
    first_day: date
    method: str
    days: int


@dataclass(frozen=True, slots=True)
class ForecastRecord:
    """Daily demand in units from `first_day` on; three `(horizon,)` float32 arrays."""

    first_day: date
    method: str
    mean: Float32s
    q10: Float32s
    q90: Float32s

    def encode(self) -> bytes:
        """Returns the head's length, the head, then the three arrays."""
        head = msgspec.msgpack.encode(_ForecastHead(self.first_day, self.method, self.mean.size))
        arrays = (part.astype("<f4", copy=False).tobytes() for part in (self.mean, self.q10, self.q90))
        return b"".join((np.int32(len(head)).tobytes(), head, *arrays))

    @classmethod
    def decode(cls, buffer: memoryview | bytes) -> ForecastRecord:
        """Returns views into `buffer`; it must outlive the record."""
        length = int(np.frombuffer(buffer, "<i4", 1)[0])
        head = msgspec.msgpack.decode(buffer[4 : 4 + length], type=_ForecastHead)
        at, days = 4 + length, head.days
        mean, q10, q90 = (np.frombuffer(buffer, "<f4", days, at + 4 * days * part) for part in range(3))
        return cls(head.first_day, head.method, mean, q10, q90)


def digest_key(*parts: object) -> bytes:
    """Returns the 16-byte key of a list or forecast; paths may be longer than an LMDB key."""
    return hashlib.blake2b(
        "\x1f".join(str(part) for part in parts).encode(), digest_size=16, usedforsecurity=False
    ).digest()


def row_key(row: int) -> bytes:
    """Returns the key of a row: four bytes, big-endian, so that keys sort as rows do."""
    return row.to_bytes(4, "big")


def packed(record: Any) -> bytes:  # noqa: ANN401 - any of the structs above
    """Returns the msgpack of a struct."""
    return msgspec.msgpack.encode(record)
