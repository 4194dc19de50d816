"""Owns leaving erased people out of a run: the ledger as the run saw it, and whose rows it takes away.

The live store's ledger knows a person by a digest and never by an id, and so does the copy in the run
folder.  What the same id does after its erasure is a new beginning and counts.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl

from recdata.live.environment import LIVE_FILE
from recdata.live.records import person_digest
from recdata.live.store import LiveStore
from recdata.runs import RunFolder, write_atomic

LEDGER_NAME = "erasures.json"
ERASED_AT = "_erased_at"
ERASED: dict[str, pl.DataType] = {"user_id": pl.String(), ERASED_AT: pl.Datetime("us", "UTC")}


class Ledger(msgspec.Struct, frozen=True):
    """Every erasure up to a moment.

    Attributes:
        last_number: of the latest erasure; 0 where there was none.
        erased: hex of a person's digest -> when, in microseconds since 1970-01-01 UTC.
    """

    last_number: int = 0
    erased: dict[str, int] = {}


def read_ledger(home: Path) -> Ledger:
    """Returns the ledger of a home folder's live store; an empty one where there is no store.

    Raises:
        LiveStoreError: there is a store, and it cannot be read.
    """
    if not (home / "live" / LIVE_FILE).exists():
        return Ledger()
    with LiveStore.open(home, max_bytes=0) as store, store.view() as view:
        erased = {digest.hex(): entry.time_us for digest, entry in sorted(view.ledger().items())}
        return Ledger(view.erasures, erased)


def keep_ledger(run: RunFolder) -> None:
    """Writes the ledger into the run folder, where it differs from what lies there.

    The first stage has it as an input, so a new erasure makes the whole run anew.

    Raises:
        LiveStoreError: the live store cannot be read.
        OSError: the run folder cannot be written.
    """
    path = run.resolve(LEDGER_NAME)
    ledger = read_ledger(run.home)
    if ledger != load_ledger(path):
        write_atomic(path, msgspec.json.format(msgspec.json.encode(ledger)))


def load_ledger(path: Path) -> Ledger:
    """Returns the ledger in a run folder; an empty one where none lies there (or it is no ledger)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ledger)
    except (FileNotFoundError, msgspec.DecodeError):
        return Ledger()


def erased_ids(ledger: Ledger, *tables: pl.LazyFrame) -> pl.DataFrame:
    """Returns the erased among the people of some tables: `user_id` and when, as `ERASED_AT`.

    Args:
        ledger: whom to look for.
        tables: with `user_id`; without an erasure none is read.
    """
    if not ledger.erased:
        return pl.DataFrame(schema=ERASED)
    ids = pl.concat([table.select("user_id") for table in tables]).unique().collect(engine="streaming")
    found = [(user_id, ledger.erased.get(person_digest(user_id).hex())) for user_id in ids["user_id"].sort()]
    rows = [(user_id, time_us) for user_id, time_us in found if time_us is not None]
    frame = pl.DataFrame(rows, schema={"user_id": pl.String, ERASED_AT: pl.Int64}, orient="row")
    return frame.with_columns(pl.col(ERASED_AT).cast(ERASED[ERASED_AT]))


def without_erased(table: pl.LazyFrame, erased: pl.DataFrame, *, time: str) -> pl.LazyFrame:
    """Returns the table without the erased people's rows up to their erasure, and those that have no time.

    Args:
        table: with `user_id` and the time column.
        erased: as `erased_ids` returns it.
        time: the column that says when a row came to be.
    """
    if erased.is_empty():
        return table
    return (
        table.join(erased.lazy(), on="user_id", how="left")
        .filter(pl.col(ERASED_AT).is_null() | (pl.col(time) > pl.col(ERASED_AT)).fill_null(value=False))
        .drop(ERASED_AT)
    )
