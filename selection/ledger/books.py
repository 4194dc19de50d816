"""Owns the ledger's files: one a published night in `home/ledger`, written once its snapshot serves."""

from __future__ import annotations

import io
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from recdata.artefacts import read_artefact, scan_artefact, write_artefact
from recdata.errors import RunError
from recdata.runs import RunFolder, write_atomic
from recdata.selection_artefacts import PICKS
from selection.history import horizon_days

FOLDER = "ledger"
#: The past nights' picks as a run saw them, in its folder.
PAST_NAME = "past_picks.parquet"
#: Nights of so many days back are scored; their books are kept for ever.
SCORED_DAYS = 400
#: A run's day is the one after its last event, and somewhere it is tomorrow already.
CLOCK_DAYS = 2
#: Items to keep are the rest of the catalogue: nobody has to do anything about them.
SILENT = "keep"


def book_path(home: Path, as_of: date) -> Path:
    """Returns where the picks of a night are kept."""
    return home / FOLDER / f"{as_of:%Y%m%d}.parquet"


def nights(home: Path) -> list[date]:
    """Returns the nights that have a book, oldest first; files of other names are not ours."""
    found = []
    for path in (home / FOLDER).glob("*.parquet"):
        try:
            found.append(datetime.strptime(path.stem, "%Y%m%d").date())  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    return sorted(found)


def picks_of(selection: pl.DataFrame, as_of: date, days: int) -> pl.DataFrame:
    """Returns the PICKS of a SELECTION frame: every item with something to do about, best first."""
    return (
        selection.filter(pl.col("action") != SILENT)
        .sort("rank")
        .select(
            pl.lit(as_of, pl.Date).alias("as_of"),
            pl.lit(days, pl.Int32).alias("horizon_days"),
            "rank",
            "item_id",
            "action",
            "stage",
            "score",
            pl.coalesce("expected_value", "revenue_at_stake").alias("expected_value"),
            "hit_probability",
            "keep_probability",
        )
    )


def enter_picks(run: RunFolder, *, today: date) -> bool:
    """Writes the picks of a published run into the ledger, and returns whether it did.

    A night that a later one has followed is closed: publishing an old day again does not rewrite what was
    advised then. The same day published again replaces its picks, for those are what serves now.

    No night lies in the future. One that does comes from events with a wrong date, and would close the
    ledger to all nights until then: it is not entered, and where it stands already it closes nothing. Either
    is said on the run's console, with what to do; the picks stay in the run folder.

    Args:
        run: what was published.
        today: the day by the clock.

    Raises:
        RunError: the run's selection is missing.
        OSError: the ledger cannot be written.
    """
    latest = today + timedelta(days=CLOCK_DAYS)
    if run.as_of > latest:
        _warn(
            run,
            f"the run's day {run.as_of} lies in the future, so its picks are not entered into the ledger: "
            "look for events with a wrong date, mend and import them, and run the night again",
        )
        return False
    later = [night for night in nights(run.home) if night > run.as_of]
    future = [night for night in later if night > latest]
    if future:
        books = ", ".join(str(book_path(run.home, night)) for night in future)
        _warn(run, f"{books}: dated in the future, so left aside; move it away")
    if len(later) > len(future):
        book = book_path(run.home, max(night for night in later if night <= latest))
        _warn(
            run,
            f"the picks of {run.as_of} are not entered: the ledger has a later night, {book}, and what was "
            "advised before it is closed. Where that night is a mistake, move its file away and publish this "
            "run again: its picks are still in its folder",
        )
        return False
    selection = read_artefact(run.resolve("selection.parquet"), "selection")
    totals = scan_artefact(run.resolve("forecast_totals.parquet"), "forecast_totals")
    buffer = io.BytesIO()
    frame = picks_of(selection, run.as_of, horizon_days(totals.collect(), run.as_of)).select(list(PICKS))
    frame.rechunk().write_parquet(buffer, compression="zstd")
    path = book_path(run.home, run.as_of)
    content = buffer.getvalue()
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)
    return True


def _warn(run: RunFolder, told: str) -> None:
    run.console.print(f"ledger: {told}", style="yellow", markup=False, soft_wrap=True)


def keep_past_picks(run: RunFolder) -> None:
    """Writes the picks of the nights before a run into its folder, where they differ from what lies there.

    A stage that has them as an input is done again after a new night. Only nights of the latest `SCORED_DAYS`
    days before the run are taken. No night is no file.

    Raises:
        RunError: a book is damaged.
        OSError: the run folder cannot be written.
    """
    path = run.resolve(PAST_NAME)
    chosen = [
        night for night in nights(run.home) if run.as_of - timedelta(days=SCORED_DAYS) <= night < run.as_of
    ]
    if not chosen:
        path.unlink(missing_ok=True)
        return
    frame = pl.concat([_read_book(book_path(run.home, night)) for night in chosen])
    if path.is_file() and _same(path, frame):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    write_artefact(frame, aside, "picks")
    aside.replace(path)


def _same(path: Path, frame: pl.DataFrame) -> bool:
    try:
        return read_artefact(path, "picks").equals(frame)
    except (RunError, pl.exceptions.PolarsError):
        return False  # a copy that another version made, or that broke off: it is written anew


def _read_book(path: Path) -> pl.DataFrame:
    remedy = "move the file away: the night will then not be scored"
    try:
        frame = pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RunError(f"{path}: a damaged book of the ledger ({error}); {remedy}") from error
    for name, dtype in PICKS.items():
        if frame.schema.get(name) != dtype:
            told = f"column {name} is {frame.schema.get(name, 'missing')}, not {dtype}"
            raise RunError(f"{path}: a book of the ledger with another schema ({told}); {remedy}")
    return frame.select(list(PICKS))
