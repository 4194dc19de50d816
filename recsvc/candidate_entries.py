"""Owns candidates as messages and as bytes: what the day does not change is serialised once and kept."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import msgspec

from recdata.snapshot import CandidateRecord, Snapshot
from recsvc.forecast_messages import forecast_message
from recsvc.review_book import UNTOUCHED, date_message
from recsvc.v1.common_pb2 import Language
from recsvc.v1.selection_service_pb2 import (
    Candidate,
    Elasticity,
    ForecastLevel,
    LookAlike,
    ScoreComponent,
)
from recsvc.wire import RESULTS_TAG, item_message, money, varint
from recsvc.words import action_of, stage_of

#: How many candidates are kept as bytes at most, some 1.5 kB each; past it all are let go and made again.
MAX_KEPT = 20_000
#: The same of the pages of GetCandidate, some 5 kB each.
MAX_PAGES = 2_000
FORECAST_TAG = b"\x12"  # field 2 of GetCandidateResponse, length-delimited
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
        #: By place and language: whole entries of those whom nobody reviewed, and the others without review.
        self._untouched: dict[tuple[int, Language.ValueType], bytes] = {}
        self._reviewed: dict[tuple[int, Language.ValueType], bytes] = {}
        #: What GetCandidate tells: the candidate without its review, and the forecast's field.
        self._pages: dict[tuple[int, Language.ValueType], tuple[bytes, bytes]] = {}

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
            reviews: a serialised ReviewStatus for each, `UNTOUCHED` itself where nobody reviewed it; b""
                where that is not known.
            language: of the reasons.
            prices: by item row, prices that stand in for those of the snapshot.
        """
        return b"".join(self._entries(places, reviews, language, prices))

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
        entries = self._entries(places, reviews, language, prices)
        for rank, score, entry in zip(ranks, scores, entries, strict=True):
            # An entry is a tag of one byte, a length and a candidate: another tag makes it another field.
            candidate = CANDIDATE_TAG + entry[1:]
            parts.append(
                _field(RESULTS_TAG, RANK_TAG + varint(rank) + SCORE_TAG + _DOUBLE.pack(score) + candidate)
            )
        return b"".join(parts)

    def page(
        self, place: int, review: bytes, language: Language.ValueType, prices: Mapping[int, float]
    ) -> bytes:
        """Returns the `candidate` and the `forecast` of a GetCandidateResponse.

        Args:
            place: its rank less 1.
            review: its serialised ReviewStatus; b"" where that is not known.
            language: of the reasons.
            prices: by item row, prices that stand in for those of the snapshot.
        """
        repriced = bool(prices) and int(self._snapshot.candidate_columns.rows[place]) in prices
        kept = None if repriced else self._pages.get((place, language))
        if kept is None:
            made = self.message(place, language, prices, full=True)
            level, item_id = ForecastLevel.FORECAST_LEVEL_ITEM, made.item.item_id
            record = self._snapshot.forecast("item", item_id)
            forecast = b""
            if record is not None:
                message = forecast_message(level, item_id, record, record.mean.size)
                forecast = _field(FORECAST_TAG, message.SerializeToString())
            kept = made.SerializeToString(), forecast
            if not repriced:
                if len(self._pages) >= MAX_PAGES:
                    self._pages = {}
                self._pages[place, language] = kept
        body, forecast = kept
        return _reviewed(body, review) + forecast  # `candidate` has the number that `results` has in a list

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

    def _entries(
        self,
        places: Sequence[int],
        reviews: Sequence[bytes],
        language: Language.ValueType,
        prices: Mapping[int, float],
    ) -> list[bytes]:
        """Returns each candidate with its review as one entry of `results`."""
        rows, untouched = self._snapshot.candidate_columns.rows, self._untouched
        entries = []
        for place, review in zip(places, reviews, strict=True):
            if prices and int(rows[place]) in prices:
                body = self.message(place, language, prices, full=False).SerializeToString()
                entries.append(_reviewed(body, review))
            elif review is not UNTOUCHED:
                entries.append(_reviewed(self._body(place, language), review))
            else:
                entry = untouched.get((place, language))
                if entry is None:
                    body = self.message(place, language, {}, full=False).SerializeToString()
                    entry = _reviewed(body, review)
                    if len(untouched) >= self._max_kept:
                        untouched = self._untouched = {}
                    untouched[place, language] = entry
                entries.append(entry)
        return entries

    def _body(self, place: int, language: Language.ValueType) -> bytes:
        """Returns a candidate that somebody reviewed as bytes, without its review."""
        body = self._reviewed.get((place, language))
        if body is None:
            body = self.message(place, language, {}, full=False).SerializeToString()
            if len(self._reviewed) >= self._max_kept:
                self._reviewed = {}
            self._reviewed[place, language] = body
        return body

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


def _reviewed(body: bytes, review: bytes) -> bytes:
    """Returns a candidate's entry; without a review where that is not known."""
    return _field(RESULTS_TAG, body + _field(REVIEW_TAG, review) if review else body)


def _field(tag: bytes, content: bytes) -> bytes:
    """Returns a length-delimited field."""
    return tag + varint(len(content)) + content
