"""What changes during the day: events, items, rules, reviews, erasures; one LMDB file for all processes."""

from recdata.live.erasing import Erasure
from recdata.live.exporting import ExportOutcome
from recdata.live.pruning import PruneOutcome
from recdata.live.records import EventRecord, ItemChange, ItemState, RecentEntry, RuleRecord
from recdata.live.reviewing import DECISIONS, ReviewRecord, Reviews, ReviewState
from recdata.live.store import LiveState, LiveStore
from recdata.live.view import LiveView, Person
from recdata.live.writing import RecordOutcome

__all__ = [
    "DECISIONS",
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
    "ReviewRecord",
    "ReviewState",
    "Reviews",
    "RuleRecord",
]
