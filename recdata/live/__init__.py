"""What changes during the day: events, stock, prices, rules, erasures; one LMDB file beside the snapshots."""

from recdata.live.erasing import Erasure
from recdata.live.exporting import ExportOutcome
from recdata.live.pruning import PruneOutcome
from recdata.live.records import EventRecord, ItemChange, ItemState, RecentEntry, RuleRecord
from recdata.live.store import LiveState, LiveStore
from recdata.live.view import LiveView, Person
from recdata.live.writing import RecordOutcome

__all__ = [
    "Erasure",
    "EventRecord",
    "ExportOutcome",
    "ItemChange",
    "ItemState",
    "LiveState",
    "LiveStore",
    "LiveView",
    "Person",
    "PruneOutcome",
    "RecentEntry",
    "RecordOutcome",
    "RuleRecord",
]
