"""Owns finding selection candidates by category, action and stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recdata.snapshot import CandidateRecord, Snapshot
from recsvc.v1.common_pb2 import Item, Language
from recsvc.v1.selection_service_pb2 import Candidate, LifecycleStage, ScoreComponent, SelectionAction
from recsvc.wire import money


def action_of(name: str) -> SelectionAction.ValueType:
    """Returns the action of a record's word; an unknown word is UNSPECIFIED."""
    value = SelectionAction.DESCRIPTOR.values_by_name.get(f"SELECTION_ACTION_{name.upper()}")
    return (
        SelectionAction.SELECTION_ACTION_UNSPECIFIED if value is None else SelectionAction.Value(value.name)
    )


def stage_of(name: str) -> LifecycleStage.ValueType:
    """Returns the stage of a record's word; an unknown word is UNSPECIFIED."""
    value = LifecycleStage.DESCRIPTOR.values_by_name.get(f"LIFECYCLE_STAGE_{name.upper()}")
    return LifecycleStage.LIFECYCLE_STAGE_UNSPECIFIED if value is None else LifecycleStage.Value(value.name)


@dataclass(frozen=True, slots=True)
class _Columns:
    """What filters look at, by rank: three arrays of `(n_candidates,)`."""

    rows: NDArray[np.int32]
    actions: NDArray[np.uint8]
    stages: NDArray[np.uint8]


class CandidateIndex:
    """Which ranks match which filter; three small arrays over all candidates of a snapshot.

    They are made at their first use: a new snapshot must answer at once, and must not hold up the calls that
    the one before it still answers.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @cached_property
    def _columns(self) -> _Columns:
        count = self._snapshot.manifest.counts.get("candidates", 0)
        records = map(self._snapshot.candidate, range(1, count + 1))
        known = [
            (record.item_row, action_of(record.action), stage_of(record.stage))
            for record in records
            if record is not None
        ]
        table = np.array(known, np.int32).reshape(-1, 3)
        return _Columns(table[:, 0], table[:, 1].astype(np.uint8), table[:, 2].astype(np.uint8))

    def ranks(
        self,
        *,
        category_rows: NDArray[np.int32] | None,
        action: SelectionAction.ValueType,
        stage: LifecycleStage.ValueType,
    ) -> NDArray[np.int64]:
        """Returns the ranks that match, ascending; rank 1 is the best.

        Args:
            category_rows: item rows of the category asked for; None for all.
            action: UNSPECIFIED for any.
            stage: UNSPECIFIED for any.
        """
        columns = self._columns
        keep = np.ones(columns.rows.size, np.bool_)
        if category_rows is not None:
            keep &= np.isin(columns.rows, category_rows)
        if action:
            keep &= columns.actions == action
        if stage:
            keep &= columns.stages == stage
        return np.flatnonzero(keep) + 1


def candidate_message(
    record: CandidateRecord, item: Item, currency: str, language: Language.ValueType
) -> Candidate:
    """Returns one candidate as its message.

    Args:
        record: the nightly job's.
        item: with the price of now.
        currency: ISO 4217 code of the snapshot's amounts.
        language: of the reasons.
    """
    return Candidate(
        rank=record.rank,
        item=item,
        action=action_of(record.action),
        stage=stage_of(record.stage),
        score=record.score,
        trend=record.trend,
        demand=record.demand,
        demand_q10=record.demand_q10,
        demand_q90=record.demand_q90,
        recent_sales=record.recent_sales,
        revenue_at_stake=money(record.revenue_at_stake, currency),
        repurchase_rate=record.repurchase_rate,
        order_value=money(record.order_value, currency),
        price_band=record.price_band,
        components=[ScoreComponent(name=name, value=value) for name, value in record.components.items()],
        reasons=record.reasons_zh if language == Language.LANGUAGE_ZH else record.reasons_en,
    )
