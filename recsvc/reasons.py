"""Owns the full reason of each item of a list: the items behind it with their shares, or the rule."""

from __future__ import annotations

import numpy as np

from recdata.foldin import FoldedIn
from recdata.snapshot.records import Int32s
from recsvc.call import Call
from recsvc.choosing import Chosen
from recsvc.shopper import Shopper
from recsvc.v1.common_pb2 import Language, RankedItem, Reason, ReasonCode, ReasonItem, SourceType
from recsvc.wording import named

MAX_REASON_ITEMS = 3
#: Seconds that splitting the scores of a page takes at most on a busy machine.
SPLIT_SECONDS = 3e-3

#: By source: the code of a reason that leads from one item to another.
_LEADING: dict[int, ReasonCode.ValueType] = {
    SourceType.SOURCE_TYPE_SIMILAR: ReasonCode.REASON_CODE_SIMILAR_ITEM,
    SourceType.SOURCE_TYPE_BOUGHT_TOGETHER: ReasonCode.REASON_CODE_BOUGHT_TOGETHER,
}

Behind = list[tuple[int, float]]


def explained(
    call: Call, chosen: Chosen, endings: tuple[bytes, ...], language: Language.ValueType
) -> list[RankedItem]:
    """Returns the items of a list with their full reasons.

    Args:
        call: what to answer from.
        chosen: the list.
        endings: by source, the bytes of source and basic reason.
        language: of the texts.
    """
    picks = chosen.picks
    because = _by_row(picks.because)
    shares = _shares(call, chosen)
    rule_ids = {} if chosen.rules is None else chosen.rules.rule_ids(picks.rows)
    results = []
    listed = zip(picks.rows.tolist(), picks.scores.tolist(), picks.sources.tolist(), strict=True)
    for row, score, source in listed:
        entry = RankedItem.FromString(endings[source])
        entry.item.CopyFrom(call.generation.items.message(row, prices=call.catalogue.repriced))
        entry.score = score
        entry.reason.rule_id = rule_ids.get(row, "")
        if source in _LEADING and row in because:
            _tell(entry.reason, _LEADING[source], [(because[row], 0.0)], call, language)
        elif shares.get(row):
            _tell(
                entry.reason, _bought_or_seen(shares[row][0][0], chosen.shopper), shares[row], call, language
            )
        results.append(entry)
    return results


def _by_row(because: tuple[Int32s, Int32s] | None) -> dict[int, int]:
    """Returns the rows that led to items, by the items' rows."""
    if because is None:
        return {}
    return {row: seed for row, seed in zip(*(each.tolist() for each in because), strict=True) if seed >= 0}


def _shares(call: Call, chosen: Chosen) -> dict[int, Behind]:
    """Returns by row, for what collaborative filtering chose, the items behind it and their shares."""
    picks = chosen.picks
    rows = picks.rows[picks.sources == SourceType.SOURCE_TYPE_COLLABORATIVE].tolist()
    if not rows or not call.affords(SPLIT_SECONDS, "the items behind the reasons"):
        return {}
    taste = chosen.pool.taste if chosen.pool is not None and chosen.pool.taste else chosen.shopper.taste(call)
    return {} if taste is None else dict(zip(rows, _split(taste, rows), strict=True))


def _split(taste: FoldedIn, rows: list[int]) -> list[Behind]:
    """Returns for each row the items that add most to its score, and their shares of all that is added."""
    parts = taste.contributions(np.array(rows, np.int32))
    added = np.clip(parts, 0, None)
    totals = added.sum(axis=1)
    added[taste.rows[None, :] == np.array(rows)[:, None]] = 0  # an item is no reason for itself
    split: list[Behind] = []
    for part, total in zip(added, totals.tolist(), strict=True):
        best = np.argsort(-part, kind="stable")[:MAX_REASON_ITEMS]
        split.append(
            [(int(taste.rows[place]), float(part[place]) / total) for place in best if part[place] > 0]
        )
    return split


def _bought_or_seen(row: int, shopper: Shopper) -> ReasonCode.ValueType:
    if row in shopper.purchased():
        return ReasonCode.REASON_CODE_BECAUSE_YOU_BOUGHT
    return ReasonCode.REASON_CODE_BECAUSE_YOU_VIEWED


def _tell(
    reason: Reason, code: ReasonCode.ValueType, behind: Behind, call: Call, language: Language.ValueType
) -> None:
    records = [(call.generation.snapshot.item(row), share) for row, share in behind]
    reason.code = code
    reason.text = named(code, records[0][0].title or records[0][0].item_id, language)
    reason.items.extend(ReasonItem(item_id=record.item_id, share=share) for record, share in records)
