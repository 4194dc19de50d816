"""Owns what candidates are found, ordered and weighed by: one array a quantity, beside the records.

A list of candidates in another order must not read every record. So a snapshot holds the columns that
filters, orders and weights look at; a worker maps them, and all workers share the pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recdata.errors import PublishError, SnapshotCorruptError
from recdata.snapshot.checking import check_finite
from recdata.snapshot.records import CandidateRecord, Int32s

#: Quantities to order by; NaN where not known.
NUMBERS = (
    "score",
    "trend",
    "demand",
    "recent_sales",
    "revenue_at_stake",
    "repurchase_rate",
    "order_value",
    "hit_probability",
    "top_probability",
    "keep_probability",
    "expected_value",
    "price_place",
    "elasticity",
    "discount",
)
#: Quantities that every candidate has.
REQUIRED = (
    "score",
    "trend",
    "demand",
    "demand_q10",
    "demand_q90",
    "recent_sales",
    "revenue_at_stake",
    "repurchase_rate",
    "order_value",
)
#: Words to filter by, stored as codes.
WORDS = ("action", "stage")
#: Names of the arrays that are neither: the item of each candidate, and the places by item row.
ROWS, BY_ROW = "item_row", "by_row"
COMPONENT = "component:"


@dataclass(frozen=True, slots=True)
class CandidateColumns:
    """All candidates of a snapshot; every array is `(n_candidates,)`, the place is the rank less 1.

    Attributes:
        rows: int32 item rows.
        by_row: int32 places, by item row upwards.
        words: by name of `WORDS`: the words that its codes stand for.
        codes: by name of `WORDS`: uint8 places in `words`.
        numbers: by name of `NUMBERS`: float64, NaN where not known.
        components: float64 in 0..1 by the score's components, in the order in which they are shown.
    """

    rows: Int32s
    by_row: Int32s
    words: Mapping[str, Sequence[str]]
    codes: Mapping[str, NDArray[np.uint8]]
    numbers: Mapping[str, NDArray[np.float64]]
    components: Mapping[str, NDArray[np.float64]]

    def place(self, item_row: int) -> int | None:
        """Returns the place of an item among the candidates, None where it is none."""
        # A key of another type would make numpy convert, so copy, the whole column.
        at = int(np.searchsorted(self.rows, np.int32(item_row), sorter=self.by_row))
        if at == self.rows.size or self.rows[self.by_row[at]] != item_row:
            return None
        return int(self.by_row[at])


def columns_of(candidates: Sequence[CandidateRecord]) -> CandidateColumns:
    """Returns the columns of candidates that are given best first.

    Raises:
        PublishError: ranks are not 1, 2, 3 and so on, an item stands twice, components differ between
            candidates, or a component or what every candidate has is no number.
    """
    rows = np.array([each.item_row for each in candidates], np.int32)
    by_row = np.argsort(rows, kind="stable").astype(np.int32)
    names = tuple(candidates[0].components) if candidates else ()
    for place, each in enumerate(candidates):
        if each.rank != place + 1:
            raise _refused(f"candidate {place + 1} has rank {each.rank}")
        if each.components.keys() != set(names):
            raise _refused(
                f"candidate {each.rank} has the components {sorted(each.components)}, the first has "
                f"{sorted(names)}"
            )
    ascending = rows[by_row]
    twice = np.flatnonzero(ascending[1:] == ascending[:-1])
    if twice.size:
        raise _refused(f"item row {ascending[twice[0]]} is a candidate twice")
    words = {name: sorted({getattr(each, name) for each in candidates}) for name in WORDS}
    numbers = {
        name: np.array([getattr(each, name) for each in candidates], np.float64)  # None becomes NaN
        for name in NUMBERS
    }
    components = {
        name: np.array([each.components[name] for each in candidates], np.float64) for name in names
    }
    for name in REQUIRED:
        values = np.array([getattr(each, name) for each in candidates], np.float64)
        check_finite(values, f"candidates' {name}")
    for name, values in components.items():
        check_finite(values, f"candidates' component {name!r}")
    return CandidateColumns(
        rows=rows,
        by_row=by_row,
        words=words,
        codes={
            name: np.array([words[name].index(getattr(each, name)) for each in candidates], np.uint8)
            for name in WORDS
        },
        numbers=numbers,
        components=components,
    )


def stored_names() -> tuple[str, ...]:
    """Returns the names of the arrays that every snapshot has, whatever its components."""
    return (ROWS, BY_ROW, *WORDS, *NUMBERS)


def arrays_of(columns: CandidateColumns) -> dict[str, NDArray[np.generic]]:
    """Returns columns as arrays by the name that they are stored under."""
    components = {f"{COMPONENT}{name}": values for name, values in columns.components.items()}
    return {ROWS: columns.rows, BY_ROW: columns.by_row, **columns.codes, **columns.numbers, **components}


def from_arrays(
    arrays: Mapping[str, NDArray[np.generic]],
    words: Mapping[str, Sequence[str]],
    *,
    components: Sequence[str],
    n_items: int,
    count: int,
) -> CandidateColumns:
    """Returns the columns that arrays hold.

    Args:
        arrays: by the name that they are stored under.
        words: by name of `WORDS`.
        components: their names in the order in which they are shown.
        n_items: how many items the snapshot has.
        count: how many candidates it has.

    Raises:
        SnapshotCorruptError: an array is missing, or has not one sound value a candidate.
    """
    kinds = dict.fromkeys((ROWS, BY_ROW), np.dtype(np.int32)) | dict.fromkeys(WORDS, np.dtype(np.uint8))
    for name, values in arrays.items():
        kind = kinds.get(name, np.dtype(np.float64))
        if values.dtype != kind or values.shape != (count,):
            raise _corrupt(f"{name} is {values.dtype} {values.shape}, not {kind} for each of {count}")
    if not words.keys() >= set(WORDS):
        raise _corrupt(f"words are told of {sorted(words)} only")
    columns = CandidateColumns(
        rows=arrays[ROWS].view(np.int32),
        by_row=arrays[BY_ROW].view(np.int32),
        words={name: tuple(words[name]) for name in WORDS},
        codes={name: arrays[name].view(np.uint8) for name in WORDS},
        numbers={name: arrays[name].view(np.float64) for name in NUMBERS},
        components={name: arrays[f"{COMPONENT}{name}"].view(np.float64) for name in components},
    )
    bounds = {ROWS: n_items, BY_ROW: count} | {name: len(columns.words[name]) for name in WORDS}
    for name, limit in bounds.items():
        column = arrays[name]
        if count and not 0 <= int(column.min()) <= int(column.max()) < limit:
            raise _corrupt(f"{name} goes from {column.min()} to {column.max()}, past {limit}")
    return columns


def _refused(what: str) -> PublishError:
    return PublishError(
        f"the snapshot was not written: {what}; delete the run folder and run again; "
        "the live snapshot is untouched"
    )


def _corrupt(what: str) -> SnapshotCorruptError:
    return SnapshotCorruptError(f"the candidates' columns are unsound: {what}; publish the run again")
