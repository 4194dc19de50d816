"""Owns candidates as messages and as bytes: what the day does not change is serialised once and kept."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import msgspec

from recdata.snapshot import CandidateRecord, Snapshot
from recsvc.review_book import date_message
from recsvc.v1.common_pb2 import Language
from recsvc.v1.selection_service_pb2 import Candidate, Elasticity, LookAlike, ScoreComponent
from recsvc.wire import RESULTS_TAG, item_message, money, varint
from recsvc.words import action_of, stage_of

#: How many candidates are kept as bytes at most, some 1.5 kB each; past it all are let go and made again.
MAX_KEPT = 20_000
REVIEW_TAG = b"\xfa\x01"  # field 31 of Candidate, length-delimited
RANK_TAG = b"\x08"  # field 1 of RescoredCandidate, varint
SCORE_TAG = b"\x11"  # field 2 of RescoredCandidate, eight bytes
CANDIDATE_TAG = b"\x1a"  # field 3 of RescoredCandidate, length-delimited
_DOUBLE = struct.Struct("<d")


class CandidateEntries:
    """The candidates of one snapshot as they are shown; thread-safe.

    Args:
        snapshot: the mapped snapshot.
        max_kept: how many are kept as bytes at most.
    """

    def __init__(self, snapshot: Snapshot, *, max_kept: int = MAX_KEPT) -> None:
        self._snapshot = snapshot
        self._currency = snapshot.manifest.currency
        self._max_kept = max_kept
        self._kept: dict[tuple[int, Language.ValueType], bytes] = {}

    def results(
        self,
        places: Sequence[int],
        reviews: Sequence[bytes],
        language: Language.ValueType,
        prices: Mapping[int, float],
    ) -> bytes:
        """Returns the `results` of a ListCandidatesResponse.

        Args:
            places: ranks less 1, in the order of the answer.
            reviews: a serialised ReviewStatus for each; b"" for none.
            language: of the reasons.
            prices: by item row, prices that stand in for those of the snapshot.
        """
        return b"".join(_field(RESULTS_TAG, body) for body in self._bodies(places, reviews, language, prices))

    def rescored(
        self,
        places: Sequence[int],
        ranks: Sequence[int],
        scores: Sequence[float],
        reviews: Sequence[bytes],
        language: Language.ValueType,
        prices: Mapping[int, float],
    ) -> bytes:
        """Returns the `results` of a RescoreCandidatesResponse; `ranks` and `scores` are the new ones."""
        parts = []
        bodies = self._bodies(places, reviews, language, prices)
        for rank, score, body in zip(ranks, scores, bodies, strict=True):
            head = RANK_TAG + varint(rank) + SCORE_TAG + _DOUBLE.pack(score)
            parts.append(_field(RESULTS_TAG, head + _field(CANDIDATE_TAG, body)))
        return b"".join(parts)

    def message(
        self, place: int, language: Language.ValueType, prices: Mapping[int, float], *, full: bool
    ) -> Candidate:
        """Returns a candidate as its message, without its review.

        Args:
            place: its rank less 1.
            language: of the reasons.
            prices: by item row, prices that stand in for those of the snapshot.
            full: with what only GetCandidate has.
        """
        record = self._snapshot.candidate(place + 1)
        if record is None:
            raise IndexError(place)  # places come from the same snapshot's columns
        made = self._message(record, language, prices)
        if full:
            made.changes.extend(record.changes_zh if language == Language.LANGUAGE_ZH else record.changes_en)
            for item_id, similarity in record.look_alikes:
                row = self._snapshot.item_row(item_id)
                title = "" if row is None else self._snapshot.item(row).title
                made.look_alikes.append(LookAlike(item_id=item_id, title=title, similarity=similarity))
        return made

    def _bodies(
        self,
        places: Sequence[int],
        reviews: Sequence[bytes],
        language: Language.ValueType,
        prices: Mapping[int, float],
    ) -> list[bytes]:
        rows, bodies = self._snapshot.candidate_columns.rows, []
        for place, review in zip(places, reviews, strict=True):
            repriced = bool(prices) and int(rows[place]) in prices
            body = None if repriced else self._kept.get((place, language))
            if body is None:
                body = self.message(place, language, prices, full=False).SerializeToString()
                if not repriced:
                    if len(self._kept) >= self._max_kept:
                        self._kept = {}
                    self._kept[place, language] = body
            bodies.append(body + _field(REVIEW_TAG, review) if review else body)
        return bodies

    def _message(
        self, record: CandidateRecord, language: Language.ValueType, prices: Mapping[int, float]
    ) -> Candidate:
        item, currency = self._snapshot.item(record.item_row), self._currency
        if record.item_row in prices:
            item = msgspec.structs.replace(item, price=prices[record.item_row])
        chinese = language == Language.LANGUAGE_ZH
        elasticity = None
        if record.elasticity is not None:
            low, high = record.elasticity_low, record.elasticity_high
            elasticity = Elasticity(value=record.elasticity, low=low, high=high)
        return Candidate(
            rank=record.rank,
            item=item_message(item, currency),
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
            reasons=record.reasons_zh if chinese else record.reasons_en,
            against=record.against_zh if chinese else record.against_en,
            hit_probability=record.hit_probability,
            hit_alarm_on=None if record.hit_alarm_on is None else date_message(record.hit_alarm_on),
            top_probability=record.top_probability,
            keep_probability=record.keep_probability,
            expected_value=money(record.expected_value, currency),
            expected_value_q10=money(record.expected_value_q10, currency),
            expected_value_q90=money(record.expected_value_q90, currency),
            price_place=record.price_place,
            elasticity=elasticity,
            discount=record.discount,
            chosen=record.chosen,
        )


def _field(tag: bytes, content: bytes) -> bytes:
    """Returns a length-delimited field."""
    return tag + varint(len(content)) + content
