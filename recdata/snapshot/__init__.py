"""The snapshot: one immutable LMDB file that the nightly job writes and the server maps."""

from recdata.snapshot.reader import Snapshot
from recdata.snapshot.records import (
    CandidateRecord,
    FoldIn,
    ForecastRecord,
    ItemRecord,
    Manifest,
    RankedList,
    UserRecord,
    UserView,
)
from recdata.snapshot.writer import SnapshotWriter

__all__ = [
    "CandidateRecord",
    "FoldIn",
    "ForecastRecord",
    "ItemRecord",
    "Manifest",
    "RankedList",
    "Snapshot",
    "SnapshotWriter",
    "UserRecord",
    "UserView",
]
