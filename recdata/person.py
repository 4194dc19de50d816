"""Owns finding what the home folder holds of one person, beside the live store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from recdata.errors import SnapshotError
from recdata.releases import Releases

#: Files of rejected rows, which show the values that were wrong.
REJECTS = ("tables/rejects", "refused-import/rejects")


@dataclass(frozen=True, slots=True)
class Found:
    """What one store holds of a person.

    Attributes:
        store: its name.
        records: how many records.
        remedy: what is to do about them; "" where there are none.
    """

    store: str
    records: int
    remedy: str


def records_of(home: Path, user_id: str, *, erasure_number: int) -> list[Found]:
    """Returns what each table, run and snapshot holds of a person; tables and runs only where Polars is.

    Args:
        home: the home folder.
        user_id: the person.
        erasure_number: of their erasure; 0 where there was none.
    """
    return [
        *_tables_and_runs(home, user_id),
        *_rejects(home, user_id),
        *_snapshots(home, user_id, erasure_number),
    ]


def _tables_and_runs(home: Path, user_id: str) -> Iterator[Found]:
    if find_spec("polars") is None:
        return
    from recdata.tables import rows_of_person, tables_with_people

    for name, path in tables_with_people(home):
        count = rows_of_person(path, user_id)
        remedy = "delete them in your files and import again; the nightly job leaves out what was erased"
        yield Found(f"tables/{name}", count, remedy if count else "")
    for path in sorted((home / "runs").glob("*/users.parquet")):
        count = rows_of_person(path, user_id)
        remedy = "delete this run's folder, or run the nightly job again"
        yield Found(f"runs/{path.parent.name}", count, remedy if count else "")


def _rejects(home: Path, user_id: str) -> Iterator[Found]:
    for folder in REJECTS:
        for path in sorted((home / folder).glob("*.csv")):
            with path.open(encoding="utf-8", errors="replace") as file:
                count = sum(user_id in line for line in file)
            if count:
                name = path.relative_to(home).as_posix()
                yield Found(name, count, "lines with that text; import again, or delete the file")


def _snapshots(home: Path, user_id: str, erasure_number: int) -> Iterator[Found]:
    releases = Releases(home)
    current = releases.current_id()
    for snapshot_id in releases.ids():
        name = f"snapshot {snapshot_id}"
        try:
            with closing(releases.open(snapshot_id, verify=False)) as snapshot:
                there = snapshot.user(user_id) is not None
                hidden = snapshot.manifest.erasures_applied < erasure_number
        except SnapshotError as error:
            yield Found(name, 0, f"cannot be read ({error}); delete it")
            continue
        if not there:
            yield Found(name, 0, "")
            continue
        shown = (
            "hidden since the erasure; "
            if hidden
            else "served; erase them, then "
            if erasure_number == 0
            else ""
        )
        gone = "`recsvc nightly` publishes one without them, then " if snapshot_id == current else ""
        yield Found(name, 1, f"{shown}{gone}`recsvc snapshots prune --keep 1`")
